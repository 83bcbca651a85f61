"""Which files of a derivatives tree are runs, by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from boldreel.data import derivatives
from boldreel.errors import UserError

MNI = "MNI152NLin2009cAsym"


def tree(root: Path, *names: str, folder: str = "sub-01/func") -> Path:
    for name in names:
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / name).touch()
    return root


def names(root: Path, *arguments: str) -> list[str]:
    return [run.path.name for run in derivatives.find(root, "01", *arguments)]


def test_native_and_other_resolutions_next_to_each_other(tmp_path):
    native, fine, coarse = (
        f"sub-01_task-a_space-{MNI}{res}_desc-preproc_bold.nii.gz"
        for res in ("", "_res-02", "_res-3")
    )
    tree(tmp_path, native, fine, coarse)
    assert names(tmp_path, MNI) == names(tmp_path, f"{MNI}:res-native") == [native]
    assert names(tmp_path, f"{MNI}:res-2") == names(tmp_path, f"{MNI}:res-02") == [fine]
    assert names(tmp_path, f"{MNI}:res-3") == [coarse]
    with pytest.raises(UserError, match=rf"there is: {MNI}, {MNI}:res-2, {MNI}:res-3"):
        names(tmp_path, f"{MNI}:res-1")
    (tmp_path / "sub-01/func" / native).unlink()
    with pytest.raises(UserError, match=r"res-2 and in .*res-3; choose one"):
        names(tmp_path, MNI)


def test_one_resolution_under_two_spellings(tmp_path):
    tree(
        tmp_path,
        f"sub-01_task-a_space-{MNI}_res-2_desc-preproc_bold.nii.gz",
        f"sub-01_task-b_space-{MNI}_res-02_desc-preproc_bold.nii.gz",
    )
    assert len(names(tmp_path, MNI)) == len(names(tmp_path, f"{MNI}:res-2")) == 2


def test_denoised_series_are_taken_where_they_are_asked_for(tmp_path):
    """XCP-D's names (its docs, outputs), next to fMRIPrep's."""
    stem = "sub-01_task-a_run-01"
    files = {
        ("preproc", MNI): f"{stem}_space-{MNI}_res-2_desc-preproc_bold.nii.gz",
        ("denoised", MNI): f"{stem}_space-{MNI}_res-2_desc-denoised_bold.nii.gz",
        ("preproc", "fsLR"): f"{stem}_space-fsLR_den-91k_bold.dtseries.nii",
        ("denoised", "fsLR"): f"{stem}_space-fsLR_den-91k_desc-denoised_bold.dtseries.nii",
    }
    tree(tmp_path, *files.values(), f"{stem}_space-{MNI}_res-2_desc-denoisedSmoothed_bold.nii.gz")
    tree(tmp_path, f"{stem}_desc-confounds_timeseries.tsv")
    for (desc, space), name in files.items():
        (run,) = derivatives.find(tmp_path, "01", space, desc)
        assert run.path.name == name and run.key == ("a", "", 1)
        assert run.pipeline == ("xcp_d" if desc == "denoised" else "fmriprep")
        assert (run.confounds is None) is (desc == "denoised")


def test_a_tree_of_the_other_kind_names_the_key(tmp_path):
    tree(tmp_path, f"sub-01_task-a_space-{MNI}_desc-denoised_bold.nii.gz")
    with pytest.raises(UserError, match=r"bold.desc: denoised and roi.confounds: none"):
        names(tmp_path, MNI)


def test_echoes_are_no_runs(tmp_path):
    combined = f"sub-01_task-a_space-{MNI}_desc-preproc_bold.nii.gz"
    tree(tmp_path, combined, f"sub-01_task-a_echo-1_space-{MNI}_desc-preproc_bold.nii.gz")
    assert names(tmp_path, MNI) == [combined]


@pytest.mark.parametrize(
    ("space", "ending"),
    [
        ("fsLR", "_Atlas_MSMAll_hp2000_clean.dtseries.nii"),
        ("fsLR", "_Atlas_MSMAll_hp0_clean.dtseries.nii"),
        ("fsLR", "_Atlas_MSMAll_hp0_clean_rclean_tclean.dtseries.nii"),
        ("fsLR", "_Atlas_MSMAll_hp2000_clean_rclean_tclean.dtseries.nii"),
        ("fsLR", "_Atlas_hp2000_clean.dtseries.nii"),
        ("MNI152NLin6Asym", "_hp2000_clean.nii.gz"),
        ("MNI152NLin6Asym", "_hp0_clean_rclean_tclean.nii.gz"),
    ],
)
def test_names_of_hcp_releases(tmp_path, space, ending):
    name = "tfMRI_MOVIE1_7T_AP"
    folder = f"01/MNINonLinear/Results/{name}"
    tree(tmp_path, f"{name}{ending}", f"{name}_Atlas_1.6mm{ending[6:]}", folder=folder)
    (run,) = derivatives.find(tmp_path, "01", space)
    assert run.segment == "MOVIE1AP" and run.path.name == f"{name}{ending}"


def test_hcp_runs_of_1_6_mm(tmp_path):
    """Taken where there is no other, or where they are asked for."""
    names = ("rfMRI_REST1_LR", "tfMRI_MOVIE1_7T_AP")
    ending = "_MSMAll_hp2000_clean.dtseries.nii"
    tree(tmp_path, f"{names[0]}_Atlas{ending}", folder=f"01/MNINonLinear/Results/{names[0]}")
    for name in names:
        finer = f"{name}_Atlas_1.6mm{ending}"
        tree(tmp_path, finer, folder=f"01/MNINonLinear/Results/{name}")

    def found(space: str) -> dict[str, bool]:
        runs = derivatives.find(tmp_path, "01", space)
        return {run.segment: derivatives.is_finer(run.path) for run in runs}

    assert found("fsLR") == {"MOVIE1AP": True, "rest1LR": False}
    assert found("fsLR:den-91k") == {"rest1LR": False}
    assert found("fsLR:den-170k") == {"MOVIE1AP": True, "rest1LR": True}
    with pytest.raises(UserError, match=r"fsLR:den-91k and fsLR:den-170k"):
        found("fsLR:den-32k")


def test_which_series_are_on_the_finer_mesh():
    finer = (
        "sub-01_task-a_space-fsLR_den-170k_bold.dtseries.nii",
        "sub-01_task-a_space-fsLR_den-170k_desc-denoised_bold.dtseries.nii",
        "x/tfMRI_MOVIE1_7T_AP_Atlas_1.6mm_MSMAll_hp2000_clean.dtseries.nii",
        "tfMRI_MOVIE1_7T_AP_Atlas_1.6mm_hp2000_clean.dtseries.nii",
    )
    assert all(map(derivatives.is_finer, finer))
    others = (
        "sub-01_task-a_space-fsLR_den-91k_bold.dtseries.nii",
        "tfMRI_MOVIE1_7T_AP_Atlas_MSMAll_hp2000_clean.dtseries.nii",
        "sub-01_den-170k_space-MNI152NLin6Asym_desc-preproc_bold.nii.gz",
    )
    assert not any(map(derivatives.is_finer, others))


def test_hcp_runs_of_two_registrations(tmp_path):
    for name, kind in (("rfMRI_REST1_LR", "_MSMAll"), ("tfMRI_MOVIE1_7T_AP", "")):
        file = f"{name}_Atlas{kind}_hp2000_clean.dtseries.nii"
        tree(tmp_path, file, folder=f"01/MNINonLinear/Results/{name}")
    movie, rest = derivatives.find(tmp_path, "01", "fsLR")
    assert rest.fault == "" and "not registered by MSMAll" in movie.fault
