"""Series on a finer mesh, averaged onto the vertices of the 32k mesh."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from tests import fixtures_spheres
from tests.fixtures_cifti import write_dense
from tests.fixtures_settings import settings as chosen

from boldreel.data import cifti, tables
from boldreel.data.cifti import CORTEX
from boldreel.errors import UserError
from boldreel.roi import finer, locations, parcels, positions, series


def brute_force(coarse, fine, wanted, there) -> list[set[int]]:
    """The same with all distances: of each wanted vertex, the places in `there`."""
    distance = np.linalg.norm(fine[there][:, None] - coarse[None], axis=2)
    owner = distance.argmin(1)
    found = []
    for vertex in wanted:
        own = np.flatnonzero(owner == vertex)
        nearest = distance[:, vertex].argmin()
        if not len(own) and distance[nearest, vertex] <= finer.REACH:
            own = np.array([nearest])
        found.append(set(own.tolist()))
    return found


@pytest.mark.parametrize(("coarse", "fine"), [(700, 1300), (1300, 700), (500, 500)])
def test_the_map_is_that_of_all_distances(coarse, fine):
    """Whichever mesh is finer, with vertices that have no value, as the medial wall."""
    rng = np.random.default_rng(coarse)
    one, other = (fixtures_spheres.even(n, turned) / 100 for n, turned in ((coarse, 0), (fine, 1)))
    there = np.flatnonzero(other[:, 0] > -0.5)
    wanted = rng.permutation(coarse)[:400]
    found = finer.members(one, other, wanted, there)
    truth = brute_force(one, other, wanted, there)
    assert [set(own.tolist()) for own in found] == truth
    sizes = {len(own) for own in truth}
    assert 0 in sizes and 1 in sizes, "far from every value, and near"


@pytest.fixture(scope="module")
def fine() -> dict[str, np.ndarray]:
    return {
        "L": fixtures_spheres.even(locations.FINER),
        "R": fixtures_spheres.even(locations.FINER, 2.0),
    }


@pytest.fixture(scope="module")
def run(fine, tmp_path_factory):
    """(a dense series of 59k vertices, its spheres, its values): each vertex with a course of its own."""
    folder = tmp_path_factory.mktemp("finer")
    files = [
        fixtures_spheres.write(folder / f"tpl-fsLR_hemi-{s}_den-59k_sphere.surf.gii", fine[s])
        for s in "LR"
    ]
    there = {s: np.flatnonzero(fine[s][:, 2] < 90) for s in "LR"}  # without a wall at the pole
    axis = None
    for side in "LR":
        own = nib.cifti2.BrainModelAxis.from_surface(
            there[side], locations.FINER, name=CORTEX[side]
        )
        axis = own if axis is None else axis + own
    values = np.random.default_rng(1).normal(size=(12, len(axis))).astype(np.float32)
    name = "tfMRI_MOVIE1_7T_AP_Atlas_1.6mm_MSMAll_hp2000_clean.dtseries.nii"
    return write_dense(folder / name, values, t_r=1.0, axis=axis), files, values, there


@pytest.fixture(scope="module")
def table(run, tmp_path_factory):
    where = locations.of_cifti(run[0])
    frame = positions.table(
        where, parcels.assign("hcp-mmp", where), chosen("roi", atlas="hcp-mmp", groups=["early"])
    )
    path = tmp_path_factory.mktemp("positions") / "positions.parquet"
    tables.write(path, frame, "positions")
    return path, frame


def test_positions_are_those_of_a_run_of_91k(run, table, tmp_path):
    """Whatever the first subject's mesh is: one table for all."""
    info = locations.standard()
    left, right = (
        nib.cifti2.BrainModelAxis.from_surface(info[s][1], 32492, name=CORTEX[s]) for s in "LR"
    )
    axis = left + right
    dense = write_dense(tmp_path / "x.dtseries.nii", np.ones((2, len(axis)), np.float32), axis=axis)
    one, other = locations.of_cifti(dense), locations.of_cifti(run[0])
    for name in ("indices", "places", "sides", "along", "vertices", "n_vertices"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_each_position_is_the_mean_of_the_vertices_nearest_to_it(run, table, fine):
    path, files, values, there = run
    found, real = series.read_cifti(table[0], path, files)
    frame = table[1]
    assert np.isnan(found[:, ~real]).all()
    info = locations.standard()
    checked = set()
    for row in frame[real].iloc[::150].itertuples():
        grayordinates, vertices = info[row.hemisphere]
        sphere = locations.mesh(row.hemisphere, "sphere")
        sphere = sphere / np.linalg.norm(sphere, axis=1, keepdims=True)
        vertex = vertices[np.flatnonzero(grayordinates == row.i)[0]]
        # those around it, held against every vertex of the 32k mesh
        points = fine[row.hemisphere][there[row.hemisphere]] / 100
        near = np.flatnonzero(np.linalg.norm(points - sphere[vertex], axis=1) < 0.1)
        owner = [np.linalg.norm(sphere - points[k], axis=1).argmin() for k in near]
        own = near[np.array(owner) == vertex]
        first = 0 if row.hemisphere == "L" else len(there["L"])
        if len(own):
            expected = values[:, first + own].mean(1)
            np.testing.assert_allclose(found[:, row.position], expected, atol=1e-6)
            checked.add((row.hemisphere, len(own)))
    assert {side for side, _ in checked} == {"L", "R"} and len(checked) > 3


def test_what_does_not_fit(run, table, tmp_path):
    path, files, _, _ = run
    with pytest.raises(UserError, match="give --spheres"):
        series.read_cifti(table[0], path)
    small = fixtures_spheres.write(tmp_path / "L.surf.gii", fixtures_spheres.even(500))
    with pytest.raises(
        UserError, match=r"59292 vertices in CIFTI_STRUCTURE_CORTEX_LEFT, .* has 500"
    ):
        series.read_cifti(table[0], path, [small, files[1]])
    flat = fixtures_spheres.write(tmp_path / "f.surf.gii", fixtures_spheres.even(500) * [1, 1, 0.5])
    with pytest.raises(UserError, match="not a sphere"):
        finer.read_sphere(flat)
    (tmp_path / "broken.surf.gii").write_text("<GIFTI")
    with pytest.raises(UserError, match="not a readable GIFTI"):
        finer.read_sphere(tmp_path / "broken.surf.gii")
    moved = table[1].assign(i=np.where(table[1]["i"] > 0, table[1]["i"] - 1, table[1]["i"]))
    tables.write(tmp_path / "moved.parquet", moved, "positions")
    with pytest.raises(UserError, match="not the 91,282 of the HCP"):
        series.read_cifti(tmp_path / "moved.parquet", path, files)
    axis = nib.cifti2.BrainModelAxis.from_surface(np.arange(9), 10242, name=CORTEX["L"])
    other = write_dense(tmp_path / "o.dtseries.nii", np.ones((2, 9), np.float32), axis=axis)
    assert not locations.is_finer(cifti.load(other))
    with pytest.raises(UserError, match=r"10242 vertices.*32492.*59292"):
        locations.of_cifti(other)
