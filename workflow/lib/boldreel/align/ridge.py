"""Ridge regression from windows of BOLD to alignment targets, and the decoder that it makes.

Takes trials; returns a LinearDecoder. Every showing of a clip is a row of its own: the noise it
brings regularises along the directions in which this subject's data are noisy, and in trials this
was at least as good as fitting averages. Solved in the dual (rows, not voxels). Cross-validation leaves
out whole segments: trials of one segment never stand on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from boldreel.align.data import Trials
from boldreel.align.settings import AlignSettings
from boldreel.models.decoder import DecoderConfig, LinearDecoder, LinearReadout

ALPHAS = tuple(float(10.0**power) for power in np.arange(1.0, 6.51, 0.5))
Groups = dict[str, slice]


@dataclass(frozen=True)
class RidgeFit:
    """How the ridge of a subject is fitted, as it was chosen on training trials.

    used : bool (V,), the positions that are read.
    basis : (rank, tokens * width), along which the condition's deviations are targets.
    groups : columns of image and text deviations and of the condition along `basis`.
    penalties : {group: (alpha, left-out cosine)}.
    prior : (w * V, K), weights from other subjects, to which the ridge adds what they leave; None to
        begin at nothing.
    """

    used: np.ndarray
    settings: AlignSettings
    basis: np.ndarray
    groups: Groups
    penalties: dict[str, tuple[float, float]]
    prior: np.ndarray | None = None

    @classmethod
    def choose(
        cls,
        training: Trials,
        used: np.ndarray,
        settings: AlignSettings,
        readout: LinearReadout | None = None,
    ) -> RidgeFit:
        """Choose the condition's basis, or go on from another read-out, and the penalties; folds are
        segments."""
        features = training.features
        prior = None
        if readout is None:
            condition = features.condition.reshape(len(features.clips), -1)
            basis = principal_axes(condition, settings.rank, settings.variance)
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
        unpenalised = cls(used, settings, basis, groups, {}, prior)
        x, y, known = unpenalised.rows(training)
        penalties = choose_alphas(x, y, folds(training), training.clip, groups, known=known)
        return replace(unpenalised, penalties=penalties)

    @property
    def alphas(self) -> dict[str, float]:
        """The penalty of each group."""
        return {group: alpha for group, (alpha, _) in self.penalties.items()}

    def rows(self, trials: Trials) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Responses (rows, w * V), zero where a position is not used; targets float64 (rows, K),
        deviations from the mean over clips; and what the prior makes of the responses."""
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
        x = np.where(self.used, trials.x, 0).reshape(len(trials.x), -1)
        known = None if self.prior is None else x @ self.prior
        return x, clips[trials.clip].astype(np.float64), known

    def decoder(self, trials: Trials) -> LinearDecoder:
        """Fit the ridge on trials and calibrate it on the same clips, as the settings say.

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
            rank=len(self.basis),
        )
        x, y, known = self.rows(trials)
        weight, bias = fit(x, y if known is None else y - known, self.alphas, self.groups)
        if self.prior is not None:
            weight = weight + self.prior
        decoder = LinearDecoder(config)
        with torch.no_grad():
            decoder.readout.weight.copy_(torch.from_numpy(weight).view(window, voxels, -1))
            decoder.readout.bias.copy_(torch.from_numpy(bias))
            decoder.readout.basis.copy_(torch.from_numpy(self.basis))
            decoder.present.copy_(torch.tensor(self.used))
            decoder.mean_window.copy_(torch.from_numpy(np.where(self.used, trials.x.mean(0), 0)))
        decoder.calibration.measure(
            torch.from_numpy(features.image),
            torch.from_numpy(features.text),
            torch.from_numpy(features.condition),
            torch.from_numpy(captions),
        )
        return decoder.eval()

    def left_out(self, trials: Trials) -> np.ndarray:
        """Outputs float32 (rows, K) of ridge fits that did not see the row's segment."""
        x, y, known = self.rows(trials)
        left = y if known is None else y - known
        own = left_out(x, left, folds(trials), self.alphas, self.groups)
        return (own if known is None else own + known).astype(np.float32)


def folds(trials: Trials) -> np.ndarray:
    """What is left out together, for each row: its clip's segment; of a lone one, its quarters in time."""
    if len(set(of_rows := trials.folds)) > 1:
        return of_rows
    quarter = np.array_split(np.unique(trials.clip), 4)
    return np.array([next(k for k, part in enumerate(quarter) if c in part) for c in trials.clip])


def _one_of_each(captions: list[str], at_most: int, seed: int) -> np.ndarray:
    """Row numbers of one clip per caption; a random choice if there are too many."""
    _, first = np.unique(np.asarray(captions), return_index=True)
    if len(first) > at_most:
        first = np.random.default_rng(seed).choice(first, at_most, replace=False)
    return np.sort(first)


