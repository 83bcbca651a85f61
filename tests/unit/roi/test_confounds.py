"""The columns that are taken are those of nilearn's loader, and few enough to leave a signal."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from nilearn.interfaces.fmriprep import load_confounds
from tests.fixtures_settings import settings as chosen

from boldreel.data import nifti
from boldreel.errors import UserError
from boldreel.roi import cleaning, confounds, series

COUNT, T_R = 245, 2.0
AXES = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]


def columns(prefixes: dict[str, int]) -> dict[str, np.ndarray]:
    """Motion, cosines and so many components of each prefix; n/a where a difference has no first value."""
    rng = np.random.default_rng(1)
    table = {"framewise_displacement": rng.random(COUNT)}
    for prefix, number in prefixes.items():
        table |= {f"{prefix}_comp_cor_{k:02d}": rng.normal(size=COUNT) for k in range(number)}
    k = np.arange(1, 8)
    drift = np.cos(np.pi * (np.arange(COUNT)[:, None] + 0.5) * k / COUNT)
    table |= {f"cosine{k:02d}": column for k, column in enumerate(drift.T)}
    for axis in AXES:
        for suffix in ("", "_derivative1", "_power2", "_derivative1_power2"):
            table[axis + suffix] = rng.normal(size=COUNT)
            if "derivative1" in suffix:
                table[axis + suffix][0] = np.nan
    table["non_steady_state_outlier00"] = (np.arange(COUNT) == 0).astype(float)
    return table


def write(path: Path, table: dict[str, np.ndarray]) -> Path:
    rows = np.column_stack(list(table.values()))
    lines = ["\t".join(table)]
    lines += ["\t".join("n/a" if v != v else repr(float(v)) for v in row) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(params=["present", "up to 20.1"])
def fmriprep(request, tmp_path) -> Path:
    """A run as fMRIPrep leaves it: 200 components of three masks and of time, and a JSON that tells them."""
    stem = tmp_path / "sub-01_ses-1_task-movie_run-2"
    if request.param == "present":
        table = columns({"a": 80, "c": 50, "w": 50, "t": 20})
        masks = {"a": "combined", "c": "CSF", "w": "WM"}
        about = {
            name: {"Method": "aCompCor", "Mask": masks[name[0]], "Retained": True}
            for name in table
            if name[1:].startswith("_comp_cor") and name[0] in masks
        }
        ending = "_desc-confounds_timeseries"
    else:  # one count through all anatomical masks
        table = columns({"a": 180, "t": 20})
        masks = ["combined"] * 80 + ["CSF"] * 50 + ["WM"] * 50
        about = {
            f"a_comp_cor_{k:02d}": {"Method": "aCompCor", "Mask": mask, "Retained": True}
            for k, mask in enumerate(masks)
        }
        ending = "_desc-confounds_regressors"
    about |= {f"t_comp_cor_{k:02d}": {"Method": "tCompCor"} for k in range(20)}
    about |= {"dropped_0": {"Method": "aCompCor", "Mask": "combined", "Retained": False}}
    Path(f"{stem}{ending}.json").write_text(json.dumps(about))
    return write(Path(f"{stem}{ending}.tsv"), table)


def image(table: Path) -> str:
    stem = str(table).split("_desc-")[0]
    return f"{stem}_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz"


@pytest.mark.parametrize(
    ("mask", "number", "count"),
    [
        ("anat_combined", 5, 18),
        ("anat_separated", 3, 19),
        ("temporal", 6, 19),
        ("temporal_anat_combined", 2, 17),
        ("anat_combined", 300, 93),
    ],
)
def test_compcor_is_nilearns(fmriprep, mask, number, count):
    settings = chosen("roi", confounds="compcor", compcor=mask, n_compcor=number)
    own = confounds.load(fmriprep, COUNT, settings, fmriprep=True)
    theirs, _ = load_confounds(
        image(fmriprep),
        strategy=("motion", "compcor", "high_pass"),
        motion="basic",
        compcor=mask,
        n_compcor=number,
        demean=False,
    )
    assert own.shape == (COUNT, count + 1)
    own = own[:, :-1]  # the first volume's, of which there is another test
    by_first = [values[:, np.argsort(values[0])] for values in (own, theirs.to_numpy())]
    np.testing.assert_allclose(*by_first, rtol=1e-12)


@pytest.mark.parametrize("choice", ["motion6", "compcor"])
def test_a_bright_first_volume_bends_no_trend(fmriprep, choice):
    """nilearn's sample_mask leaves it out; the others come out as if it had been like them."""
    _, kept = load_confounds(
        image(fmriprep), strategy=("motion", "high_pass"), motion="basic", demean=False
    )
    np.testing.assert_array_equal(kept, np.arange(1, COUNT))
    settings = chosen("roi", confounds=choice)
    steady = np.random.default_rng(5).normal(size=(COUNT, 40))
    bright = steady + 30.0 * (np.arange(COUNT) == 0)[:, None]
    taken = confounds.load(fmriprep, COUNT, settings, fmriprep=True)
    design = cleaning.regressors(taken, settings)
    found = cleaning.clean(bright, design)
    np.testing.assert_allclose(found, cleaning.clean(steady, design), atol=1e-5)
    assert np.abs(found[0]).max() < 1e-5
    assert found[1:].std() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(("choice", "motion"), [("motion6", "basic"), ("motion24", "full")])
