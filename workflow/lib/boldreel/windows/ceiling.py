"""Noise ceilings: how well a perfect model could predict each position.

Reads windows and series; writes noise_ceiling.parquet, one row per position and split ("test" and
"train", where clips were shown in at least two runs; no row where none was). Repeats are of clips: runs
that show the same clips are compared as a whole, in whatever order they show them, and clips whose repeats
are scattered over runs with other clips are taken together, one by one. The stimulus-driven share
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
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from boldreel import step
from boldreel.data import arrays, provenance, responses, tables
from boldreel.data.schemas import TABLES
from boldreel.settings import read
from boldreel.windows.settings import WindowsSettings

SPLIT_HALVES = 20
_FEWEST_CLIPS = 3


@dataclass(frozen=True)
class Scattered:
    """Repeats of clips that no two runs have in common with enough other clips, one row a volume of a window.

    values : (rows, positions), without what runs differ in (`without_runs`)
    centred : the same less the plain mean of each run: least squares makes the errors of a clip's showings
        alike, which halves of them must not be
    sample : int (rows,), which volume of which clip a row repeats, 0 to samples - 1, each twice or more
    noise, df : sum of squares (positions,) within samples, and its degrees of freedom
    share : expected sum of squares between samples for a noise variance of 1
    """

    values: np.ndarray
    centred: np.ndarray
    sample: np.ndarray
    noise: np.ndarray
    df: int
    share: float

    @property
    def counts(self) -> np.ndarray:
        """Repeats of each sample (samples,)."""
        return np.bincount(self.sample)

    def means(self) -> np.ndarray:
        """Mean of each sample (samples, positions) over its rows."""
        return _means(self.values, self.sample)

    def halves(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Means of two random halves of each sample's repeats."""
        order = np.lexsort((rng.random(len(self.sample)), self.sample))
        place = np.arange(len(order)) - np.repeat(np.cumsum(self.counts) - self.counts, self.counts)
        half = np.repeat(self.counts // 2, self.counts)
        rows = order[place < half], order[(place >= half) & (place < 2 * half)]
        first, second = (_means(self.centred[part], self.sample[part]) for part in rows)
        return first, second


def _means(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Mean (groups, positions) of the rows of each group, numbered from 0."""
    total = np.zeros((group.max() + 1, values.shape[1]))
    np.add.at(total, group, values)
    return total / np.bincount(group)[:, None]


def without_runs(values: np.ndarray, sample: np.ndarray, run: np.ndarray) -> Scattered | None:
    """Remove the means in which runs differ; None if nothing is left to estimate noise from.

    Least squares of rows on samples and runs (two-way analysis of variance without interaction, unequal
    numbers), where one group of samples hangs together by its runs. The expectations of both sums of squares
    are exact (Searle, Casella & McCulloch 1992, Variance Components, chapter 5), so that signal and noise
    are unbiased.

    Parameters
    ----------
    values : (rows, positions); sample, run : int (rows,), numbered from 0
    """
    counts = np.bincount(sample)
    shown = np.zeros((len(counts), run.max() + 1))
    np.add.at(shown, (sample, run), 1.0)
    share = shown / counts[:, None]
    # Normal equations of the runs, with the samples' means taken out.
    normal = np.diag(shown.sum(axis=0)) - shown.T @ share
    inverse = np.linalg.pinv(normal, hermitian=True)
    within = values - _means(values, sample)[sample]
    of_runs = np.zeros((shown.shape[1], values.shape[1]))
    np.add.at(of_runs, run, within)
    effects = inverse @ of_runs
    df = len(values) - len(counts) - int(np.linalg.matrix_rank(normal, hermitian=True))
    if df < 1:
        return None
    noise = (within**2).sum(axis=0) - (effects * of_runs).sum(axis=0)
    centred = share - share.mean(axis=0)
    expected = (1 / counts).sum() * (1 - 1 / len(counts)) + np.trace(inverse @ share.T @ centred)
    centred_rows = values - _means(values, run)[run]
    return Scattered(values - effects[run], centred_rows, sample, noise, df, float(expected))


Block = np.ndarray | Scattered


def variance_components(blocks: Sequence[Block]) -> tuple[np.ndarray, np.ndarray, float]:
    """Variance that repeats share, and variance of one trial that they do not.

    Parameters
    ----------
    blocks : one (samples, repeats, positions) array per set of runs, at least two repeats each; number of
        repeats may differ. The mean of each repeat of a block is taken out: runs differ in it. Or repeats
        that are scattered.

    Returns
    -------
    signal, noise : float (positions,); signal is unbiased and may be negative
    repeats : harmonic mean over samples of the number of repeats
    """
    positions = _positions(blocks[0])
    noise_sum, noise_df = np.zeros(positions), 0
    between: list[tuple[np.ndarray, int, int]] = []
    spread: list[tuple[np.ndarray, int, float]] = []
    samples_in_all, inverse_repeats = 0, 0.0
    for block in blocks:
        if isinstance(block, Scattered):
            noise_sum += block.noise
            noise_df += block.df
            mean = block.means()
            mean -= mean.mean(axis=0)
            spread.append(((mean**2).sum(axis=0), len(mean) - 1, block.share))
            samples_in_all += len(mean)
            inverse_repeats += float((1 / block.counts).sum())
            continue
        samples_in_all += block.shape[0]
        inverse_repeats += block.shape[0] / block.shape[1]
        samples, repeats, _ = block.shape
        values = block - block.mean(axis=0, keepdims=True)
        mean = values.mean(axis=1)
        noise_sum += ((values - mean[:, None]) ** 2).sum(axis=(0, 1))
        noise_df += (samples - 1) * (repeats - 1)
        between.append(((mean**2).sum(axis=0), samples - 1, repeats))
    noise = noise_sum / noise_df
    weight = sum(df for _, df, _ in between) + sum(df for _, df, _ in spread)
    signal = sum((total - df * noise / repeats for total, df, repeats in between), np.zeros(1))
    signal = sum((total - share * noise for total, _, share in spread), signal)
    return signal / weight, noise, samples_in_all / inverse_repeats


def _positions(block: Block) -> int:
    return block.values.shape[1] if isinstance(block, Scattered) else block.shape[2]


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


def split_half(blocks: Sequence[Block], seed: int = 0, splits: int = SPLIT_HALVES) -> np.ndarray:
    """Reliability (positions,) of the mean of all repeats: random halves, Spearman-Brown.

    Mean over halvings of the correlation r between the means of two halves of the repeats, then
    2 r / (1 + r). With an odd number of repeats one is left out of each halving.
    """
    rng = np.random.default_rng(seed)
    values = [
        block if isinstance(block, Scattered) else block - block.mean(axis=0, keepdims=True)
        for block in blocks
    ]
    total = np.zeros(_positions(blocks[0]))
    for _ in range(splits):
        left: list[np.ndarray] = []
        right: list[np.ndarray] = []
        for block in values:
            if isinstance(block, Scattered):
                for side, half_means in zip((left, right), block.halves(rng), strict=True):
                    side.append(half_means)
                continue
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


def repeat_blocks(windows: Path, series_dir: Path, split: str) -> list[Block]:
    """Responses that several runs share, per set of runs (samples, repeats, positions), float64.

    A sample is one volume of a clip's window. What a run is called says nothing of what it shows: clips are
    sorted by the runs that show them. Clips of sets with fewer than three clips are scattered: those that
    hang together by their runs are a block. Clips shown in one run are left out, and so are blocks of fewer
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

    def shown(run: str, clips: list[str]) -> np.ndarray:
        """Responses of a run to clips, (clips x window, positions)."""
        series, _ = arrays.load(series_dir / f"{run}.npy", kind="series")
        rows = rows_of[run].loc[clips]
        volumes = responses.window_volumes(
            rows["first_volume"].to_numpy(),
            int(rows["window"].iloc[0]),
            len(series),
            f"{windows}: {run}",
        )
        values = np.nan_to_num(np.asarray(series, np.float64)[volumes])
        return values.reshape(-1, series.shape[1])

    blocks: list[Block] = []
    scattered: dict[str, tuple[str, ...]] = {}
    for names, clips in clips_of.items():
        if len(names) < 2:
            continue
        if len(clips) < _FEWEST_CLIPS:
            scattered |= dict.fromkeys(clips, names)
        else:
            blocks.append(np.stack([shown(run, clips) for run in names], axis=1))
    for clips in _hanging_together(scattered):
        if len(clips) < _FEWEST_CLIPS:
            continue
        number = {clip: k for k, clip in enumerate(clips)}
        values, samples, of_run = [], [], []
        every = list(dict.fromkeys(run for clip in clips for run in scattered[clip]))
        for place, run in enumerate(every):
            here = [clip for clip in clips if run in scattered[clip]]
            values.append(shown(run, here))
            width = len(values[-1]) // len(here)
            samples += [number[clip] * width + k for clip in here for k in range(width)]
            of_run += [place] * len(values[-1])
        block = without_runs(np.concatenate(values), np.array(samples), np.array(of_run))
        if block is not None:
            blocks.append(block)
    return blocks


def _hanging_together(runs_of: dict[str, tuple[str, ...]]) -> list[list[str]]:
    """Clips in groups that share runs, directly or by other clips, in their order."""
    group_of: dict[str, list[str]] = {}  # by run
    for clip, runs in runs_of.items():
        joined = [clip]
        for group in {id(group_of[run]): group_of[run] for run in runs if run in group_of}.values():
            joined = group + joined
        members = {run for each in joined for run in runs_of[each]}
        group_of |= dict.fromkeys(members, joined)
    order = {clip: k for k, clip in enumerate(runs_of)}
    groups = {id(group): sorted(group, key=order.__getitem__) for group in group_of.values()}
    return sorted(groups.values(), key=lambda group: order[group[0]])


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
