"""Raw BIDS: the runs of a subject, and where their events are.

Takes a BIDS directory; returns one Run per BOLD file. Standard library only: the workflow finds runs while it
plans.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from boldreel.data import files
from boldreel.data.bids_inheritance import events_of
from boldreel.data.bids_names import (
    Key,
    are_echoes,
    count_repeats,
    pair,
    parse_entities,
    run_key,
    run_label,
    stem,
)
from boldreel.errors import UserError
from boldreel.names import natural

_BOLD = (".nii", ".nii.gz")
_FUNC = ("func", "ses-*/func")
_NO_MAGNITUDE = ("phase", "real", "imag")  # of a complex image


@dataclass(frozen=True)
class Run:
    """One functional run, identified by subject, task (segment) and repeat.

    segment is BIDS' task label, repeat its run index (1 where the name has none). Where two sessions
    use the same task and run index, the repeats of that task are counted through in session order.
    fault says why its name does not identify the run, and is empty if it does.
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
        """Where the events file of this run is."""
        return events_of(self.path)

    @property
    def key(self) -> Key:
        """What pairs it with files of other trees (`run_key`)."""
        return run_key(self.path)


BETAS = "SingleTrialBetas"  # key of a sidecar: the volumes of an image are trials


def find_runs(bids_root: Path | str, subject: str) -> list[Run]:
    """All BOLD runs of a subject, with and without sessions, by segment and repeat.

    Two files that claim to be one run are both there, with a fault: whoever needs them refuses them
    (study.selection). The echoes of a run are one run, and of a complex image the magnitude is the run.

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


def find_events(bids_root: Path | str, subject: str) -> dict[Key, Path]:
    """{run_key: events file} of a subject; files whose names do not identify their run are skipped."""
    folder = Path(bids_root) / f"sub-{subject.removeprefix('sub-')}"
    paths = sorted(path for pattern in _FUNC for path in folder.glob(f"{pattern}/sub-*_events.tsv"))
    counted = zip(paths, count_repeats(paths), strict=True)
    return {run_key(path): path for path, (_, _, fault) in counted if not fault}


def raw_name(preprocessed: Path, bids_root: Path | str) -> Path:
    """Path of the raw run of a preprocessed one by what both names state; it may not exist.

    Where the raw data have no such name, it is that of the run which pairs with it (`pair`), fetched or
    only described by its sidecar.
    """
    entities = parse_entities(preprocessed.name)
    session = [f"ses-{entities['ses']}"] if "ses" in entities else []
    common = preprocessed.name.split("_space-")[0].split("_desc-")[0]
    subject = Path(bids_root).joinpath(f"sub-{entities.get('sub', '')}")
    lexical = subject.joinpath(*session, "func") / f"{common}_bold.nii.gz"
    described = lexical.with_name(f"{common}_bold.json")
    if os.path.lexists(lexical) or described.exists() or "task" not in entities:
        return lexical
    sidecars = (path for pattern in _FUNC for path in subject.glob(f"{pattern}/sub-*_bold.json"))
    stated: dict[Key, Path] = {}
    for path in (*_bold_files(subject), *sorted(sidecars)):
        try:
            stated.setdefault(run_key(path), path.with_name(f"{stem(path)}.nii.gz"))
        except UserError:
            continue  # a name that does not identify its run
    key = run_key(preprocessed)
    return stated.get(pair([key], stated).get(key, key), lexical)


def _bold_files(folder: Path) -> list[Path]:
    """The raw BOLD files of a subject's folder; the magnitude alone of complex images."""
    found = (path for pattern in _FUNC for path in folder.glob(f"{pattern}/sub-*_bold.nii*"))
    return sorted(
        path
        for path in found
        if path.name.endswith(_BOLD) and parse_entities(path.name).get("part") not in _NO_MAGNITUDE
    )


def _echoes(paths: Sequence[Path]) -> dict[Path, tuple[Path, ...]]:
    """{first echo: the others} of the runs that names identify; a single file has no others."""
    runs: dict[Key, list[Path]] = {}
    for path in paths:
        with suppress(UserError):
            runs.setdefault(run_key(path), []).append(path)
    found = {}
    for each in runs.values():
        if len(each) > 1 and are_echoes(each):
            each.sort(key=lambda path: int(parse_entities(path.name)["echo"]))
        found[each[0]] = tuple(each[1:])
    return found
