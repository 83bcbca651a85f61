"""Designs of real studies: what the plan makes of them, and that the table of the job says the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from boldreel.data import overlap_files, presentations
from boldreel.errors import UserError
from boldreel.layout import Layout
from boldreel.study import shown, table
from boldreel.study.inputs import Inputs
from boldreel.study.parameters import Parameters
from boldreel.study.study import Study

from .conftest import HEAD, DataSet

SPLITS = ("train", "validation", "test")


def planned(study: Study, subject: str = "01") -> list[presentations.ShownRun]:
    """The runs of a subject's table as the plan knows them."""
    names, _ = study.presentations.named_movies
    found = []
    for one in study.presentations.runs[subject]:
        if one.named or (one.spec.excluded and one.stretches[0].rows):
            found += [
                stretch._replace(
                    rows=tuple(
                        row._replace(
                            movie=names.get(row.stimulus, shown.movie_name(row.stimulus, False))
                        )
                        for row in stretch.rows
                    )
                )
                for stretch in one.stretches
            ]
    return found


def same(first: list[presentations.ShownRun], second: list[presentations.ShownRun]) -> bool:
    """Whether two tables say the same, wherever they have it from."""

    def bare(runs):
        return [
            run._replace(rows=tuple(row._replace(origin="", part_known=True) for row in run.rows))
            for run in runs
        ]

    return bare(first) == bare(second)


def made(study: Study, folder: Path, subject: str = "01") -> list[presentations.ShownRun]:
    """The same as the job writes it."""
    output, file = folder / f"{subject}.tsv", folder / "overlaps.json"
    found = study.overlaps()
    if found:
        overlap_files.write(file, found)
    table.main(
        [
            *("--subject", subject, "--runs", json.dumps(study.specs(subject))),
            *("--events", *study.events(subject), "--output", str(output)),
            *(("--overlaps", str(file)) if found else ()),
            *("--config", json.dumps(study.table_settings(), sort_keys=True)),
        ]
    )
    return presentations.read(output)


def splits(study: Study, subject: str = "01") -> dict[str, tuple[str, ...]]:
    """{label of a run that segments names: its splits}."""
    return {run.label: run.splits for run in study.runs_of(subject, *SPLITS)}


# Designs: a data set, `segments`, the section `presentations`.


def whole_runs(data: DataSet):
    for name in ("a", "b", "held", "probe"):
        for run in (1, 2):
            data.shows(f"task-{name}_run-{run}", f"{name}.mp4")
    data.run("task-rest")
    data.run("task-localizer", "onset\tduration\ttrial_type", "0 9 face")
    return {"train": ["a", "b"], "validation": ["held"], "test": ["probe"]}, {}


def film_parts(data: DataSet):
    """Runs of one task, each with its own part of the film."""
    for run in range(1, 6):
        data.shows(f"task-film_run-{run}", "film.mp4", 180.0 * (run - 1))
    return {"train": [{"run": [1, 2, 3]}], "validation": ["film_run-4"], "test": ["filmrun5"]}, {}


def sets_of_clips(data: DataSet):
    """Clips of several splits within runs, by the folder that they lie in."""
    for run in (1, 2, 3):
        kinds = ("train", "val", "test")
        rows = [f"{20 * k} 20 {kind}/{run}{k}.mp4 0" for k, kind in enumerate(kinds)]
        data.run(f"task-clips_run-{run}", HEAD, *rows)
    segments = {
        split: [{"task": "clips", "stimulus": f"{folder}/*"}]
        for split, folder in zip(SPLITS, ("train", "val", "test"), strict=True)
    }
    return segments, {}


def stretches(data: DataSet):
    """One long film, split by time within the run, twice."""
    data.filled()
    for run in (1, 2):
        data.shows(f"task-film_run-{run}", "film.mp4")
    segments = {
        "train": ["a", "b", {"task": "film", "time": [0, 90]}],
        "validation": ["held"],
        "test": [{"task": "film", "time": [90, 180]}],
    }
    return segments, {"guard": 25.0}


