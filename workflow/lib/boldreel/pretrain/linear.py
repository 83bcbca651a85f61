"""The best linear predictor of hidden voxels: a normal distribution's mean given the visible ones.

Takes a corpus and training rows; returns covariances on a device and their predictions. The covariance is
mixed from two: correlations over distance alone (few numbers, so that few volumes suffice), and the sample's,
shrunk towards its diagonal (Ledoit and Wolf 2004, J. Multivar. Anal. 88, 365-411). How much of each is chosen
among training rows: one half of them, other subjects where there are several, is predicted from the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from boldreel.errors import UserError
from boldreel.models import noise
from boldreel.models.gaussian import conditional_mean
from boldreel.pretrain.corpus import Corpus, evenly, halves, runs_within
from boldreel.pretrain.masks import Masks

# Shares of correlations over distance among which one is chosen.
SHARES = (0.0, 0.03, 0.1, 0.25, 0.5, 0.75, 1.0)
# Volumes of each half on which a share is tried, and how many of them have a mask in common.
TRIED, TOGETHER = 120, 10
# Volumes that covariances are estimated from: a bound on time, by whole runs spread evenly.
AT_MOST = 20000

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Parts:
    """Covariances float32 (V, V) of some rows, in the units of their volumes.

    distance : of correlations over distance alone; sample : shrunk towards its diagonal
    """

    distance: np.ndarray
    sample: np.ndarray

    def mixed(self, share: float) -> np.ndarray:
        """`share` of the first, the rest of the second."""
        return share * self.distance + (1 - share) * self.sample


def parts_of(corpus: Corpus, rows: np.ndarray) -> Parts:
    """Both covariances of rows of a corpus, of runs that are z-scored or nearly so.

    Raises UserError if no run has four of these rows.
    """
    from sklearn.covariance import ledoit_wolf

    rows = rows[np.isin(corpus.runs[rows], runs_within(corpus, rows, AT_MOST))]
    volumes, present = corpus.read(rows)
    of_run = corpus.runs[rows]
    try:
        sample = noise.sample_correlation(volumes[of_run == run] for run in np.unique(of_run))
    except ValueError as wrong:
        raise UserError(
            f"pretraining corpus: {wrong}; add runs, or lower pretrain.segment_duration"
        ) from None
    xyz = corpus.positions[["x", "y", "z"]].to_numpy(np.float64)
    distance = noise.distance_curve(sample, xyz).matrix(xyz)
    count = np.maximum(present.sum(0), 1)
    size = np.sqrt(np.square(volumes, dtype=np.float64).sum(0) / count)
    size[size < 1e-6] = 1
    covariance, _ = ledoit_wolf(volumes.astype(np.float64))
    return Parts(
        (distance * np.outer(size, size)).astype(np.float32), covariance.astype(np.float32)
    )


@dataclass(frozen=True)
class Linear:
    """The predictor, fitted on training rows.

    whole : covariance float32 (V, V) of all of them; halves : of each half
    second : bool (rows of the corpus,), whether a row is of the second half
    share : of correlations over distance in each; errors : mean squared error of every share in SHARES
    """

    whole: torch.Tensor
    halves: tuple[torch.Tensor, torch.Tensor]
    second: np.ndarray
    share: float
    errors: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        corpus: Corpus,
        rows: np.ndarray,
        masks: Masks,
        *,
        hide: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        seed: int,
        device: torch.device | str = "cpu",
    ) -> Linear:
        """From training rows alone.

        masks : of the training. hide : (present, numbers of masks) to bool (n, V), what stays visible.
        """
        first, second = halves(corpus, rows)
        made = [parts_of(corpus, part) for part in (first, second)]
        errors = np.zeros(len(SHARES))
        for parts, other in zip(made, (second, first), strict=True):
            chosen = other[evenly(len(other), TRIED)]
            x, present = map(torch.from_numpy, corpus.read(chosen))
            order = masks.draw(len(chosen), torch.Generator().manual_seed(seed), TOGETHER)
            visible = hide(present, order)
            x, present, visible = (values.to(device) for values in (x, present, visible))
            for number, share in enumerate(SHARES):
                guess = conditional_mean(
                    torch.from_numpy(parts.mixed(share)).to(device), x, visible
                )
                errors[number] += float(((guess - x)[present & ~visible] ** 2).mean()) / 2
        share = SHARES[int(errors.argmin())]
        each = [torch.from_numpy(parts.mixed(share)).to(device) for parts in made]
        whole = torch.from_numpy(parts_of(corpus, rows).mixed(share)).to(device)
        of_second = np.zeros(len(corpus), bool)
        of_second[second] = True
        return cls(whole, (each[0], each[1]), of_second, share, tuple(map(float, errors)))

    def expected(self, x: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        """Predictions for volumes (n, V) of other subjects; visible bool (n, V)."""
        return conditional_mean(self.whole, x, visible)

    def left_out(self, second: torch.Tensor) -> Predict:
        """Predictions for training volumes, each by the half that it is not of; second : bool (n,).

        On volumes that a covariance was estimated from it leaves too little to learn from.
        """

        def predict(x: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
            out = x.new_zeros(x.shape, dtype=self.whole.dtype)
            for own, other in ((second, self.halves[0]), (~second, self.halves[1])):
                if bool(own.any()):
                    out[own] = conditional_mean(other, x[own], visible[own])
            return out

        return predict
