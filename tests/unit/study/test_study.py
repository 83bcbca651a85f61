"""The study: what a configuration is about, from names of files and events alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tests import fixtures_bids
from tests.fixtures_bids import RUNS, write_run
from tests.fixtures_bids import own as study

from boldreel.data import headers
from boldreel.errors import UserError
from boldreel.study import preflight
from boldreel.study.runs import Run
from boldreel.study.study import Study


def test_the_demo_is_simulated():
    demo = fixtures_bids.demo()
    assert demo.embedded and demo.subjects == ["01", "02", "03"]
    assert demo.cohort == ["rest01", "rest02", "rest03"]
    assert len(demo.runs_of("01", "test")) == 2 * 10 and len(demo.runs_of("01", "train")) == 5 * 2
    assert demo.counted() == {"train": 30, "validation": 6, "test": 60}
    first = demo.runs_of("01", "test")[0]
    bold = "results/demo/bids/sub-01/func/sub-01_task-test01_run-1_bold.nii"
    assert first == Run("test01", 1, bold, ("test",), ("test01", 1))
    assert first.label == "task-test01_run-1" and first.whole == first
    assert len(demo.events("01")) == 2 * 10 + 5 * 2 + 2
    assert bold.replace("_bold.nii", "_events.tsv") in demo.events("01")
    assert list(demo.movies.files("validation")) == ["train06"]
    assert [demo.controls.other_of(subject) for subject in demo.subjects] == ["02", "01", "01"]


def test_runs_belong_to_splits_and_others_are_for_pretraining_alone(tree):
    found = study(tree)
    assert found.subjects == found.cohort == ["01", "02"], "all of the tree, where nobody is named"
    named = [(run.segment, run.repeat) for run in found.named("01")]
    assert named == RUNS[:5]
    assert [run.segment for run in found.runs_of("01", "train")] == ["film1", "film1", "film2"]
    assert [run.segment for run in found.runs_of("01", "validation")] == ["film3"]
    assert [run.segment for run in found.unnamed("01")] == ["rest"]
    assert [run.segment for run in found.untested("01")] == [
        *("film1", "film1", "film2", "film3", "rest")
    ]
    assert found.ignored() == []


def test_test_runs_are_fitted_on_by_nobody(tree):
    """Whatever the split asked for: no list for fitting holds one."""
    found = study(tree)
    for runs in (found.untested("01"), found.runs_of("01", "train", "validation")):
        assert "probe" not in {run.segment for run in runs}


def test_who_is_not_in_the_cohort_has_no_use_for_other_runs(tree):
    for subject in ("03", "04"):
        for segment, repeat in RUNS[-1:]:
            write_run(tree, subject, segment, repeat, None)
    table = tree / "subjects.tsv"
    table.write_text("subject\n01\n")
    found = study(tree, subjects=str(table), pretrain={"subjects": ["03", "04"]})
    assert [run.segment for run in found.runs["01"]] == [
        "film1",
        "film1",
        "film2",
        "film3",
        "probe",
    ]
    assert len(found.ignored()) == 1 and "task-rest run 1" in found.ignored()[0]
    assert [run.segment for run in found.runs["03"]] == ["rest"]


def test_movies_and_annotations_lie_where_events_say(tree):
    found = study(tree)
    assert found.movies.files("validation") == {"film3": str(tree / "stimuli" / "film3.mp4")}
    assert list(found.movies.files()) == ["film1", "film2", "film3", "probe"]
    assert found.movies.annotations() == [str(tree / "stimuli" / "probe.tsv")]
    assert found.movies.annotations(["film1"]) == []
    (tree / "stimuli" / "film1.mp4").unlink()
    with pytest.raises(UserError, match=r"movie film1\.mp4 was shown but is missing"):
        study(tree).movies.files("train")


def test_what_is_missing_is_one_line(tree):
    with pytest.raises(UserError, match="no anat"):
        study(tree).t1w("01")
    for path in tree.glob("sub-02/func/*probe*"):
        path.unlink()
    with pytest.raises(UserError, match="sub-02") as caught:
        study(tree)
    assert "test" in str(caught.value) and "\n" not in str(caught.value)


def test_a_run_is_found_by_segment_and_repeat(tree):
    found = study(tree)
    assert found.run("01", "film1", "2") == found.runs["01"][1]
    assert found.run("01", "rest", 1).segment == "rest"
    with pytest.raises(UserError, match=r"sub-01: no run 3 of segment film1; "):
        found.run("01", "film1", 3)


def test_runs_of_the_simulation_are_those_of_its_subjects():
    demo = fixtures_bids.demo()
    for rest, subject in ((False, "01"), (True, "rest01")):
        of_subject = [(run.segment, run.repeat) for run in demo.runs[subject]]
        assert sorted(demo.simulated.numbers(rest)) == sorted(of_subject)


def test_seeds_and_other_subjects_are_controls(tree):
    found = study(tree, reconstruct={"seeds": 3})
    assert found.controls.names() == ["mean", "noise", "other", "caption", "seed-1", "seed-2"]
    assert found.controls.own() == ["mean", "noise", "caption", "seed-1", "seed-2"]
    alone = tree / "one.tsv"
    alone.write_text("subject\n01\n")
    single = study(tree, subjects=str(alone), pretrain={"subjects": ["01", "02"]})
    assert "other" not in single.controls.names()


def test_a_pool_is_its_members(tree):
    pooled = {"align": {"subjects": "pooled"}, "windows": {"window": 2}}
    found = study(tree, **pooled)
    assert found.pooled and found.members("pool") == ["01", "02"]
    assert found.members("without-01") == ["02"]


def test_a_plan_needs_the_standard_library_alone():
    """Numerical packages may be missing where Snakemake runs."""
    program = (
        "import sys; from boldreel.study import inputs, parameters\n"
        "print(sorted({'numpy', 'pandas', 'torch', 'nibabel', 'snakemake'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def write_echoes(root: Path) -> None:
    """Every run of a tree as three echoes."""
    for path in list(root.rglob("*_bold.nii.gz")):
        for echo in (1, 2, 3):
            copy = path.with_name(path.name.replace("_bold", f"_echo-{echo}_bold"))
            copy.write_bytes(path.read_bytes())
        path.unlink()


def test_several_echoes_need_fmriprep(tree):
    write_echoes(tree)
    with pytest.raises(UserError, match=r"one of 3 echoes.*set bold\.engine to fmriprep"):
        study(tree, bold={"engine": "embedded"})
    found = study(tree)
    assert [(run.segment, run.repeat) for run in found.named("01")] == RUNS[:5]
    assert all("_echo-1_" in run.bold for run in found.runs["01"])
    names = [Path(path).name for path in found.echoes("01")]
    assert len(names) == 2 * len(RUNS) and all("_echo-2_" in n or "_echo-3_" in n for n in names)
    assert len(found.events("01")) == 5


def derivatives(root: Path, shape=(4, 4, 4), affine=None, codes=(1, 1), table=True) -> Path:
    """Preprocessed runs of both subjects."""
    for subject in ("01", "02"):
        func = root / "out" / f"sub-{subject}" / "func"
        func.mkdir(parents=True, exist_ok=True)
        for segment, repeat in RUNS:
            stem = f"sub-{subject}_task-{segment}_run-{repeat:02d}"
            image = nib.Nifti1Image(np.zeros((*shape, 30), np.uint8), affine)
            image.set_sform(affine, codes[0])
            image.set_qform(affine, codes[1])
            name = f"{stem}_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz"
            image.to_filename(func / name)
            if table:
                (func / f"{stem}_desc-confounds_timeseries.tsv").write_text("trans_x\n")
    return root / "out"


def adopted(tree: Path, **more) -> Study:
    bold = {"engine": "derivatives", "derivatives": str(tree / "out")}
    return study(tree, bold=bold, **more)


AFFINE = np.array([[-2.0, 0.1, 0, 9], [0.1, 2.5, 0, -8], [0, 0, 3, 7], [0, 0, 0, 1]])


def test_derivatives_without_raw_bold(tree):
    """Events alone, as shared derivatives come: run-01 is run-1."""
    derivatives(tree)
    for path in tree.glob("sub-*/func/*_bold.*"):
        path.unlink()
    found = adopted(tree)
    assert [(run.segment, run.repeat) for run in found.named("01")] == RUNS[:5]
    assert len(found.events("02")) == 5
    preflight.check_runs(found)
    preflight.check_grids(found)


def test_derivatives_whose_events_are_templates(tree):
    """heudiconv leaves one next to each run; the real events are further up, as in CNeuroMod's friends."""
    derivatives(tree)
    (tree / "dataset_description.json").write_text("{}")
    template = tree / "sub-01/func/sub-01_task-film1_run-1_events.tsv"
    real = template.rename(tree / "task-film1_events.tsv")
    template.write_text("onset\tduration\tstim_file\tTODO -- fill in rows\n")
    found = adopted(tree)
    assert found.events("01")[0] == str(real)
    assert [row.stimulus for row in found.presentations.used("01")[0].rows] == ["film1.mp4"]