def sessions(data: DataSet):
    """The same films in two sessions: repeats."""
    for session in ("1", "2"):
        for run, film in enumerate(("a", "b", "held", "probe"), start=1):
            data.shows(f"ses-{session}_task-movie_run-{run}", f"{film}.mp4")
    segments = {"train": ["movie_run-[12]"], "validation": [{"run": 3}], "test": [{"run": "04"}]}
    return segments, {}


def by_rules(data: DataSet):
    """No events at all: a film in parts as long as the runs, and the test in a file of its own."""
    for run, volumes in enumerate((50, 60, 70, 80), start=1):
        data.run(f"task-film_run-{run}", volumes=volumes)
    data.run("task-probe_run-1", "onset\tduration\ttrial_type", "3 1 button")
    rules = [
        {"where": {"task": "film"}, "stimulus": "film.mp4", "parts": "runs", "begin": 4.0},
        {"stimulus": "p{run-1:02d}.mp4", "events": False, "onset": 6.0, "duration": "run"},
    ]
    segments = {"train": ["film_run-[123]"], "validation": ["film_run-4"], "test": ["probe"]}
    return segments, {"rules": rules}


def versions(data: DataSet):
    """Each run as it was scanned and as it was undistorted, in two sessions."""
    for session in ("1", "2"):
        for name in ("a", "b", "held", "probe"):
            for kind in ("raw", "dico"):
                data.shows(f"ses-{session}_task-{name}_acq-{kind}", f"{name}.mp4")
    segments = {"train": ["a", "b"], "validation": ["held"], "test": ["probe"]}
    return segments, {"filter": {"acquisition": "dico"}}


def excluded(data: DataSet):
    segments, _ = whole_runs(data)
    return segments, {"exclude": [{"task": "a", "run": 2, "reason": "slept"}]}


def shown_again(data: DataSet):
    """The test shows a part of a training film again."""
    data.filled()
    data.run("task-probe", HEAD, "0 60 p.mp4 0", "60 30 a.mp4 30", "90 30 held.mp4 0")
    segments = {"train": ["a", "b"], "validation": ["held"], "test": ["probe"]}
    return segments, {"overlap": "drop-from-train"}


def same_names(data: DataSet):
    """Movies that only their folders tell apart."""
    for name in ("a", "b", "held", "probe"):
        data.shows(f"task-{name}", f"{name}/movie.mp4")
    return {"train": ["a", "b"], "validation": ["held"], "test": ["probe"]}, {}


DESIGNS: list[Callable[[DataSet], tuple[dict[str, Any], dict[str, Any]]]] = [
    *(whole_runs, film_parts, sets_of_clips, stretches, sessions, by_rules, versions, excluded),
    *(shown_again, same_names),
]


@pytest.mark.parametrize("design", DESIGNS)
def test_the_job_makes_what_was_planned(data, tmp_path, design):
    segments, section = design(data)
    study = data.study(segments, **section)
    assert same(planned(study), made(study, tmp_path))
    assert planned(study)


@pytest.mark.parametrize("design", DESIGNS)
def test_a_table_of_ones_own_plans_the_same(data, tmp_path, design):
    """What `boldreel init` writes from a plan, read again, without rules, events or patterns."""
    segments, section = design(data)
    study = data.study(segments, **section)
    first = planned(study)
    path = tmp_path / "own.tsv"
    text = presentations.text([("01", first)])
    if design is stretches:  # times within runs are said by `segments`
        for split in SPLITS:
            text = text.replace(f"\t{split}\t", "\tn/a\t")
    else:
        segments = {split: ["nothing"] for split in SPLITS}
    path.write_text(text)
    for events in data.root.rglob("*_events.tsv"):
        events.write_text("onset\n")
    own = {key: section[key] for key in ("filter", "overlap", "guard") if key in section}
    again = data.study(segments, table=str(path), **own)
    if design is by_rules:  # which volumes are used is said by rules
        first = [run._replace(begin=None) for run in first]
    assert same(first, planned(again))
    assert same(planned(again), made(again, tmp_path))
    assert splits(again) == splits(study)


