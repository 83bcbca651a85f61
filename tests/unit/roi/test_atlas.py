"""Areas by centre and radius; right is right."""

import numpy as np
import pytest

from boldreel.errors import UserError
from boldreel.roi import areas, atlas

HEADER = "area\tgroup\themisphere\tx\ty\tz\tradius\n"


def table(tmp_path, *rows, header=HEADER):
    path = tmp_path / "atlas.tsv"
    path.write_text(header + "".join(row + "\n" for row in rows))
    return path


def test_the_built_in_atlas_has_both_hemispheres_of_every_area():
    areas = atlas.load(atlas.locate("visual-centres"))
    left = {area.name for area in areas if area.hemisphere == "L"}
    right = {area.name for area in areas if area.hemisphere == "R"}
    assert left == right
    assert {area.group for area in areas} == {"early", "ventral", "dorsal", "motion", "control"}


def test_right_is_positive_x():
    """Against coordinates that anybody can look up: V1 left (-10, -84, 2), MT right (50, -70, 12)."""
    areas = atlas.load(atlas.locate("visual-centres"))
    points = np.array([[-10.0, 50.0], [-84, -70], [2, 12]])
    found = [areas[k] for k in atlas.assign(points, areas)]
    assert [(area.name, area.hemisphere) for area in found] == [("V1", "L"), ("MT", "R")]


def test_the_nearest_centre_of_the_own_side_within_its_radius():
    areas = [
        atlas.Centre("a", "g", "L", (-10.0, 0, 0), 8.0),
        atlas.Centre("b", "g", "L", (-20.0, 0, 0), 8.0),
        atlas.Centre("a", "g", "R", (2.0, 0, 0), 20.0),
    ]
    x = np.array([-11.0, -16.0, -29.0, -1.0, 0.0, 5.0])
    points = np.stack([x, 0 * x, 0 * x])
    assert atlas.assign(points, areas).tolist() == [0, 1, -1, -1, -1, 2]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["V1\tearly\tL\t9\t-85\t1\t15"], "row 2: hemisphere L but x is 9"),
        (["V1\tearly\tleft\t-9\t-85\t1\t15"], "hemisphere left"),
        (["V1\tearly\tL\t-9\tx\t1\t15"], "row 2: x, y, z or radius is not a number"),
        (["V1\tearly\tL\t-9\t-85\t1\t15"] * 2, "V1 L is there twice"),
    ],
)
def test_bad_tables_are_refused(tmp_path, rows, message):
    with pytest.raises(UserError, match=message):
        atlas.load(table(tmp_path, *rows))


def test_missing_column_atlas_and_group(tmp_path):
    with pytest.raises(UserError, match="column 'radius' is missing"):
        atlas.load(table(tmp_path, header=HEADER.replace("\tradius", "")))
    with pytest.raises(UserError, match=r"roi\.atlas is 'visual'"):
        atlas.locate("visual")
    with pytest.raises(UserError, match=r"roi\.groups names 'late'"):
        areas.choose(atlas.load(atlas.locate("visual-centres")), ("late",))