@pytest.mark.parametrize("codes", [(1, 0), (0, 1)])
def test_subjects_on_one_grid(tree, codes):
    """Whether the header says so by its sform or by its quaternion."""
    affine = np.diag([-2.0, 2, 3, 1])
    derivatives(tree, affine=affine, codes=(1, 1))
    path = next((tree / "out/sub-02/func").glob("*_task-film1_run-01_*.nii.gz"))
    image = nib.Nifti1Image(np.zeros((4, 4, 4, 30), np.uint8), affine)
    image.set_sform(affine, codes[0])
    image.set_qform(affine, codes[1])
    image.to_filename(path)
    preflight.check_grids(adopted(tree))


def test_grids_are_those_of_nibabel(tmp_path):
    rotation = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation @ np.diag([2, 3, -4]), (5, 6, 7)
    for kind in (nib.Nifti1Image, nib.Nifti2Image):
        image = kind(np.zeros((2, 3, 4), np.uint8), affine)
        image.set_sform(None, 0)
        image.set_qform(affine, 1)
        image.to_filename(tmp_path / "x.nii")
        found = headers.grid(tmp_path / "x.nii")
        assert found.shape == (2, 3, 4)
        np.testing.assert_allclose(np.reshape(found.affine, (3, 4)), affine[:3], atol=1e-5)
        assert headers.named(found) == "2 x 3 x 4 voxels of 2 x 3 x 4 mm"


