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
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from boldreel.data import event_files, files
from boldreel.errors import UserError

# (task, session, run index) of a file's name, then the further entities that tell runs apart ("dir-AP").
Key = tuple[str, str, int, *tuple[str, ...]]

_BOLD = (".nii", ".nii.gz")
_FUNC = ("func", "ses-*/func")
_CLOCK_TOLERANCE = 60.0  # s by which clocks may differ
_SETTLED = 2_000_000_000  # ns, the coarsest dates of files that are in use
_TELLING = ("acq", "ce", "dir", "rec")  # entities that tell two runs of one task apart
_INDICES = ("run", "echo", "flip", "inv", "split", "chunk")  # numbers: run-01 is run-1
_NO_MAGNITUDE = ("phase", "real", "imag")  # of a complex image
# Numbers of a sidecar that converters and scripts have written as text.
_NUMBERS = ("RepetitionTime", "StartTime", "DelayTime", "EchoTime", "SliceTiming")


@dataclass(frozen=True)
class Run:
    """One functional run: which subject saw which segment for the how-manieth time.

    segment is BIDS' task label, repeat its run index (1 where the name has none). Where two sessions
    use the same task and run index, the repeats of that task are counted through in session order.
    fault says why the run cannot be told from others by its name, and is empty if it can.
    path is the first echo of a run of several, echoes are the others.
    """

    subject: str
    segment: str
    repeat: int
    path: Path
    session: str | None = None
    fault: str = ""
    echoes: tuple[Path, ...] = ()

    @property
    def label(self) -> str:
        """What names this run's files downstream, for example ``task-train01_run-1``."""
        return run_label(self.segment, self.repeat)

    @property
    def events(self) -> Path:
        """Where the events file of this run lies."""
        return events_of(self.path)

    @property
    def key(self) -> Key:
        """What pairs it with files of other trees (`run_key`)."""
        return run_key(self.path)


def check_source(path: Path | str, now: float | None = None) -> None:
    """Whether a file that no rule makes can be read, and is not dated in the future.

    Snakemake compares dates: what is made from a file of tomorrow would be older than it, and fail.

    Raises
    ------
    UserError : a dangling link, a pointer to content that was not fetched, a file that may not be read or
        is dated in the future. A file that is not there at all is left to others, who know what it is.
    """
    path = Path(path)
    try:
        dated = path.stat().st_mtime
    except OSError as error:
        if error.errno == errno.EACCES:
            raise UserError(f"{path}: no permission to look at it; ask for it") from None
        files.check_fetched(path)
        return
    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: no permission to read it; chmod u+r, or ask for it")
    files.check_fetched(path)
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
    """BIDS entities of a file name, for example {"sub": "01", "task": "train01", "run": "1"}.

    A plus joins labels, and the whole is one value: "acq-6p+s2" is not "acq-6p".
    """
    return dict(re.findall(r"(?:^|_)([a-zA-Z0-9]+)-([a-zA-Z0-9+]+)", name.split(".")[0]))


