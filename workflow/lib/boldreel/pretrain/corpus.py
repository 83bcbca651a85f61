"""The pretraining corpus: cleaned series of many runs in shards that open memory-mapped.

Reads `{subject}/series/{run}.npy` of the pretraining cohort and the positions table, one run in
memory at a time; writes `shard-0000.npy` (volumes, V), `present.npy` (one row per run),
`manifest.parquet` (one row per piece of a run in a shard) and `positions.parquet`. With
`segment_duration` each row is the mean of the volumes in that many seconds (MinD-Vis averages ten
volumes of 0.72 s), otherwise one volume.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.data import arrays, atomic, provenance, tables
from boldreel.data.responses import subject_of
from boldreel.errors import UserError
from boldreel.pretrain.settings import CorpusSettings
from boldreel.settings import read
from boldreel.step import parser, run
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

# Rows that may be read before their pages are given back: a row can bring 2 MB of its file with it.
_RESIDENT_ROWS = 256


def average_segments(series: np.ndarray, t_r: float, duration: float) -> np.ndarray:
    """Means over consecutive segments of `duration` seconds, (volumes, V) to (segments, V).

    A segment has the nearest whole number of volumes, at least one; volumes that fill no segment
    at the end of the run are left out.
    """
    length = max(1, round(duration / t_r))
    n = len(series) // length
    whole = np.asarray(series[: n * length], np.float32)
    return whole if length == 1 else whole.reshape(n, length, series.shape[1]).mean(1)


def build(
    series: Iterable[Path],
    positions: Path,
    output: Path,
    *,
    segment_duration: float = 0.0,
    shard_volumes: int = 20000,
) -> None:
    """Write the corpus; see the module's head. Rows keep the order of `series`.

    Raises UserError if a run does not fit the positions table, is shorter than a segment, holds
    values that are not finite, or has the content of another run.
    """
    table = tables.read(positions, "positions")
    paths = list(series)
    seen: dict[str, Path] = {}
    rows: list[dict[str, Any]] = []
    presence: list[np.ndarray] = []
    with atomic.folder(output) as aside:
        shards = _Shards(aside, len(table), shard_volumes)
        progress = Progress(len(paths), "corpus", unit="runs")
        for path in paths:
            values, meta = arrays.load(path, kind="series")
            content = provenance.digest(path)
            if content in seen:
                raise UserError(
                    f"{path}: same content as {seen[content]}; remove one of the two runs"
                )
            seen[content] = path
            volumes = average_segments(values, meta["t_r"], segment_duration)
            _check(volumes, values.shape, len(table), path)
            presence.append((values != 0).any(axis=0))
            label = {"subject": subject_of(path), "run": meta["run"], "t_r": float(meta["t_r"])}
            for shard, row, n in shards.add(volumes):
                rows.append({"shard": shard, "row": row, "n": n, **label, "hash": content})
            progress.update()
        shards.close()
        arrays.save(aside / "present.npy", np.stack(presence), kind="presence")
        tables.write(aside / "manifest.parquet", _frame(rows), "corpus")
        tables.write(aside / "positions.parquet", table, "positions")


def _check(volumes: np.ndarray, shape: tuple[int, ...], n_positions: int, path: Path) -> None:
    if volumes.shape[1] != n_positions:
        raise UserError(
            f"{path}: {volumes.shape[1]} positions, the positions table has {n_positions}; "
            "extract the series again"
        )
    if not len(volumes):
        raise UserError(
            f"{path}: {shape[0]} volumes are shorter than one segment; lower "
            "pretrain.segment_duration"
        )
    bad = np.flatnonzero(~np.isfinite(volumes).all(axis=1))
    if len(bad):
        raise UserError(f"{path}: row {bad[0]} holds values that are not finite; clean it again")


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)


class _Shards:
    """Fills one shard after another, and holds no more than one in memory."""

    def __init__(self, folder: Path, width: int, limit: int):
        self.folder, self.limit, self.count, self.filled = folder, limit, 0, 0
        self.buffer = np.empty((limit, width), np.float32)

    @property
    def name(self) -> str:
        return f"shard-{self.count:04d}"

    def add(self, volumes: np.ndarray) -> list[tuple[str, int, int]]:
        """(shard, first row, number of rows) of each piece."""
        pieces = []
        while len(volumes):
            n = min(len(volumes), self.limit - self.filled)
            self.buffer[self.filled : self.filled + n] = volumes[:n]
            pieces.append((self.name, self.filled, n))
            self.filled += n
            volumes = volumes[n:]
            if self.filled == self.limit:
                self.close()
        return pieces

    def close(self) -> None:
        if self.filled:
            arrays.save(self.folder / f"{self.name}.npy", self.buffer[: self.filled], kind="corpus")
            self.count, self.filled = self.count + 1, 0


class _Resident:
    """Keeps pages of mapped shards from piling up in memory: after some rows all are given back.

    A row touches whole pages, so that an epoch over a mapped corpus would come to hold all of it.
    """

    def __init__(self, shards: list[np.ndarray]) -> None:
        self.maps = [vars(shard)["_mmap"] for shard in shards if isinstance(shard, np.memmap)]
        self.count = 0

    def add(self, rows: int) -> None:
        self.count += rows
        if self.count > _RESIDENT_ROWS and hasattr(mmap, "MADV_DONTNEED"):  # not everywhere
            self.count = 0
            for mapped in self.maps:
                mapped.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True)
class Corpus:
    """A corpus on disk. Rows are addressed by their number, 0 to len - 1, in manifest order.

    subjects : str (rows,); runs : int (rows,), row of `present`; present : bool (runs, V)
    order : int (V,), another order of positions than on disk; None for that of the disk
    """

    shards: list[np.ndarray]
    shard_of: np.ndarray
    row_of: np.ndarray
    subjects: np.ndarray
    runs: np.ndarray
    present: np.ndarray
    positions: pd.DataFrame
    order: np.ndarray | None = None
    _resident: _Resident = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_resident", _Resident(self.shards))

    @classmethod
    def open(cls, folder: str | Path) -> Corpus:
        """Open a corpus without reading its volumes; UserError if a shard is missing or short."""
        folder = Path(folder)
        manifest = tables.read(folder / "manifest.parquet", "corpus")
        names = list(dict.fromkeys(manifest["shard"]))
        shards = [arrays.load(folder / f"{name}.npy", kind="corpus")[0] for name in names]
        present, _ = arrays.load(folder / "present.npy", kind="presence", mmap=False)
        counts = manifest["n"].to_numpy()
        runs = manifest["hash"].map({h: k for k, h in enumerate(dict.fromkeys(manifest["hash"]))})
        for name, shard in zip(names, shards, strict=True):
            if len(shard) != manifest.loc[manifest["shard"] == name, "n"].sum():
                raise UserError(f"{folder}/{name}.npy: rows do not match the manifest; rebuild it")
        return cls(
            shards=shards,
            shard_of=np.repeat(manifest["shard"].map(names.index).to_numpy(), counts),
            row_of=np.concatenate(
                [np.arange(row, row + n) for row, n in zip(manifest["row"], counts, strict=True)]
            ),
            subjects=np.repeat(manifest["subject"].to_numpy(str), counts),
            runs=np.repeat(runs.to_numpy(), counts),
            present=present,
            positions=tables.read(folder / "positions.parquet", "positions"),
        )

    def __len__(self) -> int:
        return len(self.row_of)

    def reordered(self, order: np.ndarray) -> Corpus:
        """The same volumes with their positions in another order, int (V,), and patches cut from that."""
        table = self.positions.iloc[order].assign(patch=self.positions["patch"].to_numpy())
        before = np.arange(len(order)) if self.order is None else self.order
        return replace(
            self,
            present=self.present[:, order],
            positions=table.reset_index(drop=True),
            order=before[order],
        )

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(volumes float32 (n, V), present bool (n, V)) of any rows, in the order asked for."""
        volumes = np.empty((len(rows), self.present.shape[1]), np.float32)
        shard_of = self.shard_of[rows]
        for shard in np.unique(shard_of):
            here = np.flatnonzero(shard_of == shard)
            volumes[here] = self.shards[shard][self.row_of[rows[here]]]
        self._resident.add(len(rows))
        if self.order is not None:
            volumes = volumes[:, self.order]
        return volumes, self.present[self.runs[rows]]

    def split(self, holdout: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray]:
        """(training rows, held-out rows). None holds out the last subject of the corpus.

        Raises UserError if a held-out subject is unknown or nothing is left to train on.
        """
        known = [str(subject) for subject in dict.fromkeys(self.subjects)]
        chosen = known[-1:] if holdout is None else [str(subject) for subject in holdout]
        unknown = [subject for subject in chosen if subject not in known]
        if unknown:
            raise UserError(
                f"pretrain.holdout: no subject {unknown[0]!r} in the corpus ({', '.join(known)})"
            )
        held = np.isin(self.subjects, chosen)
        if held.all() or not held.any():
            raise UserError(
                f"pretrain.holdout: {', '.join(chosen)} of subjects {', '.join(known)}: both training "
                "and scoring need a subject; name more subjects in the pretraining cohort"
            )
        return np.flatnonzero(~held), np.flatnonzero(held)


