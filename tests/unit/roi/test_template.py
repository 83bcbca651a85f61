"""The positions table: pure patches, whole areas, one order for everybody."""

import numpy as np
import pytest
from tests.fixtures_settings import settings as chosen
from tests.fixtures_settings import words

from boldreel.bold import template as bold_template
from boldreel.data import nifti, tables
from boldreel.errors import UserError
from boldreel.roi import areas, atlas, template
from boldreel.roi import locations as cells_module
from boldreel.roi import positions as positions_module


@pytest.fixture
def frame(positions):
    return tables.read(positions, "positions")


def test_size_is_what_the_demo_wants(frame):
    real = frame[frame["i"] >= 0]
    assert 1000 <= len(real) <= 1800
    assert len(frame) == 16 * frame["patch"].nunique()
    assert frame["position"].tolist() == list(range(len(frame)))
    assert not real.duplicated(["i", "j", "k"]).any()


def test_a_patch_never_mixes_areas_or_hemispheres(frame):
    for name in ("area", "group", "hemisphere"):
        assert (frame.groupby("patch")[name].nunique() == 1).all()
    blocks = (frame[["area", "hemisphere"]] != frame[["area", "hemisphere"]].shift()).any(axis=1)
    assert blocks.sum() == len(frame[["area", "hemisphere"]].drop_duplicates())


def test_padding_stands_at_the_end_of_its_area(frame):
    for _, area in frame.groupby(["area", "hemisphere"]):
        real = (area["i"] >= 0).to_numpy()
        assert (np.diff(real.astype(int)) <= 0).all()
        assert (~real).sum() < 16
    padding = frame[frame["i"] < 0]
    assert padding[["x", "y", "z"]].isna().all(axis=None)
    assert (padding[["i", "j", "k"]] == -1).all(axis=None)


def test_right_is_positive_x_and_indices_belong_to_places(frame, grid):
    real = frame[frame["i"] >= 0]
    assert ((real["x"] > 0) == (real["hemisphere"] == "R")).all()
    found = grid.affine[:3, :3] @ real[["i", "j", "k"]].to_numpy().T + grid.affine[:3, 3:]
    np.testing.assert_allclose(found.T, real[["x", "y", "z"]], atol=1e-4)


def test_control_is_there_when_asked_for_and_moves_no_border(frame, grid):
    cells = cells_module.of_grid(grid)
    centres = atlas.load(atlas.locate("visual-centres"))
    parcels = areas.Parcels(centres, atlas.assign(cells.places, centres))
    more = positions_module.table(
        cells, parcels, chosen("roi", groups=("early", "ventral", "dorsal", "motion", "control"))
    )
    assert set(more["group"]) - set(frame["group"]) == {"control"}
    shared = more[more["group"] != "control"].reset_index(drop=True)
    columns = ["area", "hemisphere", "i", "j", "k"]
    assert shared[columns].values.tolist() == frame[columns].values.tolist()


def test_grid_of_a_run_gives_the_same_table(frame, grid, tmp_path):
    run = tmp_path / f"sub-01_task-a_run-1_space-{bold_template.SPACE}_desc-preproc_bold.nii"
    nifti.save(run, np.zeros((*grid.shape, 2), np.float32), grid.affine, t_r=2.0)
    output = tmp_path / "positions.parquet"
    template.main(["--reference", str(run), "--output", str(output), "--config", words("roi")])
    assert tables.read(output, "positions").equals(frame)


def test_a_run_of_another_space_is_refused(grid, tmp_path):
    run = tmp_path / "sub-01_task-a_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz"
    nifti.save(run, np.zeros((*grid.shape, 2), np.float32), grid.affine, t_r=2.0)
    arguments = ["--reference", str(run), "--output", str(tmp_path / "positions.parquet")]
    with pytest.raises(
        UserError, match=r"is in MNI152NLin2009aSym, the data are in MNI152NLin2009c"
    ):
        template.main([*arguments, "--config", words("roi")])
    assert not (tmp_path / "positions.parquet").exists()


def test_a_run_that_does_not_say_its_space_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"does not say its space"):
        template.space_of(tmp_path / "sub-01_task-a_bold.nii.gz")


def test_an_area_outside_the_box_is_refused(tmp_path):
    box = [[-72, 72], [-108, -80], [-32, 44]]
    config = words("roi", resolution=4.0, output_box=box)
    with pytest.raises(UserError, match=r"holds no grey matter on the grid"):
        template.main(["--output", str(tmp_path / "p.parquet"), "--config", config])


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"confound": "none"}, "roi.confound is not a key"),
        ({"confounds": "all"}, "roi.confounds is 'all'"),
        ({"groups": []}, "roi.groups: 0 given, at least 1 needed"),
        ({"fraction": 0}, "roi.fraction"),
        ({"patch_size": 0}, "roi.patch_size"),
    ],
)
def test_bad_settings_are_refused(section, message):
    with pytest.raises(UserError, match=message):
        chosen("roi", **section)