def find_runs(bids_root: Path | str, subject: str) -> list[Run]:
    """All BOLD runs of a subject, with and without sessions, by segment and repeat.

    Two files that claim to be one run are both there, with a fault: whoever needs them refuses them
    (data.selection). The echoes of a run are one run, and of a complex image the magnitude is the run.

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
    runs = []
    echoes = _echoes(paths)
    for counted, path in zip(count_repeats(paths), paths, strict=True):
        if counted.fault or path in echoes:
            session = parse_entities(path.name).get("ses")
            further = () if counted.fault else echoes[path]
            runs.append(Run(label, *counted[:2], path, session, counted.fault, further))
    return sorted(runs, key=lambda run: (natural(run.segment), run.repeat))


def has_bold(bids_root: Path | str, subject: str) -> bool:
    """Whether the data set holds raw BOLD of a subject.

    Shared derivatives often come without it, or with links whose content was not fetched.
    """
    folder = Path(bids_root) / f"sub-{subject.removeprefix('sub-')}"
    return any(files.present(path) for path in _bold_files(folder))


def run_keys(bids_root: Path | str, subject: str) -> set[Key]:
    """run_key of every raw run of a subject, including runs whose content was not fetched."""
    paths = _bold_files(Path(bids_root) / f"sub-{subject.removeprefix('sub-')}")
    counted = zip(paths, count_repeats(paths), strict=True)
    return {run_key(path) for path, (_, _, fault) in counted if not fault}


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


def find_events(bids_root: Path | str, subject: str) -> dict[Key, Path]:
    """{run_key: events file} of a subject; files whose names do not tell their run are passed over."""
    folder = Path(bids_root) / f"sub-{subject.removeprefix('sub-')}"
    paths = sorted(path for pattern in _FUNC for path in folder.glob(f"{pattern}/sub-*_events.tsv"))
    counted = zip(paths, count_repeats(paths), strict=True)
    return {run_key(path): path for path, (_, _, fault) in counted if not fault}


def events_of(bold: Path | str) -> Path:
    """The events file of a raw run, there or not: next to it, else the nearest further up that applies.

    BIDS' inheritance: one whose entities the run has; of several in a folder the one with most. A template
    that nobody filled in (heudiconv writes one next to each run) says nothing, and gives way to one further
    up.
    """
    path = Path(bold)
    beside = path.with_name(_stem(path).removesuffix("_bold") + "_events.tsv")
    if beside.exists() and not event_files.is_template(beside):
        return beside
    for folder in _folders_above(path):
        applying = [each for each in _applying(folder, path, "_events.tsv") if each != beside]
        if applying:
            return applying[-1]
    return beside


def raw_name(preprocessed: Path, bids_root: Path | str) -> Path:
    """Path of the raw run of a preprocessed one by what both names state; it may not exist.

    Where the raw data have no such name, it is that of the run which pairs with it (`pair`), fetched or
    only described by its sidecar.
    """
    entities = parse_entities(preprocessed.name)
    session = [f"ses-{entities['ses']}"] if "ses" in entities else []
    stem = preprocessed.name.split("_space-")[0].split("_desc-")[0]
    subject = Path(bids_root).joinpath(f"sub-{entities.get('sub', '')}")
    lexical = subject.joinpath(*session, "func") / f"{stem}_bold.nii.gz"
    described = lexical.with_name(f"{stem}_bold.json")
    if os.path.lexists(lexical) or described.exists() or "task" not in entities:
        return lexical
    sidecars = (path for pattern in _FUNC for path in subject.glob(f"{pattern}/sub-*_bold.json"))
    stated: dict[Key, Path] = {}
    for path in (*_bold_files(subject), *sorted(sidecars)):
        try:
            stated.setdefault(run_key(path), path.with_name(f"{_stem(path)}.nii.gz"))
        except UserError:
            continue  # a name that does not tell its run
    key = run_key(preprocessed)
    return stated.get(pair([key], stated).get(key, key), lexical)


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
    session order. Echoes are one run. Files that differ in acquisition, direction, reconstruction or
    contrast agent are different runs, with the same segment and repeat (`same_label`). A file whose name does
    not tell its run, or that claims to be the same run as another, has a fault and is not counted.
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
        if len(claiming) == 1 or _are_echoes(claiming):
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


def _are_echoes(paths: Sequence[Path]) -> bool:
    """Whether files of one run are its echoes, each of its own number."""
    echoes = [parse_entities(path.name).get("echo", "") for path in paths]
    return all(echo.isdigit() for echo in echoes) and len(set(map(int, echoes))) == len(paths)


def _echoes(paths: Sequence[Path]) -> dict[Path, tuple[Path, ...]]:
    """{first echo: the others} of the runs of files whose names tell their run; of one file no others."""
    runs: dict[Key, list[Path]] = {}
    for path in paths:
        with suppress(UserError):
            runs.setdefault(run_key(path), []).append(path)
    found = {}
    for each in runs.values():
        if len(each) > 1 and _are_echoes(each):
            each.sort(key=lambda path: int(parse_entities(path.name)["echo"]))
        found[each[0]] = tuple(each[1:])
    return found


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
    suffix = _stem(path).rsplit("_", 1)[-1]
    merged: dict[str, Any] = {}
    for folder in reversed(_folders_above(path)):
        for candidate in _applying(folder, path, ".json"):
            if _stem(candidate).rsplit("_", 1)[-1] == suffix:
                merged |= _read_json(candidate)
    return merged


def _applying(folder: Path, path: Path, ending: str) -> list[Path]:
    """Files of a folder whose entities a data file has, by how many these are, then by name."""
    entities = _comparable(path.name)
    stated = _stated(folder)
    applying = [
        name
        for name, own in stated.items()
        if name.endswith(ending) and own.items() <= entities.items()
    ]
    return [folder / name for name in sorted(applying, key=lambda name: (len(stated[name]), name))]


def _stated(folder: Path) -> Mapping[str, dict[str, str]]:
    """{name: entities} of the JSON and events files of a folder; empty if it cannot be read.

    Each run asks for the root, where every subject has a folder. So what it holds is remembered, unless the
    folder changed just now: the date of a second change could be the same.
    """
    try:
        changed = folder.stat().st_mtime_ns
        settled = time.time_ns() - changed > _SETTLED
        return _remembered(folder, changed) if settled else _listed(folder)
    except OSError:
        return {}


def _listed(folder: Path) -> dict[str, dict[str, str]]:
    return {
        name: _comparable(name)
        for name in (path.name for path in folder.iterdir())
        if name.endswith((".json", "_events.tsv")) and not name.startswith(".")
    }


@lru_cache(maxsize=16)
def _remembered(folder: Path, changed: int) -> dict[str, dict[str, str]]:
    return _listed(folder)


def _comparable(name: str) -> dict[str, str]:
    """Entities of a file name, indices without leading zeros."""
    return {
        entity: value.lstrip("0") or "0" if entity in _INDICES else value
        for entity, value in parse_entities(name).items()
    }


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
    """The raw BOLD files of a subject's folder; the magnitude alone of complex images."""
    found = (path for pattern in _FUNC for path in folder.glob(f"{pattern}/sub-*_bold.nii*"))
    return sorted(
        path
        for path in found
        if path.name.endswith(_BOLD) and parse_entities(path.name).get("part") not in _NO_MAGNITUDE
    )


def _repeat(entities: dict[str, str], path: Path) -> int:
    index = entities.get("run", "1")
    if not index.isdigit() or int(index) < 1:
        raise UserError(f"{path}: run-{index} is no run number; expected run-1, run-2, ...")
    return int(index)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0].removesuffix(".dtseries")


def _read_json(path: Path) -> dict[str, Any]:
    files.check_fetched(path)
    if not path.is_file():
        raise UserError(f"{path}: no such JSON sidecar")
    try:
        content = json.loads(files.read_text(path))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: a {type(content).__name__}; expected a JSON object")
    return content | {name: _number(content[name]) for name in _NUMBERS if name in content}


def _number(value: Any) -> Any:
    """A number that was written as text; anything else as it is, for those who need it to refuse."""
    if isinstance(value, list):
        return [_number(each) for each in value]
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
