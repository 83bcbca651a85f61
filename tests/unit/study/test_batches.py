"""Which movies are decoded together: from few that stay alone to thousands."""

from __future__ import annotations

import pytest
from tests import fixtures_bids
from tests.fixtures_bids import own as study
from tests.fixtures_bids import write_run

from boldreel import configuration
from boldreel.data import movie_annotations, presentations
from boldreel.data.batches import name_of, rows_in
from boldreel.errors import UserError
from boldreel.layout import Layout
from boldreel.study import batches, table
from boldreel.study.batches import Batch, Seen
from boldreel.study.inputs import Inputs
from boldreel.study.parameters import Parameters


def seen(movies, split="train", until=3.0):
    return {movie: Seen(frozenset([split]), until) for movie in movies}


def names(first, last):
    return [f"m{k:05d}" for k in range(first, last)]


def test_few_movies_are_batches_by_themselves():
    movies = names(0, batches.ALONE)
    found = batches.of({"01": seen(movies), "02": seen(movies[:3], "test")})
    assert list(found) == movies
    assert found["m00000"] == Batch(("m00000",), ("train", "test"))
    assert found["m00005"] == Batch(("m00005",), ("train",))


def test_each_movie_is_in_one_batch_of_its_splits():
    first = seen(names(0, 500)) | seen(names(500, 600), "test")
    second = seen(names(550, 600), "test") | seen(names(600, 900), "validation")
    found = batches.of({"01": first, "02": dict(sorted(second.items()))})
    every = [movie for batch in found.values() for movie in batch.movies]
    assert sorted(every) == names(0, 900) and len(set(every)) == len(every)
    assert all(len(batch.movies) <= batches.MOST for batch in found.values())
    assert len(found) == 3 + 1 + 2
    for name, batch in found.items():
        assert name == name_of(batch.splits, batch.movies)
        whose = {"01": first, "02": second}[batch.subject]
        listed = sorted(whose)
        assert tuple(listed[row] for row in rows_in(batch.rows)) == batch.movies
        assert {tuple(whose[movie].splits) for movie in batch.movies} == {batch.splits}


def test_a_later_subject_changes_no_batch_of_the_others():
    before = {"01": seen(names(0, 300)), "02": seen(names(200, 450))}
    more = {**before, "03": seen(names(100, 700))}
    assert batches.of(before).items() <= batches.of(more).items()


def test_long_films_share_no_job():
    found = batches.of({"01": seen(names(0, 70), until=batches.LONGEST * 0.6)})
    assert len(found) == 70, "one alone is longer than half of what a batch may hold"
    short = batches.of({"01": seen(names(0, 70), until=batches.LONGEST / 10)})
    assert [len(batch.movies) for batch in short.values()] == [10] * 7


@pytest.fixture
def many(tmp_path):
    """Two subjects who see 40 clips each in a run of training, 10 are common, and a few in others."""
    tree = tmp_path / "bids"
    shown = {
        "01": {"clips1": range(40), "clips2": range(100, 110), "probe": range(200, 210)},
        "02": {"clips1": range(30, 70), "clips2": range(100, 110), "probe": range(200, 210)},
    }
    runs = {"clips1": "one", "clips2": "two", "clips3": "three", "probe": "probe"}
    for subject, each in shown.items():
        for segment in runs:
            numbers = each.get(segment, range(300, 303))
            write_run(tree, subject, segment, 1, "x.mp4")
            events = (
                tree / f"sub-{subject}" / "func" / f"sub-{subject}_task-{segment}_run-1_events.tsv"
            )
            rows = [
                f"{2.5 * k}\t2\t{runs[segment]}/{number}.mp4" for k, number in enumerate(numbers)
            ]
            events.write_text("\n".join(["onset\tduration\tstim_file", *rows]) + "\n")
            for number in numbers:
                path = tree / "stimuli" / runs[segment] / f"{number}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"")
    return tree


SEGMENTS = {"train": ["clips*"], "validation": ["clips2"], "test": ["probe"]}


def test_a_job_finds_the_movies_of_its_batch_in_the_table_of_whoever_saw_them(many):
    from boldreel.stimuli import decode

    found = study(many, segments=SEGMENTS)
    assert found.movies.batched and len(found.movies.files()) == 70 + 10 + 3 + 10
    for subject in found.subjects:
        settings = found.table_settings()
        runs = table.build(
            found.specs(subject),
            found.presentations.settings,
            settings["segments"],
            found.presentations.held,
            settings["full_names"],
        )
        presentations.write(many / f"{subject}.tsv", subject, runs)
    read = {}
    for name, batch in found.movies.batches().items():
        path = many / f"{batch.subject}.tsv"
        read |= decode.listed(path, batch.rows, many / "stimuli", name)
    assert {name: str(path) for name, path in read.items()} == found.movies.files()
    name, batch = next(iter(found.movies.batches().items()))
    with pytest.raises(UserError, match="are not those of batch"):
        decode.listed(many / f"{batch.subject}.tsv", "0-1", many / "stimuli", name)


