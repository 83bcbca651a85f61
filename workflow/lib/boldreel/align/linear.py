"""What linear paths share: targets in columns, folds, and the decoder that weights make.

Takes trials and weights; returns target matrices and a LinearDecoder. `ridge` and `inversion` fill in how
the weights come about.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch

from boldreel.align.data import Trials
from boldreel.align.settings import AlignSettings
from boldreel.data.features import ClipFeatures
from boldreel.models.decoder import DecoderConfig, LinearDecoder
from boldreel.stats.components import principal_axes

Groups = dict[str, slice]
# How long a haemodynamic response lasts, s.
GUARD = 20.0


@dataclass(frozen=True)
class Targets:
    """What is predicted, in columns: deviations of image and text embeddings, of the condition along
    `basis` (rank, tokens * width), and of the motion code in units of its spread."""

    basis: np.ndarray

    @classmethod
    def of(cls, features: ClipFeatures, settings: AlignSettings) -> Targets:
        """With the principal axes of the condition of these clips."""
        condition = features.condition.reshape(len(features.clips), -1)
        return cls(principal_axes(condition, settings.rank, settings.variance))

    def groups(self, features: ClipFeatures) -> Groups:
        """The columns of each part."""
        sizes = {
            "image": features.image.shape[1],
            "text": features.text.shape[1],
            "condition": len(self.basis),
            "motion": features.motion.shape[1],
        }
        ends = np.cumsum(list(sizes.values()))
        return {
            name: slice(int(end) - size, int(end))
            for (name, size), end in zip(sizes.items(), ends, strict=True)
        }

    def values(self, features: ClipFeatures) -> np.ndarray:
        """Deviations from the mean over these clips, float64 (clips, K)."""
        condition = features.condition.reshape(len(features.clips), -1)
        return np.concatenate(
            [
                features.image - features.image.mean(0),
                features.text - features.text.mean(0),
                (condition - condition.mean(0)) @ self.basis.T,
                (features.motion - features.motion.mean(0)) / spread(features.motion),
            ],
            axis=1,
        ).astype(np.float64)


@dataclass(frozen=True)
class LinearPath(ABC):
    """How the linear path of a subject is fitted, as it was chosen on training trials.

    used : bool (V,), the positions that are read. targets : the columns that are predicted.
    """

    used: np.ndarray
    settings: AlignSettings
    targets: Targets

    @abstractmethod
    def solve(self, trials: Trials) -> tuple[np.ndarray, np.ndarray]:
        """Weight (w * V, K) and bias (K,) fitted on trials: prediction = window @ weight + bias."""

    @abstractmethod
    def left_out(self, trials: Trials) -> np.ndarray:
        """Outputs float32 (rows, K) of fits that did not see the row's segment."""

    @property
    @abstractmethod
    def chosen(self) -> dict[str, object]:
        """What was chosen on training trials, for the provenance."""

    @abstractmethod
    def told(self) -> str:
        """What was chosen, in lines for a person."""

    def decoder(self, trials: Trials) -> LinearDecoder:
        """Fit on trials and calibrate on the same clips, as the settings say.

        At most `settings.bank` captions are kept for the projection of tokens (none without projection).
        """
        settings, features = self.settings, trials.features
        sharpness = settings.sharpness if settings.condition == "projected" else 0.0
        window, voxels = trials.x.shape[1:]
        bank = settings.bank if sharpness > 0 else 0
        captions = _one_of_each(features.captions, bank, settings.seed)
        config = DecoderConfig(
            num_voxels=voxels,
            window=window,
            tokens=features.condition.shape[1],
            token_width=features.condition.shape[2],
            image_dim=features.image.shape[1],
            text_dim=features.text.shape[1],
            bank=len(captions),
            sharpness=sharpness,
            rank=len(self.targets.basis),
            motion_dim=features.motion.shape[1],
        )
        weight, bias = self.solve(trials)
        decoder = LinearDecoder(config)
        with torch.no_grad():
            decoder.readout.weight.copy_(torch.from_numpy(weight).view(window, voxels, -1))
            decoder.readout.bias.copy_(torch.from_numpy(bias))
            decoder.readout.basis.copy_(torch.from_numpy(self.targets.basis))
            decoder.present.copy_(torch.tensor(self.used))
            decoder.mean_window.copy_(torch.from_numpy(np.where(self.used, trials.x.mean(0), 0)))
        decoder.calibration.measure(
            torch.from_numpy(features.image),
            torch.from_numpy(features.text),
            torch.from_numpy(features.condition),
            torch.from_numpy(features.motion),
            torch.from_numpy(spread(features.motion)),
            torch.from_numpy(captions),
        )
        return decoder.eval()


def spread(motion: np.ndarray) -> np.ndarray:
    """Standard deviation of each column of motion codes (clips, M); 1 where nothing varies."""
    size = motion.std(0)
    return np.where(size > 1e-9, size, 1.0)


def folds(trials: Trials) -> np.ndarray:
    """What is left out together, for each row: its clip's segment; of a lone one, its quarters in time."""
    if len(set(of_rows := trials.folds)) > 1:
        return of_rows
    quarter = np.array_split(np.unique(trials.clip), 4)
    return np.array([next(k for k, part in enumerate(quarter) if c in part) for c in trials.clip])


def split(trials: Trials, at_most: int | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    """(held, out) of each fold, bool (rows,): rows that are predicted, and rows that the fit does not see.

    Of a lone segment's quarters, the fit does not see the rows around them either, see `with_guard`.

    at_most : folds; of more, neighbours are left out together
    """
    names = folds(trials)
    order = list(dict.fromkeys(names))
    count = len(order) if at_most is None else min(len(order), at_most)
    number = {name: k * count // len(order) for k, name in enumerate(order)}
    part = np.array([number[name] for name in names])
    alone = len(set(trials.folds)) == 1
    held = [part == k for k in range(count)]
    return [(rows, with_guard(trials, rows) if alone else rows) for rows in held]


def with_guard(trials: Trials, held: np.ndarray) -> np.ndarray:
    """Rows (bool) of `held`, and those that come on less than GUARD s before or after one of them in its run,
    whose volumes still show the same response.

    Only `held` where clips are mixed so that a guard would take more than half of what is left.
    """
    out = held.copy()
    for name in dict.fromkeys(trials.run[held]):
        of_run = trials.run == name
        inside = trials.onset[held & of_run]
        apart = np.abs(trials.onset[of_run][:, None] - inside).min(1)
        out[of_run] |= apart < GUARD
    return out if (~out).sum() >= (~held).sum() / 2 else held


def _one_of_each(captions: list[str], at_most: int, seed: int) -> np.ndarray:
    """Row numbers of one clip per caption; a random choice if there are too many."""
    _, first = np.unique(np.asarray(captions), return_index=True)
    if len(first) > at_most:
        first = np.random.default_rng(seed).choice(first, at_most, replace=False)
    return np.sort(first)
