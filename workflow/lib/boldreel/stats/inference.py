"""The interval and the p of every score of the group's table, of retrieval as of reconstruction.

Takes the runs and shots of a set of clips; returns shifts, resampled shots and tests. That all rows come from
one null and one interval is ensured here: nothing else draws them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from boldreel.stats import bootstrap, permutation, shifts
from boldreel.stats.settings import InferenceSettings


def shifts_of_run(shots: np.ndarray, settings: InferenceSettings, step: float = 0.0) -> np.ndarray:
    """The circular shifts of one run, the identity first.

    Parameters
    ----------
    shots : (n,) shot of each clip, in time order. step : s from one clip to the next.
    """
    least = shifts.least(list(shots), settings.min_shift, step)
    return shifts.spaced(len(shots), least, settings.shifts)


class Inference:
    """Draws of a set of clips, which all scores of theirs share.

    Parameters
    ----------
    runs : rows of each run, in time order; together all clips, each once.
    names : of the runs. shots : (n,) shot of each clip.
    """

    def __init__(
        self,
        runs: Sequence[np.ndarray],
        names: Sequence[str],
        shots: np.ndarray,
        settings: InferenceSettings,
    ) -> None:
        self.runs, self.shots, self.settings = runs, shots, settings
        self._home = np.empty(len(shots), dtype=object)
        for rows, name in zip(runs, names, strict=True):
            self._home[rows] = name
        self._drawn: dict[bytes, bootstrap.Resampled] = {}

    def resampled(self, inside: np.ndarray) -> bootstrap.Resampled:
        """Resampled shots of some clips, bool (n,), drawn once."""
        key = inside.tobytes()
        if key not in self._drawn:
            self._drawn[key] = bootstrap.resample(
                self.shots[inside],
                self._home[inside],
                self.settings.resamples,
                np.random.default_rng([self.settings.seed, 1]),
                self.settings.resample_runs,
            )
        return self._drawn[key]

    def interval(
        self, values: np.ndarray, inside: np.ndarray, per: np.ndarray | None = None
    ) -> tuple[float, float]:
        """95 % interval of a mean, or a ratio of sums, of some clips' values; NaN if shots are too few.

        Parameters
        ----------
        values : (n,), NaN where there is none. inside : bool (n,). per : (n,) denominators.
        """
        bottom = None if per is None else per[inside]
        return bootstrap.interval(values[inside], self.resampled(inside), bottom)

    def null(self, values: Sequence[np.ndarray], inside: np.ndarray) -> permutation.Null:
        """The summed score of some clips, and under joint shifts.

        Parameters
        ----------
        values : (shifts, clips) of each run, larger is better, the identity first; NaN marks a truth that
            cannot be scored, the same one under every shift. inside : bool (n,).
        """
        kept = []
        for rows, value in zip(self.runs, values, strict=True):
            here = inside[rows] & np.isfinite(value[0])
            if here.any():
                kept.append(value[:, here])
        rng = np.random.default_rng([self.settings.seed, 2])
        return permutation.null(kept, self.settings.permutations, rng)

    def test(self, values: Sequence[np.ndarray], inside: np.ndarray) -> permutation.Permutation:
        """One-sided p of some clips' score among joint shifts; parameters as of `null`."""
        found = self.null(values, inside)
        return permutation.among(found.observed, found.others, found.size)