def test_command_lines_hold_batches_and_inputs_hold_movies(many):
    found = study(many, segments=SEGMENTS)
    inputs = Inputs(found, Layout(found.results), whenever=lambda path: f"whenever:{path}")
    parameters = Parameters(found)
    name, batch = next(iter(found.movies.batches("train").items()))
    read = inputs.batch(name)
    assert len(read["movie"]) == len(batch.movies) == 43
    assert read["presentations"] == [f"whenever:{found.results}/sub-01/presentations.tsv"]

    class Job:
        def __init__(self, **values):
            self.__dict__.update(values)

    words = parameters.batch(Job(batch=name), Job(**read))
    assert words[:1] == ["--presentations"] and not set(read["movie"]) & set(words)
    assert len(" ".join(words)) < 500
    assert inputs.features("train") == [
        f"{found.results}/stimuli/{name}/features" for name in found.movies.batches("train")
    ]
    assert inputs.batches_named("train", "validation") == ["train-*", "validation-*"]
    assert inputs.jointly(inputs.layout.features) == [f"{found.results}/stimuli/{{batch}}/features"]
    assert inputs.batches_of_job(Job(batch=name)) == [name]


def test_few_movies_are_named_one_by_one(tmp_path):
    found = study(fixtures_bids.write_tree(tmp_path))
    inputs = Inputs(found, Layout(found.results))
    assert not found.movies.batched and inputs.batches() == list(found.movies.files())
    assert inputs.batches_named("test") == inputs.batches("test") == ["probe"]
    assert inputs.jointly(inputs.layout.frames, "test") == inputs.frames("test")
    assert "presentations" not in inputs.batch("film1")


def test_the_demo_has_a_batch_for_each_segment():
    demo = fixtures_bids.demo()
    assert not demo.movies.batched and list(demo.movies.batches("validation")) == ["train06"]


# Annotations


def test_movies_of_one_name_have_annotations_of_their_own(many):
    """Two folders hold movies of one name: results have the whole path, tables lie next to the files."""
    for folder, number in (("two", 100), ("probe", 200)):
        (many / "stimuli" / folder / f"{number}.tsv").write_text("")
    for subject in ("01", "02"):
        path = many / f"sub-{subject}/func/sub-{subject}_task-probe_run-1_events.tsv"
        path.write_text(path.read_text() + "120\t2\tprobe/100.mp4\n")
    (many / "stimuli" / "probe" / "100.mp4").write_bytes(b"")
    found = study(many, segments=SEGMENTS)
    assert found.movies.annotated() == {
        "two_100": str(many / "stimuli/two/100.tsv"),
        "probe_200": str(many / "stimuli/probe/200.tsv"),
    }


@pytest.mark.parametrize("spelling", ["film1", "film1.mp4", "stimuli/film1.mp4", "stimuli/film1"])
def test_one_table_names_movies_or_their_paths(tmp_path, spelling):
    tree = fixtures_bids.write_tree(tmp_path)
    path = tree / "all.tsv"
    path.write_text(f"movie\tonset\tduration\tshot\tcaption\n{spelling}\t0\t9\ts\ta cat\n")
    found = study(tree, stimuli={"annotations": str(path)})
    assert found.movies.annotated() == {"film1": str(path)}, (
        "tables next to movies do not count then"
    )
    assert found.movies.annotations() == [str(path)] and found.movies.annotations(["film2"]) == []
    words = Parameters(found).annotations(None, type("Input", (), {"annotations": [str(path)]}))
    assert words == ["--annotation-table", str(path)]


def test_a_table_that_fits_nothing_is_one_line(tmp_path):
    tree = fixtures_bids.write_tree(tmp_path)
    path = tree / "all.tsv"
    for text, message in (
        ("movie\tonset\nother\t0\n", "names none of the movies that were shown, such as film1"),
        ("name\tonset\nfilm1\t0\n", "no column movie"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            study(tree, stimuli={"annotations": str(path)}).movies.annotated()
    with pytest.raises(UserError, match="no such table of annotations"):
        movie_annotations.movies_in(tree / "missing.tsv")


def test_still_images_are_one_line_that_names_the_first(tmp_path):
    tree = fixtures_bids.write_tree(tmp_path)
    (tree / "stimuli" / "face.png").write_bytes(b"")
    path = tree / "sub-01/func/sub-01_task-film1_run-1_events.tsv"
    path.write_text(path.read_text() + "62\t2\tface.png\n")
    again = tree / "sub-01/func/sub-01_task-film1_run-2_events.tsv"
    again.write_text(path.read_text())
    with pytest.raises(UserError, match=r"events\.tsv: row 3: face\.png is a still image") as told:
        study(tree).movies.files()
    assert "presentations.rules" in str(told.value) and "\n" not in str(told.value)
    rules = [{"rows": {"stim_file": ["film1.mp4", "film2.mp4", "film3.mp4", "probe.mp4"]}}]
    assert "face" not in study(tree, presentations={"rules": rules}).movies.files()


def test_the_key_is_checked():
    with pytest.raises(UserError, match=r"stimuli\.annotations"):
        configuration.complete({"dataset": "mine", "stimuli": {"annotations": 3}})
