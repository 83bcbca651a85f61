"""Expected BOLD responses to features: scores of clips convolved with a haemodynamic response.

Takes trials and scores of their clips; returns the expected course at every volume of every window, and
what it shares with the scores of the window's own clip on average. The response is the canonical double gamma
(`windows.response`), stretched to another time to peak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from boldreel.align.data import Trials
from boldreel.stats.shifts import runs_in_time
from boldreel.windows.response import double_gamma

# Times to peak (s) that are tried, the canonical one first. None: a window shows its own clip and nothing
# else, as in series that are deconvolved already.
PEAKS = (5.0, None, 3.5, 4.0, 4.5, 5.5, 6.0, 7.0)
_STEP, _LENGTH = 0.05, 40.0  # s
_CANONICAL = 5.0  # s to the canonical response's peak
_REACH = 30.0  # s before and after a clip, beyond which no other clip is in its window
_EARLIEST = 2.0  # s from a clip's onset, before which blood has hardly responded
_EXAMPLES = 200  # clips over which a window's surroundings are averaged


def sustained(elapsed: np.ndarray, duration: np.ndarray, peak: float) -> np.ndarray:
    """Response at `elapsed` seconds after the onset of clips that last `duration` s; 1 in the end if a
    clip never stopped. Both broadcast."""
    grid = np.arange(0, _LENGTH * max(1.0, peak / _CANONICAL), _STEP)
    area = np.cumsum(double_gamma(grid * _CANONICAL / peak))
    area /= area[-1]

    def since(seconds: np.ndarray) -> np.ndarray:
        return np.interp(seconds, grid, area, left=0.0, right=1.0)

    return since(elapsed) - since(elapsed - duration)


def peaks(trials: Trials) -> tuple[float | None, ...]:
    """Times to peak to try: none where windows begin too early for a haemodynamic response, as those of
    deconvolved series and of single-trial responses do."""
    first = np.median(trials.times[:, 0] - trials.onset)
    return PEAKS if first >= _EARLIEST else (None,)


def convolved(trials: Trials, scores: np.ndarray, peak: float | None) -> np.ndarray:
    """Expected course of the scores (clips, D) at the volumes of all windows, (rows, w, D)."""
    if peak is None:
        own = scores[trials.clip][:, None]
        return np.broadcast_to(own, (*trials.times.shape, scores.shape[1]))
    out = np.empty((*trials.times.shape, scores.shape[1]))
    for rows in _runs(trials):
        clips = trials.clip[rows]
        times, place = np.unique(trials.times[rows], return_inverse=True)
        elapsed = times[:, None] - trials.onset[rows]
        course = sustained(elapsed, trials.duration[clips], peak) @ scores[clips]
        out[rows] = course[place.reshape(len(rows), -1)]
    return out


@dataclass(frozen=True)
class Surroundings:
    """Covariances of a window's volumes with each other, `between` (w, w), and with the score of its clip,
    `own` (w,): averages over clips, for scores of unit variance."""

    between: np.ndarray
    own: np.ndarray


def surroundings(trials: Trials, scores: np.ndarray, peak: float | None) -> Surroundings:
    """From the times of all clips and from how alike neighbours in time are; no response is read.

    scores : (clips, D), each column of mean zero
    """
    window = trials.times.shape[1]
    if peak is None:
        return Surroundings(np.ones((window, window)), np.ones(window))
    apart, alike = resemblance(trials, scores)
    between, own = np.zeros((window, window)), np.zeros(window)
    places = [(rows, place) for rows in _runs(trials) for place in range(len(rows))]
    chosen = np.linspace(0, len(places) - 1, min(len(places), _EXAMPLES)).round().astype(int)
    for rows, place in (places[k] for k in np.unique(chosen)):
        onsets = trials.onset[rows]
        near = np.abs(onsets - onsets[place]) <= _REACH
        times = trials.times[rows[place]]
        durations = trials.duration[trials.clip[rows[near]]]
        shown = sustained(times[:, None] - onsets[near], durations, peak)
        pairs = np.abs(onsets[near][:, None] - onsets[near])
        prior = _positive(np.interp(pairs, apart, alike, right=0.0))
        this = int(np.flatnonzero(np.flatnonzero(near) == place)[0])
        between += shown @ prior @ shown.T
        own += shown @ prior[this]
    count = len(np.unique(chosen))
    return Surroundings(between / count, own / count)


def resemblance(trials: Trials, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(s between two onsets of a run, mean correlation of the clips' scores), from 0 s and 1 on.

    Half seconds that no two clips are apart are left out; negative means count as 0.
    """
    cells = int(_REACH * 2) + 1
    products, counts, sizes = np.zeros(cells), np.zeros(cells), 0.0
    for rows in _runs(trials):
        values, onsets = scores[trials.clip[rows]], trials.onset[rows]
        sizes += float((values**2).sum())
        for ahead in range(1, len(rows)):
            gap = onsets[ahead:] - onsets[:-ahead]
            near = gap < _REACH
            if not near.any():
                break
            cell = np.round(gap[near] * 2).astype(int)
            dot = (values[ahead:] * values[:-ahead]).sum(1)[near]
            products += np.bincount(cell, dot, minlength=cells)
            counts += np.bincount(cell, minlength=cells)
    power = sizes / max(len(trials.clip), 1)
    kept = np.flatnonzero(counts > 0)
    kept = kept[kept > 0]
    alike = np.maximum(products[kept] / counts[kept] / max(power, 1e-30), 0)
    return np.append(0.0, kept / 2), np.append(1.0, np.minimum(alike, 1.0))


def _positive(matrix: np.ndarray) -> np.ndarray:
    """The matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 1e-3)) @ vectors.T


def _runs(trials: Trials) -> list[np.ndarray]:
    """Rows of each run, in order of time."""
    return runs_in_time(trials.run, trials.onset, dict.fromkeys(trials.run))
