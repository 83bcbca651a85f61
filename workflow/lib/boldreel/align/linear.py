"""The ridge decoder of one subject: fitted, calibrated, and cross-fitted for the encoder's sake.

Takes trials; returns a LinearDecoder. Every showing of a clip is a row of its own: the noise it
brings regularises along the directions in which this subject's data are noisy, and in trials this
was at least as good as fitting averages.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from boldreel.align import ridge
from boldreel.align.data import Trials
from boldreel.models.decoder import DecoderConfig, LinearDecoder, LinearReadout


@dataclass(frozen=True)
class LinearTargets:
    """Targets of the ridge in its own coordinates: image and text deviations, and the condition's
    deviations along `basis` (rank, tokens * width). `prior` (w * V, K): weights from other subjects, to
    which the ridge adds what they leave; None to begin at nothing."""

    basis: np.ndarray
    groups: ridge.Groups
    prior: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        trials: Trials,
        rank: int,
        variance: float,
        readout: LinearReadout | None = None,
    ) -> LinearTargets:
        """Choose the condition's basis on training clips, or go on from another read-out."""
        features = trials.features
        prior = None
        if readout is None:
            condition = features.condition.reshape(len(features.clips), -1)
            basis = ridge.principal_axes(condition, rank, variance)
        else:
            basis = readout.basis.cpu().numpy().astype(np.float64)
            prior = readout.weight.detach().cpu().numpy().astype(np.float64)
            prior = prior.reshape(-1, prior.shape[2])
        image, text = features.image.shape[1], features.text.shape[1]
        groups = {
            "image": slice(0, image),
            "text": slice(image, image + text),
            "condition": slice(image + text, image + text + len(basis)),
        }
        return cls(basis, groups, prior)

    def rows(self, trials: Trials) -> np.ndarray:
        """Targets float64 (rows, K) of every trial: deviations from the mean over clips."""
        features = trials.features
        condition = features.condition.reshape(len(features.clips), -1)
        clips = np.concatenate(
            [
                features.image - features.image.mean(0),
                features.text - features.text.mean(0),
                (condition - condition.mean(0)) @ self.basis.T,
            ],
            axis=1,
        )
        return clips[trials.clip].astype(np.float64)

    def known(self, rows: np.ndarray) -> np.ndarray | None:
        """What the prior makes of rows (rows, w * V)."""
        return None if self.prior is None else rows @ self.prior


def masked_rows(trials: Trials, used: np.ndarray) -> np.ndarray:
    """Trials as rows (rows, w * V), zero where a position is not used."""
    return np.where(used, trials.x, 0).reshape(len(trials.x), -1)


def choose_alphas(
    trials: Trials, used: np.ndarray, targets: LinearTargets
) -> dict[str, tuple[float, float]]:
    """Penalty and cross-validated score of image, text and condition; folds are segments."""
    x = masked_rows(trials, used)
    return ridge.choose_alphas(
        x,
        targets.rows(trials),
        folds(trials),
        trials.clip,
        targets.groups,
        known=targets.known(x),
    )


def folds(trials: Trials) -> np.ndarray:
    """What is left out together, for each row: its segment; of a lone segment, its quarters in time."""
    if len(set(trials.segment)) > 1:
        return trials.segment
    quarter = np.array_split(np.unique(trials.clip), 4)
    return np.array([next(k for k, part in enumerate(quarter) if c in part) for c in trials.clip])


def fit_decoder(
    trials: Trials,
    used: np.ndarray,
    targets: LinearTargets,
    alphas: dict[str, float],
    *,
    bank: int,
    sharpness: float,
    seed: int,
) -> LinearDecoder:
    """Fit the ridge with given penalties and calibrate it on the same clips.

    bank : at most so many captions are kept for the projection of tokens (0 without projection)
    """
    features = trials.features
    window, voxels = trials.x.shape[1:]
    captions = _one_of_each(features.captions, bank if sharpness > 0 else 0, seed)
    config = DecoderConfig(
        num_voxels=voxels,
        window=window,
        tokens=features.condition.shape[1],
        token_width=features.condition.shape[2],
        image_dim=features.image.shape[1],
        text_dim=features.text.shape[1],
        bank=len(captions),
        sharpness=sharpness,
        rank=len(targets.basis),
    )
    x, y = masked_rows(trials, used), targets.rows(trials)
    known = targets.known(x)
    weight, bias = ridge.fit(x, y if known is None else y - known, alphas, targets.groups)
    if targets.prior is not None:
        weight = weight + targets.prior
    decoder = LinearDecoder(config)
    with torch.no_grad():
        decoder.readout.weight.copy_(torch.from_numpy(weight).view(window, voxels, -1))
        decoder.readout.bias.copy_(torch.from_numpy(bias))
        decoder.readout.basis.copy_(torch.from_numpy(targets.basis))
        decoder.present.copy_(torch.tensor(used))
        decoder.mean_window.copy_(torch.from_numpy(np.where(used, trials.x.mean(0), 0)))
    decoder.calibration.measure(
        torch.from_numpy(features.image),
        torch.from_numpy(features.text),
        torch.from_numpy(features.condition),
        torch.from_numpy(captions),
    )
    return decoder.eval()


def left_out_outputs(
    trials: Trials, used: np.ndarray, targets: LinearTargets, alphas: dict[str, float]
) -> np.ndarray:
    """Outputs float32 (rows, K) of ridge fits that did not see the row's segment."""
    x, y = masked_rows(trials, used), targets.rows(trials)
    known = targets.known(x)
    own = ridge.left_out(
        x, y if known is None else y - known, folds(trials), alphas, targets.groups
    )
    return (own if known is None else own + known).astype(np.float32)


def _one_of_each(captions: list[str], at_most: int, seed: int) -> np.ndarray:
    """Row numbers of one clip per caption; a random choice if there are too many."""
    _, first = np.unique(np.asarray(captions), return_index=True)
    if len(first) > at_most:
        first = np.random.default_rng(seed).choice(first, at_most, replace=False)
    return np.sort(first)
