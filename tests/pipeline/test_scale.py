"""The plan of many subjects: how many jobs, in how much memory, and that each further one costs the same.

`benchmarks/plan.py` lays the subjects out and plans them; docs/scaling.md has its seconds.
"""

from __future__ import annotations

import importlib.util
import pstats
from types import ModuleType

import pytest

from .workflow import ROOT

pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def planning() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plan", ROOT / "benchmarks" / "plan.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
