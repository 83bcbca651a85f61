"""The time that volumes stand for: as the sidecar says, as fMRIPrep's versions worked, or asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures_cifti import write_dense
from tests.unit.bold.test_import_derivatives import volume

from boldreel.bold import import_derivatives, start_times
from boldreel.data import derivatives
from boldreel.data.derivatives import Found
from boldreel.errors import UserError

# Slices of a third-order interleave with a gap at the end of TR: mean, middle and TR / 2 all differ.
TIMES = [0.0, 0.6, 1.2, 0.1]
MEAN, MIDDLE = 0.475, 0.6
STEM = "sub-01_ses-a_task-movie"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    func = tmp_path / "raw/sub-01/ses-a/func"
    func.mkdir(parents=True)
    (tmp_path / "raw/dataset_description.json").write_text("{}")
    return tmp_path / "raw"


def tell(raw: Path, **about) -> None:
    """What the raw data say, further up in the tree."""
    text = json.dumps({"RepetitionTime": 2.0, **about})
    (raw / "task-movie_bold.json").write_text(text, encoding="utf-8-sig")


def found(pipeline: str = derivatives.FMRIPREP) -> Found:
    path = Path(f"out/{STEM}_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz")
    return Found("movie", 1, path, "MNI152NLin2009cAsym", pipeline)


@pytest.mark.parametrize(
    ("sidecar", "about", "start"),
    [
        ({"StartTime": 0.3, "SliceTimingCorrected": True}, {"SliceTiming": TIMES}, 0.3),
        ({"SliceTimingCorrected": False}, {"SliceTiming": TIMES}, 0.0),
        ({"SliceTimingCorrected": True}, {"SliceTiming": TIMES}, MIDDLE),
        ({"DelayTime": 0.4}, {"SliceTiming": TIMES}, MEAN),
        ({}, {"SliceTiming": TIMES}, MEAN),
        ({}, {}, 0.0),
        ({}, {"SliceTiming": []}, 0.0),
    ],
)
def test_what_it_is(raw, sidecar, about, start):
    tell(raw, **about)
    seconds, derived = start_times.find(found(), sidecar, raw)
    assert seconds == pytest.approx(start)
    assert (f"taken as corrected to {start:g} s" in derived) is (start in (MEAN, MIDDLE))


@pytest.mark.parametrize("sidecar", [{"SliceTimingCorrected": True}, {}])
def test_it_is_asked_for_where_nobody_knows(raw, sidecar):
    with pytest.raises(UserError, match=r"set bold\.start_time") as error:
        start_times.find(found(), sidecar, raw)
    assert "\n" not in str(error.value)
    assert start_times.find(found(), sidecar, raw, given=0.9) == (0.9, "")
    assert start_times.find(found(derivatives.HCP), sidecar, raw) == (0.0, "")


def test_a_line_for_all_runs_that_are_alike(raw, tmp_path, capsys):
    tell(raw, SliceTiming=TIMES)
    for run in (1, 2):
        name = f"{STEM}_run-{run}_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz"
        volume(tmp_path / "out/sub-01/ses-a/func" / name)
        volume(raw / f"sub-01/ses-a/func/{STEM}_run-{run}_bold.nii.gz")
    assert [run.start_time for run in import_derivatives.find(tmp_path / "out", "01", raw=raw)] == [
        MEAN
    ] * 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: sub-01: 2 runs' sidecars do not say whether")


def test_the_sidecar_goes_before_the_configuration(raw):
    assert start_times.find(found(), {"StartTime": 0.3}, raw, given=0.9) == (0.3, "")
    uncorrected = {"SliceTimingCorrected": False}
    assert start_times.find(found(), uncorrected, raw, given=0.9) == (0.0, "")


@pytest.mark.parametrize("ending", [".json", ".dtseries.json"])
def test_a_dense_series_has_its_sidecar_under_either_name(tmp_path, ending):
    """fMRIPrep 20 wrote .dtseries.json, 21 and later .json."""
    dense = tmp_path / f"sub-01/func/sub-01_task-movie_space-fsLR_den-91k_bold{ending}"
    path = dense.with_name(dense.name.removesuffix(ending) + ".dtseries.nii")
    write_dense(path, np.ones((6, 5), np.float32), left=3, right=2)
    dense.write_text(json.dumps({"RepetitionTime": 2.0, "StartTime": 0.77}))
    (run,) = import_derivatives.find(tmp_path, "01", "fsLR")
    assert run.start_time == 0.77


def test_of_a_run_that_shows_nothing_it_does_not_matter(raw, tmp_path):
    name = f"{STEM}_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz"
    volume(tmp_path / "out/sub-01/ses-a/func" / name)
    wanted = {("movie", "a", 1): ("movie", 1)}
    (run,) = import_derivatives.find(tmp_path / "out", "01", raw=raw, wanted=wanted, shown=[])
    assert run.start_time == 0.0
    with pytest.raises(UserError, match=r"bold\.start_time"):
        import_derivatives.find(tmp_path / "out", "01", raw=raw, wanted=wanted)


@pytest.mark.parametrize("wrong", [None, "early", -0.1, float("nan"), 600.0])
def test_a_time_that_is_none_is_told(raw, wrong):
    """600 are ms; taken as s, no clip would fall into its run."""
    tell(raw, SliceTiming=[0.0, wrong])
    with pytest.raises(UserError, match=f"SliceTiming holds {wrong}; expected s, from 0 to Rep"):
        start_times.find(found(), {}, raw)
    with pytest.raises(UserError, match=f"StartTime holds {wrong}; expected s"):
        start_times.find(found(), {"StartTime": wrong, "RepetitionTime": 2.0})
