"""Noise ceilings: how well a perfect model could predict each position.

Reads windows and series; writes noise_ceiling.parquet, one row per position and split ("test" and
"train", where clips were shown in at least two runs; no row where none was). The stimulus-driven share
of the variance is estimated from the variances between clips and between repeats (two-way analysis of
variance without interaction, the intraclass correlation of Shrout & Fleiss 1979, ICC(3,1) and ICC(3,k)),
which is unbiased for any number of repeats; split halves with Spearman-Brown are given too.
reliability is that of the mean of the repeats and may be negative by chance; ceilings are correlations of
a perfect model with one trial and with that mean: the square roots of the reliabilities, 0 where those
are negative.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from boldreel import step
from boldreel.data import arrays, provenance, responses, tables
from boldreel.data.schemas import TABLES
from boldreel.settings import read
from boldreel.windows.settings import WindowsSettings

SPLIT_HALVES = 20
_FEWEST_CLIPS = 3


def variance_components(blocks: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, float]:
    """Variance that repeats share, and variance of one trial that they do not.

    Parameters
    ----------
    blocks : one (samples, repeats, positions) array per set of runs, at least two repeats each; number of
        repeats may differ. The mean of each repeat of a block is taken out: runs differ in it.

    Returns
    -------
    signal, noise : float (positions,); signal is unbiased and may be negative
    repeats : harmonic mean over samples of the number of repeats
    """
    positions = blocks[0].shape[2]
    noise_sum, noise_df = np.zeros(positions), 0
    between: list[tuple[np.ndarray, int, int]] = []
    for block in blocks:
        samples, repeats, _ = block.shape
        values = block - block.mean(axis=0, keepdims=True)
        mean = values.mean(axis=1)
        noise_sum += ((values - mean[:, None]) ** 2).sum(axis=(0, 1))
        noise_df += (samples - 1) * (repeats - 1)
        between.append(((mean**2).sum(axis=0), samples - 1, repeats))
    noise = noise_sum / noise_df
    weight = sum(df for _, df, _ in between)
    signal = sum((total - df * noise / repeats for total, df, repeats in between), np.zeros(1))
    n = sum(block.shape[0] for block in blocks) / sum(b.shape[0] / b.shape[1] for b in blocks)
    return signal / weight, noise, n


def ceilings(
    signal: np.ndarray, noise: np.ndarray, repeats: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(reliability of the mean of the repeats, ceiling of one trial, ceiling of that mean).

    NaN if a position has no variance at all.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        reliability = signal / (signal + noise / repeats)
        single = signal / (signal + noise)
    # Far below zero the ratio itself turns over (its denominator nears zero): nothing repeats there.
    reliability = np.where(signal + noise / repeats > 0, np.maximum(reliability, -1), -1.0)
    nothing = ~(noise > 0)
    reliability[nothing] = np.nan
    single = np.sqrt(np.clip(single, 0, 1))
    single[nothing] = np.nan
    return reliability, single, np.sqrt(np.clip(reliability, 0, 1))


def split_half(blocks: list[np.ndarray], seed: int = 0, splits: int = SPLIT_HALVES) -> np.ndarray:
    """Reliability (positions,) of the mean of all repeats: random halves, Spearman-Brown.

    Mean over halvings of the correlation r between the means of two halves of the repeats, then
    2 r / (1 + r). With an odd number of repeats one is left out of each halving.
    """
    rng = np.random.default_rng(seed)
    values = [block - block.mean(axis=0, keepdims=True) for block in blocks]
    total = np.zeros(blocks[0].shape[2])
    for _ in range(splits):
        left, right = [], []
        for block in values:
            order = rng.permutation(block.shape[1])
            half = block.shape[1] // 2
            left.append(block[:, order[:half]].mean(axis=1))
            right.append(block[:, order[half : 2 * half]].mean(axis=1))
        a, b = np.concatenate(left), np.concatenate(right)
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            total += (a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    r = np.clip(total / splits, -0.99, 1)
    return 2 * r / (1 + r)


def repeat_blocks(windows: Path, series_dir: Path, split: str) -> list[np.ndarray]:
    """Responses that several runs share, per set of runs (samples, repeats, positions), float64.

    A sample is one volume of a clip's window. What a run is called says nothing of what it shows: clips are
    sorted by the runs that show them. Clips shown in one run are left out, and so are sets with fewer
    than three clips.
    """
    table = tables.read(windows, "windows")
    table = table[table["split"] == split].drop_duplicates(["run", "clip"])
    shown_in: dict[str, tuple[str, ...]] = {}
    for run, clip in zip(table["run"], table["clip"], strict=True):
        shown_in[clip] = (*shown_in.get(clip, ()), run)
    clips_of: dict[tuple[str, ...], list[str]] = {}
    for clip, names in shown_in.items():
        clips_of.setdefault(names, []).append(clip)
    rows_of = {run: rows.set_index("clip") for run, rows in table.groupby("run", sort=False)}
    blocks = []
    for names, clips in clips_of.items():
        if len(names) < 2 or len(clips) < _FEWEST_CLIPS:
            continue
        runs = []
        for run in names:
            series, _ = arrays.load(series_dir / f"{run}.npy", kind="series")
            rows = rows_of[run].loc[clips]
            volumes = responses.window_volumes(
                rows["first_volume"].to_numpy(),
                int(rows["window"].iloc[0]),
                len(series),
                f"{windows}: {run}",
            )
            values = np.nan_to_num(np.asarray(series, np.float64)[volumes])
            runs.append(values.reshape(-1, series.shape[1]))
        blocks.append(np.stack(runs, axis=1))
    return blocks


def main(argv: list[str] | None = None) -> None:
    import pandas as pd

    arguments = step.parser(__doc__)
    arguments.add_argument("--windows", type=Path, required=True)
    arguments.add_argument("--series-dir", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(WindowsSettings, args.config, "windows")
    frames = []
    splits = ("test", "train")
    for split in splits:
        blocks = repeat_blocks(args.windows, args.series_dir, split)
        if not blocks:
            continue
        signal, noise, repeats = variance_components(blocks)
        reliability, single, mean = ceilings(signal, noise, repeats)
        frames.append(
            pd.DataFrame(
                {
                    "position": np.arange(len(signal)),
                    "repeats": round(repeats),
                    "reliability": reliability,
                    "ceiling_single": single,
                    "ceiling_mean": mean,
                    "split_half": np.where(
                        np.isnan(reliability),
                        np.nan,
                        split_half(blocks, settings.seed),
                    ),
                    "split": split,
                }
            )
        )
    if not frames:
        print(
            f"{args.windows}: no clip is in two runs, so there is no noise ceiling", file=sys.stderr
        )
        frames = [pd.DataFrame(columns=list(TABLES["noise_ceiling"]))]
    tables.write(args.output, pd.concat(frames, ignore_index=True), "noise_ceiling")
    series = responses.series_files(args.windows, args.series_dir, splits)
    inputs = [args.windows, *series]
    provenance.record(args.output, inputs=inputs, config=asdict(settings), started=started)


if __name__ == "__main__":
    step.run(main)
