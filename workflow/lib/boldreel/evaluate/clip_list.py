"""Runs, shots and attributes of clips, from a table that the user may give.

Takes the names of the matched clips and a table with the column clip and optional columns run and
shot; every other column is an attribute. Leaves one row per clip as `score` needs it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from boldreel.data import tables
from boldreel.errors import UserError
from boldreel.evaluate import videos

if TYPE_CHECKING:
    import pandas as pd

_TAKEN = {"all", "seen", "unseen"}  # what the score table calls other sets of clips


def every(names: Sequence[str]) -> pd.DataFrame:
    """All clips as one run in the order of `names`, each its own shot."""
    import pandas as pd

    clips = list(names)
    return _rows(pd.DataFrame({"clip": clips, "run": "all", "shot": clips}), [])


def read(path: Path, names: Sequence[str]) -> tuple[pd.DataFrame, list[str], list[str]]:
    """The table's rows of the clips in `names`, in the table's order, which is the order in time.

    Returns
    -------
    (rows with clip, segment, movie, index, shot, attributes; clips that only the table has; clips
    that only `names` has). Raises UserError if a clip has two rows, a run has a name of other use,
    or none of the names is in the table.
    """
    table = tables.read(path, "clip_list")
    table["clip"] = [videos.named(clip) for clip in table["clip"]]
    twice = table["clip"][table["clip"].duplicated()]
    if len(twice):
        raise UserError(f"{path}: clip {twice.iloc[0]} is there twice; keep one row")
    attributes = [column for column in table.columns if column not in ("clip", "run", "shot")]
    known = table[table["clip"].isin(set(names))].reset_index(drop=True)
    if not len(known):
        raise UserError(
            f"{path}: none of its clips is in both folders (first: {table['clip'].iloc[0]})"
        )
    if "run" not in known.columns:
        known["run"] = "all"
    if "shot" not in known.columns:
        known["shot"] = known["clip"]
    if known["run"].nunique() > 1:
        bad = sorted(set(known["run"]) & _TAKEN)
        if bad:
            raise UserError(
                f"{path}: a run is called {bad[0]!r}, which means other sets of clips here"
            )
        # Shots may be counted again in each run.
        known["shot"] = known["run"] + " " + known["shot"]
    inside = set(known["clip"])
    absent = [clip for clip in table["clip"] if clip not in inside]
    return _rows(known, attributes), absent, [name for name in names if name not in inside]


def _rows(table: pd.DataFrame, attributes: Sequence[str]) -> pd.DataFrame:
    told = [
        json.dumps({k: str(v) for k, v in zip(attributes, row, strict=True) if v == v and v != ""})
        for row in table[list(attributes)].itertuples(index=False)
    ]
    return table[["clip", "shot"]].assign(
        segment=table["run"],
        movie="",
        index=range(len(table)),
        attributes=told or "{}",
    )
