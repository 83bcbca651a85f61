"""Choose lag and window of a subject on held-out training segments.

Reads the subject's series, clips, features and presentations; writes sweep.tsv (a score for every lag and
window) and choice.json (the chosen lag in s and window in volumes, and how sure that is). Ridge
regression predicts the clips' CLIP embeddings (mean over frames, and text) from the mean of the
repeats, is fitted on training segments and scored on validation segments. Series of test segments
are not opened.

The choice is the highest two-way identification; the smaller window, then the smaller lag, where
several round to the same. It stands only if the subject's responses carry the clips at some lag: the
largest alignment of responses with features (windows.alignment) over all training and validation clips
must beat that of circularly shifted clips, p below ``chance_p``, which corrects for the search over
lags. Otherwise nothing can be known about the lag, and the defaults of the config are taken. Where no run is
long enough to be shifted there is no p: the highest score decides alone, and the note says so. The same
alignment gives the time of the response's peak (``lag_estimate``, s from clip onset).

``hrf.mode`` says what a lag is counted in: of measured series (``lag``), or of deconvolved ones
(``deconvolution``, ``kernel``), where ``hrf.lags`` are tried and 0 is the default; ``fir`` takes all
volumes from the first lag to the last as one window, each with weights of its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel import step
from boldreel.data import json_documents, provenance, tables
from boldreel.errors import UserError
from boldreel.settings import read
from boldreel.stats import correlation, permutation, shifts
from boldreel.training.progress import Progress
from boldreel.windows import alignment, clock, response, ridge, runs
from boldreel.windows.settings import DECONVOLVED, WindowsSettings

if TYPE_CHECKING:
    import pandas as pd

_BLUR = 6  # clips to each side whose resemblance blurs the curve of scores over lags


@dataclass(frozen=True)
class Problem:
    """What the sweep regresses: clips of training and validation segments.

    rows : int (n,), of the clips table; groups, movies, shots, index : (n,)
    runs, onsets : (n,), label of the first run that showed each clip, and when in it, s
    features : float (n, D), columns of mean 0 and variance 1 over the fitted clips
    fit, held_out : int, rows of the above
    kernel(lag, window) : Gram matrix (n, n); offset(lag) : mean real lag in s of first volumes
    """

    rows: np.ndarray
    groups: np.ndarray
    movies: np.ndarray
    shots: np.ndarray
    index: np.ndarray
    runs: np.ndarray
    onsets: np.ndarray
    features: np.ndarray
    fit: np.ndarray
    held_out: np.ndarray
    kernel: Callable[[float, int], np.ndarray]
    offset: Callable[[float], float]


Kept = tuple[runs.ShownRun, np.ndarray]  # a run, and which of the clips it showed are used: bool


def prepare(
    clips: pd.DataFrame,
    features: np.ndarray,
    shown: Sequence[runs.ShownRun],
    columns: np.ndarray,
    lags: Sequence[float],
    max_clips: int,
) -> Problem:
    """Gather the clips that have a window at every lag, so that all lags are scored on the same.

    Parameters
    ----------
    features : (rows of clips, D); rows of other movies may be NaN
    shown : runs of training and validation segments
    columns : positions to use
    max_clips : of more fitted clips, evenly spaced ones are taken
    """
    kept = [
        (run, np.all([clock.inside(run.first(lag), len(run.values)) for lag in lags], axis=0))
        for run in shown
    ]
    first = first_showings(clips, kept)
    rows, n_fit = choose_rows({row: run.split for row, (run, _) in first.items()}, max_clips)
    showings = [first[row] for row in rows.tolist()]
    windows = Windows(kept, rows, columns)
    picked = clips.iloc[rows]
    return Problem(
        rows=rows,
        groups=np.array([run.segment for run, _ in showings]),
        movies=picked["movie"].to_numpy(),
        shots=picked["shot"].to_numpy(),
        index=picked["index"].to_numpy(),
        runs=np.array([run.label for run, _ in showings]),
        onsets=np.array([onset for _, onset in showings]),
        features=standardised(features[rows], n_fit),
        fit=np.arange(n_fit),
        held_out=np.arange(n_fit, len(rows)),
        kernel=windows.kernel,
        offset=windows.offset,
    )


def first_showings(
    clips: pd.DataFrame, kept: Sequence[Kept]
) -> dict[int, tuple[runs.ShownRun, float]]:
    """{row of the clips table: the first run that shows it, and when in it, s}.

    Raises
    ------
    UserError : a clip is shown in both splits.
    """
    first: dict[int, tuple[runs.ShownRun, float]] = {}
    for run, keep in kept:
        for row, onset in zip(run.shown.rows[keep], run.shown.onsets[keep], strict=True):
            before, _ = first.setdefault(int(row), (run, float(onset)))
            if before.split != run.split:
                raise UserError(
                    f"clip {clips['clip'].iloc[row]} is shown in {before.segment} ({before.split}) and in "
                    f"{run.segment} ({run.split}); choose other splits, or set presentations.overlap: "
                    "drop-from-train"
                )
    return first


def choose_rows(split_of: Mapping[int, str], max_clips: int) -> tuple[np.ndarray, int]:
    """Rows of the clips table, first the fitted and then the held-out ones; how many are fitted.

    Parameters
    ----------
    split_of : {row: train or validation}
    max_clips : of more fitted clips, evenly spaced ones are taken

    Raises
    ------
    UserError : fewer than two clips in a split.
    """
    rows = np.array(sorted(split_of), dtype=np.int64)
    split = np.array([split_of[row] for row in rows.tolist()])
    fit = np.flatnonzero(split == "train")
    held_out = np.flatnonzero(split == "validation")
    if len(fit) < 2 or len(held_out) < 2:
        raise UserError(
            f"windows.sweep: {len(fit)} training and {len(held_out)} validation clips; name at least "
            "one segment of each in segments.train and segments.validation (training segments only)"
        )
    if len(fit) > max_clips:
        fit = fit[np.linspace(0, len(fit) - 1, max_clips).round().astype(int)]
    return rows[np.concatenate([fit, held_out])], len(fit)


def standardised(features: np.ndarray, n_fit: int) -> np.ndarray:
    """float64 (n, D), columns of mean 0 and variance 1 over the first `n_fit` rows."""
    y = features.astype(np.float64)
    spread = y[:n_fit].std(axis=0)
    return (y - y[:n_fit].mean(axis=0)) / np.where(spread > 1e-12, spread, 1)


class Windows:
    """Windows of the clips in `rows`, each the mean over its showings.

    Parameters
    ----------
    rows : (n,), of the clips table; columns : positions to use
    """

    def __init__(self, kept: Sequence[Kept], rows: np.ndarray, columns: np.ndarray) -> None:
        self._kept = kept
        self._columns = columns
        self._place = {row: k for k, row in enumerate(rows.tolist())}
        self._grams: dict[tuple[bytes, ...], np.ndarray] = {}

    def kernel(self, lag: float, window: int) -> np.ndarray:
        """Gram matrix (n, n) of windows of some volumes that begin at a lag (s)."""
        return sum((self._gram(lag, further) for further in range(window)), np.float32(0))  # type: ignore

    def offset(self, lag: float) -> float:
        """Mean time (s) from the onset of a clip to its first volume at a lag."""
        real = [
            run.start_time + run.t_r * run.first(lag)[keep] - run.shown.onsets[keep]
            for run, keep in self._kept
        ]
        return float(np.concatenate(real).mean())

    def _gram(self, lag: float, further: int) -> np.ndarray:
        """Gram matrix of one volume of each clip; lags that round to the same volumes share it."""
        volumes = [
            np.minimum(run.first(lag)[keep] + further, len(run.values) - 1)
            for run, keep in self._kept
        ]
        key = tuple(volume.tobytes() for volume in volumes)
        if key not in self._grams:
            self._grams[key] = ridge.gram(self._mean_of_showings(volumes))
        return self._grams[key]

    def _mean_of_showings(self, volumes: Sequence[np.ndarray]) -> np.ndarray:
        """float32 (n, columns); volumes : of each run, one for each of the clips that it showed."""
        x = np.zeros((len(self._place), len(self._columns)), np.float32)
        count = np.zeros((len(self._place), 1), np.float32)
        for (run, keep), volume in zip(self._kept, volumes, strict=True):
            wanted = np.array([row in self._place for row in run.shown.rows[keep]], dtype=bool)
            into = np.array(
                [self._place[row] for row in run.shown.rows[keep][wanted].tolist()], dtype=np.int64
            )
            values = np.nan_to_num(np.asarray(run.values)[:, self._columns])[volume[wanted]]
            np.add.at(x, into, values)
            np.add.at(count, into, 1)
        return x / count


def orders(
    problem: Problem, rows: np.ndarray, min_shift: float, permutations: int, seed: int
) -> np.ndarray:
    """Circular shifts of some clips inside their runs, re-orderings int (N, len(rows)).

    Clips of a run are shifted in the order in which they were shown, whatever movies they are of: shifting
    keeps what neighbours share, so that the null has the data's own dependence. (0, len(rows)) if no run
    is long enough.

    Parameters
    ----------
    rows : int, of the problem. min_shift : s.
    """
    label, onsets, shots = problem.runs[rows], problem.onsets[rows], problem.shots[rows]
    members = shifts.runs_in_time(label, onsets, dict.fromkeys(label.tolist()))
    least = (
        shifts.least(shots[own].tolist(), min_shift, shifts.spacing(onsets[own])) for own in members
    )
    by = [shifts.spaced(len(own), few) for own, few in zip(members, least, strict=True)]
    return shifts.orders(members, by, permutations, np.random.default_rng(seed))


def sweep(
    problem: Problem,
    lags: Sequence[float],
    windows: Sequence[int],
    alphas: Sequence[float],
    clip_duration: float,
    permutations: int,
    seed: int = 0,
    spanning: int | None = None,
    min_shift: float = 10.0,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Score every lag and window.

    Parameters
    ----------
    spanning : volumes from the first lag to the last, where that one window is scored alone
    min_shift : s that clips are shifted by at least

    Returns
    -------
    table : rows lag (s), window (volumes), score (two-way identification of held-out clips, chance
        0.5), correlation (mean over features), alignment (of the lag's first volume)
    finding : p (of the largest alignment of all lags), p_score (of the best score of the table, both
        against circular shifts; None without a shift), null_95 (95th percentile of the best score after a
        shift), permutations (of p), peak (s from clip onset to the response's peak)
    """
    held = problem.held_out
    true, shots = problem.features[held], problem.shots[held]
    singles = [problem.kernel(lag, 1) for lag in lags]
    aligned = alignment.alignment(singles, problem.features, problem.groups)
    shifted = orders(problem, held, min_shift, permutations, seed)
    straight = np.arange(len(held))
    null = np.zeros(len(shifted))
    table: list[dict[str, Any]] = []
    strength = dict(zip(lags, aligned.tolist(), strict=True))
    tried = [(lag, window) for window in windows for lag in lags]
    if spanning is not None:
        tried = [(lags[0], spanning)]
    progress = Progress(len(tried), "lag and window sweep", unit="fits")
    for lag, window in tried:
        predicted = ridge.predict(
            problem.kernel(lag, window),
            problem.features,
            problem.fit,
            held,
            problem.groups,
            np.asarray(alphas),
        )
        alike = correlation.of_rows(predicted, true)
        null = np.maximum(null, [ridge.two_way(alike, order, shots) for order in shifted])
        row = {"lag": lag, "window": window, "score": ridge.two_way(alike, straight, shots)}
        row |= {
            "correlation": float(correlation.of_columns(predicted, true).mean()),
            "alignment": strength[lag],
        }
        table.append(row)
        progress.update(score=row["score"])
    best = max(row["score"] for row in table)
    fit = problem.fit
    blur = response.resemblance(
        problem.features[fit], problem.movies[fit], problem.index[fit], _BLUR
    )
    real = np.array([problem.offset(lag) for lag in lags])
    everywhere = orders(problem, np.arange(len(problem.rows)), min_shift, permutations, seed)
    found = alignment.permutation_p(singles, problem.features, problem.groups, everywhere)
    finding = {
        "p": found.p if found.arrangements else None,
        "p_score": permutation.among(best, null, best).p if len(null) else None,
        "null_95": float(np.quantile(null, 0.95)) if len(null) else None,
        "permutations": found.arrangements,
        "peak": response.estimate_peak(real, aligned, clip_duration, blur),
    }
    return table, finding


