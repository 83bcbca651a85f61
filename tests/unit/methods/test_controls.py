"""Controls of the other methods: fed with what says nothing, or what another brain said."""

from __future__ import annotations

import json

import numpy as np
import pytest

from boldreel.data import arrays
from boldreel.errors import UserError
from boldreel.evaluate.score import condition_of
from boldreel.methods.linear import reconstruct

from .test_linear import CONFIG, fitted


@pytest.fixture(scope="module")
def model(study, classifier, tmp_path_factory):  # type: ignore[no-untyped-def]
    return fitted(study, classifier, tmp_path_factory.mktemp("controls") / "fit")


def made(study, model, folder, names, *more):  # type: ignore[no-untyped-def]
    """{control, or "own": (clips, frames)} of a run of the step."""
    controls = [folder / f"control-{name}" for name in names]
    words = ["--model", str(model), *study.words(), "--output", str(folder / "own")]
    words += ["--control-clips", "9", *more, "--config", json.dumps(CONFIG)]
    reconstruct.main([*words, "--controls", *map(str, controls)])
    found = {}
    for path in (folder / "own", *controls):
        frames, meta = arrays.load(path / "frames.npy", kind="reconstruction")
        found[path.name.removeprefix("control-")] = meta["clips"], frames
    return found


def test_each_control_is_what_its_name_says(study, silent, model, tmp_path) -> None:  # type: ignore[no-untyped-def]
    words = ["--other-windows", str(silent.windows), "--other-series", str(silent.series)]
    found = made(study, model, tmp_path / "a", ["mean", "noise", "other"], *words)
    assert len(found["own"][0]) == 40
    assert all(len(clips) == 9 for name, (clips, _) in found.items() if name != "own")
    mean = found["mean"][1]
    assert (mean == mean[:1]).all(), "one response, one picture"
    assert not (found["noise"][1] == found["noise"][1][:1]).all()
    # the other's responses are exactly what this model would make of that subject
    beside = made(silent, model, tmp_path / "b", ["noise"])
    own = dict(zip(*beside["own"], strict=True))
    clips, frames = found["other"]
    assert np.array_equal(frames, np.stack([own[clip] for clip in clips]))
    # noise is drawn by seed and clip, whoever's windows they are
    assert np.array_equal(beside["noise"][1], found["noise"][1])


def test_no_control_but_the_others_sees_a_test_run(study, make_study, model, tmp_path) -> None:  # type: ignore[no-untyped-def]
    disturbed = make_study()
    disturbed.disturb()
    names = ["mean", "noise"]
    one, two = (made(s, model, tmp_path / str(k), names) for k, s in enumerate((study, disturbed)))
    assert all(np.array_equal(one[name][1], two[name][1]) for name in names)
    assert not np.array_equal(one["own"][1], two["own"][1])


@pytest.mark.parametrize(
    ("name", "message"), [("caption", "no such control"), ("other", "--other-windows")]
)
def test_what_cannot_be_drawn_is_refused_before_anything_is(
    study, model, tmp_path, name, message
) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=message):
        made(study, model, tmp_path, ["mean", name])
    assert not list(tmp_path.iterdir())


def test_the_table_knows_them_by_the_names_of_the_main_method() -> None:
    names = [condition_of(name) for name in ("mean", "noise", "other")]
    assert names == ["mean_fmri", "noise_fmri", "other_subject"]
