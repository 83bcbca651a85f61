"""Which raw runs fMRIPrep will skip, known before it runs for a day.

Takes the ``bold.fmriprep`` section and raw runs; returns why a run is skipped, or nothing. Standard
library only: the Snakefile calls it. Filters are those of fMRIPrep's --bids-filter-file, in pybids' syntax.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from boldreel.data import atomic, bids_names
from boldreel.errors import UserError

_ENTITIES = {"task": "task", "session": "ses", "acquisition": "acq", "direction": "dir"}
_ENTITIES |= {"reconstruction": "rec", "run": "run"}
_TASK_OPTIONS = ("-t", "--task-id", "--task_id")


def read(section: Mapping[str, Any]) -> dict[str, list[str]]:
    """The values that runs must have, by entity, from `bids_filter` and fMRIPrep's task option.

    Values other than strings and numbers (pybids has words for "any" and "none") are left to fMRIPrep.

    Raises
    ------
    UserError : the filter is missing, or is not JSON with an object for each kind of image.
    """
    wanted: dict[str, list[str]] = {}
    if section["bids_filter"]:
        path = Path(section["bids_filter"])
        if not path.is_file():
            raise UserError(f"{path}: no such file; correct bold.fmriprep.bids_filter")
        try:
            about = json.loads(path.read_text(encoding="utf-8-sig")).get("bold", {})
            named = {_ENTITIES[key]: value for key, value in about.items() if key in _ENTITIES}
        except (ValueError, AttributeError) as error:
            raise UserError(f"{path}: not a BIDS filter in JSON ({error})") from None
        for entity, value in named.items():
            values = value if isinstance(value, list) else [value]
            if all(isinstance(each, str | int) and "*" not in str(each) for each in values):
                wanted[entity] = [str(each) for each in values]
    options = list(section["options"])
    for option, value in pairwise(options):
        if option in _TASK_OPTIONS:
            wanted["task"] = [value.removeprefix("task-")]
    return wanted


def left_out(wanted: Mapping[str, list[str]], path: Path) -> str:
    """Why fMRIPrep skips a raw run, or nothing."""
    entities = bids_names.parse_entities(path.name)
    for entity, values in wanted.items():
        own = entities.get(entity, "")
        known = {own, own.lstrip("0")} if entity == "run" else {own}
        if not known & {value.lstrip("0") if entity == "run" else value for value in values}:
            return "left out by the bids_filter or options of bold.fmriprep"
    return ""


def write(path: Path, wanted: Mapping[str, list[str] | None]) -> None:
    """A filter that passes the BOLD of these entities only."""
    atomic.write_text(path, json.dumps({"bold": wanted}, indent=1) + "\n")