def choose(
    table: Sequence[dict[str, Any]], finding: dict[str, Any], settings: WindowsSettings
) -> dict[str, Any]:
    """What choice.json says; marks the row of the table that was chosen, if it is in the table.

    Parameters
    ----------
    settings : default_lag (s), default_window (volumes), chance_p; lag and window, where set, are taken
        as they are; hrf, with its mode
    """
    mode = settings.hrf.mode
    best = min(table, key=lambda row: (-round(row["score"], 3), row["window"], row["lag"]))
    p, count = finding["p"], finding["permutations"]
    # A p of so few shifts cannot be below chance_p: the right pairing must then beat all others.
    few = count > 0 and 1 / (1 + count) >= settings.chance_p
    signal = count > 0 and (p <= 1 / (1 + count) if few else p < settings.chance_p)
    lag, window, source = best["lag"], best["window"], "sweep"
    note = "the highest two-way identification of held-out training clips"
    if not count:
        note += (
            f"; without a p, since no run is long enough for a circular shift by {settings.min_shift:g} s "
            "or by its longest shot"
        )
    elif few:
        note += (
            f"; the {count} circular shifts by at least {settings.min_shift:g} s are too few for a p below "
            f"{settings.chance_p:g}, but none is as good"
        )
    if mode == "fir":
        source, note = "config", "all volumes from the first lag to the last"
    elif count and not signal:
        lag = 0.0 if mode in DECONVOLVED else settings.default_lag
        window, source = settings.default_window, "default"
        note = (
            f"at no lag do responses carry the clips above chance (p {finding['p']:.3f}; best two-way "
            f"identification {best['score']:.3f}): the defaults of the config are taken"
        )
    if settings.lag is not None or settings.window is not None:
        lag = lag if settings.lag is None else settings.lag
        window = window if settings.window is None else settings.window
        source, note = "config", "set in the config"
    for row in table:
        row["chosen"] = row["lag"] == lag and row["window"] == window
    return {
        "lag": float(lag),
        "window": int(window),
        "source": source,
        "note": note,
        "hrf": mode,
        # Of deconvolved series nothing is known but by how much they are off.
        "lag_estimate": finding["peak"] if signal and mode not in DECONVOLVED else None,
        "best": {key: best[key] for key in ("lag", "window", "score", "correlation")},
        "chance": 0.5,
        "p": finding["p"],
        "p_score": finding["p_score"],
        "null_95": finding["null_95"],
        "permutations": finding["permutations"],
    }


