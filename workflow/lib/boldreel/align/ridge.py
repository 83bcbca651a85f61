"""Ridge regression from windows of BOLD to alignment targets.

Takes trials; returns the weights of a linear read-out. Every showing of a clip is a row of its own: the noise
it brings regularises along the directions in which this subject's data are noisy, and in trials this was at
least as good as fitting averages. Solved in the dual (rows, not voxels). Cross-validation leaves out whole
segments: trials of one segment never stand on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from boldreel.align.data import Trials
from boldreel.align.linear import Groups, LinearPath, Targets, split
from boldreel.align.settings import AlignSettings
from boldreel.align.whitening import CANDIDATES, IDENTITY, Candidates, Solver, solver
from boldreel.models.decoder import LinearReadout


@dataclass(frozen=True)
class Split:
    """What is left out together: for each fold (held, out), bool (rows,), the rows that are predicted and
    those that the fit does not see."""

    parts: tuple[tuple[np.ndarray, np.ndarray], ...]

    @classmethod
    def of(cls, trials: Trials) -> Split:
        """By segment; of a lone one by quarters, with a guard."""
        return cls(tuple(split(trials)))

    @classmethod
    def by(cls, names: np.ndarray) -> Split:
        """By the name of each row."""
        return cls(tuple((names == name, names == name) for name in np.unique(names)))


ALPHAS = tuple(float(10.0**power) for power in np.arange(1.0, 6.51, 0.5))


@dataclass(frozen=True)
class Ridge(LinearPath):
    """The ridge of a subject.

    penalties : {group: (alpha, left-out cosine)}.
    prior : (w * V, K), weights from other subjects, to which the ridge adds what they leave; None to
        begin at nothing.
    noise, whiten : with a prior, the noise model that windows are whitened with, and what does it.
    """

    penalties: dict[str, tuple[float, float]]
    prior: np.ndarray | None = None
    noise: str = "none"
    whiten: Solver = IDENTITY

    @classmethod
    def choose(
        cls,
        training: Trials,
        used: np.ndarray,
        settings: AlignSettings,
        readout: LinearReadout | None = None,
        noises: Candidates | None = None,
    ) -> Ridge:
        """Choose the condition's basis, or go on from another read-out, and the penalties; folds are
        segments.

        noises : with a read-out, noise models among which one is chosen by left-out segments; those that
            know the noise of what is left out are not tried
        """
        features = training.features
        prior = None
        if readout is None:
            targets = Targets.of(features, settings)
        else:
            targets = Targets(readout.basis.cpu().numpy().astype(np.float64))
            prior = readout.weight.detach().cpu().numpy().astype(np.float64)
            prior = prior.reshape(-1, prior.shape[2])
        groups, left = targets.groups(features), Split.of(training)
        tried = {"none": IDENTITY}
        if readout is not None:
            shared = {name: one for name, one in (noises or {}).items() if not one.own}
            tried = {name: solver(one.make(training)) for name, one in shared.items()} or tried
        paths = []
        for name, whiten in tried.items():
            path = cls(used, settings, targets, {}, prior, name, whiten)
            x, y, known = path.rows(training)
            penalties = choose_alphas(x, y, left, training.clip, groups, known=known)
            paths.append(replace(path, penalties=penalties))
        return max(paths, key=lambda path: path.penalties["image"][1] + path.penalties["text"][1])

    @property
    def chosen(self) -> dict[str, object]:
        found: dict[str, object] = {group: list(pair) for group, pair in self.penalties.items()}
        return found if self.prior is None else {**found, "noise": self.noise}

    def told(self) -> str:
        lines = [
            f"ridge, {group}: penalty {alpha:.3g}, left-out cosine {score:.3f}"
            for group, (alpha, score) in self.penalties.items()
        ]
        whitened = f"ridge on others' weights, whitened by {CANDIDATES[self.noise]}"
        return "\n".join(lines if self.prior is None else [whitened, *lines])

    @property
    def alphas(self) -> dict[str, float]:
        """The penalty of each group."""
        return {group: alpha for group, (alpha, _) in self.penalties.items()}

    def rows(self, trials: Trials) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Responses (rows, w * V), zero where a position is not used, or white ones (rows, w * n) of the
        positions that are; targets float64 (rows, K), deviations from the mean over clips; and what the prior
        makes of the responses."""
        x = np.where(self.used, trials.x, 0).reshape(len(trials.x), -1)
        known = None if self.prior is None else x @ self.prior
        if self.whiten.root is not None:
            volumes = trials.x[:, :, self.used]
            x = self.whiten.white(volumes.reshape(-1, volumes.shape[2])).reshape(len(x), -1)
        return x, self.targets.values(trials.features)[trials.clip], known

    def solve(self, trials: Trials) -> tuple[np.ndarray, np.ndarray]:
        x, y, known = self.rows(trials)
        groups = self.targets.groups(trials.features)
        weight, bias = fit(x, y if known is None else y - known, self.alphas, groups)
        if self.whiten.root is not None:
            window, positions = trials.x.shape[1:]
            own = np.zeros((window, positions, weight.shape[1]))
            for volume, part in enumerate(np.split(weight, window)):
                own[volume, self.used] = self.whiten.unwhite(part)
            weight = own.reshape(window * positions, -1)
        return (weight if self.prior is None else weight + self.prior), bias

    def left_out(self, trials: Trials) -> np.ndarray:
        x, y, known = self.rows(trials)
        left = y if known is None else y - known
        groups = self.targets.groups(trials.features)
        own = left_out(x, left, Split.of(trials), self.alphas, groups)
        return (own if known is None else own + known).astype(np.float32)


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
    for alpha, columns in _by_alpha(alphas, groups):
        penalised = kernel + alpha * np.eye(len(kernel))
        factor = cho_factor(penalised, overwrite_a=True, check_finite=False)
        dual[:, columns] = cho_solve(factor, y[:, columns] - mean_y[columns], check_finite=False)
    weight = centred.T @ dual
    return weight, mean_y - mean_x @ weight


