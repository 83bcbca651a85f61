"""Arrays: `.npy` that opens memory-mapped, with a JSON sidecar that says what it is.

Reads and writes NumPy arrays. The sidecar stands next to the array under the same stem and holds
shape, dtype, kind, and whatever the writer adds (units, space, t_r in seconds, sources).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np

from boldreel.data import atomic
from boldreel.data.schemas import ARRAYS
from boldreel.errors import UserError


def save(path: str | Path, array: np.ndarray, *, kind: str, **meta: Any) -> None:
    """Write `array` to `path` (.npy) and its sidecar (.json).

    The sidecar is written last and carries the shape: an array whose sidecar is missing or does
    not match is not a result. Raises UserError if the array is not of its kind.
    """
    path = Path(path)
    _check(array, meta, kind, path)
    with atomic.file(path) as aside, open(aside, "wb") as target:
        np.lib.format.write_array(target, np.ascontiguousarray(array), allow_pickle=False)
    sidecar = {"kind": kind, "shape": list(array.shape), "dtype": str(array.dtype), **meta}
    atomic.write_text(path.with_suffix(".json"), json.dumps(sidecar, indent=1) + "\n")


def save_rows(path: str | Path, rows: Iterable[np.ndarray], *, kind: str, **meta: Any) -> int:
    """`save`, of rows of one shape and dtype that come one by one; returns their number, at least one.

    None of them is kept in memory. The file is byte for byte that of `save`.
    """
    path = Path(path)
    count, first = 0, np.zeros(0)
    with atomic.file(path) as aside, open(aside, "wb") as target:
        for row in rows:
            if not count:
                first = row[None]
                _check(first, meta, kind, path)
                _write_header(target, first, 1)
            if row.shape != first.shape[1:] or row.dtype != first.dtype:
                raise ValueError(
                    f"{path}: a row of {row.dtype} {row.shape} among {first.shape[1:]}"
                )
            target.write(np.ascontiguousarray(row).data)
            count += 1
        if not count:
            raise ValueError(f"{path}: no rows to write")
        target.seek(0)  # NumPy leaves room in the header for any number of rows
        _write_header(target, first, count)
    shape = [count, *first.shape[1:]]
    sidecar = {"kind": kind, "shape": shape, "dtype": str(first.dtype), **meta}
    atomic.write_text(path.with_suffix(".json"), json.dumps(sidecar, indent=1) + "\n")
    return count


def _write_header(target: IO[bytes], first: np.ndarray, count: int) -> None:
    shape = (count, *first.shape[1:])
    about = np.lib.format.header_data_from_array_1_0(np.broadcast_to(first, shape))
    np.lib.format.write_array_header_1_0(target, about | {"fortran_order": False})


def load(path: str | Path, *, kind: str, mmap: bool = True) -> tuple[np.ndarray, dict[str, Any]]:
    """Return (array, sidecar). `mmap=True` opens read-only without reading the values.

    Raises UserError if either file is missing, unreadable, or not of the kind.
    """
    path = Path(path)
    try:
        meta = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        array = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(
            f"{error.filename}: array not found; run the stage that writes it"
        ) from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: unreadable array ({error}); delete it and run again") from None
    if list(array.shape) != meta.get("shape"):
        raise UserError(
            f"{path}: shape {list(array.shape)} is not its sidecar's {meta.get('shape')}; "
            "delete both and run again"
        )
    _check(array, meta, kind, path)
    return array, meta


def _check(array: np.ndarray, meta: dict[str, Any], kind: str, path: Path) -> None:
    wanted = ARRAYS[kind]
    if array.ndim != wanted.ndim:
        raise UserError(f"{path}: {array.ndim} dimensions, {kind!r} has {wanted.ndim}")
    if str(array.dtype) not in wanted.dtypes:
        raise UserError(f"{path}: dtype {array.dtype}, {kind!r} is {' or '.join(wanted.dtypes)}")
    absent = [key for key in wanted.meta if key not in meta]
    if absent:
        raise UserError(f"{path}: {absent[0]!r} is missing in its sidecar; {kind!r} needs it")
