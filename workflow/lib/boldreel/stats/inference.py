"""The interval and the p of every score of the group's table, of retrieval as of reconstruction.

Takes the runs and shots of a set of clips; returns shifts, intervals and tests. That all rows come from
one null and one interval is ensured here: nothing else draws them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from boldreel.stats import means, permutation, shifts, trends
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
    """What all scores of a set of clips share.

    Parameters
    ----------
    runs : rows of each run, in time order; together all clips, each once.
    shots : (n,) shot of each clip.
    """

    def __init__(
        self, runs: Sequence[np.ndarray], shots: np.ndarray, settings: InferenceSettings
    ) -> None:
        self.runs, self.settings = runs, settings
        self.order = np.concatenate([np.asarray(rows, dtype=int) for rows in runs])
        self._run = np.repeat(np.arange(len(runs)), [len(rows) for rows in runs])
        self._shot = np.unique(shots, return_inverse=True)[1][self.order]
        self._detrended: dict[tuple[int, bytes, bytes, bytes], trends.Detrended] = {}

    def mean(
        self, values: np.ndarray, inside: np.ndarray, per: np.ndarray | None = None
    ) -> means.Mean:
        """Mean, or ratio of sums, of some clips' values, with its interval and its p against 0.

        Parameters
        ----------
        values : (n,), NaN where there is none. inside : bool (n,). per : (n,) denominators.
        """
        chosen = inside[self.order]
        at = self.order[chosen]
        below = None if per is None else per[at]
        return means.of_mean(values[at], self._run[chosen], self._shot[chosen], below)

    def null(
        self,
        values: Sequence[np.ndarray],
        inside: np.ndarray,
        by: Sequence[np.ndarray | None] | None = None,
    ) -> permutation.Null:
        """The summed score of some clips, and under joint shifts, without trends over the runs.

        Runs with too few shifts to tell a trend are left out, see `trends.Detrended`.

        Parameters
        ----------
        values : (shifts, clips) of each run, larger is better, the identity first; NaN marks a truth that
            cannot be scored, the same one under every shift. inside : bool (n,).
        by : shifts of each run; None for those of `shifts.spaced`.
        """
        sums, size = [], 0.0
        for k, (rows, value) in enumerate(zip(self.runs, values, strict=True)):
            known = np.isfinite(value[0])
            own = None if by is None else by[k]
            count, clips = value.shape
            steps = (np.arange(count) * clips) // count if own is None else own
            run = self._of_run(steps, k, inside[rows] & known, known)
            if run.possible:
                sums.append(run.sums(value))
                scored = np.abs(value[:, inside[rows] & known])
                size += float(scored.sum(axis=1).mean())
        rng = np.random.default_rng([self.settings.seed, 2])
        return permutation.null(sums, size, self.settings.permutations, rng)

    def _of_run(
        self, by: np.ndarray, number: int, scored: np.ndarray, known: np.ndarray
    ) -> trends.Detrended:
        key = (number, by.tobytes(), scored.tobytes(), known.tobytes())
        if key not in self._detrended:
            shots = self._shot[self._run == number]
            self._detrended[key] = trends.Detrended(by, shots, scored, known)
        return self._detrended[key]

    def test(
        self,
        values: Sequence[np.ndarray],
        inside: np.ndarray,
        by: Sequence[np.ndarray | None] | None = None,
    ) -> permutation.Permutation:
        """One-sided p of some clips' score among joint shifts; parameters as of `null`."""
        found = self.null(values, inside, by)
        return permutation.among(found.observed, found.others, found.size)