def runs_within(corpus: Corpus, rows: np.ndarray, at_most: int) -> np.ndarray:
    """Numbers of the runs of some rows; of more than about `at_most` volumes, runs spread evenly."""
    numbers = np.unique(corpus.runs[rows])
    return numbers[evenly(len(numbers), max(1, at_most * len(numbers) // len(rows)))]


def evenly(n: int, at_most: int) -> np.ndarray:
    """At most `at_most` of n row numbers, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).round().astype(int))


def halves(corpus: Corpus, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows in two parts of about the same size that share as little as can be.

    Parted between subjects where there are several, else between runs, else in the middle of the one
    run. UserError if there is but one row.
    """
    if len(rows) < 2:
        raise UserError("pretrain.holdout: 1 row of held-out subjects, at least 2 needed; add runs")
    for labels in (corpus.subjects[rows], corpus.runs[rows]):
        borders = np.flatnonzero(labels[1:] != labels[:-1]) + 1
        if len(borders):
            border = borders[np.abs(borders - len(rows) / 2).argmin()]
            return rows[:border], rows[border:]
    return rows[: len(rows) // 2], rows[len(rows) // 2 :]


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--series", type=Path, nargs="+", required=True)
    arguments.add_argument("--positions", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(CorpusSettings, args.config, "pretrain")
    build(args.series, args.positions, args.output, **asdict(settings))
    provenance.record(
        args.output,
        inputs=[*args.series, args.positions],
        config=asdict(settings),
        started=started,
    )


if __name__ == "__main__":
    run(main)