@pytest.mark.parametrize("engine", [True, False])
def test_motion_is_nilearns(fmriprep, choice, motion, engine):
    """But for the first volume, whose difference nilearn takes from the second: here it is 0."""
    settings = chosen("roi", confounds=choice, high_pass=True)
    own = confounds.load(fmriprep, COUNT, settings, fmriprep=engine)
    theirs, _ = load_confounds(
        image(fmriprep), strategy=("motion", "high_pass"), motion=motion, demean=False
    )
    order = [*confounds.motion_names(settings), *(f"cosine{k:02d}" for k in range(7))]
    own = own[:, : len(order)]
    np.testing.assert_allclose(own[1:], theirs[order].to_numpy()[1:], rtol=1e-12)
    assert np.isfinite(own).all()


def test_a_planted_signal_stays(fmriprep):
    """As few components as are asked for leave it; all 200 would leave a fifth of it."""
    rng = np.random.default_rng(3)
    planted = rng.normal(size=(COUNT, 40))
    settings = chosen("roi", confounds="compcor")
    taken = confounds.load(fmriprep, COUNT, settings, fmriprep=True)
    noisy = planted + taken @ rng.normal(size=(taken.shape[1], 40))
    cleaned = cleaning.clean(noisy, cleaning.regressors(taken, settings))
    kept = [np.corrcoef(a, b)[0, 1] for a, b in zip(cleaned.T, planted.T, strict=True)]
    assert np.mean(kept) > 0.93


def test_the_embedded_engines_components_come_with_cosines(tmp_path):
    table = columns({"a": 5})
    path = write(tmp_path / "sub-01_task-a_run-1_desc-confounds_timeseries.tsv", table)
    own = confounds.load(
        path, COUNT, chosen("roi", confounds="compcor", n_compcor=3), fmriprep=False
    )
    names = [
        *AXES,
        *(f"a_comp_cor_{k:02d}" for k in range(3)),
        *(f"cosine{k:02d}" for k in range(7)),
    ]
    np.testing.assert_array_equal(own, np.column_stack([table[name] for name in names]))
    none = confounds.load(path, COUNT, chosen("roi", confounds="none"), fmriprep=False)
    assert none.shape == (COUNT, 0)


def test_what_cannot_be_had_is_told(fmriprep, tmp_path):
    wanted = chosen("roi", confounds="compcor", compcor="anat_separated")
    with pytest.raises(UserError, match="embedded engine has only anat_combined components"):
        confounds.load(fmriprep, COUNT, wanted, fmriprep=False)
    fmriprep.with_suffix(".json").unlink()
    with pytest.raises(UserError, match=r"fetch the table's \.json"):
        confounds.load(fmriprep, COUNT, wanted, fmriprep=True)
    bare = write(tmp_path / "bare" / fmriprep.name, {"trans_x": np.zeros(COUNT)})
    with pytest.raises(UserError, match=r"no column trans_y, which roi.confounds: motion6 needs"):
        confounds.load(bare, COUNT, chosen("roi"), fmriprep=True)
    with pytest.raises(UserError, match=r"bare.*fetch the table's \.json"):
        confounds.load(bare, COUNT, wanted, fmriprep=True)


def test_a_run_that_keeps_less_than_half_is_told(preprocessed, positions, tmp_path, capsys):
    """60 volumes, 4 trends and 28 confounds."""
    path = preprocessed()
    table = path.with_name("sub-01_task-train01_run-2_desc-confounds_timeseries.tsv")
    rng = np.random.default_rng(4)
    count = nifti.load(path).shape[3]
    names = [*AXES, *(f"a_comp_cor_{k:02d}" for k in range(22))]
    write(table, {name: rng.normal(size=count) for name in names})
    source = series.source_beside(path)
    settings = chosen("roi", confounds="compcor", n_compcor=22)
    series.write(source, positions, settings, tmp_path / "series" / "task-train01_run-2.npy")
    told = "warning: task-train01_run-2: 32 regressors leave 27 degrees of freedom of 60 volumes"
    assert told in capsys.readouterr().err
