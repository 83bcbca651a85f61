"""Derivatives as they lie: what is found, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tests.fixtures_cifti import write_dense
from tests.fixtures_presentations import row

from boldreel.bold import import_derivatives
from boldreel.data import bids, derivatives, nifti, preprocessed_runs
from boldreel.errors import UserError

SPACE = "space-MNI152NLin2009cAsym_res-2"


def volume(path: Path, volumes: int = 6, t_r: float = 2.0, **sidecar) -> Path:
    values = np.random.default_rng(volumes).normal(size=(4, 5, 3, volumes))
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti.save(path, values, np.diag([2.0, 2, 2, 1]), t_r=t_r, dtype=np.float32)
    name = path.name.removesuffix(".gz").removesuffix(".nii")
    path.with_name(f"{name}.json").write_text(json.dumps({"RepetitionTime": t_r, **sidecar}))
    return path


@pytest.fixture
def fmriprep(tmp_path) -> Path:
    """Two sessions with the same tasks, one run of which has confounds and mask."""
    root = tmp_path / "fmriprep"
    for session in ("a", "b"):
        func = root / f"sub-01/ses-{session}/func"
        stem = f"sub-01_ses-{session}_task-movie"
        volume(
            func / f"{stem}_{SPACE}_desc-preproc_bold.nii.gz",
            SliceTimingCorrected=True,
            StartTime=0.97,
        )
        (func / f"{stem}_desc-confounds_timeseries.tsv").write_text("trans_x\n")
        volume(func / f"{stem}_{SPACE}_desc-brain_mask.nii.gz")
        dense = func / f"{stem}_space-fsLR_den-91k_bold.dtseries.nii"
        write_dense(dense, np.ones((6, 5), np.float32), left=3, right=2)
        dense.with_name(dense.name.replace(".dtseries.nii", ".json")).write_text(
            json.dumps({"RepetitionTime": 2.0, "SliceTimingCorrected": True, "StartTime": 0.97})
        )
    return root


def test_confounds_of_older_versions_are_found(fmriprep):
    """fMRIPrep up to 20.1 called them regressors."""
    for path in fmriprep.rglob("*_desc-confounds_timeseries.tsv"):
        path.rename(path.with_name(path.name.replace("_timeseries", "_regressors")))
    for run in import_derivatives.find(fmriprep, "01"):
        assert run.confounds.endswith("_desc-confounds_regressors.tsv")


def test_fmriprep_volumes(fmriprep):
    first, second = import_derivatives.find(fmriprep, "01")
    assert [(run.segment, run.repeat) for run in (first, second)] == [("movie", 1), ("movie", 2)]
    assert "ses-a" in first.bold and "ses-b" in second.bold
    assert first.kind == "volume" and first.space == "MNI152NLin2009cAsym"
    assert (first.volumes, first.t_r, first.start_time, first.resolution) == (6, 2.0, 0.97, 2.0)
    assert Path(first.confounds).name == "sub-01_ses-a_task-movie_desc-confounds_timeseries.tsv"
    assert Path(first.mask).exists()


def test_other_files_beside_a_run_are_no_runs(fmriprep):
    func = fmriprep / "sub-01/ses-a/func"
    for path in list(func.glob("*_desc-preproc_bold.nii.gz")):
        path.with_name(path.name + ".provenance.json").write_text("{}")
    assert len(import_derivatives.find(fmriprep, "01")) == 2


def test_fmriprep_cifti(fmriprep):
    run = import_derivatives.find(fmriprep, "01", "fsLR:den-91k")[0]
    assert run.kind == "cifti" and run.bold.endswith(".dtseries.nii") and run.mask == ""
    assert np.isnan(run.resolution)
    assert run.start_time == 0.97


def test_table_round_trip(fmriprep, tmp_path):
    for space in ("MNI152NLin2009cAsym", "fsLR"):
        runs = import_derivatives.find(fmriprep, "01", space)
        preprocessed_runs.write(tmp_path / "bold.tsv", runs)
        again = preprocessed_runs.read(tmp_path / "bold.tsv", "movie", 2)
        for key, value in vars(runs[1]).items():
            assert getattr(again, key) == value or np.isnan(value), key
    with pytest.raises(UserError, match=r"task-movie_run-3"):
        preprocessed_runs.read(tmp_path / "bold.tsv", "movie", 3)


def test_space_that_is_not_there_names_those_that_are(fmriprep):
    with pytest.raises(UserError, match=r"MNI152NLin2009cAsym:res-2, fsLR:den-91k") as error:
        import_derivatives.find(fmriprep, "01", "MNI152NLin6Asym")
    assert "\n" not in str(error.value)


def test_two_resolutions_need_a_choice(fmriprep):
    func = fmriprep / "sub-01/ses-a/func"
    name = "sub-01_ses-a_task-movie_space-MNI152NLin2009cAsym_res-1_desc-preproc_bold.nii.gz"
    volume(func / name)
    with pytest.raises(UserError, match=r"res-1 and in .*res-2"):
        import_derivatives.find(fmriprep, "01")
    assert len(import_derivatives.find(fmriprep, "01", "MNI152NLin2009cAsym:res-2")) == 2


def test_densities(tmp_path):
    """One can be read on two meshes; any other is reported by its name, before the first job."""
    func = tmp_path / "sub-01/func"
    func.mkdir(parents=True)
    path = func / "sub-01_task-a_space-fsLR_den-170k_bold.dtseries.nii"
    path.touch()
    for space in ("fsLR", "fsLR:den-170k"):
        (run,) = derivatives.find(tmp_path, "01", space)
        assert run.path == path and run.surface
    other = path.rename(func / path.name.replace("170k", "10k"))
    line = r"fsLR:den-10k; only den-91k and den-170k can be read.*wb_command"
    for space in ("fsLR", "fsLR:den-10k"):
        with pytest.raises(UserError, match=line):
            derivatives.find(tmp_path, "01", space)
    path.touch()
    with pytest.raises(UserError, match=r"den-10k and in fsLR:den-170k"):
        derivatives.find(tmp_path, "01", "fsLR")
    assert other.exists()


def test_hcp(tmp_path):
    results = tmp_path / "hcp" / "100307" / "MNINonLinear" / "Results"
    for name, t_r in (
        ("rfMRI_REST1_LR", 0.72),
        ("rfMRI_REST2_RL", 0.72),
        ("tfMRI_MOVIE1_7T_AP", 1.0),
    ):
        path = results / name / f"{name}_Atlas_MSMAll_hp2000_clean.dtseries.nii"
        write_dense(path, np.ones((8, 5), np.float32), t_r=t_r, left=3, right=2)
    (results / "rfMRI_REST").mkdir()
    runs = import_derivatives.find(tmp_path / "hcp", "100307", "fsLR")
    assert [run.segment for run in runs] == ["MOVIE1AP", "rest1LR", "rest2RL"]
    assert [run.t_r for run in runs] == [1.0, 0.72, 0.72]
    assert {run.start_time for run in runs} == {0.0} and {run.confounds for run in runs} == {""}


def test_neither_kind_of_tree(tmp_path):
    with pytest.raises(UserError, match=r"neither sub-07"):
        import_derivatives.find(tmp_path, "07")


def raw_of(fmriprep: Path, root: Path, volumes: int = 6, t_r: float = 2.0) -> Path:
    for session in ("a", "b"):
        volume(
            root / f"sub-01/ses-{session}/func/sub-01_ses-{session}_task-movie_bold.nii.gz",
            volumes,
            t_r,
        )
    (root / "dataset_description.json").write_text("{}")
    return root


def test_agrees_with_raw(fmriprep, tmp_path):
    assert len(import_derivatives.find(fmriprep, "01", raw=raw_of(fmriprep, tmp_path / "raw"))) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [({"volumes": 7}, "6 volumes, the raw run .* has 7"), ({"t_r": 1.5}, "1.5")],
)
def test_contradicts_raw(fmriprep, tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        import_derivatives.find(fmriprep, "01", raw=raw_of(fmriprep, tmp_path / "raw", **change))


def test_runs_that_nobody_wants_need_not_agree(fmriprep, tmp_path):
    """A raw localizer without a derivative, a derivative without raw data: both outside the splits."""
    raw = raw_of(fmriprep, tmp_path / "raw")
    volume(raw / "sub-01/ses-a/func/sub-01_ses-a_task-localizer_bold.nii.gz")
    volume(fmriprep / f"sub-01/ses-a/func/sub-01_ses-a_task-rest_{SPACE}_desc-preproc_bold.nii.gz")
    wanted = {("movie", "b", 1): ("movie", 2), ("rest", "a", 1): ("rest", 1)}
    runs = import_derivatives.find(fmriprep, "01", raw=raw, wanted=wanted, shown=[("movie", 2)])
    assert [(run.segment, run.repeat) for run in runs] == [("movie", 2), ("rest", 1)]
    with pytest.raises(UserError, match=r"no preprocessed run task-other_run-1"):
        import_derivatives.find(fmriprep, "01", wanted={("other", "", 1): ("other", 1)})


def test_runs_that_cannot_be_told_apart(fmriprep):
    func = fmriprep / "sub-01/ses-a/func"
    for kind in ("raw", "dico"):
        volume(func / f"sub-01_ses-a_task-other_acq-{kind}_{SPACE}_desc-preproc_bold.nii.gz")
    with pytest.raises(UserError, match=r"same task, session and run"):
        import_derivatives.find(fmriprep, "01")
    wanted = {("movie", "a", 1): ("movie", 1)}
    assert len(import_derivatives.find(fmriprep, "01", wanted=wanted)) == 1


def test_versions_of_a_run_of_which_one_was_chosen(fmriprep, tmp_path):
    """The plan names the files; the other version is as if it were not there, raw or preprocessed."""
    func = fmriprep / "sub-01/ses-a/func"
    raw = raw_of(fmriprep, tmp_path / "raw")
    stem = "sub-01_ses-a_task-other_acq"
    paths = {}
    for kind, volumes in (("raw", 7), ("dico", 8)):
        paths[kind] = volume(func / f"{stem}-{kind}_{SPACE}_desc-preproc_bold.nii.gz", volumes)
        volume(raw / f"sub-01/ses-a/func/{stem}-{kind}_bold.nii.gz", volumes)
        path = paths[kind].with_name(paths[kind].name.replace(".nii.gz", ".json"))
        path.write_text(json.dumps({"RepetitionTime": 2.0, "StartTime": 0.97}))
    for kind, volumes in (("raw", 7), ("dico", 8)):
        wanted = {("other", "a", 1, f"acq-{kind}"): ("other", 1)}
        (run,) = import_derivatives.find(fmriprep, "01", raw=raw, wanted=wanted)
        assert (run.bold, run.volumes) == (str(paths[kind]), volumes)
    output = tmp_path / "bold.tsv"
    import_derivatives.main(
        [
            *("--derivatives", str(fmriprep), "--subject", "01", "--raw", str(raw)),
            *("--bold", str(paths["dico"]), "--labels", "task-other_run-1"),
            *("--output", str(output), "--config", '{"space": "MNI152NLin2009cAsym"}'),
        ]
    )
    assert preprocessed_runs.read(output, "other", 1).bold == str(paths["dico"])


def test_raw_images_that_were_not_fetched(fmriprep, tmp_path):
    """Links of a data set under git-annex without their content: only events and sidecars are there."""
    raw = raw_of(fmriprep, tmp_path / "raw")
    for fetched in (1, 0):
        path = list(raw.glob("sub-01/ses-*/func/*_bold.nii.gz"))[fetched]
        path.unlink()
        path.symlink_to("../.git/annex/objects/x")
        assert len(import_derivatives.find(fmriprep, "01", raw=raw)) == 2
    assert not bids.has_bold(raw, "01")


def test_what_was_shown_is_checked_without_raw_bold(fmriprep, tmp_path):
    """Shared derivatives often come with events and without raw images."""
    runs = import_derivatives.find(fmriprep, "01")
    shown = [row(0.0, 12.0, "a.mp4")._replace(origin="ses-b_events.tsv: row 2")]
    import_derivatives.check_shown(runs, {"task-movie_run-1": shown}, None)
    (tmp_path / "stimuli").mkdir()
    with pytest.raises(UserError, match=r"movie a.mp4 was shown but is missing"):
        import_derivatives.check_shown(runs, {"task-movie_run-1": shown}, tmp_path / "stimuli")
    late = [shown[0]._replace(duration=99.0)]
    with pytest.raises(UserError, match=r"ses-b.*row 2 ends at 99 s, the run after 12 s"):
        import_derivatives.check_shown(runs, {"task-movie_run-2": late}, None)


def test_events_belong_to_their_own_session(fmriprep, tmp_path):
    """Only the second session has events: they are the second run's, not the first one's."""
    path = tmp_path / "raw/sub-01/ses-b/func/sub-01_ses-b_task-movie_events.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("onset\tduration\tstim_file\n0\t12\ta.mp4\n")
    found = derivatives.find(fmriprep, "01")
    known = bids.find_events(tmp_path / "raw", "01")
    assert [known.get(run.key) for run in found] == [None, path]


def test_derivatives_of_a_run_that_raw_data_lack(fmriprep, tmp_path):
    raw = raw_of(fmriprep, tmp_path / "raw")
    shutil.rmtree(raw / "sub-01/ses-a")
    with pytest.raises(UserError, match=r"ses-a.*raw data set has no such run"):
        import_derivatives.find(fmriprep, "01", raw=raw)


def test_a_tr_that_nothing_knows(fmriprep):
    func = fmriprep / "sub-01/ses-a/func"
    path = func / f"sub-01_ses-a_task-movie_{SPACE}_desc-preproc_bold.nii.gz"
    volume(path, t_r=0.0)
    path.with_name(path.name.replace(".nii.gz", ".json")).write_text("{}")
    with pytest.raises(UserError, match=r"ses-a.*neither header nor sidecar knows its TR"):
        import_derivatives.find(fmriprep, "01")


def test_the_same_data_twice_are_refused(fmriprep, tmp_path):
    """All runs of the fixture hold the same values: an archive with one subject's data twice."""
    words = ["--derivatives", str(fmriprep), "--subject", "01", "--output", str(tmp_path / "x.tsv")]
    for space in ("MNI152NLin2009cAsym", "fsLR"):
        with pytest.raises(UserError, match=r"exactly the same data"):
            import_derivatives.main([*words, "--config", json.dumps({"space": space})])
    assert not (tmp_path / "x.tsv").exists()


