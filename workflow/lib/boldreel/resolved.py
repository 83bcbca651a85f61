"""The resolved configuration: every value with its origin, and the summary printed at the start of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from boldreel import configuration, presets
from boldreel.data import atomic
from boldreel.layout import Layout
from boldreel.settings import leaves

_FEW = 8  # at most this many subjects are named
# Keys that the summary prints anyway, or that no preset sets.
_SAID = (
    "dataset",
    "bids",
    "subjects",
    "segments",
    "preset",
    "pretrain.cohort",
    "pretrain.subjects",
)


def text(given: Mapping[str, Any], complete: Mapping[str, Any]) -> str:
    """The complete configuration as YAML. Each value's comment says where it comes from.

    given : the keys that the user set. The text is itself a configuration that resolves to the same values.
    """
    lines = [
        "# Every value of this run; comments say where each comes from. Use this file with --configfile",
        "# to repeat the run.",
    ]
    origins = configuration.origins(given)
    open_sections: list[str] = []
    for key, origin in origins.items():
        nothing = object()
        value = configuration.value_of(complete, key, nothing)
        if value is nothing:  # `insilico`, with own data
            continue
        *sections, name = key.split(".")
        for depth, section in enumerate(sections):
            if open_sections[: depth + 1] != sections[: depth + 1]:
                lines.append(f"{'  ' * depth}{section}:")
        open_sections = sections
        lines.append(f"{'  ' * len(sections)}{name}: {_yaml(value)}  # {origin}")
    return "\n".join(lines) + "\n"


def _yaml(value: Any) -> str:
    """A value on one line of YAML."""
    import yaml

    whole = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=float("inf"))
    return whole.strip()[1:-1]


def write(folder: Path | str, given: Mapping[str, Any], complete: Mapping[str, Any]) -> None:
    """Write `config.resolved.yaml` to the results of the data set if its content changed."""
    path, now = Path(Layout(str(folder)).resolved_configuration()), text(given, complete)
    if not path.is_file() or path.read_text(encoding="utf-8") != now:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, now)


def summary(
    given: Mapping[str, Any],
    complete: Mapping[str, Any],
    subjects: Sequence[str],
    runs: Mapping[str, int],
) -> list[str]:
    """The lines printed at the start of a run: data set, subjects, runs, preset, base models, differences.

    runs : number of runs of all subjects, by split.
    """
    shown = ", ".join(subjects[:_FEW]) + (", …" if len(subjects) > _FEW else "")
    counted = ", ".join(f"{number} {split}" for split, number in runs.items())
    models = ", ".join(f"{name} {model}" for name, model in complete["models"].items() if model)
    differing = differences(given, complete)
    return [
        f"data set: {complete['dataset']} ({complete['bids'] or 'simulated'})",
        f"subjects: {len(subjects)} ({shown}); runs: {counted}",
        f"preset: {complete['preset']}; base models: {models}",
        f"changes to the preset: {', '.join(differing) or 'none'}",
    ]


def differences(given: Mapping[str, Any], complete: Mapping[str, Any]) -> list[str]:
    """`key = value (instead of the usual value)` for every key that the user changed."""
    preset, rules = presets.load(complete["preset"]), dict(leaves(configuration.schema()))
    found = []
    for key, origin in configuration.origins(given).items():
        usual = configuration.value_of(preset, key, rules[key].get("default"))
        value = configuration.value_of(complete, key, usual)
        said = key in _SAID or key.split(".")[0] in _SAID
        if origin == "yours" and value != usual and not said:
            found.append(f"{key} = {json.dumps(value)} (instead of {json.dumps(usual)})")
    return found
