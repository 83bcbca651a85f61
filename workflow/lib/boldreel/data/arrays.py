"""Arrays: `.npy` that opens memory-mapped, with a JSON sidecar that says what it is.

Reads and writes NumPy arrays. The sidecar stands next to the array under the same stem and holds
shape, dtype, kind, and whatever the writer adds (units, space, t_r in seconds, sources).
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


@contextmanager
def growing(
    path: str | Path, *, kind: str, meta: dict[str, Any]
) -> Iterator[Callable[[np.ndarray], None]]:
    """Write an array piece by piece, so that no more than a piece is in memory.

    Yields a function that takes the next rows. Array and sidecar are there when the block has ended, byte
    for byte as `save` writes them. `meta` is read at the end, so that the block may fill it.

    Raises
    ------
    UserError : no rows, or rows that do not fit those before them or the kind of array.
    """
    path = Path(path)
    first: np.ndarray | None = None
    count = 0
    with atomic.file(path) as aside, open(aside, "w+b") as target:

        def append(rows: np.ndarray) -> None:
            nonlocal first, count
            if first is None:
                first = rows[:0]
                target.write(_header(rows, len(rows)))
            if rows.shape[1:] != first.shape[1:] or rows.dtype != first.dtype:
                raise UserError(
                    f"{path}: rows of {rows.dtype} {rows.shape[1:]} follow rows of {first.dtype} "
                    f"{first.shape[1:]}; all parts of an array have one shape"
                )
            np.ascontiguousarray(rows).tofile(target)
            count += len(rows)

        yield append
        if first is None:
            raise UserError(f"{path}: nothing to write")
        _check(first, meta, kind, path)
        target.seek(0)
        target.write(_header(first, count))  # NumPy leaves room for any number of rows
    shape = [count, *first.shape[1:]]
    sidecar = {"kind": kind, "shape": shape, "dtype": str(first.dtype), **meta}
    atomic.write_text(path.with_suffix(".json"), json.dumps(sidecar, indent=1) + "\n")


def _header(rows: np.ndarray, count: int) -> bytes:
    """What a `.npy` of `count` such rows begins with."""
    stream = io.BytesIO()
    facts = np.lib.format.header_data_from_array_1_0(np.empty((0, *rows.shape[1:]), rows.dtype))
    np.lib.format.write_array_header_1_0(stream, facts | {"shape": (count, *rows.shape[1:])})
    return stream.getvalue()


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
