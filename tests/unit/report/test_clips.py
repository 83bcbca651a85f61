"""The clips that the report shows: which, their windows and stills, and where continuous movies cut."""

from __future__ import annotations

import base64
import io
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from boldreel.data import arrays, tables
from boldreel.report import clips, media, sections, texts
from boldreel.report.results import Results


@pytest.fixture
def study(tree, tmp_path):
    """A copy of the tree with a control and nearest training clips of subject 01."""
    root = tmp_path / "demo"
    shutil.copytree(tree, root)
    table = tables.read(root / "clips.parquet", "clips")
    test = [name for name in table["clip"] if name.startswith("test")]
    near = pd.DataFrame({"clip": test, "nearest": "train01-0003", "correlation": 0.2})
    tables.write(root / "sub-01" / "nearest.tsv", near, "nearest")
    for name, grey in (("mean", 40), ("seed-1", 200)):
        arrays.save(
            root / f"sub-01/reconstruction/control-{name}/frames.npy",
            np.full((2, 6, 32, 32, 3), grey, np.uint8),
            kind="reconstruction",
            clips=test[:2],
            frame_rate=3.0,
            seed=0,
        )
    return root, test


def brightness(uri: str) -> float:
    picture = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    return float(np.asarray(picture).mean())


def test_windows_and_stills_of_a_clip(study) -> None:
    root, test = study
    results = Results(root, ["01", "02"], "mindvideo")
    found = clips.contexts(results, test[:3])
    first = found[test[0]]["01"]
    assert first.windows == "volumes 3 to 4 of test01, lag 4 s, the mean of 2 runs"
    labels = [label for label, _ in first.stills]
    assert labels[0].startswith("Training clip nearest in BOLD: a ")
    assert labels[1:] == ["Another seed", "Fed the mean response"]
    assert first.stills[1][1].mean() == 200
    assert first.stills[2][1].mean() == 40
    # the third clip is in no control, the second subject has none
    assert len(found[test[2]]["01"].stills) == 1 and found[test[0]]["02"].stills == []


def test_they_stand_on_the_card(study) -> None:
    root, test = study
    results = Results(root, ["01", "02"], "mindvideo")
    (reel,) = media.reels(clips.read(results, test[:1], []))
    stills = [source for _, source in reel.context["01"].stills]
    assert brightness(stills[1]) == pytest.approx(200, abs=2)
    html = sections._card(reel, {"01": "sub-01", "02": "sub-02"}, {}, None)
    assert html.count("Behind it") == 1 and html.count('class="stills"') == 1
    assert html.count("the mean of 2 runs") == 2
    picked = sections._card(
        reel,
        {"01": "sub-01", "02": "sub-02"},
        {},
        None,
        clips.Pick(test[0], "02", "best", 0.5),
    )
    assert picked.count("the mean of 2 runs") == 1


def _clips() -> pd.DataFrame:
    shots = ["a", "a", "b", "c", "c", "c"]
    rows = [
        {"clip": f"m-{k}", "movie": "m", "start": 2.0 * k, "duration": 2.0, "shot": shot}
        for k, shot in enumerate(shots)
    ]
    rows.append({"clip": "n-0", "movie": "n", "start": 12.0, "duration": 2.0, "shot": "d"})
    return pd.DataFrame(rows)


def _cuts() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "movie": "m-0",
            "seconds": [4.0, 8.0, 9.0],
            "clip": ["m-2", "m-4", "m-4"],
            "between_clips": [True, True, False],
        }
    )


def test_cuts_are_counted_against_the_truth() -> None:
    counts = clips.count_cuts(_cuts(), _clips().sample(frac=1, random_state=0))
    assert counts == clips.Cuts(places=5, made=2, true=2, both=1, within=1)
    # without m-2 neither of its places is one
    fewer = clips.count_cuts(_cuts(), _clips().query("clip != 'm-2'"))
    assert (fewer.places, fewer.true) == (3, 0)


def test_the_paragraph_names_each_subject() -> None:
    counts = clips.count_cuts(_cuts(), _clips())
    text = texts.continuous_movies([("01", counts)])
    assert "sub-01: 2 (with the truth: 1), and 1 within clips" in text and "5 places" in text
    assert texts.continuous_movies([]) == ""
