"""Responses to clips: what every later stage takes from windows and series.

Takes windows.parquet and the series of a subject (memory-mapped); returns an array of windows per
clip, or per clip and run. Series are already z-scored per position and run with absent positions
zero, and nothing is scaled again here: a mean over repeats has a smaller variance than one trial.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boldreel.data import arrays, tables
from boldreel.errors import UserError


@dataclass(frozen=True)
class Responses:
    """Windows of BOLD, one row per clip (averaged) or per clip and run (each).

    x : float32 (n, window, positions), z units, absent positions 0
    clips, shots, segments : n names; of a clip that several segments show, the segment is the first
    repeats : int (n,), how many runs a row is the mean of; with "each" the repeat it comes from
    onsets : float (n,), s from the start of the (first) run that shows it: the order of a run's clips
    runs : n names of that run; times : float (n, window), s from its start to the window's volumes
    """

    x: np.ndarray
    clips: list[str]
    repeats: np.ndarray
    shots: list[str]
    segments: list[str]
    onsets: np.ndarray
    runs: list[str]
    times: np.ndarray


def series_files(
    windows: Path | str, series_dir: Path | str, split: str | tuple[str, ...]
) -> list[Path]:
    """The series that `load_responses` reads for a split: what a step depends on, and no other run."""
    table = tables.read(Path(windows), "windows")
    splits = (split,) if isinstance(split, str) else tuple(split)
    runs = table.loc[table["split"].isin(splits), "run"]
    return [Path(series_dir) / f"{run}.npy" for run in dict.fromkeys(runs)]


def load_responses(
    windows: Path | str,
    series_dir: Path | str,
    split: str | tuple[str, ...],
    repeats: str | int = "average",
    window: int | None = None,
) -> Responses:
    """Read the responses of a split, in the order of the windows table.

    Parameters
    ----------
    windows : windows.parquet of the subject
    series_dir : folder with {run}.npy
    split : "train", "validation", "test", or a tuple of them
    repeats : "average" over all runs of a clip, "each" run for itself, or a number n: the mean of
        the first n runs of each clip
    window : length of windows, volumes, in place of the table's

    Raises
    ------
    UserError : no window in the split, a clip with fewer than n runs, a missing series, or a window
        that lies outside its run.
    """
    table = tables.read(Path(windows), "windows")
    splits = (split,) if isinstance(split, str) else tuple(split)
    table = table[table["split"].isin(splits)]
    if not len(table):
        raise UserError(
            f"{windows}: no window in split {' or '.join(splits)}; check the patterns in segments"
        )
    widths = table["window"].unique()
    if len(widths) != 1:
        raise UserError(
            f"{windows}: windows of {sorted(widths)} volumes in one table; build it again"
        )
    width = int(widths[0]) if window is None else window
    if repeats != "each":
        table = _first_repeats(table, repeats, Path(windows))

    clips = table["clip"].to_numpy()
    first_of = {clip: row for row, clip in reversed(list(enumerate(clips)))}
    order = sorted(first_of, key=first_of.__getitem__)
    if repeats == "each":
        target = np.arange(len(table))
    else:
        row_of = {clip: row for row, clip in enumerate(order)}
        target = np.array([row_of[clip] for clip in clips])
    counts = np.bincount(target)

    x: np.ndarray | None = None
    runs = table["run"].to_numpy()
    first = table["first_volume"].to_numpy()
    times = np.zeros((len(table), width))
    for run in dict.fromkeys(runs):
        series, meta = arrays.load(Path(series_dir) / f"{run}.npy", kind="series")
        rows = np.flatnonzero(runs == run)
        volumes = window_volumes(first[rows], width, len(series), f"{windows}: {run}")
        times[rows] = meta["start_time"] + volumes * meta["t_r"]
        if x is None:
            x = np.zeros((len(counts), width, series.shape[1]), np.float32)
        elif x.shape[2] != series.shape[1]:
            raise UserError(
                f"{series_dir}/{run}.npy: {series.shape[1]} positions where other runs have "
                f"{x.shape[2]}; make all series from one positions table"
            )
        # A loop, since a clip may be shown twice in a run: fancy += would add only one of the two.
        for row, window in zip(target[rows], volumes, strict=True):
            x[row] += series[window]
    assert x is not None
    if repeats != "each":
        x /= counts[:, None, None].astype(np.float32)
    np.nan_to_num(x, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    kept = (
        np.ones(len(table), bool) if repeats == "each" else ~table["clip"].duplicated().to_numpy()
    )
    shown = table[kept]
    return Responses(
        x=x,
        clips=list(shown["clip"]),
        repeats=table["repeat"].to_numpy(np.int64) if repeats == "each" else counts,
        shots=list(shown["shot"]),
        segments=list(shown["segment"]),
        onsets=shown["onset"].to_numpy(np.float64),
        runs=list(shown["run"]),
        times=times[kept],
    )


def window_volumes(first: np.ndarray, width: int, n_volumes: int, where: str = "") -> np.ndarray:
    """Volumes (n, width) of windows that start at first, the run's last volume repeated at its end.

    Raises
    ------
    UserError : a window begins before or after the run.
    """
    first = np.asarray(first)
    if len(first) and (first.min() < 0 or first.max() >= n_volumes):
        wrong = first[(first < 0) | (first >= n_volumes)][0]
        raise UserError(
            f"{where}: a window starts at volume {wrong}, but the run has volumes 0 to "
            f"{n_volumes - 1}; build the windows again from these series"
        )
    return np.minimum(first[:, None] + np.arange(width), n_volumes - 1)


def _first_repeats(table, repeats: str | int, path: Path):  # type: ignore[no-untyped-def]
    """The rows of the first n repeats of each clip, in the table's order."""
    if repeats == "average":
        return table
    if not isinstance(repeats, int) or repeats < 1:
        raise ValueError(f"repeats is {repeats!r}; expected 'average', 'each' or a positive number")
    counts = table.groupby("clip", sort=False)["repeat"].count()
    if counts.min() < repeats:
        raise UserError(
            f"{path}: clip {counts.idxmin()} was shown {counts.min()} times, {repeats} repeats asked "
            "for; ask for fewer"
        )
    rank = table.groupby("clip", sort=False)["repeat"].rank(method="first")
    return table[rank <= repeats]


def subject_of(path: Path) -> str:
    """The label of the subject whose folder holds a series: `01` for `sub-01/series/x.npy`."""
    for part in reversed(path.parts[:-1]):
        if match := re.fullmatch(r"sub-([A-Za-z0-9]+)", part):
            return match[1]
    raise UserError(f"{path}: no folder sub-XX in its path; series lie in sub-XX/series")


def shuffled_order(n_positions: int, seed: int) -> np.ndarray:
    """A random order of positions, int (V,), which makes patches unrelated to anatomy."""
    return np.random.default_rng(seed).permutation(n_positions)