def left_out(
    x: np.ndarray, y: np.ndarray, parts: Split, alphas: dict[str, float], groups: Groups
) -> np.ndarray:
    """Predictions (rows, targets) of every row by a fit that never saw the row's fold."""
    decomposed = _Decomposed.of(x, y)
    out = np.empty(y.shape)
    for alpha, columns in _by_alpha(alphas, groups):
        out[:, columns] = decomposed.left_out(alpha, parts, columns)
    return out


def choose_alphas(
    x: np.ndarray,
    y: np.ndarray,
    parts: Split,
    items: np.ndarray,
    groups: Groups,
    alphas: tuple[float, ...] = ALPHAS,
    known: np.ndarray | None = None,
) -> dict[str, tuple[float, float]]:
    """The best penalty of each group of targets, and its score.

    Parameters
    ----------
    x : (rows, features), a row per trial; y : (rows, targets)
    parts : what is left out together; at least two folds
    items : (rows,) clip of each row: predictions of a clip's trials are averaged before they are
        scored, as they are at test
    known : (rows, targets), predictions that were there before; what they leave is what is fitted

    Returns
    -------
    name -> (alpha, score). The score is the cosine between predicted and true deviations from the
    training mean, over all left-out clips and all targets of the group: blind to overall size,
    which the calibration sets afterwards.
    """
    before = np.zeros_like(y) if known is None else known
    decomposed = _Decomposed.of(x, y - before)
    scored = [_Fold.of(held, out, y, before, items) for held, out in parts.parts]
    sums = {group: np.zeros((len(alphas), 3)) for group in groups}
    for k, alpha in enumerate(alphas):
        added = decomposed.left_out(alpha, parts, slice(None))
        for part in scored:
            guess = part.given + part.average @ (added[part.rows] - part.mean)
            for group, columns in groups.items():
                p, t = guess[:, columns], part.truth[:, columns]
                sums[group][k] += [(p * t).sum(), (p**2).sum(), (t**2).sum()]
    best = {}
    for group, products in sums.items():
        scale = np.sqrt(products[:, 1] * products[:, 2])
        scores = np.divide(products[:, 0], scale, out=np.zeros(len(alphas)), where=scale > 0)
        k = int(scores.argmax())
        best[group] = (alphas[k], float(scores[k]))
    return best


def _by_alpha(alphas: dict[str, float], groups: Groups) -> list[tuple[float, np.ndarray]]:
    """(penalty, columns) with all columns of the groups that share it."""
    of: dict[float, list[np.ndarray]] = {}
    for group, columns in groups.items():
        numbers = np.arange(columns.start, columns.stop)
        of.setdefault(alphas[group], []).append(numbers)
    return [(alpha, np.concatenate(columns)) for alpha, columns in of.items()]


@dataclass(frozen=True)
class _Fold:
    """What the predictions of one fold are scored against.

    rows : bool, its rows; average : (clips, its rows), means over the showings of a clip.
    truth, given : (clips, K), true and known deviations from the mean of the other rows; mean : (K,), of
    what is fitted there.
    """

    rows: np.ndarray
    average: np.ndarray
    truth: np.ndarray
    given: np.ndarray
    mean: np.ndarray

    @classmethod
    def of(
        cls,
        rows: np.ndarray,
        out: np.ndarray,
        y: np.ndarray,
        known: np.ndarray,
        items: np.ndarray,
    ) -> _Fold:
        _, item = np.unique(items[rows], return_inverse=True)
        average = np.zeros((item.max() + 1, len(item)))
        average[item, np.arange(len(item))] = 1
        average /= average.sum(1, keepdims=True)
        return cls(
            rows,
            average,
            average @ (y[rows] - y[~out].mean(0)),
            average @ (known[rows] - known[~out].mean(0)),
            (y - known)[~out].mean(0),
        )


@dataclass(frozen=True)
class _Decomposed:
    """The kernel of all rows, decomposed once for all penalties and folds.

    values (n,), vectors (n, n) : of the centred kernel; turned : vectors' @ centred targets; y : (n, K).

    With M = I - H what a ridge leaves of its own rows, predictions of a block of rows by the fit without
    them follow from the fit with them: that leaves M_bb^-1 (M y)_b of the block. This holds for every
    penalised least-squares fit whose penalty does not depend on the rows (Cook and Weisberg 1982, Residuals
    and Influence in Regression, section 2.2, for ordinary least squares).
    """

    values: np.ndarray
    vectors: np.ndarray
    turned: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> _Decomposed:
        from scipy.linalg import eigh

        centred = x - x.mean(0, dtype=np.float64)
        values, vectors = eigh(centred @ centred.T, overwrite_a=True, check_finite=False)
        return cls(np.maximum(values, 0), vectors, vectors.T @ (y - y.mean(0)), y)

    def left_out(self, alpha: float, parts: Split, columns: slice | np.ndarray) -> np.ndarray:
        """Predictions (n, K) of every row by a fit that did not see the row's fold."""
        shrunk = alpha / (self.values + alpha)
        rest = self.vectors @ (shrunk[:, None] * self.turned[:, columns])
        out = np.empty(rest.shape)
        for held, left in parts.parts:
            own = self.vectors[left]
            block = (own * shrunk) @ own.T - 1 / len(held)
            error = np.linalg.solve(block, rest[left])
            out[held] = self.y[held][:, columns] - error[held[left]]
        return out