def test_the_sidecar_goes_before_the_header(fmriprep, capsys):
    for path in (fmriprep / "sub-01").glob("ses-*/func/*_desc-preproc_bold.json"):
        path.write_text(json.dumps({"RepetitionTime": "1.5", "StartTime": 0.0}))
    assert [run.t_r for run in import_derivatives.find(fmriprep, "01")] == [1.5, 1.5]
    assert capsys.readouterr().err.count("header says TR 2 s, its sidecar 1.5 s") == 1


def test_the_only_session_may_be_left_out(tmp_path):
    """HAD (ds004488): raw names have a session, its derivatives none."""
    stem = "sub-01_task-movie"
    volume(tmp_path / f"out/sub-01/func/{stem}_{SPACE}_desc-preproc_bold.nii.gz")
    raw = tmp_path / "raw"
    path = volume(raw / "sub-01/ses-x/func/sub-01_ses-x_task-movie_bold.nii.gz", SliceTiming=[0, 1])
    (raw / "dataset_description.json").write_text("{}")
    (run,) = import_derivatives.find(tmp_path / "out", "01", raw=raw)
    assert run.start_time == 0.5  # from the raw sidecar, found by the pair of names
    (found,) = derivatives.find(tmp_path / "out", "01")
    assert bids.raw_name(found.path, raw) == path
    volume(raw / "sub-01/ses-y/func/sub-01_ses-y_task-movie_bold.nii.gz")
    with pytest.raises(UserError, match=r"raw data set has no such run|start_time"):
        import_derivatives.find(tmp_path / "out", "01", raw=raw)


