"""Events and metadata of a run by BIDS' inheritance.

A file higher up applies to every run that has its entities. Takes the path of a data file; returns its events
file and the content of its sidecars. Standard library only: the workflow reads them while it plans.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from boldreel.data import event_files, files
from boldreel.data.bids_names import parse_entities, stem
from boldreel.errors import UserError

_SETTLED = 2_000_000_000  # ns, the coarsest dates of files that are in use
_INDICES = ("run", "echo", "flip", "inv", "split", "chunk")  # numbers: run-01 is run-1
# Numbers of a sidecar that converters and scripts have written as text.
_NUMBERS = ("RepetitionTime", "StartTime", "DelayTime", "EchoTime", "SliceTiming")


def events_of(bold: Path | str) -> Path:
    """The events file of a raw run, there or not: next to it, else the nearest further up that applies.

    BIDS' inheritance: one whose entities the run has; of several in a folder the one with most. A template
    that nobody filled in (heudiconv writes one next to each run) says nothing, and gives way to one further
    up.
    """
    path = Path(bold)
    beside = path.with_name(stem(path).removesuffix("_bold") + "_events.tsv")
    if beside.exists() and not event_files.is_template(beside):
        return beside
    for folder in _folders_above(path):
        applying = [each for each in _applying(folder, path, "_events.tsv") if each != beside]
        if applying:
            return applying[-1]
    return beside


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
            f"{path}: no JSON sidecar describes it; write {stem(path)}.json next to it with "
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
    suffix = stem(path).rsplit("_", 1)[-1]
    merged: dict[str, Any] = {}
    for folder in reversed(_folders_above(path)):
        for candidate in _applying(folder, path, ".json"):
            if stem(candidate).rsplit("_", 1)[-1] == suffix:
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
