"""What names of BIDS files state: entities, labels of runs, and which files are of one run.

Takes names; opens no file. Standard library only: the workflow reads them while it plans.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from boldreel.errors import UserError

# (task, session, run index) of a file's name, then the further entities that tell runs apart ("dir-AP").
Key = tuple[str, str, int, *tuple[str, ...]]

_TELLING = ("acq", "ce", "dir", "rec")  # entities that tell two runs of one task apart


def run_label(segment: str, repeat: int) -> str:
    """The name of a run in every table and file name: ``task-{segment}_run-{repeat}``."""
    return f"task-{segment}_run-{repeat}"


def parse_label(name: Path | str) -> tuple[str, int]:
    """(segment, repeat) from a run's label or from any file name that holds it.

    Raises
    ------
    UserError : no task entity in it.
    """
    entities = parse_entities(Path(name).name)
    if "task" not in entities:
        raise UserError(
            f"{name}: no task in the name; expected ..._task-<segment>_run-<number>_..."
        )
    return entities["task"], _repeat(entities, Path(name))


def parse_entities(name: str) -> dict[str, str]:
    """BIDS entities of a file name, for example {"sub": "01", "task": "train01", "run": "1"}.

    A plus joins labels, and the whole is one value: "acq-6p+s2" is not "acq-6p".
    """
    return dict(re.findall(r"(?:^|_)([a-zA-Z0-9]+)-([a-zA-Z0-9+]+)", name.split(".")[0]))


def run_key(path: Path) -> Key:
    """What a file name states of its run: the same for a run's BOLD, events and derivatives.

    Task, session and run index, then the further entities that tell runs apart, for example "dir-AP". Echo
    and part do not count: all of them are one run. Unlike (segment, repeat) it depends on no other file, so
    files of different trees are paired by it.

    Raises
    ------
    UserError : no task in the name.
    """
    entities = parse_entities(path.name)
    if "task" not in entities:
        raise UserError(f"{path}: no task in the name; BIDS wants sub-*_task-*_...")
    further = (f"{name}-{entities[name]}" for name in _TELLING if name in entities)
    return entities["task"], entities.get("ses") or "", _repeat(entities, path), *further


def pair(first: Iterable[Key], second: Iterable[Key]) -> dict[Key, Key]:
    """Which runs of two trees are the same: {key of the first: key of the second}.

    One tree may leave out entities that the other states, such as the only session. Runs are paired so
    if neither fits a further run.
    """
    there = set(second)
    left = dict.fromkeys(first)
    paired = {key: key for key in left if key in there}
    rest = there - set(paired)
    near = {
        key: [other for other in rest if _fits(key, other)] for key in left if key not in paired
    }
    claims = Counter(other for others in near.values() for other in others)
    for key, others in near.items():
        if len(others) == 1 and claims[others[0]] == 1:
            paired[key] = others[0]
    return paired


def _fits(one: Key, other: Key) -> bool:
    """Whether two keys state nothing that contradicts."""
    sessions = {one[1], other[1]} - {""}
    mine, others = set(one[3:]), set(other[3:])
    same = (one[0], one[2]) == (other[0], other[2])
    return same and len(sessions) < 2 and (mine <= others or others <= mine)


class Counted(NamedTuple):
    """The run of a file; fault as in Run."""

    segment: str
    repeat: int
    fault: str


def recounted(runs: Sequence[Any]) -> list[Any]:
    """Runs (`Run`, or the like), counted as if there were no others.

    Of files that claim to be one run, a single one that is left is unambiguous. Runs without a task
    in their names, as HCP's, stay as they are.
    """
    named = [run for run in runs if "task" in parse_entities(run.path.name)]
    counted = zip(named, count_repeats([run.path for run in named]), strict=True)
    again = {
        run.path: replace(run, segment=count.segment, repeat=count.repeat, fault=count.fault)
        for run, count in counted
    }
    return [again.get(run.path, run) for run in runs]


def count_repeats(paths: Sequence[Path]) -> list[Counted]:
    """Segment and repeat of each file by its entities.

    Where two sessions use the same task and run index, the repeats of that task are counted through in
    session order. Echoes are one run. Files that differ in acquisition, direction, reconstruction or
    contrast agent are different runs, with the same segment and repeat (`same_label`). A file whose name does
    not identify its run, or that claims to be the same run as another, has a fault and is not counted.
    """
    counted: dict[Path, Counted] = {}
    claims: dict[Key, list[Path]] = {}
    for path in paths:
        try:
            claims.setdefault(run_key(path), []).append(path)
        except UserError as error:
            counted[path] = Counted(parse_entities(path.name).get("task", ""), 1, str(error))
    single: list[Key] = []
    for key, claiming in claims.items():
        if len(claiming) == 1 or are_echoes(claiming):
            single.append(key)
            continue
        for path in claiming[1:]:
            fault = (
                f"{path}: same task, session and run as {claiming[0].name}; give each run "
                "its own run-<number>, or take one of them away"
            )
            counted |= {each: Counted(key[0], key[2], fault) for each in (claiming[0], path)}
    for segment in {key[0] for key in single}:
        ordered = sorted({key[:3] for key in single if key[0] == segment})
        indices = [key[2] for key in ordered]
        if len(set(indices)) < len(indices):
            indices = list(range(1, len(ordered) + 1))
        repeats = dict(zip(ordered, indices, strict=True))
        for key in single:
            if key[0] == segment:
                named = Counted(segment, repeats[key[:3]], "")
                counted |= dict.fromkeys(claims[key], named)
    return [counted[path] for path in paths]


class Labelled(Protocol):
    """A run of any kind: what it is labelled as, where it lies, and why it cannot be used, if so."""

    @property
    def segment(self) -> str: ...
    @property
    def repeat(self) -> int: ...
    @property
    def path(self) -> Path: ...
    @property
    def fault(self) -> str: ...


def same_label(runs: Iterable[Labelled]) -> dict[Path, str]:
    """{path: fault} of those runs that differ in other entities than task, session and run alone.

    Each of them can be used, but not together, since their results would have the same name.
    """
    labels: dict[tuple[str, int], list[Path]] = {}
    for run in runs:
        if not run.fault:
            labels.setdefault((run.segment, run.repeat), []).append(run.path)
    faults = {}
    for paths in labels.values():
        for path in paths if len(paths) > 1 else ():
            other = next(each for each in paths if each != path)
            own, others = (set(run_key(each)[3:]) for each in (path, other))
            faults[path] = (
                f"{path}: same task, session and run as {other.name}, apart from "
                f"{', '.join(sorted(own ^ others))}; use one of them: give each its own run-<number>, or "
                "take one away"
            )
    return faults


def are_echoes(paths: Sequence[Path]) -> bool:
    """Whether files of one run are its echoes, each of its own number."""
    echoes = [parse_entities(path.name).get("echo", "") for path in paths]
    return all(echo.isdigit() for echo in echoes) and len(set(map(int, echoes))) == len(paths)


def _repeat(entities: dict[str, str], path: Path) -> int:
    index = entities.get("run", "1")
    if not index.isdigit() or int(index) < 1:
        raise UserError(f"{path}: run-{index} is no run number; expected run-1, run-2, ...")
    return int(index)


def stem(path: Path) -> str:
    """A file name without its suffix, however many parts that has."""
    return path.name.removesuffix(".gz").rsplit(".", 1)[0].removesuffix(".dtseries")
