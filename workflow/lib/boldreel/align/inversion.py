"""Inversion of an encoding model: the linear path that the transformer stands on.

Takes trials; returns the weights of a linear read-out. Features of clips (`latent`), convolved with a
haemodynamic response, predict every position by ridge regression. The decoder follows from that model by
Bayes' rule (Nishimoto et al. 2011, Curr. Biol. 21, 1641-1646, with a Gaussian prior in place of a library
of clips): with features f of a clip, its neighbours in time correlated with it, and noise of covariance S
over positions and T over volumes,

    E[f | window] = sum over components c of  u_c  g_c . (window S^-1 B' u_c / s_c),
    g_c = s_c (s_c^2 H + T)^-1 h,

where B maps features of unit covariance to positions, u_c and s_c^2 are eigenvectors and eigenvalues of
B S^-1 B', H is the covariance of the convolved features at two volumes of the window and h that with the
clip's own. It reads no volume outside the window. Every step works with moments of the size of the features,
so that rows and positions cost little; only a factor of S is as large as the positions.

What is chosen (time to peak, noise model, penalty of each band, size of T) is chosen by how well left-out
segments are decoded. Time to peak and noise model are the canonical one and the cohort's, unless another is
better by more than the standard error over folds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from boldreel.align import haemodynamics
from boldreel.align.data import Trials
from boldreel.align.haemodynamics import Surroundings
from boldreel.align.latent import BANDS, Latent
from boldreel.align.linear import LinearPath, Targets, split
from boldreel.align.settings import AlignSettings
from boldreel.align.whitening import CANDIDATES, IDENTITY, Candidate, Candidates, Solve, solver

# Penalties in units of the features' mean power over all rows.
ALPHAS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
# Noise over volumes, times what left-out residuals show.
NOISE = (0.5, 1.0, 2.0, 4.0, 8.0)
FOLDS = 10  # at most: of more segments, neighbours are left out together
_SMALLEST = 1e-5  # of the largest singular value: below, a component carries nothing


@dataclass(frozen=True)
class Choice:
    """What was chosen on left-out segments, and the cosines of what was decoded there with the truth."""

    peak: float | None
    noise: str
    alphas: tuple[float, ...]
    noise_scale: float
    scores: dict[str, float]


@dataclass(frozen=True)
class Volumes:
    """The volumes of windows, each once: windows overlap, and products with each volume cost most.

    values : float32 (U, n); place : int (rows, w), which of them a window consists of.
    """

    values: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, trials: Trials, used: np.ndarray) -> Volumes:
        """Volumes of one run and time are the same if they are equal; means over several runs need not be."""
        rows, window, _ = trials.x.shape
        flat = trials.x.reshape(rows * window, -1)
        _, run = np.unique(trials.run, return_inverse=True)
        times = np.stack([np.repeat(run, window), trials.times.ravel()], axis=1)
        _, first, same = np.unique(times, axis=0, return_index=True, return_inverse=True)
        first = first[same.ravel()]
        for k in np.flatnonzero(first != np.arange(len(flat))):
            if not np.array_equal(flat[k], flat[first[k]]):
                first[k] = k
        which, place = np.unique(first, return_inverse=True)
        return cls(flat[which][:, used], place.reshape(rows, window))

    def take(self, rows: np.ndarray) -> Volumes:
        """Those of some rows (bool)."""
        if rows.all():
            return self
        which, place = np.unique(self.place[rows], return_inverse=True)
        return Volumes(self.values[which], place.reshape(-1, self.place.shape[1]))

    def gathered(self, course: np.ndarray) -> np.ndarray:
        """For each volume the sum of course (rows * w, D) over windows, float32 (U, D)."""
        from scipy.sparse import csr_array

        place = self.place.ravel()
        ones, shape = np.ones(len(place)), (len(self.values), len(place))
        return np.asarray(
            csr_array((ones, (place, np.arange(len(place)))), shape) @ course, np.float32
        )

    def total(self) -> np.ndarray:
        """Sum over windows and their volumes, float64 (n,)."""
        count = np.bincount(self.place.ravel(), minlength=len(self.values)).astype(np.float64)
        total = np.zeros(self.values.shape[1])
        for low in range(0, len(count), 512):  # no copy of all in float64
            part = slice(low, low + 512)
            total += count[part] @ self.values[part].astype(np.float64)
        return total

    def read(self, mean: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """(volumes - mean (n,)) @ weight (n, D) of each window, float64 (rows, w, D)."""
        centred = self.values - mean.astype(np.float32)
        return (centred @ weight.astype(np.float32)).astype(np.float64)[self.place]


@dataclass(frozen=True)
class Moments:
    """Sums over rows and volumes of scores a (D,) and responses z (n,) and of their products."""

    count: int
    a: np.ndarray
    z: np.ndarray
    aa: np.ndarray
    az: np.ndarray

    @classmethod
    def of(cls, course: np.ndarray, volumes: Volumes) -> Moments:
        """course (rows, w, D); volumes : of these rows."""
        flat = course.reshape(-1, course.shape[2])
        return cls(
            len(flat),
            flat.sum(0),
            volumes.total(),
            flat.T @ flat,
            (volumes.gathered(flat).T @ volumes.values).astype(np.float64),
        )

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.count + other.count,
            self.a + other.a,
            self.z + other.z,
            self.aa + other.aa,
            self.az + other.az,
        )

    def __sub__(self, other: Moments) -> Moments:
        return Moments(
            self.count - other.count,
            self.a - other.a,
            self.z - other.z,
            self.aa - other.aa,
            self.az - other.az,
        )


class Whitened:
    """An encoding model before its penalty is known: all that depends on responses, whitened.

    Attributes: mean_a (D,), mean_z (n,); aa (D, D), centred; y (n, D), S^-1 times the centred products;
    g (D, D), the products' covariance in whitened positions.
    """

    def __init__(self, moments: Moments, solve: Solve):
        self.mean_a, self.mean_z = moments.a / moments.count, moments.z / moments.count
        self.aa = moments.aa - moments.count * np.outer(self.mean_a, self.mean_a)
        products = moments.az - np.outer(moments.a, self.mean_z)
        self.y = solve(products.T)
        self.g = products @ self.y


@dataclass(frozen=True)
class Inverse:
    """The model with its penalty, in components.

    reading : (D, C), takes responses that went through `Whitened.y` to components of unit noise.
    gain : (C,), s of each. source : (D, C), scores of unit covariance to components, before s.
    back : (C, D), components to scores.
    """

    reading: np.ndarray
    gain: np.ndarray
    source: np.ndarray
    back: np.ndarray


def invert(whitened: Whitened, penalty: np.ndarray, prior: np.ndarray) -> Inverse:
    """Of penalties (D,), one for each score, and the prior covariance of scores (D, D)."""
    root = np.linalg.cholesky(prior + 1e-8 * np.trace(prior) / len(prior) * np.eye(len(prior)))
    fitted = np.linalg.inv(whitened.aa + np.diag(penalty))
    half = fitted @ root
    values, vectors = np.linalg.eigh(half.T @ whitened.g @ half)
    order = np.argsort(values)[::-1]
    gain = np.sqrt(np.maximum(values[order], 0))
    kept = gain > _SMALLEST * max(gain[0], 1e-300)
    order, gain = order[kept], gain[kept]
    turned = vectors[:, order]
    return Inverse(
        reading=half @ turned / gain,
        gain=gain,
        source=np.linalg.solve(root.T, turned),
        back=(root @ turned).T,
    )


def gains(inverse: Inverse, around: Surroundings, noise: np.ndarray) -> np.ndarray:
    """Weight of each volume for each component, (C, w), for noise of covariance (w, w)."""
    out = np.empty((len(inverse.gain), len(around.own)))
    for c, s in enumerate(inverse.gain):
        out[c] = s * np.linalg.solve(s**2 * around.between + noise, around.own)
    return out


@dataclass(frozen=True)
class Reading:
    """A linear read-out of windows, in factors.

    positions : (n, C), volumes to components; volumes : (C, w), weights of a window's volumes;
    targets : (C, K), components to targets, whose mean is `mean` (K,).
    """

    positions: np.ndarray
    volumes: np.ndarray
    targets: np.ndarray
    mean: np.ndarray

    def of(self, components: np.ndarray) -> np.ndarray:
        """Targets (rows, K) from the components (rows, w, C) of centred windows."""
        return np.einsum("rwc,cw->rc", components, self.volumes) @ self.targets + self.mean

    def written_out(self, mean_z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weight (w * n, K) and bias (K,) for windows whose volumes have the mean mean_z (n,)."""
        parts = (self.positions, self.volumes, self.targets)
        weight = np.einsum("nc,cw,ck->wnk", *parts, optimize=True)
        weight = weight.reshape(-1, self.targets.shape[1])
        return weight, self.mean - np.tile(mean_z, self.volumes.shape[1]) @ weight