def test_whole_runs(data):
    segments, section = whole_runs(data)
    study = data.study(segments, **section)
    assert splits(study) == {
        f"task-{name}_run-{run}": (split,)
        for name, split in (
            ("a", "train"),
            ("b", "train"),
            ("held", "validation"),
            ("probe", "test"),
        )
        for run in (1, 2)
    }
    (line,) = study.ignored()
    assert line.endswith("not named in segments: task-localizer run 1, task-rest run 1")


def test_parts_of_a_film_are_segments(data):
    segments, section = film_parts(data)
    found = splits(data.study(segments, **section))
    assert found == {
        **{f"task-filmrun{k}_run-1": ("train",) for k in (1, 2, 3)},
        "task-filmrun4_run-1": ("validation",),
        "task-filmrun5_run-1": ("test",),
    }


def test_clips_of_several_splits_in_one_run(data):
    segments, section = sets_of_clips(data)
    study = data.study(segments, **section)
    assert splits(study) == {f"task-clipsrun{k}_run-1": SPLITS for k in (1, 2, 3)}
    for path in ("test/12.mp4", "test/22.mp4", "test/32.mp4"):
        (data.root / "stimuli" / path).parent.mkdir(exist_ok=True)
        (data.root / "stimuli" / path).touch()
    assert list(study.movies.files("test")) == ["12", "22", "32"]
    assert study.untested("01") == [], "a run that shows the test is not fitted on as a whole"


def test_stretches_of_a_run_are_segments(data):
    segments, section = stretches(data)
    study = data.study(segments, **section)
    found = splits(study)
    assert found["task-filmpart1_run-2"] == ("train",) and found["task-filmpart2_run-1"] == (
        "test",
    )
    run = study.run("01", "filmpart2", 2)
    assert (run.file, run.begin, run.end) == (("film", 2), 115, 180)
    assert run.whole.label == "task-film_run-2"
    labels = [one.label for one in study.files_of("01")]
    assert sorted(labels) == [
        *("task-a_run-1", "task-b_run-1", "task-film_run-1", "task-film_run-2", "task-held_run-1")
    ]


def test_sessions_are_repeats(data):
    segments, section = sessions(data)
    found = splits(data.study(segments, **section))
    assert found == {
        f"task-movierun{run}_run-{session}": (split,)
        for session in (1, 2)
        for run, split in enumerate(("train", "train", "validation", "test"), start=1)
    }


def test_runs_shown_by_rules(data):
    segments, section = by_rules(data)
    study = data.study(segments, **section)
    rows = {run.label: run.rows[0] for run in study.presentations.used("01")}
    # 100, 120 and 140 s come before; the first 4 s of each run are cropped.
    places = [rows[f"task-filmrun{k}_run-1"].stimulus_onset for k in (1, 2, 3, 4)]
    assert places == [4, 104, 224, 364]
    probe = rows["task-probe_run-1"]
    assert (probe.stimulus, probe.onset, probe.end) == ("p00.mp4", 6, 200)


def test_versions_of_a_run_need_a_filter(data):
    segments, section = versions(data)
    with pytest.raises(
        UserError, match=r"in another acquisition; choose one in presentations\.filter"
    ):
        data.study(segments)
    study = data.study(segments, **section)
    assert len(splits(study)) == 8, "two sessions are two repeats"
    assert all("acq-dico" in run.bold for run in study.runs_of("01"))
    (line,) = study.ignored()
    assert "left out by presentations.filter" in line
    assert study.bids_filter("01") == {
        "task": ["a", "b", "held", "probe"],
        "acquisition": ["dico"],
    }


