"""Which movies were shown, and the paths of their files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from boldreel.configuration import fault_of
from boldreel.data.event_files import stim_files
from boldreel.errors import UserError

_VIDEO = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".gif", ".m4v", ".mpg", ".wmv")


def shown(events: Iterable[str | Path]) -> dict[str, str]:
    """{movie name: stim_file} of everything that the events files show, sorted by name.

    Raises UserError if two movies have the same name, or a name cannot be that of a folder.
    """
    found: dict[str, str] = {}
    for path in events:
        for value in stim_files(path):
            name = Path(value).stem
            fault = "begins with a dot" if name.startswith(".") else fault_of(name)
            if fault:
                raise UserError(f"{path}: stim_file {value!r} {fault}")
            if found.setdefault(name, value) != value:
                raise UserError(f"{path}: two movies are named {name!r}: {found[name]} and {value}")
    return found


def file_of(bids: str | Path, stim_file: str) -> str:
    """The path of a movie by its `stim_file`, a path below `stimuli/`; UserError if it is missing.

    If there is no such file, a video of the same name with any suffix counts.
    """
    stimuli, name = Path(bids) / "stimuli", Path(stim_file).stem
    inside = [stimuli / stim_file] if ".." not in Path(stim_file).parts else []
    others = [stimuli / f"{name}{suffix}" for suffix in _VIDEO]
    for path in (*inside, *others):
        if os.path.lexists(path) and not path.is_dir():  # a dangling link is reported as such
            return str(path)
    raise UserError(
        f"{stimuli}: movie {stim_file} is named by the events but is missing; add it or correct stim_file"
    )
