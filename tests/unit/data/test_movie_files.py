"""Movies by the names that events give them."""

import pytest

from boldreel.data import movie_files
from boldreel.errors import UserError


@pytest.mark.parametrize(
    ("named", "there"),
    [
        ("m1.mp4", "m1.mp4"),
        ("m1.MP4", "m1.MP4"),
        ("m1.m4v", "m1.m4v"),
        ("part/m1.mp4", "part/m1.mp4"),
        ("../stimuli/m1.mp4", "m1.mp4"),
        ("m1.avi", "m1.mp4"),
        ("m1", "m1.mkv"),
    ],
)
def test_where_a_movie_lies(tmp_path, named, there):
    path = tmp_path / "stimuli" / there
    path.parent.mkdir(parents=True)
    (tmp_path / "stimuli" / "m1").mkdir()
    path.touch()
    assert movie_files.file_of(tmp_path / "stimuli", named) == str(path)
    with pytest.raises(UserError, match=r"movie other\.mp4 was shown but is missing"):
        movie_files.file_of(tmp_path / "stimuli", "other.mp4")


def test_a_name_of_which_a_part_is_not_known(tmp_path):
    for name in ("a/x.mp4", "b/y.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert movie_files.file_of(tmp_path, "*/x.mp4") == str(tmp_path / "a" / "x.mp4")
    with pytest.raises(UserError, match=r"2 files fit \*/\*\.mp4 \(x\.mp4, y\.mp4\); write more"):
        movie_files.file_of(tmp_path, "*/*.mp4")
    with pytest.raises(UserError, match=r"movie \*/z\.mp4 was shown but is missing"):
        movie_files.file_of(tmp_path, "*/z.mp4")


def test_a_name_that_begins_with_the_folder(tmp_path):
    """BIDS writes paths below `stimuli/`, some data sets write the folder as well."""
    (tmp_path / "stimuli").mkdir()
    (tmp_path / "stimuli" / "x.mp4").touch()
    assert movie_files.file_of(tmp_path / "stimuli", "stimuli/x.mp4") == str(
        tmp_path / "stimuli/x.mp4"
    )


def test_no_name_leads_out_of_the_folder(tmp_path):
    (tmp_path / "stimuli").mkdir()
    (tmp_path / "secret.mp4").touch()
    for name in ("../secret.mp4", "x/../../secret.mp4"):
        with pytest.raises(UserError, match="is missing"):
            movie_files.file_of(tmp_path / "stimuli", name)