def test_excluded_runs_stay_in_the_table_with_their_reason(data, tmp_path):
    segments, section = excluded(data)
    study = data.study(segments, **section)
    assert "task-a_run-2" not in splits(study)
    (run,) = [run for run in made(study, tmp_path) if run.excluded]
    assert (run.label, run.excluded) == ("task-a_run-2", "slept")
    assert "true\tslept" in (tmp_path / "01.tsv").read_text()
    (line,) = study.ignored()
    assert "slept: task-a run 2" in line
    path = next(data.root.glob("sub-01/func/*task-a_run-2_events.tsv"))
    path.write_text("onset\tduration\tstim_file\nx\ty\ta.mp4\n")
    data.study(segments, **section)
    with pytest.raises(UserError, match="row 2: onset is x"):
        data.study(segments)


def test_what_is_shown_in_two_splits(data):
    segments, section = shown_again(data)
    with pytest.raises(
        UserError, match=r"task-\w+_run-1, shows \S+ in \w+, and test shows the same"
    ):
        data.study(segments)
    study = data.study(segments, **section)
    rows = {run.label: run.rows for run in study.presentations.used("01")}
    kept = [(row.stimulus_onset, row.stimulus_end) for row in rows["task-a_run-1"]]
    assert kept == [(0, 30), (60, 180)]
    kept = [(row.stimulus_onset, row.stimulus_end) for row in rows["task-held_run-1"]]
    assert kept == [(30, 180)]
    assert len(rows["task-probe_run-1"]) == 3, "nothing is taken from the test"


def test_what_several_splits_show_is_in_a_file(data, tmp_path):
    """By the names of events for tables, and by those of results for whoever trains."""
    segments, section = shown_again(data)
    study = data.study(segments, **section)
    file = tmp_path / "overlaps.json"
    overlap_files.write(file, study.overlaps())
    assert overlap_files.held(file)["test"] == {"a.mp4": [(30, 60)], "held.mp4": [(0, 30)]}
    assert overlap_files.several(file) == {
        "a": {"train": [[0, 180]], "test": [[30, 60]]},
        "held": {"validation": [[0, 180]], "test": [[0, 30]]},
    }
    data.shows("task-c", "c.mp4")
    plain = data.study({**segments, "test": ["b"], "train": ["a", "c"]}, **section)
    assert plain.overlaps() == {} and Inputs(plain, Layout(plain.results)).overlaps() == []


def test_thousands_of_movies_in_two_splits_fit_on_a_command_line(data, tmp_path):
    """A shell takes 128 KiB; they are passed in a file."""
    clips = [f"{3 * k} 3 clip{k:04d}.mp4 0" for k in range(3000)]
    data.filled()
    data.run("task-many", HEAD, *clips)
    data.run("task-probe", HEAD, *clips[1:])
    segments = {"train": ["a", "b", "many"], "validation": ["held"], "test": ["probe"]}
    study = data.study(segments, overlap="drop-from-train")
    assert len(json.dumps(study.overlaps())) > 128 << 10
    of, given = Parameters(study), Inputs(study, Layout(study.results)).overlaps()
    job = SimpleNamespace(subject="01")
    words = of.overlaps(job, SimpleNamespace(overlaps=given))
    assert words == ["--overlaps", f"{study.results}/overlaps.json"]
    assert len(" ".join([of.specs(job), of.presentations(), *words])) < 10 << 10
    runs = {run.label: run for run in made(study, tmp_path)}
    assert [row.movie for row in runs["task-many_run-1"].rows] == ["clip0000"]


def test_a_training_run_of_which_nothing_is_left(data):
    data.filled().shows("task-again", "a.mp4")
    data.shows("task-probe", "a.mp4")
    segments = {"train": ["a", "b", "again"], "validation": ["held"], "test": ["probe"]}
    with pytest.raises(UserError, match="all that it shows is shown in a later split"):
        data.study(segments, overlap="drop-from-train")


def test_another_subject_renames_nobodys_runs(data):
    """Names depend on what tells a subject's own runs apart, repeats on its own runs."""
    segments, section = sessions(data)
    alone = splits(data.study(segments, **section))
    for run, film in enumerate(("a", "b", "held", "probe"), start=1):
        data.shows(f"ses-1_task-movie_run-{run}", f"{film}.mp4", subject="00")
        data.shows(f"ses-9_task-movie_run-{run}", f"{film}.mp4", subject="02")
    both = data.study(segments, **section)
    assert both.subjects == ["00", "01", "02"]
    assert splits(both) == alone
    assert set(splits(both, "00")) == {f"task-movierun{run}_run-1" for run in (1, 2, 3, 4)}


