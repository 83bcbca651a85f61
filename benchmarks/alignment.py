"""What fitting the linear paths of one subject costs at real size, on one core.

    OMP_NUM_THREADS=1 python benchmarks/alignment.py [--rows 7680 --positions 8256 --window 3]

Invented responses of the sizes of cc2017 (17 training segments; rows are showings of clips). Prints a table
of processor seconds: choosing and fitting the inverted encoding model, the same for the ridge, and the ridge
as it would be with one eigendecomposition for each fold (measured on one fold, times the folds). The largest
difference between both ridges' left-out predictions is measured on a quarter of the rows.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from boldreel import presets
from boldreel.align import ridge
from boldreel.align.data import Trials
from boldreel.align.inversion import Inversion
from boldreel.align.settings import AlignSettings
from boldreel.align.whitening import candidates
from boldreel.data.cohort_noise import CohortNoise
from boldreel.data.features import ClipFeatures
from boldreel.models.noise import LENGTHS, DistanceCurve
from boldreel.settings import read


def invented(rows: int, positions: int, window: int, dim: int, segments: int) -> Trials:
    """Trials of noise: what fitting costs does not depend on what responses hold."""
    rng = np.random.default_rng(0)
    clips = rows // 2
    names = [f"c{k:05d}" for k in range(clips)]
    hidden = rng.standard_normal((clips, 200))
    wide = hidden @ rng.standard_normal((200, 2 * dim + 128)) / 14
    features = ClipFeatures(
        image=wide[:, :dim].astype(np.float32),
        text=wide[:, dim : 2 * dim].astype(np.float32),
        condition=wide[:, None, 2 * dim :].astype(np.float32),
        motion=rng.standard_normal((clips, 6)).astype(np.float32),
        clips=names,
        captions=names,
        shots=names,
        attributes=[{} for _ in names],
    )
    clip = np.tile(np.arange(clips), 2)
    segment = np.array([f"s{k * segments // clips:02d}" for k in clip])
    onset = 2.0 * (clip % -(-clips // segments))
    repeat = np.repeat([1, 2], clips)
    return Trials(
        x=rng.standard_normal((rows, window, positions), dtype=np.float32),
        clip=clip,
        segment=segment,
        features=features,
        repeat=repeat,
        onset=onset,
        run=np.array([f"{s}-{r}" for s, r in zip(segment, repeat, strict=True)]),
        times=onset[:, None] + 4.0 + 2.0 * np.arange(window),
        duration=np.full(clips, 2.0),
    )


def per_fold(
    x: np.ndarray, y: np.ndarray, folds: np.ndarray, alpha: float, fold: str
) -> np.ndarray:
    """Predictions of one fold by a ridge that never saw it, decomposed for this fold alone."""
    from scipy.linalg import eigh

    test = folds == fold
    mean = x[~test].mean(0, dtype=np.float64)
    centred = x[~test] - mean
    values, vectors = eigh(centred @ centred.T, overwrite_a=True, check_finite=False)
    left = y[~test] - y[~test].mean(0)
    dual = vectors @ ((vectors.T @ left) / (np.maximum(values, 0) + alpha)[:, None])
    return (x[test] - mean) @ (centred.T @ dual) + y[~test].mean(0)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=7680)
    arguments.add_argument("--positions", type=int, default=8256)
    arguments.add_argument("--window", type=int, default=3)
    arguments.add_argument("--dim", type=int, default=768)
    arguments.add_argument("--segments", type=int, default=17)
    args = arguments.parse_args()
    trials = invented(args.rows, args.positions, args.window, args.dim, args.segments)
    used = np.ones(args.positions, bool)
    settings = read(AlignSettings, presets.load("base")["align"], "align")
    side = 2.0 * np.arange(-(-(args.positions ** (1 / 3)) // 1) + 1)
    grid = np.stack(np.meshgrid(side, side, side), axis=-1).reshape(-1, 3)[: args.positions]
    none = (0.0,) * len(LENGTHS)
    curve = DistanceCurve(tuple(0.7 * (length == 8.0) for length in LENGTHS), none, 0.1, 0.2)
    noise = CohortNoise(curve.matrix(grid).astype(np.float32), curve, 1.0, 1000, ("a",))
    found: dict[str, float] = {}

    def clock(name: str, start: float) -> None:
        found[name] = time.process_time() - start
        print(f"{name}: {found[name]:.0f} s", flush=True)

    start = time.process_time()
    path = Inversion.choose(trials, used, settings, candidates(trials, used, grid, noise))
    clock("inversion, choosing", start)
    start = time.process_time()
    path.solve(trials)
    clock("inversion, fitting", start)
    start = time.process_time()
    path.left_out(trials)
    clock("inversion, left-out predictions", start)
    start = time.process_time()
    Inversion.choose(trials, used, settings, candidates(trials, used, grid, noise), path)
    clock("inversion, choosing again for other positions", start)
    x = trials.x.reshape(args.rows, -1)
    targets = path.targets.values(trials.features)[trials.clip]
    groups = path.targets.groups(trials.features)
    start = time.process_time()
    ridge.choose_alphas(x, targets, ridge.Split.by(trials.folds), trials.clip, groups)
    clock("ridge, choosing", start)
    start = time.process_time()
    ridge.fit(x, targets, dict.fromkeys(groups, 1e4), groups)
    clock("ridge, fitting", start)
    start = time.process_time()
    per_fold(x, targets, trials.folds, 1e4, trials.folds[0])
    clock("ridge decomposed for each fold, one fold", start)
    few = np.arange(0, args.rows, 4)
    ours = ridge.left_out(
        x[few],
        targets[few],
        ridge.Split.by(trials.folds[few]),
        dict.fromkeys(groups, 1e4),
        groups,
    )
    theirs = per_fold(x[few], targets[few], trials.folds[few], 1e4, trials.folds[0])
    difference = np.abs(ours[trials.folds[few] == trials.folds[0]] - theirs).max()
    folds = len(np.unique(trials.folds))
    print("\n| what | processor seconds |\n|---|---|")
    for name, seconds in found.items():
        print(f"| {name} | {seconds:.0f} |")
    print(
        f"\n{folds} folds: {folds * found['ridge decomposed for each fold, one fold']:.0f} s decomposed for "
        f"each, {found['ridge, choosing']:.0f} s decomposed once; left-out predictions differ by "
        f"{difference:.1e} of a spread of {targets.std():.2g}"
    )


if __name__ == "__main__":
    main()