def test_echoes_are_the_combined_run(tmp_path):
    stem = "sub-01_task-movie"
    volume(tmp_path / f"out/sub-01/func/{stem}_{SPACE}_desc-preproc_bold.nii.gz")
    for echo in (1, 2, 3):
        volume(tmp_path / f"raw/sub-01/func/{stem}_echo-{echo}_bold.nii.gz", SliceTiming=[0, 1])
    (tmp_path / "raw/dataset_description.json").write_text("{}")
    (run,) = import_derivatives.find(tmp_path / "out", "01", raw=tmp_path / "raw")
    assert run.start_time == 0.5 and run.volumes == 6


def test_denoised_series_and_their_censored_volumes(tmp_path):
    stem = "sub-01_task-movie"
    func = tmp_path / "sub-01/func"
    volume(func / f"{stem}_{SPACE}_desc-denoised_bold.nii.gz", StartTime=0.0)
    volume(func / f"{stem}_{SPACE}_desc-brain_mask.nii.gz")
    (run,) = import_derivatives.find(tmp_path, "01", desc="denoised")
    assert run.pipeline == "xcp_d" and run.confounds == "" and Path(run.mask).exists()
    (func / f"{stem}_outliers.tsv").write_text("framewise_displacement\n" + "0\n" * 6)
    assert len(import_derivatives.find(tmp_path, "01", desc="denoised")) == 1
    (func / f"{stem}_outliers.tsv").write_text("framewise_displacement\n" + "0\n1\n" * 4)
    with pytest.raises(UserError, match=r"6 volumes are left of 8.*--fd-thresh 0"):
        import_derivatives.find(tmp_path, "01", desc="denoised")


def test_nifti2_and_unknown_orientation(fmriprep):
    first, second = sorted((fmriprep / "sub-01").glob("ses-*/func/*_desc-preproc_bold.nii.gz"))
    image = nib.Nifti1Image.from_filename(first)
    again = nib.Nifti2Image(np.asarray(image.dataobj), image.affine)
    again.header["pixdim"], again.header["xyzt_units"] = image.header["pixdim"], 10
    again.to_filename(second)
    one, two = import_derivatives.find(fmriprep, "01")
    assert (two.volumes, two.t_r, two.resolution) == (one.volumes, one.t_r, one.resolution)
    nib.Nifti2Image(np.asarray(image.dataobj), None).to_filename(second)
    with pytest.raises(UserError, match=r"ses-b.*orientation is unknown"):
        import_derivatives.find(fmriprep, "01")
