"""Preprocessed runs in their own folders: the table that fMRIPrep's and adopted derivatives are read through.

Reads and writes Run objects and the table "bold_runs" (a row a run of one subject).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from boldreel.data import bids_names, tables
from boldreel.errors import UserError


@dataclass(frozen=True)
class Run:
    """One preprocessed run.

    bold, confounds, mask : paths, "" where there is none
    space : name of the space; resolution : voxel size in mm, NaN for CIFTI
    kind : "volume" or "cifti"
    t_r, start_time : s; start_time is what slice-time correction moved volume 0 to (0 without)
    pipeline : "fmriprep" or "hcp"
    """

    segment: str
    repeat: int
    bold: str
    confounds: str
    mask: str
    space: str
    resolution: float
    kind: str
    volumes: int
    t_r: float
    start_time: float
    pipeline: str


def write(path: Path, runs: Sequence[Run]) -> None:
    """Write the table "bold_runs"."""
    import pandas

    frame = pandas.DataFrame([asdict(run) for run in runs])
    tables.write(path, frame.replace({"": None}), "bold_runs")


def read_all(path: Path | str) -> list[Run]:
    """Every run of the table, in its order."""
    frame = tables.read(path, "bold_runs")
    names = [field.name for field in fields(Run)]
    rows: list[dict[str, Any]] = frame[names].to_dict("records")  # type: ignore[assignment]
    whole: list[dict[str, Any]] = [
        {name: "" if value is None else value for name, value in row.items()} for row in rows
    ]
    return [Run(**row) for row in whole]


def read(path: Path | str, segment: str, repeat: int) -> Run:
    """One run of the table; UserError if it is not there."""
    found = [run for run in read_all(path) if (run.segment, run.repeat) == (segment, repeat)]
    if len(found) != 1:
        raise UserError(
            f"{path}: {len(found)} rows for {bids_names.run_label(segment, repeat)}; run the bold stage again"
        )
    return found[0]
