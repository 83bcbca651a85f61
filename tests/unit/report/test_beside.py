"""What stands behind a clip: its windows in words, the nearest training clip, other seeds and controls."""

from __future__ import annotations

import base64
import io
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from boldreel.data import arrays, tables
from boldreel.report import beside, media, sections
from boldreel.report.results import Results


@pytest.fixture
def study(tree, tmp_path):
    """A copy of the tree with a control and nearest training clips of subject 01."""
    root = tmp_path / "demo"
    shutil.copytree(tree, root)
    clips = tables.read(root / "clips.parquet", "clips")
    test = [name for name in clips["clip"] if name.startswith("test")]
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
    found = beside.collect(results, test[:3])
    first = found[test[0]]["01"]
    assert first.windows == "volumes 3 to 4 of test01, lag 4 s, the mean of 2 runs"
    labels = [label for label, _ in first.stills]
    assert labels[0].startswith("Training clip nearest in BOLD: a ")
    assert labels[1:] == ["Another seed", "Fed the mean response"]
    assert brightness(first.stills[1][1]) == pytest.approx(200, abs=2)
    assert brightness(first.stills[2][1]) == pytest.approx(40, abs=2)
    # the third clip is in no control, the second subject has none
    assert len(found[test[2]]["01"].stills) == 1 and found[test[0]]["02"].stills == []


def test_they_stand_on_the_card(study) -> None:
    root, test = study
    results = Results(root, ["01", "02"], "mindvideo")
    (reel,) = media.reels(results, test[:1], [])
    html = sections._card(reel, {"01": "sub-01", "02": "sub-02"}, {}, None)
    assert html.count("Behind it") == 1 and html.count('class="stills"') == 1
    assert html.count("the mean of 2 runs") == 2
    picked = sections._card(
        reel,
        {"01": "sub-01", "02": "sub-02"},
        {},
        None,
        media.Pick(test[0], "02", "best", 0.5),
    )
    assert picked.count("the mean of 2 runs") == 1
