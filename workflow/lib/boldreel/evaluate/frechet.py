"""Fréchet distance of class scores: how far two sets of videos are apart as a video classifier sees them.

Takes the class scores of all test clips, of the truth and of each condition; returns rows of the table
"metrics". The distance is between two Gaussians. What is published as FVD (Unterthiner et al. 2018) is that
of I3D's features, and no number to compare with. It compares sets, not pairs, so that it says nothing of the
brain: a generator that ignores it may score well. Few clips bias it upwards, so that it may be compared at
the same number of clips alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from boldreel.evaluate.summary import Group

NAN = float("nan")
METRIC = "frechet_class_scores"
_FOLDS = 20  # groups of shots, each left out once for the interval


class Collected:
    """Class scores (clips, classes) by condition; NaN if a condition does not have a clip."""

    def __init__(self, clips: int) -> None:
        self.clips = clips
        self.of: dict[str, np.ndarray] = {}

    def add(self, condition: str, rows: np.ndarray, scores: np.ndarray | None) -> None:
        """Keep the scores of these rows; nothing without a video classifier."""
        if scores is not None:
            empty = np.full((self.clips, scores.shape[1]), NAN, np.float32)
            self.of.setdefault(condition, empty)[rows] = scores


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """|mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2)) of sets (n, D) and (m, D), A and B their covariances.

    With A = X'X and B = Y'Y the eigenvalues of (A B)^(1/2) are the singular values of X Y', so that no
    root of a matrix is needed, whatever its rank.
    """
    if min(len(a), len(b)) < 2:
        return NAN
    apart = a.mean(0, dtype=np.float64) - b.mean(0, dtype=np.float64)
    x, y = _root(a), _root(b)
    shared = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(apart @ apart + (x**2).sum() + (y**2).sum() - 2 * shared)


def _root(values: np.ndarray) -> np.ndarray:
    """X (at most D, D) with X'X the covariance of values (n, D)."""
    centred = values.astype(np.float64) - values.mean(0, dtype=np.float64)
    return np.linalg.qr(centred, mode="r") / np.sqrt(len(values) - 1)


def interval(a: np.ndarray, b: np.ndarray, shots: np.ndarray) -> tuple[float, float]:
    """95 % interval of the distance of paired sets (n, D), by leaving out each of at most 20 groups of shots
    (delete-a-group jackknife). Resampling with replacement would repeat clips, and so bias the distance."""
    _, shot = np.unique(shots, return_inverse=True)
    # neighbours together, since shots that follow each other may be alike
    fold = shot * min(_FOLDS, shot.max() + 1) // (shot.max() + 1)
    left = np.array([distance(a[fold != k], b[fold != k]) for k in np.unique(fold)])
    count = len(left)
    if count < 3:
        return NAN, NAN
    from scipy.special import stdtrit

    error = np.sqrt((count - 1) / count * np.square(left - left.mean()).sum())
    value = distance(a, b)
    half = float(stdtrit(count - 1, 0.975)) * error
    return value - half, value + half


def rows(collected: Collected, groups: Sequence[Group], shots: np.ndarray) -> list[dict[str, Any]]:
    """Rows of every condition but the truth, for each group of clips; none without a video classifier."""
    truth = collected.of.get("truth")
    if truth is None:
        return []
    classes = truth.shape[1]
    if collected.clips <= classes:
        print(
            f"note: {METRIC} of {collected.clips} clips in {classes} dimensions: biased upwards; compare "
            "it with others of as many clips alone",
            file=sys.stderr,
            flush=True,
        )
    out = []
    for condition, scores in collected.of.items():
        if condition == "truth":
            continue
        for group in groups:
            at = group.inside & np.isfinite(scores[:, 0])
            low, high = interval(truth[at], scores[at], shots[at]) if at.sum() > 1 else (NAN, NAN)
            out.append(
                {
                    "segment": group.name,
                    "metric": METRIC,
                    "definition": f"{classes} class scores of the video classifier",
                    "better": "lower",
                    "chance": NAN,
                    "n": int(at.sum()),
                    "value": distance(truth[at], scores[at]),
                    "ci_low": low,
                    "ci_high": high,
                    "condition": condition,
                    "p": NAN,
                    "permutations": 0,
                }
            )
    return out
