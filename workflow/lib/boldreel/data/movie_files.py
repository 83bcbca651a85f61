"""The files of the movies that were shown."""

from __future__ import annotations

import os
from pathlib import Path

from boldreel.errors import UserError

_VIDEO = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".gif", ".m4v", ".mpg", ".wmv")
_STILL = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def check_film(path: str, origin: str) -> None:
    """UserError if what was shown is a still image. origin : the row that names it."""
    if path.lower().endswith(_STILL):
        raise UserError(
            f"{origin or path}: {Path(path).name} is a still image, and clips are cut from films; leave such "
            "rows out with presentations.rules (rows: {COLUMN: VALUE of the rows that show films}), or name "
            "only films in segments"
        )


def file_of(stimuli: str | Path, stimulus: str) -> str:
    """The path of a movie by the name that events give it, a path below the folder of stimuli.

    A `*` in the name stands for a part of the path that events do not say. If there is no such file, a
    video of
    the same name with any suffix counts, and one below the folder above (BIDS allows `stimuli/x.mp4`).

    Raises
    ------
    UserError : no such file, or several.
    """
    folder = Path(stimuli)
    if any(sign in stimulus for sign in "*?["):
        found = sorted(path for path in folder.glob(stimulus) if not path.is_dir())
        if len(found) > 1:
            raise UserError(
                f"{folder}: {len(found)} files fit {stimulus} ({found[0].name}, {found[1].name}); write "
                "more of the path"
            )
        if found:
            return str(found[0])
    else:
        name = Path(stimulus)
        first = folder / name
        if ".." not in name.parts and os.path.lexists(first) and not first.is_dir():
            return str(first)  # thousands are asked for
        inside = []
        if name.parts[0] == folder.name:
            inside.append(folder.parent / stimulus)
        beside = folder / name.parent if ".." not in name.parts else folder
        others = [
            place / f"{name.stem}{suffix}"
            for place in dict.fromkeys((beside, folder))
            for suffix in _VIDEO
        ]
        for path in (*inside, *others):
            if os.path.lexists(path) and not path.is_dir():  # a dangling link is reported as such
                return str(path)
    raise UserError(
        f"{folder}: movie {stimulus} was shown but is missing; add it, correct the name, or set "
        "stimuli.folder"
    )
