"""Raw BIDS: the runs of a subject, where their events lie, and their sidecars.

Takes a BIDS directory; returns one Run per BOLD file. Events and sidecars follow BIDS' inheritance: a file
higher up applies to every run that has its entities. Standard library only: the Snakefile asks.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from boldreel.data import event_files
from boldreel.errors import UserError

_BOLD = (".nii", ".nii.gz")
_FUNC = ("func", "ses-*/func")
_CLOCK_TOLERANCE = 60.0  # s by which clocks may differ


@dataclass(frozen=True)
class Run:
    """One functional run: which subject saw which segment for the how-manieth time.

    segment is BIDS' task label, repeat its run index (1 where the name has none). Where two sessions
    use the same task and run index, the repeats of that task are counted through in session order.
    fault says why the run cannot be told from others by its name, and is empty if it can.
    """

    subject: str
    segment: str
    repeat: int
    path: Path
    session: str | None = None
    fault: str = ""

    @property
    def label(self) -> str:
        """What names this run's files downstream, for example ``task-train01_run-1``."""
        return run_label(self.segment, self.repeat)

    @property
    def events(self) -> Path:
        """Where the events file of this run lies."""
        return events_of(self.path)

    @property
    def key(self) -> tuple[str, str, int]:
        """What pairs it with files of other trees (`run_key`)."""
        return run_key(self.path)


def check_source(path: Path | str, now: float | None = None) -> None:
    """Whether a file that no rule makes can be read, and is not dated in the future.

    Snakemake compares dates: what is made from a file of tomorrow would be older than it, and fail.

    Raises
    ------
    UserError : a dangling link, a file that may not be read or is dated in the future. A file
        that is not there at all is left to others, who know what it is.
    """
    path = Path(path)
    try:
        dated = path.stat().st_mtime
    except OSError as error:
        if error.errno == errno.EACCES:
            raise UserError(f"{path}: no permission to look at it; ask for it") from None
        if path.is_symlink():
            raise UserError(
                f"{path}: a dangling link ({path.readlink()}); fetch its content "
                "(datalad get, git annex get) or correct the link"
            ) from None
        return
    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: no permission to read it; chmod u+r, or ask for it")
    now = time.time() if now is None else now
    if dated > now + _CLOCK_TOLERANCE:
        raise UserError(
            f"{path}: dated {(dated - now) / 3600:.1f} hours in the future; set this machine's clock right, "
            "or the file's date: touch it"
        )


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
    """BIDS entities of a file name, for example {"sub": "01", "task": "train01", "run": "1"}."""
    return dict(re.findall(r"(?:^|_)([a-zA-Z0-9]+)-([a-zA-Z0-9]+)", name.split(".")[0]))


def find_runs(bids_root: Path | str, subject: str) -> list[Run]:
    """All BOLD runs of a subject, with and without sessions, by segment and repeat.

    Two files that claim to be one run are both there, with a fault: whoever needs them refuses them
    (data.selection).

    Parameters
    ----------
    subject : label with or without "sub-"

    Raises
    ------
    UserError : no such data set or subject, or no BOLD.
    """
    root = Path(bids_root)
    label = subject.removeprefix("sub-")
    folder = root / f"sub-{label}"
    if not root.is_dir():
        raise UserError(f"{root}: no such BIDS directory; check the path in the config")
    if not folder.is_dir():
        raise UserError(
            f"{root}: no subject sub-{label}; check `subjects` and `pretrain.subjects` in the "
            "configuration, and the data set"
        )
    paths = _bold_files(folder)
    if not paths:
        raise UserError(f"{folder}: no func/*_bold.nii or .nii.gz; check the data set")
    runs = [
        Run(label, *counted[:2], path, parse_entities(path.name).get("ses"), counted.fault)
        for counted, path in zip(count_repeats(paths), paths, strict=True)
    ]
    return sorted(runs, key=lambda run: (natural(run.segment), run.repeat))


def has_bold(bids_root: Path | str, subject: str) -> bool:
    """Whether the data set holds raw BOLD of a subject.

    Shared derivatives often come without it, or with links whose content was not fetched.
    """
    folder = Path(bids_root) / f"sub-{subject.removeprefix('sub-')}"
    return any(path.exists() for path in _bold_files(folder))


def run_keys(bids_root: Path | str, subject: str) -> set[tuple[str, str, int]]:
    """run_key of every raw run of a subject, including runs whose content was not fetched."""
    paths = _bold_files(Path(bids_root) / f"sub-{subject.removeprefix('sub-')}")
    counted = zip(paths, count_repeats(paths), strict=True)
    return {run_key(path) for path, (_, _, fault) in counted if not fault}


def run_key(path: Path) -> tuple[str, str, int]:
    """(task, session, run index) that a file name states: the same for a run's BOLD, events and derivatives.

    Unlike (segment, repeat) it depends on no other file, so files of different trees are paired by it.

    Raises
    ------
    UserError : no task in the name.
    """
    entities = parse_entities(path.name)
    if "task" not in entities:
        raise UserError(f"{path}: no task in the name; BIDS wants sub-*_task-*_...")
    return entities["task"], entities.get("ses") or "", _repeat(entities, path)


def find_events(bids_root: Path | str, subject: str) -> dict[tuple[str, str, int], Path]:
    """{run_key: events file} of a subject; files whose names do not tell their run are passed over."""
    folder = Path(bids_root) / f"sub-{subject.removeprefix('sub-')}"
    paths = sorted(path for pattern in _FUNC for path in folder.glob(f"{pattern}/sub-*_events.tsv"))
    counted = zip(paths, count_repeats(paths), strict=True)
    return {run_key(path): path for path, (_, _, fault) in counted if not fault}


