"""Scores under circular shifts of a run, without what slow trends of both series add to them.

A reconstruction and a truth that both drift over a run agree best where they are, whatever they show, and so
a shift test would call a drift decoding. Takes which shifts there are; returns sums of a run's scores from
which polynomial trends over time, of the reconstruction and of the truth, are taken.
"""

from __future__ import annotations

import numpy as np

FEWEST_SHIFTS = 5  # with fewer, a trend cannot be told from the agreement of a few pairings
# degree of the trends that are taken, and the fewest shifts for it
_DEGREES = ((5, 16), (3, 7), (2, FEWEST_SHIFTS))
_AT_ONCE = 2_000_000  # numbers
_LOOKED_AT = 40  # shifts


class Detrended:
    """Sums over a run's clips for each shift, without trends.

    Parameters
    ----------
    by : (shifts,) of a run of n clips, the identity first. shots : (n,) shot of each clip. scored : bool
        (n,), truths that are summed over. known : bool (n,), truths that have scores at all; None for all.

    Attributes
    ----------
    possible : bool, whether a trend can be told at all: with five shifts or more.

    Notes
    -----
    Let S[k, j] be the score of reconstruction i = j + by[k] with truth j. For each j, a cubic polynomial in
    i is taken from the scores, then for each i one in j (of second degree below seven shifts). The
    identity's sum varies more than others' for two reasons that have nothing to do with decoding. Where i
    and j lie at the same end of the run, less is taken than elsewhere. And where both series change at cuts,
    their cuts coincide. So each sum is scaled to the variance that the identity's would have: for
    uncorrelated scores, and for scores that are more alike within a pair of shots than across cuts, as those
    of all other shifts are.
    """

    def __init__(
        self,
        by: np.ndarray,
        shots: np.ndarray,
        scored: np.ndarray,
        known: np.ndarray | None = None,
    ) -> None:
        count, clips = len(by), len(scored)
        self.kept = np.ones(clips, dtype=bool) if known is None else known
        self.summed = scored & self.kept
        self.possible = count >= FEWEST_SHIFTS and bool(self.summed.any())
        if not self.possible:
            return
        every, self._shift = np.arange(clips), np.arange(count)[:, None]
        self._truth = (every - by[:, None]) % clips  # of each reconstruction, (shifts, clips)
        self._made = (every + by[:, None]) % clips  # of each truth
        self._chosen = self.summed[self._truth]
        self._counts = self._chosen.sum(axis=1)
        # scores that belong to one shot of each side, in each shift
        shot = np.unique(shots, return_inverse=True)[1]
        size = int(shot.max()) + 1
        pair = (self._shift * size + shot[every]) * size + shot[self._truth]
        first, flat = np.unique(pair, return_index=True, return_inverse=True)[1:]
        self._pair, self._shift_of = flat.reshape(pair.shape), first // clips
        inside = np.bincount(self._pair.ravel(), self._chosen.ravel())
        # neighbours in a shift, a cut of either side between them
        both = self._chosen[:, :-1] & self._chosen[:, 1:] & (np.diff(self._truth, axis=1) == 1)
        self._across = both & (np.diff(self._pair, axis=1) != 0)
        # how many ordered pairs of scores those of one pair of shots make
        self._shared = np.bincount(self._shift_of, inside * (inside - 1))
        degree = next(d for d, least in _DEGREES if count >= least)
        basis = np.linalg.qr(np.vander(np.linspace(-1, 1, clips), degree + 1))[0]
        self._held = (self.kept[self._truth], np.broadcast_to(self.kept, (count, clips)))
        self._designs = tuple(
            (basis[at] * held[..., None]).transpose(1, 0, 2)
            for at, held in zip((self._truth, self._made), self._held, strict=True)
        )
        self._inverses = tuple(np.linalg.pinv(one, rcond=1e-8) for one in self._designs)
        spread = self._spreads(count)
        self.possible = bool(spread[0] > 1e-6)
        self._scale = np.divide(
            spread[0], spread, out=np.zeros(count), where=spread > 1e-6 * spread[0]
        )

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(shifts,) sums of values (shifts, clips); NaN only where not known."""
        clean = np.where(self.kept, values, 0.0)[None]
        left = self._less(self._less(clean, 1)[:, self._shift, self._truth], 0)
        own = left[0] * self._chosen
        return np.asarray(own.sum(axis=1) * self._scale * self._of_cuts(own))

    def _of_cuts(self, own: np.ndarray) -> np.ndarray:
        """(shifts,) standard deviations of the identity's sum over those of the shifts', from shots."""
        if self._shared[0] == 0:
            return np.ones(len(own))
        squares = np.square(own).sum(axis=1)
        together = np.bincount(self._pair.ravel(), own.ravel())
        products = np.bincount(self._shift_of, np.square(together)) - squares
        pairs, each = self._shared[1:].sum(), squares[1:].sum() / self._counts[1:].sum()
        if pairs == 0 or each <= 0:
            return np.ones(len(own))
        # What holds across cuts as well is no matter of where they are.
        beyond = (own[1:, :-1] * own[1:, 1:])[self._across[1:]]
        across = max(float(beyond.mean()), 0.0) if beyond.size else 0.0
        alike = np.clip((products[1:].sum() / pairs - across) / each, 0, 1)
        variance = self._counts + alike * self._shared
        return np.asarray(np.sqrt(variance[0] / np.maximum(variance, 1)))

    def _spreads(self, count: int) -> np.ndarray:
        """(shifts,) of `_spread`; of many, some are looked at: it varies slowly with the shift."""
        looked = np.unique(np.arange(0, count, -(-count // _LOOKED_AT)))
        parts = -(-(len(looked) * count * self._truth.shape[1]) // _AT_ONCE)
        found = np.concatenate([self._spread(part) for part in np.array_split(looked, parts)])
        return np.interp(np.arange(count), looked, found, period=count)

    def _less(self, values: np.ndarray, side: int) -> np.ndarray:
        """Values (sets, shifts, clips) by reconstruction (side 0) or truth (1), less their trends."""
        inside = (values * self._held[side]).transpose(2, 1, 0)
        trend = self._designs[side] @ (self._inverses[side] @ inside)
        return np.asarray((inside - trend).transpose(2, 1, 0))

    def _spread(self, which: np.ndarray) -> np.ndarray:
        """Standard deviations of some shifts' sums of uncorrelated scores of variance 1.

        Both steps are projections, so that a sum weights scores as its plain sum would, projected the other
        way round.
        """
        weights = np.zeros((len(which), *self._truth.shape))
        weights[np.arange(len(which)), which] = self._chosen[which]
        weights = self._less(self._less(weights, 0)[:, self._shift, self._made], 1)
        return np.asarray(np.sqrt(np.square(weights).sum(axis=(1, 2))))
