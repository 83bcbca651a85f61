"""How often intervals cover and tests reject, in simulation: `python benchmarks/intervals.py`.

Simulates values of clips with a known mean and unrelated pairs of series, over numbers of runs and shots,
with autocorrelation, skewness, differences between runs and trends, and with shots known or unknown. Prints
two Markdown tables, which docs/statistics.md shows. The functions are those of every score of the table of
metrics (`stats.means`, `stats.inference`). Takes three minutes on one core.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from boldreel.stats import means, shifts
from boldreel.stats.inference import Inference
from boldreel.stats.settings import InferenceSettings

SHOT = 3  # clips
RUNS_AND_SHOTS = [
    (1, 10),
    (1, 20),
    (1, 60),
    (2, 5),
    (2, 10),
    (2, 60),
    (3, 1),
    (3, 6),
    (3, 60),
    (5, 2),
    (5, 20),
    (15, 2),
    (30, 1),
    (30, 20),
]


@dataclass(frozen=True)
class World:
    """What values of shots are like.

    near : correlation of a shot with the next. skewed : exponential values in place of normal ones. of_run :
    standard deviation of runs, next to the 1 of shots. told : whether it is known which clips are a shot.
    """

    name: str
    near: float = 0.0
    skewed: bool = False
    of_run: float = 0.0
    told: bool = True


WORLDS = (
    World("independent"),
    World("AR .5", 0.5),
    World("AR .9", 0.9),
    World("skewed", skewed=True),
    World("skewed, AR .5", 0.5, skewed=True),
    World("run effects", of_run=0.5),
    World("shots not told", told=False),
)


def series(
    rng: np.random.Generator, sets: int, length: int, near: float, skewed: bool = False
) -> np.ndarray:
    """Autoregressive series (sets, length), mean 0 and variance 1."""
    x = rng.normal(size=(sets, length))
    for k in range(1, length):
        x[:, k] = near * x[:, k - 1] + np.sqrt(1 - near**2) * x[:, k]
    return -np.log(ndtr(-x)) - 1 if skewed else x


def coverage(
    rng: np.random.Generator, sets: int, runs: int, each: int, world: World
) -> tuple[float, float] | None:
    """(share of intervals that cover, share of p of at most .05) where the mean is 0; None if not given."""
    parts = [series(rng, sets, each, world.near, world.skewed) for _ in range(runs)]
    parts = [part + world.of_run * rng.normal(size=(sets, 1)) for part in parts]
    values = np.repeat(np.concatenate(parts, axis=1), SHOT, axis=1)
    run, clip = np.repeat(np.arange(runs), each * SHOT), np.arange(runs * each * SHOT)
    found = means.studentised(values, run, clip // SHOT if world.told else clip)
    if found is None:
        return None
    low, high = found.interval()
    return float(np.mean((low <= 0) & (high >= 0))), float(np.mean(found.p() <= 0.05))


@dataclass(frozen=True)
class Drift:
    """Two series of a run that are unrelated but for a trend, and how they are compared."""

    name: str
    near: float = 0.0
    trend: str = ""
    match: str = "product"


DRIFTS = (
    Drift("independent"),
    Drift("AR .5", 0.5),
    Drift("AR .9", 0.9),
    Drift("trend", trend="line"),
    Drift("trend, AR .5", 0.5, trend="line"),
    Drift("bent trend", trend="bow"),
    Drift("hits", match="hits"),
    Drift("hits, trend", trend="line", match="hits"),
)
SHIFTED = [
    (1, 60, 1),
    (1, 60, 3),
    (1, 200, 3),
    (2, 30, 3),
    (3, 30, 3),
    (5, 30, 3),
    (15, 12, 3),
    (15, 10, 2),
]


def trend(kind: str, clips: int) -> np.ndarray:
    """A drift of standard deviation .9 next to the 1 of what varies around it."""
    t = np.linspace(-1, 1, clips)
    shape = {"": 0 * t, "line": t, "bow": t**2 - 1 / 3}[kind]
    return 0.9 * shape / max(float(shape.std()), 1e-9)


def rejected(
    rng: np.random.Generator, sets: int, runs: int, clips: int, shot: int, drift: Drift
) -> tuple[float, float, float] | None:
    """Shares of p of at most .05 without trends taken out, with, and of verdicts (with the margin)."""
    by = shifts.spaced(clips, shot)
    i, j = shifts.shifted(clips, by)
    rows = np.split(np.arange(runs * clips), runs)
    own = Inference(rows, np.arange(runs * clips) // shot, InferenceSettings(permutations=399))
    every = np.ones(runs * clips, dtype=bool)
    count = -(-clips // shot)
    drawn = np.repeat(series(rng, 2 * sets * runs, count, drift.near), shot, axis=1)[:, :clips]
    drawn = (drawn + trend(drift.trend, clips)).reshape(sets, runs, 2, clips)
    plain, found = [], []
    for pair in drawn:
        x, y = pair[:, 0], pair[:, 1]
        values = [
            a[i] * b[j] if drift.match == "product" else (np.abs(a[i] - b[j]) < 1) * 1.0
            for a, b in zip(x, y, strict=True)
        ]
        result = own.test(values, every)
        if not result.arrangements:
            return None
        found.append((result.p, result.p_high))
        sums = [value.sum(axis=1) for value in values]
        choice = shifts.joint([len(by)] * runs, 399, rng)
        others = sum(s[chosen] for s, chosen in zip(sums, choice.T, strict=True))
        plain.append((1 + np.sum(others >= sum(s[0] for s in sums) - 1e-9)) / (1 + len(others)))
    p, high = np.array(found).T
    return (
        float(np.mean(np.array(plain) <= 0.05)),
        float(np.mean(p <= 0.05)),
        float(np.mean(high <= 0.05)),
    )


def number(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sets", type=int, default=4000, help="of values, for each cell")
    arguments.add_argument("--pairs", type=int, default=1000, help="sets of series, for each cell")
    args = arguments.parse_args()
    rng = np.random.default_rng(0)
    print("| runs x shots | " + " | ".join(world.name for world in WORLDS) + " |")
    print("|---" * (1 + len(WORLDS)) + "|")
    for runs, each in RUNS_AND_SHOTS:
        cells = []
        for world in WORLDS:
            # with one or two runs an interval is of these runs, so that their effects are part of the mean
            none = world.of_run > 0 and runs < means.FEWEST_RUNS
            got = None if none else coverage(rng, args.sets, runs, each, world)
            cells.append("–" if got is None else f"{number(got[0])} / {number(got[1])}")
        print(f"| {runs} x {each} | " + " | ".join(cells) + " |", flush=True)
    print()
    print("| runs x clips (shot) | " + " | ".join(drift.name for drift in DRIFTS) + " |")
    print("|---" * (1 + len(DRIFTS)) + "|")
    for runs, clips, shot in SHIFTED:
        cells = []
        for drift in DRIFTS:
            shares = rejected(rng, args.pairs, runs, clips, shot, drift)
            cells.append("–" if shares is None else " / ".join(map(number, shares)))
        print(f"| {runs} x {clips} ({shot}) | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