def fit(
    x: np.ndarray, y: np.ndarray, alphas: dict[str, float], groups: Groups
) -> tuple[np.ndarray, np.ndarray]:
    """Weight (features, targets) and bias (targets,): prediction = x @ weight + bias.

    x : (rows, features); y : (rows, targets); groups : name -> columns of y that share a penalty
    """
    from scipy.linalg import cho_factor, cho_solve

    mean_x, mean_y = x.mean(0, dtype=np.float64), y.mean(0, dtype=np.float64)
    centred = x - mean_x
    kernel = centred @ centred.T
    dual = np.empty(y.shape)
    for group, columns in groups.items():
        penalised = kernel + alphas[group] * np.eye(len(kernel))
        factor = cho_factor(penalised, overwrite_a=True, check_finite=False)
        dual[:, columns] = cho_solve(factor, y[:, columns] - mean_y[columns], check_finite=False)
    weight = centred.T @ dual
    return weight, mean_y - mean_x @ weight


def left_out(
    x: np.ndarray, y: np.ndarray, folds: np.ndarray, alphas: dict[str, float], groups: Groups
) -> np.ndarray:
    """Predictions (rows, targets) of every row by a fit that never saw the row's fold."""
    out = np.empty(y.shape)
    for name in np.unique(folds):
        test = folds == name
        weight, bias = fit(x[~test], y[~test], alphas, groups)
        out[test] = x[test] @ weight + bias
    return out


def choose_alphas(
    x: np.ndarray,
    y: np.ndarray,
    folds: np.ndarray,
    items: np.ndarray,
    groups: Groups,
    alphas: tuple[float, ...] = ALPHAS,
    known: np.ndarray | None = None,
) -> dict[str, tuple[float, float]]:
    """The best penalty of each group of targets, and its score.

    Parameters
    ----------
    x : (rows, features), a row per trial; y : (rows, targets)
    folds : (rows,) segment of each row; at least two segments
    items : (rows,) clip of each row: predictions of a clip's trials are averaged before they are
        scored, as they are at test
    known : (rows, targets), predictions that were there before; what they leave is what is fitted

    Returns
    -------
    name -> (alpha, score). The score is the cosine between predicted and true deviations from the
    training mean, over all left-out clips and all targets of the group: blind to overall size,
    which the calibration sets afterwards.
    """
    sums = {group: np.zeros((len(alphas), 3)) for group in groups}
    before = np.zeros_like(y) if known is None else known
    for projected, values, rotated, truth, given in _spectra(x, y, folds, items, before):
        for k, alpha in enumerate(alphas):
            guess = given + (projected / (values + alpha)) @ rotated
            for group, columns in groups.items():
                p, t = guess[:, columns], truth[:, columns]
                sums[group][k] += [(p * t).sum(), (p**2).sum(), (t**2).sum()]
    best = {}
    for group, products in sums.items():
        scale = np.sqrt(products[:, 1] * products[:, 2])
        scores = np.divide(products[:, 0], scale, out=np.zeros(len(alphas)), where=scale > 0)
        k = int(scores.argmax())
        best[group] = (alphas[k], float(scores[k]))
    return best


def _spectra(
    x: np.ndarray, y: np.ndarray, folds: np.ndarray, items: np.ndarray, known: np.ndarray
) -> Iterator[tuple[np.ndarray, ...]]:
    """For each fold left out: its rows in the training kernel's eigenvectors (averaged by item),
    the eigenvalues, the rotated training targets, the true targets, and what was known of them; the
    last two as deviations from the training mean.

    One eigendecomposition serves all penalties and targets.
    """
    from scipy.linalg import eigh

    wide = x.astype(np.float64)
    kernel = wide @ wide.T
    for name in np.unique(folds):
        test, train = folds == name, folds != name
        inner, cross = kernel[np.ix_(train, train)], kernel[np.ix_(test, train)]
        means = inner.mean(0)
        inner = inner - means[:, None] - means[None] + means.mean()
        cross = cross - cross.mean(1, keepdims=True) - means[None] + means.mean()
        values, vectors = eigh(inner, overwrite_a=True, check_finite=False)
        left = y[train] - known[train]
        _, item = np.unique(items[test], return_inverse=True)
        average = np.zeros((item.max() + 1, len(item)))
        average[item, np.arange(len(item))] = 1
        average /= average.sum(1, keepdims=True)
        yield (
            average @ cross @ vectors,
            np.maximum(values, 0),
            vectors.T @ (left - left.mean(0)),
            average @ (y[test] - y[train].mean(0)),
            average @ (known[test] - known[train].mean(0)),
        )


def principal_axes(values: np.ndarray, at_most: int, variance: float) -> np.ndarray:
    """Axes (rank, width), orthonormal, that hold a share `variance` of the centred rows' variance,
    but no more than `at_most`; at least one."""
    centred = values.astype(np.float64) - values.mean(0)
    eigenvalues, vectors = np.linalg.eigh(centred @ centred.T)
    order = np.argsort(eigenvalues)[::-1]
    kept = np.maximum(eigenvalues[order], 0)
    shares = np.cumsum(kept) / max(kept.sum(), 1e-30)
    rank = max(1, min(at_most, int(np.searchsorted(shares, variance)) + 1, len(values) - 1))
    axes = vectors[:, order[:rank]].T @ centred
    return axes / np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1e-12)