@dataclass(frozen=True)
class Inversion(LinearPath):
    """The inversion of one subject's encoding model.

    latent : features to scores. choice : see `Choice`. over_volumes : (w, w), covariance of the noise of one
    showing. noise : the noise model that was chosen; whiten : multiplies by the inverse of its covariance.
    """

    latent: Latent
    choice: Choice
    over_volumes: np.ndarray
    noise: Candidate
    whiten: Solve

    @classmethod
    def choose(
        cls,
        training: Trials,
        used: np.ndarray,
        settings: AlignSettings,
        candidates: Candidates,
        like: Inversion | None = None,
    ) -> Inversion:
        """Choose on left-out segments of the training trials.

        like : a path of the same subject, whose time to peak and noise model are taken; only penalties and
            the size of the noise are chosen
        """
        latent = Latent.of(training.features, settings.latent_variance, settings.rank)
        targets = Targets.of(training.features, settings)
        trial = _Trial.of(training, used, latent, targets)
        made = trial.choose(candidates, None if like is None else like.choice)
        return cls(used, settings, targets, latent, *made)

    @property
    def chosen(self) -> dict[str, object]:
        choice = self.choice
        return {
            "peak": choice.peak,
            "noise": choice.noise,
            "penalty": dict(zip(BANDS, choice.alphas, strict=True)),
            "noise_scale": choice.noise_scale,
            "left_out_cosine": choice.scores,
        }

    def told(self) -> str:
        choice = self.choice
        peak = "no response function" if choice.peak is None else f"peak at {choice.peak:g} s"
        lines = [f"inversion: {peak}, whitened by {CANDIDATES[choice.noise]}"]
        lines += [f"inversion, {k}: left-out cosine {v:.3f}" for k, v in choice.scores.items()]
        return "\n".join(lines)

    def solve(self, trials: Trials) -> tuple[np.ndarray, np.ndarray]:
        trial = _Trial.of(trials, self.used, self.latent, self.targets)
        trial = trial.at(self.choice.peak)
        whitened = Whitened(trial.moments(np.ones(len(trials.x), bool)), self.whiten)
        reading = self._reading(trial, whitened, trials.clip)
        weight, bias = reading.written_out(whitened.mean_z)
        return self._spread(weight, trials.x.shape), bias

    def left_out(self, trials: Trials) -> np.ndarray:
        trial = _Trial.of(trials, self.used, self.latent, self.targets).at(self.choice.peak)
        whole = trial.moments(np.ones(len(trials.x), bool))
        out = np.empty((len(trials.x), trial.targets.shape[1]), np.float32)
        for held, left in trial.folds:
            whitened = Whitened(
                trial.without(left, whole), trial.whiten(self.noise, left, self.whiten)
            )
            reading = self._reading(trial, whitened, trials.clip[~left])
            out[held] = reading.of(
                trial.volumes.take(held).read(whitened.mean_z, reading.positions)
            )
        return out

    def _reading(self, trial: _Trial, whitened: Whitened, clips: np.ndarray) -> Reading:
        """What the model reads from windows.

        clips : of the rows that were fitted, from which the prior of scores and their targets come
        """
        scores, values = trial.seen(clips)
        inverse = invert(whitened, trial.penalty(whitened, self.choice.alphas), _covariance(scores))
        around = haemodynamics.surroundings(trial.trials, trial.scores, self.choice.peak)
        weight_of = gains(inverse, around, self.choice.noise_scale * self.over_volumes)
        to_targets = inverse.back @ regression(scores, values)
        return Reading(whitened.y @ inverse.reading, weight_of, to_targets, values.mean(0))

    def _spread(self, weight: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Weights over the positions used, among zeros for all positions."""
        _, window, positions = shape
        out = np.zeros((window, positions, weight.shape[1]))
        out[:, self.used] = weight.reshape(window, -1, weight.shape[1])
        return out.reshape(window * positions, -1)


def _covariance(scores: np.ndarray) -> np.ndarray:
    """Covariance (D, D) of scores (clips, D), also of a single column."""
    return np.atleast_2d(np.cov(scores.T))


def regression(scores: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Least squares from scores (clips, D) to target deviations (clips, K), (D, K)."""
    centred = scores - scores.mean(0)
    power = centred.T @ centred
    power += 1e-4 * np.trace(power) / len(power) * np.eye(len(power))
    return np.linalg.solve(power, centred.T @ (values - values.mean(0)))


@dataclass(frozen=True)
class _Trial:
    """Trials in the shape that choosing needs.

    volumes : of the positions that are read. scores : (clips, D), mean zero; targets : (clips, K).
    folds : (held, out) each, bool (rows,): what is scored, and what the fit does not see.
    course : (rows, w, D), once a peak is chosen.
    """

    trials: Trials
    volumes: Volumes
    scores: np.ndarray
    targets: np.ndarray
    folds: list[tuple[np.ndarray, np.ndarray]]
    columns: dict[str, slice]
    bands: np.ndarray
    course: np.ndarray
    around: Surroundings | None = None
    peak: float | None = None

    @classmethod
    def of(cls, trials: Trials, used: np.ndarray, latent: Latent, targets: Targets) -> _Trial:
        features = trials.features
        scores = latent.scores(features)
        return cls(
            trials,
            Volumes.of(trials, used),
            scores - scores.mean(0),
            targets.values(features),
            split(trials, FOLDS),
            targets.groups(features),
            latent.bands,
            np.empty(0),
        )

    def at(self, peak: float | None) -> _Trial:
        """With the courses of a haemodynamic response."""
        course = haemodynamics.convolved(self.trials, self.scores, peak)
        around = haemodynamics.surroundings(self.trials, self.scores, peak)
        return replace(self, course=course, around=around, peak=peak)

    def moments(self, rows: np.ndarray) -> Moments:
        return Moments.of(self.course[rows], self.volumes.take(rows))

    def without(self, left: np.ndarray, whole: Moments) -> Moments:
        """The moments of the rows that are not in `left` (bool), given those of all.

        Where runs hold rows of both, the courses of what remains would hold the scores of clips that are left
        out, while their responses hold those of these clips: such clips are then taken for unknown.
        """
        trials = self.trials
        mixed = self.peak is not None and bool(np.isin(trials.run[~left], trials.run[left]).any())
        if not mixed:
            return whole - self.moments(left)
        known = self.scores.copy()
        known[np.unique(trials.clip[left])] = 0
        course = haemodynamics.convolved(trials, known, self.peak)
        return Moments.of(course[~left], self.volumes.take(~left))

    def whiten(self, noise: Candidate, left: np.ndarray, shared: Solve) -> Solve:
        """What whitens a fit that does not see `left`: `shared`, unless the noise model knows its noise."""
        return solver(noise.make(self.trials.take(~left))) if noise.own else shared

    def seen(self, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores and targets of the clips of these rows, each clip once."""
        which = np.unique(clips)
        return self.scores[which], self.targets[which]

    def penalty(self, whitened: Whitened, alphas: tuple[float, ...]) -> np.ndarray:
        # where the course is empty nothing is fitted, but an inverse there must be
        power = max(np.trace(whitened.aa) / len(whitened.aa), 1e-12)
        return np.array(alphas)[self.bands] * power

    def choose(
        self, candidates: Candidates, like: Choice | None
    ) -> tuple[Choice, np.ndarray, Candidate, Solve]:
        """The choice, one thing after the other, with the noise over volumes and positions."""

        def best(folded: _Folded) -> tuple[_Scored, float]:
            return max(
                ((folded.score((a, a), 1.0), a) for a in ALPHAS), key=lambda one: one[0].value
            )

        sides = [_Side.of(self, held, left) for held, left in self.folds]
        if like is None:
            first, noise = next(iter(candidates.items()))
            solve = solver(noise.make(self.trials))
            white, rest = self, solve
            if not noise.own:  # one noise model for all folds and peaks: whitened once
                values = solve.white(self.volumes.values)
                white = replace(self, volumes=replace(self.volumes, values=values))
                rest = IDENTITY
            at_peak = {
                one: _Folded.of(white.at(one), sides, noise, rest)
                for one in haemodynamics.peaks(self.trials)
            }
            peak = preferred({one: best(folded)[0] for one, folded in at_peak.items()})
            tried = {first: at_peak[peak]}
            del at_peak, white, solve, rest
            here = self.at(peak)
            for name in list(candidates)[1:]:
                noise = candidates[name]
                tried[name] = _Folded.of(here, sides, noise, solver(noise.make(self.trials)))
            name = preferred({name: best(folded)[0] for name, folded in tried.items()})
            folded, noise = tried[name], candidates[name]
            whiten = solver(noise.make(self.trials))
        else:
            peak, name = like.peak, like.noise
            noise = candidates[name]
            whiten = solver(noise.make(self.trials))
            folded = _Folded.of(self.at(peak), sides, noise, whiten)
        _, alpha = best(folded)
        scale = max(NOISE, key=lambda one: folded.score((alpha, alpha), one).value)
        # the motion code has a penalty of its own, if it varies at all
        second = alpha
        if (self.bands == BANDS.index("motion")).any():
            second = max(ALPHAS, key=lambda a: folded.score((alpha, a), scale).cosines["motion"])
        alphas = (alpha, second)
        cosines = folded.score(alphas, scale).cosines
        choice = Choice(peak, name, alphas, scale, cosines)
        return choice, folded.over_volumes(alphas), noise, whiten


@dataclass(frozen=True)
class _Scored:
    """Cosines of each group of targets over all left-out clips; by_fold : (folds,), the mean of image and
    text in each fold."""

    cosines: dict[str, float]
    by_fold: np.ndarray

    @property
    def value(self) -> float:
        """The mean of image and text."""
        return (self.cosines["image"] + self.cosines["text"]) / 2


Option = TypeVar("Option")


def preferred(scored: dict[Option, _Scored]) -> Option:
    """The best of those that beat the first by more than the standard error over folds; else the first.

    With little data left-out scores say little, and the first is the best guess without any.
    """
    first = next(iter(scored))

    def tells(one: _Scored) -> bool:
        gain = one.by_fold - scored[first].by_fold
        return bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)))

    better = [key for key, one in scored.items() if tells(one)]
    return max(better, key=lambda key: scored[key].value, default=first)


@dataclass(frozen=True)
class _Side:
    """What a fold is scored against; neither time to peak nor noise model change it.

    held : bool (rows,), what is scored. clips : (rows held,), each row's clip among those of the fold.
    prior : (D, D), covariance of the other clips' scores. to_targets : (D, K), their regression.
    truth : (clips of the fold, K), targets less the other clips' mean.
    """

    held: np.ndarray
    clips: np.ndarray
    prior: np.ndarray
    to_targets: np.ndarray
    truth: np.ndarray

    @classmethod
    def of(cls, trial: _Trial, held: np.ndarray, left: np.ndarray) -> _Side:
        """left : bool (rows,), what the fit does not see"""
        scores, values = trial.seen(trial.trials.clip[~left])
        clips, place = np.unique(trial.trials.clip[held], return_inverse=True)
        truth = trial.targets[clips] - values.mean(0)
        return cls(held, place, _covariance(scores), regression(scores, values), truth)


@dataclass(frozen=True)
class _Folded:
    """Encoding models that each left one fold out, and what that fold's responses say through them.

    read : for each fold (rows, w, D), its responses through `Whitened.y`.
    """

    trial: _Trial
    sides: list[_Side]
    models: list[Whitened]
    read: list[np.ndarray]

    @classmethod
    def of(cls, trial: _Trial, sides: list[_Side], noise: Candidate, shared: Solve) -> _Folded:
        """shared : whitens by the noise of all trials"""
        whole = trial.moments(np.ones(len(trial.course), bool))
        models, read = [], []
        for held, left in trial.folds:
            model = Whitened(trial.without(left, whole), trial.whiten(noise, left, shared))
            read.append(trial.volumes.take(held).read(model.mean_z, model.y))
            model.y = model.y[:0]  # large, and not read again
            models.append(model)
        return cls(trial, sides, models, read)

    def _inverses(self, alphas: tuple[float, ...]) -> list[Inverse]:
        return [
            invert(model, self.trial.penalty(model, alphas), side.prior)
            for side, model in zip(self.sides, self.models, strict=True)
        ]

    def over_volumes(
        self, alphas: tuple[float, ...], inverses: list[Inverse] | None = None
    ) -> np.ndarray:
        """Covariance (w, w) over a window's volumes of what left-out responses hold beyond the model, the
        mean over components; of one showing."""
        trial = self.trial
        window = trial.volumes.place.shape[1]
        total, count = np.zeros((window, window)), 0
        for side, model, read, inverse in zip(
            self.sides, self.models, self.read, inverses or self._inverses(alphas), strict=True
        ):
            expected = (trial.course[side.held] - model.mean_a) @ inverse.source * inverse.gain
            rest = read @ inverse.reading - expected
            total = total + np.einsum("rwc,rvc->wv", rest, rest)
            count += len(rest) * rest.shape[2]
        if not count:
            return np.eye(window)
        noise = total / count
        return noise + 1e-3 * np.trace(noise) / len(noise) * np.eye(len(noise))

    def score(self, alphas: tuple[float, ...], scale: float) -> _Scored:
        """How well left-out clips are decoded; a clip's showings are averaged before they are scored, as they
        are at test."""
        trial = self.trial
        assert trial.around is not None
        inverses = self._inverses(alphas)
        noise = scale * self.over_volumes(alphas, inverses)
        products = np.zeros((len(self.sides), len(trial.columns), 3))
        for fold, (side, read, inverse) in enumerate(
            zip(self.sides, self.read, inverses, strict=True)
        ):
            weight_of = gains(inverse, trial.around, noise)
            components = np.einsum("rwc,cw->rc", read @ inverse.reading, weight_of)
            mean = np.zeros((len(side.truth), components.shape[1]))
            np.add.at(mean, side.clips, components)
            mean /= np.bincount(side.clips)[:, None]
            guess = mean @ inverse.back @ side.to_targets
            for k, columns in enumerate(trial.columns.values()):
                p, t = guess[:, columns], side.truth[:, columns]
                products[fold, k] = (p * t).sum(), (p**2).sum(), (t**2).sum()
        names = list(trial.columns)
        together = dict(zip(names, map(float, _cosine(products.sum(0))), strict=True))
        each = _cosine(products)[:, [names.index("image"), names.index("text")]].mean(1)
        return _Scored(together, each)


def _cosine(products: np.ndarray) -> np.ndarray:
    """From products (..., 3) of predictions with truth, themselves, and truth with itself; 0 of nothing."""
    size = np.sqrt(products[..., 1] * products[..., 2])
    return np.divide(products[..., 0], size, out=np.zeros(size.shape), where=size > 0)
