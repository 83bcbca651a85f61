"""The haemodynamic response of each area: learnt on training segments, or the canonical one.

Reads the subject's areas and, to learn from, series, presentations and features of training segments; writes
hrf.tsv, one row per area and delay (s), each response 1 at its largest. A run of another split is not
opened, validation included: the sweep is scored on it.

An area's response is a sum of a few curves that span plausible responses (after Woolrich, Behrens &
Smith 2004, NeuroImage 21:1748), so that it is smooth and does not depend on the TR. Ridge regression
predicts each voxel's series from the leading components of what is on screen, each convolved with each
curve, on two halves of the segments; the response is the time course with which the weights of one half
explain the other. It is kept where the halves' weights agree better than with what was on screen shifted
in a circle (p below ``chance_p``). Elsewhere the response of all areas together is taken, if halves agree
on that, or else the canonical one. An area's own response is drawn towards it, the more so the less they
differ beyond what halves differ.
"""

from __future__ import annotations

import math
import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel import step
from boldreel.data import provenance, tables
from boldreel.errors import UserError
from boldreel.settings import read
from boldreel.stats import permutation, shifts
from boldreel.training.progress import Progress
from boldreel.windows import response, ridge, runs
from boldreel.windows.settings import LEARNT, WindowsSettings

if TYPE_CHECKING:
    import pandas as pd

_CURVES = 4
_STEP = 0.1  # s, time resolution of what is on screen and of responses
_OUT = 0.5  # s between the delays of hrf.tsv


def basis(length: float) -> tuple[np.ndarray, np.ndarray]:
    """(delays (n,) in s, curves (4, n)): the leading singular vectors of plausible responses.

    Those are differences of two gammas that peak 3 to 8 s after the event, of three widths and four
    undershoots. Curves are scaled by their singular values, the first's 1, so that ridge regression
    shrinks towards what is common.

    Parameters
    ----------
    length : s
    """
    from scipy.stats import gamma

    delays = np.arange(round(length / _STEP) + 1) * _STEP
    members = []
    for peak in np.arange(3, 8.01, 0.5):
        for width in (0.7, 1.0, 1.3):
            rise = gamma.pdf(delays, peak / width + 1, scale=width)
            fall = gamma.pdf(delays, (peak + 10) / width + 1, scale=width)
            members += [
                rise / rise.max() - share * fall / fall.max() for share in (0, 0.1, 0.2, 0.3)
            ]
    family = np.array([curve / np.linalg.norm(curve) for curve in members])
    _, strength, axes = np.linalg.svd(family, full_matrices=False)
    return delays, axes[:_CURVES] * (strength[:_CURVES] / strength[0])[:, None]


def on_screen(
    run: runs.ShownRun, scores: np.ndarray, durations: np.ndarray
) -> tuple[float, np.ndarray]:
    """What a run showed at each moment: (first moment in s, (moments of 0.1 s, K), 0 for no clip).

    A movie that began before the run is there from its beginning: blood is late.

    Parameters
    ----------
    scores, durations : (rows of the clips table, K), and s
    """
    begin = min(0.0, float(run.shown.onsets.min(initial=0.0)))
    count = int(np.ceil((run.start_time + run.t_r * len(run.values) - begin) / _STEP))
    moments = begin + (np.arange(count) + 0.5) * _STEP
    shown = np.zeros((count, scores.shape[1]))
    for row, onset in zip(run.shown.rows, run.shown.onsets, strict=True):
        shown[(moments >= onset) & (moments < onset + durations[row])] = scores[row]
    return begin, shown


def design(
    run: runs.ShownRun, scores: np.ndarray, durations: np.ndarray, length: float
) -> np.ndarray:
    """Regressors of a run (volumes, 4 * K), curves slowest, columns of mean 0."""
    begin, shown = on_screen(run, scores, durations)
    _, curves = basis(length)
    times = run.start_time + run.t_r * np.arange(len(run.values)) - begin
    at = np.clip(np.round(times / _STEP - 0.5).astype(int), 0, len(shown) - 1)
    columns = [
        np.convolve(shown[:, k], curve)[at] for curve in curves for k in range(shown.shape[1])
    ]
    out = np.stack(columns, axis=1)
    return out - out.mean(axis=0)