def test_another_design_renames_nobodys_runs(data):
    """Two runs of one film are repeats, even where somebody else saw two films in runs of these names."""
    data.filled().shows("task-probe", "probe.mp4")
    for run in (1, 2):
        data.shows(f"task-movie_run-{run}", "x.mp4")
    segments = {"train": ["a", "b", "movie"], "validation": ["held"], "test": ["probe"]}
    alone = splits(data.study(segments))
    assert {"task-movie_run-1", "task-movie_run-2"} <= set(alone)
    for name in ("a", "b", "held", "probe"):
        data.shows(f"task-{name}", f"{name}.mp4", subject="02")
    for run in (1, 2):
        data.shows(f"task-movie_run-{run}", f"y{run}.mp4", subject="02")
    both = data.study(segments)
    assert splits(both) == alone
    assert {"task-movierun1_run-1", "task-movierun2_run-1"} <= set(splits(both, "02"))


def test_a_filter_by_patterns_is_spelt_out_for_fmriprep(data):
    segments, _ = versions(data)
    study = data.study(segments, filter={"acq": "di*"})
    assert study.bids_filter("01")["acquisition"] == ["dico"]
    for name in ("a", "b", "held", "probe"):
        data.shows(f"ses-1_task-{name}", f"{name}.mp4", subject="02")
        data.shows(f"ses-1_task-{name}_acq-x", f"{name}.mp4", subject="02")
    either = data.study(segments, filter={"acq": ["dico", ""]})
    assert either.bids_filter("02") == {"task": ["a", "b", "held", "probe"], "acquisition": None}
    assert all("acq" not in run.bold for run in either.runs_of("02"))


def test_a_table_for_a_run_that_is_not_there(data, tmp_path):
    segments, section = whole_runs(data)
    path = tmp_path / "own.tsv"
    text = presentations.text([("01", planned(data.study(segments, **section)))])
    path.write_text(text.replace("\theld\t", "\tgone\t"))
    with pytest.raises(UserError, match=r"own\.tsv: row \d+: sub-01 has no run run-1_task-gone"):
        data.study(segments, table=str(path))
    path.write_text(text.replace("\tvalidation\t", "\tdev\t"))
    with pytest.raises(
        UserError, match="split is 'dev'; it must be train, validation, test or n/a"
    ):
        data.study(segments, table=str(path))
    path.write_text(text.replace("duration", "length"))
    with pytest.raises(UserError, match="no column duration"):
        data.study(segments, table=str(path))


def test_a_table_may_leave_the_splits_to_segments(data, tmp_path):
    segments, section = whole_runs(data)
    study = data.study(segments, **section)
    path = tmp_path / "own.tsv"
    lines = presentations.text([("01", planned(study))])
    for split in SPLITS:
        lines = lines.replace(f"\t{split}\t", "\tn/a\t")
    path.write_text(lines)
    assert splits(data.study(segments, table=str(path))) == splits(study)


@pytest.mark.parametrize("name", ["-rf", "{subject}", "two\nlines", ".hidden"])
def test_movies_whose_names_could_not_be_folders(name):
    with pytest.raises(UserError) as caught:
        shown.movie_names([f"{name}.mp4"])
    assert "\n" not in str(caught.value)


def test_movies_may_have_any_other_name():
    name = 'it\'s; $(touch owned) "é" & `x`'
    path = f"../stimuli/{name}.mp4"
    assert shown.movie_names([path]) == ({path: name}, False)
    assert shown.movie_names(["a/x.mp4", "b/x.mp4"]) == (
        {"a/x.mp4": "a_x", "b/x.mp4": "b_x"},
        True,
    )
    with pytest.raises(UserError, match="two movies are named 'a_x'"):
        shown.movie_names(["a/x.mp4", "a_x.mp4", "b/x.mp4"])
