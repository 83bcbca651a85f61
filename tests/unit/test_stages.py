"""Stages stand in the order of the data: none imports a later one, and shared rooms import no stage."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from boldreel import imports
from boldreel.sections import SECTIONS
from boldreel.settings import keys

LIBRARY = Path(imports.__file__).parent
RULES = Path(__file__).parents[2] / "workflow" / "rules"
ORDER = [
    *("insilico", "stimuli", "bold", "roi", "windows", "pretrain", "align", "generator"),
    *("probe", "reconstruct", "methods", "evaluate", "report"),
]
# Stages with settings.
SETTLED = [name for name in ORDER if (LIBRARY / name / "settings.py").exists()]
# The command `python -m boldreel.evaluate` ends with a page: its entry, which no step imports, leads there.
ENTRY = "boldreel.evaluate.__main__"


def modules() -> list[str]:
    paths = (path.relative_to(LIBRARY.parent).with_suffix("") for path in LIBRARY.rglob("*.py"))
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in paths)


def stage(module: str) -> str | None:
    """The stage that a module of a package belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 and parts[1] in ORDER else None


def edges() -> list[tuple[str, str]]:
    """(module, module of a stage that it imports) from one room to another, but for the entry."""
    return [
        (module, imported)
        for module in modules()
        for imported in sorted(imports._read(module).own)
        if module != ENTRY and stage(imported) and stage(imported) != stage(module)
    ]


def test_no_stage_imports_a_later_one():
    between = [(a, b) for a, b in edges() if stage(a)]
    assert [(a, b) for a, b in between if ORDER.index(stage(a)) < ORDER.index(stage(b))] == []
    assert len({(stage(a), stage(b)) for a, b in between}) <= 12


def test_shared_rooms_import_settings_of_stages_alone():
    """The study reads the simulated data set's design too; its preflight calls checks of raw data."""
    taken = [(a, b) for a, b in edges() if not stage(a) and not b.endswith(".settings")]
    assert set(taken) == {
        ("boldreel.study.simulated", "boldreel.insilico.design"),
        ("boldreel.study.preflight", "boldreel.bold.check"),
        ("boldreel.study.preflight", "boldreel.bold.fmriprep"),
    }


@pytest.mark.parametrize("step", ["reference", "shard", "between"])
def test_the_table_of_scores_judges_nothing_again(step):
    table = {f"boldreel.evaluate.{name}" for name in ("score", "table", "summary")}
    closure = set(imports.closure(f"boldreel.evaluate.{step}"))
    assert not closure & table
    tests = {f"boldreel.stats.{name}" for name in ("bootstrap", "permutation", "inference")}
    assert step == "between" or not closure & tests


@pytest.mark.parametrize("method", ["linear", "cvgan", "selfsupervised"])
def test_an_edit_of_the_evaluation_trains_no_method_again(method):
    steps = [f"boldreel.methods.{method}.{name}" for name in ("train", "reconstruct")]
    closure = {name for step in steps for name in imports.closure(step)}
    assert len(closure) > 10
    assert not {name for name in closure if name.startswith("boldreel.evaluate")}


def partly_read() -> dict[str, tuple[str, set[str]]]:
    """{step: (class that it reads, keys that its rule passes)} of rules that pass a part of a section."""
    found = {}
    for path in sorted(RULES.glob("*.smk")):
        for rule in re.split(r"^rule ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            kept = re.search(r"section\(\s*\"\w+\",\s*keep=\[([^]]*)\]", rule)
            if kept is None:
                continue
            for step in re.findall(r"-m boldreel\.([\w.]+)", rule):
                source = LIBRARY.joinpath(*step.split(".")).with_suffix(".py").read_text()
                for kind in re.findall(r"\bread\((\w+), args\.config", source):
                    found[step] = (kind, set(re.findall(r'"(\w+)"', kept[1])))
    return found


def test_rules_pass_each_key_that_a_step_of_few_keys_reads():
    """One that is left out would have its default, whatever the configuration says."""
    whole = {kind.__name__ for kind in SECTIONS.values()}
    part = {step: of for step, of in partly_read().items() if of[0] not in whole}
    assert {
        "evaluate.shard",
        "report.figures",
        "report.page",
    } <= set(part)
    for step, (name, passed) in part.items():
        places = (importlib.import_module(f"boldreel.{stage}.settings") for stage in SETTLED)
        kind = next(getattr(place, name) for place in places if hasattr(place, name))
        assert {key.name for key in keys(kind)} == passed, step