def main(argv: list[str] | None = None) -> None:
    import pandas as pd

    arguments = step.parser(__doc__)
    arguments.add_argument("--subject", required=True)
    arguments.add_argument("--series", type=Path, nargs="+", required=True, metavar="NPY")
    arguments.add_argument("--voxels", type=Path, required=True)
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--features", type=Path, nargs="+", required=True, metavar="DIR")
    arguments.add_argument("--presentations", type=Path, required=True, metavar="TSV")
    arguments.add_argument("--output-table", type=Path, required=True)
    arguments.add_argument("--output-choice", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(WindowsSettings, args.config, "windows")
    every = tables.read(args.clips, "clips")
    clips = runs.clips_of(every, args.presentations)
    shown = runs.load_runs(args.series, args.presentations, clips, splits=("train", "validation"))
    voxels = tables.read(args.voxels, "voxels")
    columns = np.flatnonzero((voxels["selected"] & voxels["present"]).to_numpy())
    if not len(columns):
        columns = np.flatnonzero(voxels["present"].to_numpy())
    runs.check_positions(shown, len(voxels), args.voxels)
    features = runs.clip_features(
        clips, args.features, {movie for run in shown for movie in run.movies}
    )
    mode = settings.hrf.mode
    lags = sorted(settings.hrf.lags if mode in DECONVOLVED else settings.lags)
    t_r = min(run.t_r for run in shown)
    problem = prepare(clips, features, shown, columns, lags, settings.max_clips)
    table, finding = sweep(
        problem,
        lags,
        sorted(settings.windows),
        settings.ridge_alphas,
        float(np.median(every["duration"])),
        settings.permutations,
        settings.seed,
        round((lags[-1] - lags[0]) / t_r) + 1 if mode == "fir" else None,
        settings.min_shift,
    )
    choice = choose(table, finding, settings)
    choice = {"subject": args.subject.removeprefix("sub-"), **choice}
    choice |= {"clips_fitted": len(problem.fit), "clips_held_out": len(problem.held_out)}
    tables.write(args.output_table, pd.DataFrame(table), "sweep")
    json_documents.write(args.output_choice, choice, "choice")
    print(
        f"sub-{choice['subject']}: lag {choice['lag']:g} s, window {choice['window']} ({choice['note']})",
        file=sys.stderr,
    )
    provenance.record(
        args.output_choice,
        inputs=[args.clips, args.voxels, args.presentations, *(run.path for run in shown)],
        config=asdict(settings),
        seed=settings.seed,
        started=started,
    )


if __name__ == "__main__":
    step.run(main)
