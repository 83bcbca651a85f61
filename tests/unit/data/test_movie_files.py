"""Movies by the names that events give them."""

import pytest

from boldreel.errors import UserError
from boldreel.study import movies


@pytest.mark.parametrize("name", ["-rf", "{subject}", "two\nlines", ".hidden"])
def test_movies_whose_names_could_not_be_folders(tmp_path, name):
    events = tmp_path / "events.tsv"
    text = f'"{name}.mp4"' if "\n" in name else f"{name}.mp4"
    events.write_text(f"onset\tduration\tstim_file\n0\t2\t{text}\n")
    with pytest.raises(UserError) as caught:
        movies.shown([events])
    assert "\n" not in str(caught.value)


def test_movies_may_have_any_other_name(tmp_path):
    name = 'it\'s; $(touch owned) "é" & `x`'
    events = tmp_path / "events.tsv"
    events.write_text(f"onset\tduration\tstim_file\n0\t2\t../stimuli/{name}.mp4\n")
    assert movies.shown([events]) == {name: f"../stimuli/{name}.mp4"}


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
    assert movies.file_of(tmp_path, named) == str(path)
    with pytest.raises(UserError, match=r"movie other\.mp4 is named by the events but is missing"):
        movies.file_of(tmp_path, "other.mp4")
