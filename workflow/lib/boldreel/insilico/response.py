"""What a subject's visual cortex answers to a movie, or does at rest.

Takes a subject, the stimulus drive and the `insilico` section; returns percent signal change of every
place of the encoding model. It is the same in every repeat of a movie, and at rest it is drawn again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy import ndimage

from boldreel.errors import UserError
from boldreel.insilico import design, drive, encoding, features, hrf, noise
from boldreel.insilico.seeding import generator
from boldreel.insilico.settings import InsilicoSettings
from boldreel.insilico.subject import Subject

RESTING_MEMORY = 6.0  # s, time constant of spontaneous activity


def movie_covariance(convolved: Mapping[str, np.ndarray]) -> np.ndarray:
    """Covariance (n_features, n_features) of convolved features over all movies.

    Without what is slower than noise.LOWEST: there lives the drift, and explainable variance is
    defined without it.
    """
    from scipy.fft import irfft, rfft, rfftfreq

    total, samples = 0.0, 0
    for course in convolved.values():
        n = course.shape[1]
        spectrum = rfft(course, axis=1)
        spectrum[:, rfftfreq(n, features.INTERVAL) < noise.LOWEST - 1e-9] = 0
        fast = irfft(spectrum, n, axis=1)
        total = total + fast @ fast.T
        samples += n
    return np.asarray(total) / samples


def resting_courses(
    rng: np.random.Generator, covariance: np.ndarray, n: int, time_to_peak: float
) -> np.ndarray:
    """Spontaneous activity in the space of the features, convolved: float32 (n_features, n).

    Slow random mixtures of the features as they go together in the movies.
    """
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-4 * values[-1]
    white = rng.standard_normal((int(kept.sum()), n + 128), dtype=np.float32)
    memory = np.exp(-features.INTERVAL * np.arange(64) / RESTING_MEMORY).astype(np.float32)
    slow = ndimage.convolve1d(white, np.concatenate([np.zeros(63), memory]), axis=1, mode="wrap")
    bold = hrf.convolve(slow, features.INTERVAL, time_to_peak)[:, 128:]
    bold /= bold.std(1, keepdims=True)
    return ((vectors[:, kept] * np.sqrt(values[kept])) @ bold).astype(np.float32)


class Response:
    """The responses of one subject, whose weights are scaled once for all runs."""

    def __init__(
        self, settings: InsilicoSettings, subject: Subject, label: str, drives: Path
    ) -> None:
        self.settings, self.subject, self.label, self.drives = settings, subject, label, drives
        self.silent = not subject.model.ev.any()
        if self.silent:
            return
        self.neural = drive.load(drives)
        convolved = {
            name: hrf.convolve(course, features.INTERVAL, subject.time_to_peak)
            for name, course in self.neural.items()
        }
        self.covariance = movie_covariance(convolved)
        self.weights = encoding.effective_weights(subject.model, self.covariance)

    def courses(self, segment: str, repeat: int) -> np.ndarray:
        """Percent signal change of every place of the encoding model, float32 (n_places, n).

        Sample k belongs to k * features.INTERVAL s after the run's start. Exactly 0 where the
        explainable variance is 0. UserError for a movie without a drive.
        """
        settings, peak = self.settings, self.subject.time_to_peak
        seconds = design.volumes(settings, segment) * settings.t_r
        n = int(np.ceil(seconds / features.INTERVAL))
        if self.silent:
            return np.zeros((len(self.subject.model.ev), n + 1), dtype=np.float32)
        if segment == design.REST:
            rng = generator(settings.seed, "spontaneous", self.label, repeat)
            return self.weights @ resting_courses(rng, self.covariance, n + 1, peak)
        if segment not in self.neural:
            raise UserError(
                f"{self.drives}: no drive of movie {segment}; run boldreel.insilico.drive again"
            )
        # The movie starts movie_onset s into the run.
        course = self.neural[segment]
        before = np.zeros((len(course), round(settings.movie_onset / features.INTERVAL)))
        padded = np.concatenate([before, course, np.zeros((len(course), n))], axis=1)[:, : n + 1]
        return self.weights @ hrf.convolve(padded, features.INTERVAL, peak)
