"""Tables: Parquet between stages, TSV where a person reads; checked against `schemas.TABLES`.

Reads and writes pandas DataFrames. Extra columns are kept, columns of the schema are checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel.data import atomic
from boldreel.data.schemas import TABLES, Column
from boldreel.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def write(path: str | Path, frame: pd.DataFrame, schema: str) -> None:
    """Check `frame` against the named schema and write it (.parquet or .tsv) in one step.

    Raises UserError if the frame does not fit the schema.
    """
    path = Path(path)
    frame = check(frame, schema, path)
    with atomic.file(path) as aside:
        if path.suffix == ".parquet":
            frame.to_parquet(aside, index=False)
        else:
            frame.to_csv(aside, sep="\t", index=False, na_rep="n/a")


def read(path: str | Path, schema: str) -> pd.DataFrame:
    """Read a .parquet or .tsv table and check it against the named schema.

    Raises UserError if the file is missing, unreadable or does not fit.
    """
    import pandas as pd

    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: table not found; run the stage that writes it")
    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
        else:
            text = {name: str for name, column in TABLES[schema].items() if column.kind == "text"}
            frame = pd.read_csv(
                path, sep="\t", na_values=["n/a"], keep_default_na=False, dtype=text
            )
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: unreadable table ({str(error).splitlines()[0]})") from None
    return check(frame, schema, path)


def numbers(path: str | Path, schema: str, names: list[str]) -> dict[str, np.ndarray]:
    """Some columns of numbers of a .parquet table, each (rows,): int64 or float64, as the schema says.

    NaN stands where the schema allows a value to be missing.
    Goes without pandas, whose import takes longer than the steps that run once for every run.
    pyarrow imports it for `parquet.read_table`, `to_numpy` and `fill_null`, so none of these is called.
    Raises UserError if the file is missing, unreadable, or a column is absent or not all numbers.
    """
    from pyarrow import ArrowException, parquet

    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: table not found; run the stage that writes it")
    try:
        with parquet.ParquetFile(path) as file:
            table = file.read()
    except (ArrowException, OSError) as error:
        raise UserError(f"{path}: unreadable table ({str(error).splitlines()[0]})") from None
    out = {}
    for name in names:
        if name not in table.column_names:
            raise UserError(f"{path}: column {name!r} is missing (table kind {schema!r})")
        column = TABLES[schema][name]
        kind = "int64" if column.kind == "int" else "float64"
        try:
            values = table[name].cast(kind)
        except ArrowException:
            raise UserError(f"{path}: column {name!r} is not of kind {column.kind}") from None
        if values.null_count and not column.missing:
            raise UserError(f"{path}: column {name!r}: a value is missing")
        out[name] = np.array(values.to_pylist(), dtype=kind)
    return out


def check(frame: pd.DataFrame, schema: str, where: str | Path) -> pd.DataFrame:
    """Return `frame` with the schema's columns first and of the schema's kinds.

    Raises UserError naming the table, the column and the first bad row.
    """
    columns = TABLES[schema]
    needed = [name for name, column in columns.items() if not column.optional]
    absent = [name for name in needed if name not in frame.columns]
    if absent:
        raise UserError(f"{where}: column {absent[0]!r} is missing (table kind {schema!r})")
    frame = frame.copy(deep=False)
    for name, column in columns.items():
        if name in frame.columns:
            frame[name] = _as_kind(frame[name], column, name, where)
    first = [name for name in columns if name in frame.columns]
    return frame[first + [name for name in frame.columns if name not in columns]]


def _as_kind(values: pd.Series, column: Column, name: str, where: str | Path) -> pd.Series:
    import pandas as pd

    empty = values.isna()
    if empty.any() and not column.missing:
        row = int(empty.to_numpy().argmax())
        raise UserError(f"{where}: row {row}, column {name!r}: value is missing")
    try:
        if column.kind == "text":
            return values.astype(object).where(~empty, None)
        if column.kind == "bool":
            if values.dtype == object or str(values.dtype) in ("str", "string"):
                values = values.map({"True": True, "False": False, True: True, False: False})
            return values.astype(bool)
        numbers = pd.to_numeric(values)
        if column.kind == "int":
            whole = numbers.astype("int64")
            if (whole != numbers).any():
                raise ValueError("not a whole number")
            return whole
        return numbers.astype("float64")
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{where}: column {name!r} is not of kind {column.kind} ({str(error).splitlines()[0]})"
        ) from None
