"""The engine end to end: names, sidecars, geometry, and that signal arrives at its place."""

import json

import numpy as np
import pytest
from tests.fixtures_settings import settings as chosen

from boldreel.bold import run, template, transforms
from boldreel.bold.naming import AnatomyFiles, RunFiles
from boldreel.data import nifti
from boldreel.errors import UserError


def test_files_are_named_as_fmriprep_names_them(subject):
    names = {path.name for path in (subject.derivatives / "func").iterdir()}
    stem = "sub-01_task-train01_run-1"
    for ending in (
        "space-MNI152NLin2009aSym_desc-preproc_bold.json",
        "space-MNI152NLin2009aSym_desc-brain_mask.nii.gz",
        "space-MNI152NLin2009aSym_boldref.nii.gz",
        "desc-confounds_timeseries.tsv",
        "desc-confounds_timeseries.json",
        "from-orig_to-boldref_mode-image_desc-hmc_xfm.txt",
        "from-boldref_to-T1w_mode-image_desc-coreg_xfm.txt",
    ):
        assert f"{stem}_{ending}" in names
    about = json.loads(RunFiles(subject.bold).sidecar.read_text())
    assert about["RepetitionTime"] == 2.0 and about["StartTime"] == 1.0
    assert about["SliceTimingCorrected"] is False
    assert "not fMRIPrep" in about["GeneratedBy"]
    description = json.loads((subject.derivatives.parent / "dataset_description.json").read_text())
    assert "not fMRIPrep" in description["GeneratedBy"][0]["Description"]
    assert description["DatasetType"] == "derivative"


def test_geometry_is_recovered_from_end_to_end(subject, brain_points):
    files, anatomy = RunFiles(subject.bold), AnatomyFiles(subject.derivatives / "anat")
    to_template = np.loadtxt(anatomy.to_template)
    assert transforms.displacement_rms(to_template, subject.t1w_to_template, brain_points) < 1.0
    laid = np.loadtxt(files.coregistration)
    moved = np.loadtxt(files.motion).reshape(-1, 4, 4)
    # From the scanner, at each volume, to the T1w.
    truth = np.linalg.inv(subject.t1w_to_scanner) @ np.linalg.inv(subject.poses)
    errors = [
        transforms.displacement_rms(laid @ own, true, brain_points)
        for own, true in zip(moved, truth, strict=True)
    ]
    assert max(errors) < 1.0
    assert np.std(errors) < 0.1


def test_output_grid_scale_and_mask(subject):
    image = nifti.load(subject.bold)
    grid = template.output_grid(chosen("bold"))
    assert image.shape == (*grid.shape, 40)
    np.testing.assert_allclose(image.affine, grid.affine)
    assert image.header.get_zooms()[3] == 2.0
    mask = nifti.values(nifti.load(RunFiles(subject.bold).mask)) > 0
    values = nifti.values(image)
    assert mask.sum() > 5000
    assert abs(values[mask].mean() - run.GRAND_MEAN) < 1
    outside = template.on_grid("brain", grid) < 0.5
    assert not values[outside].any()


def test_signal_arrives_at_its_place_and_side(subject):
    image = nifti.load(subject.bold)
    values = nifti.values(image)

    def course_at(place):
        index = np.round(np.linalg.inv(image.affine) @ [*place, 1])[:3].astype(int)
        block = values[tuple(slice(k - 1, k + 2) for k in index)]
        return np.corrcoef(block.mean((0, 1, 2)), subject.course)[0, 1]

    assert subject.place[0] > 0
    assert course_at(subject.place) > 0.9
    assert abs(course_at(subject.place * [-1, 1, 1])) < 0.6


def test_confounds_are_one_row_a_volume_with_missing_first_differences(subject):
    header, *rows = RunFiles(subject.bold).confounds.read_text().splitlines()
    columns = header.split("\t")
    assert len(rows) == 40
    first = dict(zip(columns, rows[0].split("\t"), strict=True))
    assert first["framewise_displacement"] == first["dvars"] == "n/a"
    assert first["trans_x"] != "n/a"


def test_another_grid_needs_another_anatomy(subject):
    other = chosen("bold", resolution=3.0)
    with pytest.raises(UserError, match="run the anatomy step again"):
        run.Anatomy.load(subject.derivatives / "anat", other)


def test_a_run_that_is_no_head_is_refused(subject, phantom):
    anatomy = run.Anatomy.load(subject.derivatives / "anat", chosen("bold"))
    noise = np.random.default_rng(0).uniform(1, 2, (6, *phantom.view.shape)).astype(np.float32)
    with pytest.raises(UserError, match="could not be laid on the T1w"):
        run.preprocess(noise, phantom.view.affine, 2.0, None, anatomy, chosen("bold"))


def test_an_empty_run_is_refused(subject, phantom):
    anatomy = run.Anatomy.load(subject.derivatives / "anat", chosen("bold"))
    nothing = np.zeros((6, *phantom.view.shape), np.float32)
    with pytest.raises(UserError, match="the same value everywhere"):
        run.preprocess(nothing, phantom.view.affine, 2.0, None, anatomy, chosen("bold"))


def test_an_output_of_another_name_is_refused():
    with pytest.raises(UserError, match="ends in"):
        RunFiles("sub-01_bold.nii")
