"""Where the annotations of a movie are: next to it, or in one table of all movies.

Takes movies by name, path below the folder of stimuli and file; returns paths of tables, and the names that
one table has for movies. Standard library only: the workflow asks while it plans.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from boldreel.errors import UserError

COLUMN = "movie"


def beside(movie: str | Path) -> Path | None:
    """The table next to a movie's file, None without one; a dangling link is reported when it is read."""
    path = Path(movie).with_suffix(".tsv")
    return path if os.path.lexists(path) else None


def movies_in(table: str | Path) -> set[str]:
    """The movies that one table of annotations names, as it spells them.

    Raises
    ------
    UserError : no such table, or no column `movie`.
    """
    path = Path(table)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.reader(lines, delimiter="\t")
            names = next(rows, [])
            if COLUMN not in names:
                raise UserError(
                    f"{path}: no column {COLUMN} (found {', '.join(names) or 'nothing'}); "
                    "stimuli.annotations is one table with movie, onset, duration, shot and caption"
                )
            at = names.index(COLUMN)
            return {row[at] for row in rows if len(row) > at and row[at]}
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such table of annotations; correct stimuli.annotations"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a readable table ({error}); save it as UTF-8") from None


def name_in(
    names: Collection[str], movie: str, file: str | Path, stimuli: str | Path
) -> str | None:
    """What one table of annotations calls a movie; None if it does not name it.

    Parameters
    ----------
    names : the movies in the table: names in the results, or paths below the folder of stimuli, with or
        without that folder's own name and with or without suffix
    movie : the movie's name in the results
    file : its file; stimuli : the folder of stimuli
    """
    path, folder = PurePosixPath(Path(file).absolute()), PurePosixPath(Path(stimuli).absolute())
    below = [path.relative_to(top) for top in (folder, folder.parent) if path.is_relative_to(top)]
    spelt = [movie, *(str(each) for each in below), *(str(each.with_suffix("")) for each in below)]
    return next((name for name in spelt if name in names), None)
