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
