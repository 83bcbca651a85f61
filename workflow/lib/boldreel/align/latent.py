"""Features of clips as few numbers: what an encoding model predicts responses from.

Takes features of training clips; returns scores in which the encoding model is fitted and inverted. Two
bands: principal components of image and text embeddings together, in their own sizes, and of the motion
code, each column of which counts alike. CLIP hardly holds motion, so motion would be lost in one band.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from boldreel.data.features import ClipFeatures
from boldreel.stats.components import principal_axes

BANDS = ("meaning", "motion")


@dataclass(frozen=True)
class Latent:
    """Maps from features to scores.

    means, axes : of each band, (width,) and (width, d); bands : number of each column's band, int (D,)
    """

    means: tuple[np.ndarray, ...]
    axes: tuple[np.ndarray, ...]
    bands: np.ndarray

    @classmethod
    def of(cls, features: ClipFeatures, variance: float, at_most: int) -> Latent:
        """Components of these clips that hold a share `variance` of the embeddings' variance, no more
        than `at_most`, and all of the motion code's that vary."""
        means, axes = [], []
        for band, values in zip(BANDS, _bands(features), strict=True):
            centred = values - values.mean(0)
            if band == "motion":
                size = centred.std(0)
                scale = np.where(size > 1e-9, 1 / np.maximum(size, 1e-9), 0)
            else:
                # in units of the largest component's standard deviation
                scale = np.ones(centred.shape[1])
            if not (centred * scale).any():
                found = np.zeros((0, centred.shape[1]))
            else:
                most, share = (centred.shape[1], 0.999) if band == "motion" else (at_most, variance)
                found = principal_axes(centred * scale, most, share)
                scale = scale / (centred * scale @ found.T).std(0).max()
            means.append(values.mean(0))
            axes.append((found * scale).T)
        bands = np.repeat(np.arange(len(BANDS)), [found.shape[1] for found in axes])
        return cls(tuple(means), tuple(axes), bands)

    def scores(self, features: ClipFeatures) -> np.ndarray:
        """Float64 (clips, D)."""
        values = zip(_bands(features), self.means, self.axes, strict=True)
        return np.concatenate([(one - mean) @ axes for one, mean, axes in values], axis=1)


def _bands(features: ClipFeatures) -> tuple[np.ndarray, np.ndarray]:
    meaning = np.concatenate([features.image, features.text], axis=1).astype(np.float64)
    return meaning, features.motion.astype(np.float64)