def test_subjects_on_two_grids_are_told(tree):
    derivatives(tree, affine=AFFINE, codes=(1, 0))
    moved = AFFINE.copy()
    moved[0, 3] += 1
    path = next((tree / "out/sub-02/func").glob("*_task-probe_*.nii.gz"))
    for affine, shape in ((moved, (4, 4, 4)), (AFFINE, (5, 4, 4))):
        nib.Nifti1Image(np.zeros((*shape, 30), np.uint8), affine).to_filename(path)
        with pytest.raises(
            UserError, match=r"sub-02.*task-probe.*its grid .*is not that of .*sub-01"
        ):
            preflight.check_grids(adopted(tree))
    nib.Nifti1Image(np.zeros((4, 4, 4, 30), np.uint8), None).to_filename(path)
    with pytest.raises(UserError, match=r"sub-02.*orientation is unknown"):
        preflight.check_grids(adopted(tree))


def test_runs_without_the_confounds_that_are_asked_for(tree):
    derivatives(tree, table=False)
    with pytest.raises(
        UserError, match=r"no confounds table next to it, which roi\.confounds motion6"
    ):
        adopted(tree)
    assert adopted(tree, roi={"confounds": "none"}).runs["01"]


def test_confounds_that_were_not_fetched(tree):
    derivatives(tree)
    path = next((tree / "out/sub-02/func").glob("*_task-probe_*_timeseries.tsv"))
    path.unlink()
    path.symlink_to("../.git/annex/objects/x")
    with pytest.raises(UserError, match=r"task-probe.*dangling link of git-annex.*datalad get"):
        adopted(tree)