def events_of(bold: Path | str) -> Path:
    """The events file of a raw run, there or not: next to it, else the nearest further up that applies.

    BIDS' inheritance: one whose entities the run has; of several in a folder the one with most. A template
    that
    nobody filled in (heudiconv writes one next to each run) says nothing, and gives way to one further up.
    """
    path = Path(bold)
    entities = parse_entities(path.name)
    beside = path.with_name(_stem(path).removesuffix("_bold") + "_events.tsv")
    if beside.exists() and not event_files.is_template(beside):
        return beside
    for folder in _folders_above(path):
        applying = [
            candidate
            for candidate in folder.glob("*_events.tsv")
            if not candidate.name.startswith(".")
            and parse_entities(candidate.name).items() <= entities.items()
            and candidate != beside
        ]
        if applying:
            return max(applying, key=lambda candidate: len(parse_entities(candidate.name)))
    return beside


def raw_name(preprocessed: Path, bids_root: Path | str) -> Path:
    """Path of the raw run of a preprocessed one by its name; it may not exist."""
    entities = parse_entities(preprocessed.name)
    session = [f"ses-{entities['ses']}"] if "ses" in entities else []
    stem = preprocessed.name.split("_space-")[0].split("_desc-")[0]
    folder = Path(bids_root).joinpath(f"sub-{entities.get('sub', '')}", *session, "func")
    return folder / f"{stem}_bold.nii.gz"


class Counted(NamedTuple):
    """The run of a file; fault as in Run."""

    segment: str
    repeat: int
    fault: str


def recounted(runs: Sequence[Any]) -> list[Any]:
    """Runs (`Run`, or the like), counted as if there were no others.

    Of files that claim to be one run, a single one that is left can be told from others. Runs without a task
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
    session order. A file whose name does not tell its run, or that claims to be the same run as another,
    has a fault and is not counted.
    """
    counted: dict[Path, Counted] = {}
    claims: dict[tuple[str, str, int], list[Path]] = {}
    for path in paths:
        try:
            claims.setdefault(run_key(path), []).append(path)
        except UserError as error:
            counted[path] = Counted(parse_entities(path.name).get("task", ""), 1, str(error))
    single: list[tuple[str, str, int]] = []
    for key, claiming in claims.items():
        if len(claiming) == 1:
            single.append(key)
        for path in claiming[1:]:
            fault = (
                f"{path}: same task, session and run as {claiming[0].name}; give each run "
                "its own run-<number>, or take one of them away"
            )
            counted |= {each: Counted(key[0], key[2], fault) for each in (claiming[0], path)}
    for segment in {key[0] for key in single}:
        ordered = sorted(key for key in single if key[0] == segment)
        indices = [key[2] for key in ordered]
        if len(set(indices)) < len(indices):
            indices = list(range(1, len(ordered) + 1))
        for key, index in zip(ordered, indices, strict=True):
            counted[claims[key][0]] = Counted(segment, index, "")
    return [counted[path] for path in paths]


def read_sidecar(path: Path | str) -> dict[str, Any]:
    """Metadata of a file: its own JSON, over what it inherits from JSON files further up.

    Parameters
    ----------
    path : the JSON itself (read alone), or the data file that it describes

    Raises
    ------
    UserError : no JSON for this file, or one that is not a JSON object.
    """
    path = Path(path)
    if path.suffix == ".json":
        return _read_json(path)
    merged = inherited(path)
    if not merged:
        raise UserError(
            f"{path}: no JSON sidecar describes it; write {_stem(path)}.json next to it with "
            "RepetitionTime (s) and TaskName"
        )
    return merged


def inherited(path: Path) -> dict[str, Any]:
    """The same of a data file, there or not; empty if no JSON describes it.

    A dense series may have its JSON with or without `.dtseries` in the name: fMRIPrep has written both.

    Raises
    ------
    UserError : a JSON that is not a JSON object.
    """
    entities = parse_entities(path.name)
    suffix = _stem(path).rsplit("_", 1)[-1]
    merged: dict[str, Any] = {}
    for folder in reversed(_folders_above(path)):
        applying = [
            candidate
            for candidate in folder.glob("*.json")
            if not candidate.name.startswith(".")
            and _stem(candidate).rsplit("_", 1)[-1] == suffix
            and parse_entities(candidate.name).items() <= entities.items()
        ]
        for candidate in sorted(applying, key=lambda c: len(parse_entities(c.name))):
            merged |= _read_json(candidate)
    return merged


def _folders_above(path: Path) -> list[Path]:
    """The folders whose files may apply to this one, from its own to the data set's root."""
    folders = [path.parent]
    while not (folders[-1] / "dataset_description.json").is_file():
        if folders[-1].parent == folders[-1] or len(folders) > 4:
            return folders[:1]
        folders.append(folders[-1].parent)
    return folders


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sorting key that puts seg2 before seg10."""
    return tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part)
        for part in re.split(r"(\d+)", text)
        if part
    )


def _bold_files(folder: Path) -> list[Path]:
    """The raw BOLD files of a subject's folder; magnitude only for complex images."""
    found = (path for pattern in _FUNC for path in folder.glob(f"{pattern}/sub-*_bold.nii*"))
    return sorted(
        path
        for path in found
        if path.name.endswith(_BOLD) and parse_entities(path.name).get("part") != "phase"
    )


def _repeat(entities: dict[str, str], path: Path) -> int:
    index = entities.get("run", "1")
    if not index.isdigit() or int(index) < 1:
        raise UserError(f"{path}: run-{index} is no run number; expected run-1, run-2, ...")
    return int(index)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0].removesuffix(".dtseries")


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: no such JSON sidecar")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))  # some editors mark it so
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: a {type(content).__name__}; expected a JSON object")
    return content
