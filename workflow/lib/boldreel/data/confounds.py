"""Confounds tables as fMRIPrep writes them, and the embedded engine too.

Takes a TSV with a row for each volume; returns its columns as arrays. Goes without pandas, whose import takes
longer than the steps that run once for every run.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from boldreel.data import files
from boldreel.errors import UserError


def read(path: Path, count: int, needed: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Column name to float64 (count,), NaN for n/a.

    Parameters
    ----------
    count : volumes of the run. needed : columns that must be there.

    Raises
    ------
    UserError : there is no such file, it has another number of rows, a cell is no number, or a
        column is missing.
    """
    files.check_fetched(path)
    if not path.exists():
        raise UserError(f"{path}: confounds not found; run the bold stage")
    try:
        with open(path, encoding="utf-8-sig", newline="") as source:
            lines = [row for row in csv.reader(source, delimiter="\t") if row]
        header, *rows = lines or [[]]
        for number, row in enumerate(rows, start=2):
            if len(row) != len(header):
                raise ValueError(f"line {number} has {len(row)} cells for {len(header)} columns")
        values = np.array(
            [[np.nan if cell == "n/a" else float(cell) for cell in row] for row in rows]
        )
    except ValueError as error:
        raise UserError(f"{path}: {error}; preprocess the run again") from None
    if len(rows) != count:
        raise UserError(f"{path}: {len(rows)} rows for {count} volumes; preprocess the run again")
    absent = [name for name in needed if name not in header]
    if absent:
        raise UserError(f"{path}: no column {absent[0]}; preprocess the run again")
    return dict(zip(header, values.T, strict=True))