def components(features: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """The leading principal components of clips' features, unit variance, (len(features), count).

    Fitted on the clips `rows`; 0 for clips without features.
    """
    known = features[rows].astype(np.float64)
    mean = known.mean(axis=0)
    _, strength, axes = np.linalg.svd(known - mean, full_matrices=False)
    count = min(count, int((strength > 1e-8 * strength[0]).sum()))
    spread = strength[:count] / np.sqrt(len(rows))
    return np.nan_to_num((features - mean) @ axes[:count].T / spread)


@dataclass(frozen=True)
class Learnt:
    """One area's response at `basis` delays, (n,).

    agreement : correlation of the weights of two halves of the segments; p : of so large a one
    source : area, all areas or canonical
    """

    course: np.ndarray
    agreement: float
    p: float
    source: str


def learn(
    shown: Sequence[tuple[str, np.ndarray, np.ndarray]],
    areas: np.ndarray,
    length: float,
    alphas: Sequence[float],
    permutations: int,
    chance_p: float,
    apart: int,
    seed: int = 0,
) -> dict[str, Learnt]:
    """Each area's response.

    Parameters
    ----------
    shown : (segment, design (volumes, 4 * K), series (volumes, V)) of each run
    areas : (V,)
    length : of responses, s
    alphas : ridge penalties, in units of the mean squared norm of a row of the design
    permutations : circular shifts of what was on screen, for the p of the halves' agreement
    chance_p : p below which a response stands
    apart : volumes that what was on screen is shifted by at least

    Raises
    ------
    UserError : one segment alone, or nothing on screen.
    """
    from himalaya.ridge import RidgeCV

    names = list(dict.fromkeys(segment for segment, _, _ in shown))
    if len(names) < 2:
        raise UserError(
            f"windows.hrf: one training segment ({names[0]}) besides validation; kernel needs two, "
            "set windows.hrf.mode to deconvolution"
        )
    x = np.concatenate([design for _, design, _ in shown])
    scale = float(np.sqrt((x**2).sum(axis=1).mean()))
    if not scale:
        raise UserError(
            "windows.hrf: nothing was on screen in any training run; check the presentations"
        )
    x = (x / scale).astype(np.float32)
    y = np.concatenate([values - values.mean(axis=0) for _, _, values in shown]).astype(np.float32)
    segments = np.concatenate([[segment] * len(values) for segment, _, values in shown])
    model = RidgeCV(
        alphas=np.asarray(alphas, float),
        cv=ridge.folds(segments),
        fit_intercept=False,
        # One for all voxels: chosen for each, it would favour voxels whose noise is alike in both halves.
        solver_params={"warn": False, "n_targets_batch": 1000, "local_alpha": False},
    )
    penalty = float(np.asarray(model.fit(x, y).best_alphas_)[0])
    halves = [np.flatnonzero(np.isin(segments, names[half::2])) for half in (0, 1)]
    weights = [_weights(x[rows], y[rows], penalty) for rows in halves]
    members = {area: areas == area for area in dict.fromkeys(areas.tolist())}
    members[""] = np.ones(len(areas), bool)  # all together
    alike = _agreement(weights, members)
    null = []
    turns = _turns([(segment, len(values)) for segment, _, values in shown], apart)
    choice = shifts.joint(
        [len(turn) for turn in turns.values()], permutations, np.random.default_rng([seed, 4])
    )
    progress = Progress(len(choice), "haemodynamic responses", unit="shifts")
    for chosen in choice:
        by = {name: turn[k] for (name, turn), k in zip(turns.items(), chosen, strict=True)}
        order = _shifted([(segment, len(values)) for segment, _, values in shown], by)
        null.append(_agreement([_weights(x[order[r]], y[r], penalty) for r in halves], members))
        progress.update()
    p = {
        area: permutation.among(value, np.array([other[area] for other in null]), 1.0).p
        for area, value in alike.items()
    }
    if not null:
        print(
            "haemodynamic responses: training runs are too short to be shifted, so that nothing can be "
            "tested, and the canonical response is taken",
            file=sys.stderr,
        )
    delays, curves = basis(length)

    def courses(of: np.ndarray) -> np.ndarray:
        parts = [(x[r], y[np.ix_(r, of)], w[:, of]) for r, w in zip(halves, weights, strict=True)]
        return _courses(parts, curves)

    centre, source = response.double_gamma(delays), "canonical"
    centre = centre / np.linalg.norm(centre)
    every = members.pop("")
    if p[""] < chance_p:
        centre, source = courses(every)[0], "all areas"
    own = {area: courses(of) for area, of in members.items() if p[area] < chance_p}
    kept = _kept(list(own.values()), centre)
    found = {area: Learnt(centre, alike[area], p[area], source) for area in members}
    for area, (both, _, _) in own.items():
        course = centre + kept * (both - centre)
        found[area] = Learnt(course, alike[area], p[area], "area")
    return found


def _weights(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Ridge weights (4 * K, V)."""
    return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1], dtype=x.dtype), x.T @ y)


def _agreement(weights: Sequence[np.ndarray], members: dict[str, np.ndarray]) -> dict[str, float]:
    """{area: correlation of the two halves' weights}."""
    first, second = weights
    found = {}
    for area, of in members.items():
        one, other = first[:, of].ravel(), second[:, of].ravel()
        norm = float(np.linalg.norm(one) * np.linalg.norm(other))
        found[area] = float(one @ other) / norm if norm else 0.0
    return found


def _turns(lengths: Sequence[tuple[str, int]], apart: int) -> dict[str, np.ndarray]:
    """{segment: circular shifts in volumes, at least `apart`}, of its shortest repeat.

    Parameters
    ----------
    lengths : (segment, volumes) of each run
    """
    shortest: dict[str, int] = {}
    for segment, count in lengths:
        shortest[segment] = min(count, shortest.get(segment, count))
    return {segment: shifts.spaced(count, apart) for segment, count in shortest.items()}


def _shifted(lengths: Sequence[tuple[str, int]], by: Mapping[str, int]) -> np.ndarray:
    """Rows (volumes,) with each run turned in a circle, repeats of a segment alike.

    Parameters
    ----------
    lengths : (segment, volumes) of each run. by : volumes of each segment.
    """
    order, start = np.arange(sum(count for _, count in lengths)), 0
    for segment, count in lengths:
        own = slice(start, start + count)
        order[own] = np.roll(order[own], by[segment])
        start += count
    return order


def _courses(
    parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], curves: np.ndarray
) -> np.ndarray:
    """The time course by which one half's weights explain the other best: (3, n), of unit norm.

    First by both halves together, then by each. Least squares on what the other half's weights predict:
    neither shrinkage nor noise that the weights were fitted to pulls towards the curves' own shape.

    Parameters
    ----------
    parts : (design, series, weights) of each half
    curves : (4, n)
    """
    count = len(curves)
    normal, right = np.zeros((2, count, count)), np.zeros((2, count))
    for half, ((_, _, weights), (x, y, _)) in enumerate(zip(parts, parts[::-1], strict=True)):
        by_curve = weights.reshape(count, -1).astype(np.float64)
        _, vectors = np.linalg.eigh(by_curve @ by_curve.T)
        leading = vectors[:, -1] * (1 if vectors[0, -1] >= 0 else -1)
        pattern = np.tensordot(leading, weights.reshape(count, -1, weights.shape[1]), axes=1)
        width = x.shape[1] // count
        drives = [x[:, k * width : (k + 1) * width] @ pattern for k in range(count)]
        right[half] = [float((drive * y).sum()) for drive in drives]
        normal[half] = [[float((a * b).sum()) for b in drives] for a in drives]
    pairs = [(normal.sum(axis=0), right.sum(axis=0)), *zip(normal, right, strict=True)]
    found = np.stack([np.linalg.lstsq(n, r, rcond=1e-6)[0] for n, r in pairs]) @ curves
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _kept(own: Sequence[np.ndarray], centre: np.ndarray) -> float:
    """Share of areas' departures from a common response that is not noise (James & Stein), 0 to 1.

    Parameters
    ----------
    own : areas' `_courses`; centre : (n,), unit norm
    """
    if not own:
        return 1.0
    noise = np.mean([((first - second) ** 2).sum() / 4 for _, first, second in own])
    spread = np.mean([((both - centre) ** 2).sum() for both, _, _ in own])
    return float(max(0.0, 1 - noise / spread)) if spread else 0.0


def table(areas: Sequence[str], found: dict[str, Learnt], length: float) -> pd.DataFrame:
    """The table "hrf": responses of the areas, sampled, 1 at their largest.

    An area that `found` does not hold has the canonical response.
    """
    import pandas as pd

    delays, _ = basis(length)
    every = round(_OUT / _STEP)
    unlearnt = Learnt(response.double_gamma(delays), float("nan"), float("nan"), "canonical")
    frames = []
    for area in areas:
        own = found.get(area, unlearnt)
        values = own.course[::every] / np.abs(own.course[::every]).max()
        frame = pd.DataFrame({"area": area, "delay": delays[::every], "value": values})
        frames.append(frame.assign(source=own.source, agreement=own.agreement, p=own.p))
    return pd.concat(frames, ignore_index=True)


def _learn_from(
    args: Namespace, settings: WindowsSettings, voxels: pd.DataFrame
) -> dict[str, Learnt]:
    """`learn` from the files of a subject."""
    if not args.series or args.clips is None or args.presentations is None:
        raise UserError(
            "windows.hrf.mode is kernel; give --series, --presentations, --clips, --features"
        )
    clips = runs.clips_of(tables.read(args.clips, "clips"), args.presentations)
    shown = runs.load_runs(args.series, args.presentations, clips, splits=("train",))
    runs.check_positions(shown, len(voxels), args.voxels)
    movies = {movie for run in shown for movie in run.movies}
    features = runs.clip_features(clips, args.features, movies)
    rows = np.unique(np.concatenate([run.shown.rows for run in shown]))
    scores = components(features, rows, settings.hrf.components)
    durations, length = clips["duration"].to_numpy(), settings.hrf.length
    use = np.flatnonzero(voxels["present"].to_numpy(bool))
    material = []
    for run in shown:
        # A run may show clips of other splits in between: nothing is learnt from the responses to them.
        own = ~run.answers_others(length)
        if own.any():
            values = np.nan_to_num(np.asarray(run.values)[own][:, use])
            material.append((run.segment, design(run, scores, durations, length)[own], values))
    if not material:
        raise UserError(
            "windows.hrf: every volume of the training runs holds a response to validation or test clips; "
            "set windows.hrf.mode to deconvolution"
        )
    return learn(
        material,
        voxels["area"].to_numpy(object)[use],
        length,
        settings.ridge_alphas,
        settings.permutations,
        settings.chance_p,
        math.ceil(settings.min_shift / min(run.t_r for run in shown) - 1e-6),
        settings.seed,
    )


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = step.parser(__doc__)
    arguments.add_argument("--voxels", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True, help="hrf.tsv")
    arguments.add_argument("--series", type=Path, nargs="*", default=[], metavar="NPY")
    arguments.add_argument("--presentations", type=Path, help="with --series")
    arguments.add_argument("--clips", type=Path, help="with --series")
    arguments.add_argument("--features", type=Path, nargs="*", default=[], metavar="DIR")
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(WindowsSettings, args.config, "windows")
    voxels = tables.read(args.voxels, "voxels")
    inputs = [args.voxels]
    found: dict[str, Learnt] = {}
    if settings.hrf.mode in LEARNT:
        found = _learn_from(args, settings, voxels)
        inputs += [args.clips, args.presentations, *args.series, *args.features]
    areas = list(dict.fromkeys(voxels["area"].tolist()))
    frame = table(areas, found, settings.hrf.length)
    tables.write(args.output, frame, "hrf")
    sources = frame.drop_duplicates("area")["source"].value_counts()
    print(
        "haemodynamic responses: " + ", ".join(f"{n} {source}" for source, n in sources.items()),
        file=sys.stderr,
    )
    provenance.record(args.output, inputs=inputs, config=asdict(settings), started=started)


if __name__ == "__main__":
    step.run(main)
