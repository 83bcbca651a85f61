"""The plan of many subjects: how many jobs, in how much memory, and that each further one costs the same.

`benchmarks/plan.py` lays the subjects out and plans them; docs/scaling.md has its seconds.
"""

from __future__ import annotations

import importlib
import pstats
import sys
from types import ModuleType

import pytest

from .workflow import ROOT

pytestmark = pytest.mark.pipeline


def load(name: str) -> ModuleType:
    """A module of benchmarks/, as it is run there."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def planning() -> ModuleType:
    return load("plan")


def count(kind: str, subjects: int) -> tuple[int, int]:
    """(subjects who watch, subjects at rest), so many of the one kind and a few of the other."""
    return (3, subjects) if kind == "rest" else (subjects, 2)


@pytest.mark.parametrize("kind", ["rest", "watch"])
def test_a_thousand_subjects_are_planned_in_little_memory(planning, kind, tmp_path):
    """Each further one costs the same, in calls of functions, which no other load on the machine changes."""

    def plan(subjects: int) -> tuple[int, float]:
        file = str(tmp_path / "profile")
        under = ("-m", "cProfile", "-o", file)
        found = planning.planned(*count(kind, subjects), "--quiet", under=under)
        return pstats.Stats(file).total_calls, found.peak_mb

    (few, _), (more, _), (many, peak_mb) = map(plan, (20, 100, 1000))
    assert peak_mb < 2000
    assert (many - more) / 900 < 1.05 * (more - few) / 80


def test_a_resting_subject_is_read_and_no_more(planning):
    """As many jobs as runs, its own check and nobody else's."""
    few, more = planning.planned(3, 2), planning.planned(3, 12)
    for name, a_subject in (("bold_adopt", 1), ("bold_qc", 1), ("roi_series", 4)):
        assert more.jobs[name] - few.jobs[name] == 10 * a_subject
    assert more.jobs["total"] - few.jobs["total"] == 10 * 6, "and no job else"


def test_subjects_who_watch_are_planned_one_by_one(planning):
    """Each has its own chain; what all share is there once."""
    few, more = planning.planned(5, 2), planning.planned(15, 2)
    rules = set(few.jobs) - {"total"}
    growth = {rule: (more.jobs[rule] - few.jobs[rule]) / 10 for rule in rules}
    assert set(more.jobs) - {"total"} == rules
    assert growth.pop("roi_series") == 5
    assert {rule for rule, by in growth.items() if by == 0} >= {
        *("generator_tune", "pretrain_train", "stimuli_decode", "evaluate_group", "report_page"),
    }
    assert set(growth.values()) == {0, 1}


# Thousands of movies


@pytest.fixture(scope="module")
def movies() -> ModuleType:
    return load("plan_movies")


def test_hundreds_of_movies_are_decoded_in_a_few_jobs(movies, tmp_path):
    """And no command line names one of them, however many there are."""
    configuration = movies.lay_out(tmp_path, "boldmoments", 0.27)
    found = movies.plan(tmp_path, configuration, "--printshellcmds")
    assert len(list(tmp_path.glob("bids/stimuli/*/*.mp4"))) == 270 + 28
    # Two batches of training, 200 and 43, one of validation, one of the test.
    assert (found.jobs["stimuli_decode"], found.jobs["stimuli_features"]) == (4, 4)
    assert found.jobs["generator_latents"] == 3
    printed = (tmp_path / "printed").read_text()
    commands = [
        line for line in printed.splitlines() if line.endswith(".log") and "| tee logs/" in line
    ]
    assert len(commands) == found.jobs["total"] - 1
    assert not [line for line in commands if ".mp4" in line]
    assert max(map(len, commands)) < 100_000


def test_each_further_movie_costs_the_same(movies, tmp_path):
    """In calls of functions, from 1,800 to 7,200 movies."""

    def calls(scale: float) -> int:
        file = str(tmp_path / "profile")
        movies.planned("had", scale, "--quiet", under=("-m", "cProfile", "-o", file))
        return pstats.Stats(file).total_calls

    few, more, many = map(calls, (5 / 60, 10 / 60, 20 / 60))
    assert (many - more) / 10 < 1.1 * (more - few) / 5
