"""What a configuration comes to: every value and where it comes from, and the lines a run begins with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from boldreel import configuration, presets
from boldreel.data import atomic
from boldreel.layout import Layout
from boldreel.settings import leaves

_FEW = 8  # subjects that are named; of more, so many
# What data set and who, which the summary says anyway or no preset knows.
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

    given : what the user named. The text is itself a configuration that resolves to the same.
    """
    lines = [
        "# Every value of this run. Its comment says where it comes from. With --configfile this file",
        "# gives the same run again.",
    ]
    origins = configuration.origins(given)
    open_sections: list[str] = []
    for key, origin in origins.items():
        nothing = object()
        value = configuration.value_of(complete, key, nothing)
        if value is nothing:  # the simulated data set, beside own data
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
    """Write `config.resolved.yaml` in the results of the data set, if it says something new."""
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
    """The lines that a run begins with: data set, subjects, runs, preset, base models, what differs.

    runs : number of runs of all subjects by split.
    """
    shown = ", ".join(subjects[:_FEW]) + (", …" if len(subjects) > _FEW else "")
    counted = ", ".join(f"{number} {split}" for split, number in runs.items())
    models = ", ".join(f"{name} {model}" for name, model in complete["models"].items() if model)
    differing = differences(given, complete)
    return [
        f"data set: {complete['dataset']} ({complete['bids'] or 'simulated'})",
        f"subjects: {len(subjects)} ({shown}); runs: {counted}",
        f"preset: {complete['preset']}; base models: {models}",
        f"differs from the preset: {', '.join(differing) or 'nothing'}",
    ]


def differences(given: Mapping[str, Any], complete: Mapping[str, Any]) -> list[str]:
    """`key value (usual value)` of every key that the user gave another value than preset or default."""
    preset, rules = presets.load(complete["preset"]), dict(leaves(configuration.schema()))
    found = []
    for key, origin in configuration.origins(given).items():
        usual = configuration.value_of(preset, key, rules[key].get("default"))
        value = configuration.value_of(complete, key, usual)
        said = key in _SAID or key.split(".")[0] in _SAID
        if origin == "yours" and value != usual and not said:
            found.append(f"{key} {json.dumps(value)} ({json.dumps(usual)})")
    return found
