"""What is known of a clip, and how well: whitened components of features with a reliability each.

Takes features; returns scores in components of unit variance. An estimate of a score from noisy responses
has a reliability rho, the share of the score's variance that it explains. The best estimate is shrunk: with a
true score z of unit variance it is

    rho z + sqrt(rho (1 - rho)) e,    e of unit variance,

so that the true score is expected at the estimate. With reliability 1 it is the truth, with 0 the mean. A
generator that learns from such estimates knows how far to follow one.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from boldreel.stats.components import principal_axes

# Shares of clips in training of which one kind of features is known exactly, and not at all.
EXACT, ABSENT = 0.2, 0.2
# Of the others: range of the log of signal over noise in the first component, and spread over components.
SIGNAL, SPREAD = (-3.0, 4.0), 0.7


class Code(nn.Module):
    """Features (n, D) to scores (n, K) and back.

    Buffers: mean (D,), encode (D, K), decode (K, D).
    """

    def __init__(self, width: int, components: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("encode", torch.zeros(width, components))
        self.register_buffer("decode", torch.zeros(components, width))
        self.mean: Tensor
        self.encode: Tensor
        self.decode: Tensor

    @classmethod
    def of(
        cls, values: np.ndarray, scale: np.ndarray | float, at_most: int, variance: float
    ) -> Code:
        """Principal components of features, in units of `scale` (D,), that hold a share `variance`.

        values : (n, D)
        """
        mean = values.mean(0, dtype=np.float64)
        centred = (values - mean) / scale
        axes = principal_axes(centred, at_most, variance)
        spread = np.maximum((centred @ axes.T).std(0), 1e-9)
        code = cls(len(mean), len(axes))
        code.mean.copy_(torch.from_numpy(mean))
        code.encode.copy_(torch.from_numpy((axes / spread[:, None] / scale).T))
        code.decode.copy_(torch.from_numpy(axes * spread[:, None] * scale))
        return code

    def scores(self, values: Tensor) -> Tensor:
        """Scores (n, K) of features (n, D)."""
        return (values - self.mean) @ self.encode

    def values(self, scores: Tensor) -> Tensor:
        """Features (n, D) of scores (n, K); of estimates, what is expected."""
        return self.mean + scores @ self.decode

    def known(self, reliability: Tensor) -> Tensor:
        """Share (n, D) of each feature's variance, over the components, that estimates explain.

        reliability : (n, K)
        """
        power = self.decode.square()
        return (reliability @ power) / power.sum(0).clamp(min=1e-12)


def doubted(
    scores: list[Tensor], generator: torch.Generator, exact: float = EXACT, absent: float = ABSENT
) -> Tensor:
    """Estimates of true scores as responses might give them: (n, 2, K), estimate and reliability.

    Each kind of features is known exactly, not at all, or with a signal-to-noise ratio that is drawn for the
    clip, falls along the components, and varies between them.

    Parameters
    ----------
    scores : (n, K) of each kind of features; they are joined.
    generator : on the CPU.
    exact, absent : shares of clips.
    """
    parts = []
    for true in scores:
        n, count = true.shape
        first = SIGNAL[0] + (SIGNAL[1] - SIGNAL[0]) * torch.rand(n, 1, generator=generator)
        falls = 2.0 * torch.rand(n, 1, generator=generator) * torch.linspace(0, 1, count)
        ratio = first - falls + SPREAD * torch.randn(n, count, generator=generator)
        fate = torch.rand(n, 1, generator=generator)
        error = torch.randn(n, count, generator=generator)
        reliability = torch.sigmoid(ratio)
        reliability = torch.where(fate < exact, 1.0, reliability)
        reliability = torch.where(fate > 1 - absent, 0.0, reliability).to(true)
        estimate = reliability * true
        estimate = estimate + (reliability * (1 - reliability)).sqrt() * error.to(true)
        parts.append(torch.stack([estimate, reliability], dim=1))
    return torch.cat(parts, dim=2)


class Reliability(nn.Module):
    """How a subject's predicted scores become estimates, by what left-out predictions were worth.

    Given a predicted score p, the true score z is expected at mean_z + c / v (p - mean_p), with c their
    covariance and v the variance of p; its reliability is c^2 / (v var z). The variance v falls where more
    showings are averaged than those predictions had: noise (1/n_0 - 1/n) is taken off.

    Buffers, each (K,): mean of predictions and of truths, covariance, variance of predictions and of
    truths, and the noise of a single showing's prediction.
    """

    NAMES = ("mean", "mean_true", "covariance", "variance", "variance_true", "noise")
    # Reliabilities stop short of certainty, which a fit to some hundred clips never gives.
    MOST = 0.98

    def __init__(self, components: int):
        super().__init__()
        for name in self.NAMES:
            self.register_buffer(name, torch.zeros(components))
        self.register_buffer("showings", torch.ones(()))
        self.mean: Tensor
        self.mean_true: Tensor
        self.covariance: Tensor
        self.variance: Tensor
        self.variance_true: Tensor
        self.noise: Tensor
        self.showings: Tensor

    @classmethod
    def of(
        cls, predicted: np.ndarray, true: np.ndarray, noise: np.ndarray, showings: float
    ) -> Reliability:
        """From left-out predictions and true scores (clips, K).

        noise : (K,), variance of a single showing's prediction within its clip. showings : how many each
        prediction is the mean of; where they differ, the harmonic mean.
        """
        found = cls(predicted.shape[1])
        p, t = (values.astype(np.float64) for values in (predicted, true))
        covariance = ((p - p.mean(0)) * (t - t.mean(0))).mean(0)
        values = (p.mean(0), t.mean(0), covariance, p.var(0), t.var(0), noise)
        for name, value in zip(cls.NAMES, values, strict=True):
            getattr(found, name).copy_(torch.from_numpy(np.asarray(value, np.float64)))
        found.showings.fill_(float(showings))
        return found

    def forward(self, predicted: Tensor, showings: Tensor) -> Tensor:
        """Estimates and reliabilities (n, 2, K) of predicted scores (n, K) of responses averaged over
        showings (n,); a score that predictions know nothing of is estimated at the truths' mean."""
        fewer = 1 / showings.to(predicted).view(-1, 1) - 1 / self.showings
        bound = self.covariance.square() / self.variance_true.clamp(min=1e-12) / self.MOST
        variance = (self.variance + self.noise * fewer).maximum(bound).clamp(min=1e-12)
        gain = self.covariance.clamp(min=0) / variance
        estimate = self.mean_true + gain * (predicted - self.mean)
        reliability = gain * self.covariance.clamp(min=0) / self.variance_true.clamp(min=1e-12)
        return torch.stack([estimate, reliability], dim=1)
