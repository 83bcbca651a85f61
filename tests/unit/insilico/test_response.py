from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from boldreel.insilico import features, hrf, noise, response


def test_without_explainable_variance_there_is_no_signal_at_all(cfg, silent_subject, drives):
    courses = response.Response(cfg, silent_subject, "03", drives).courses("test01", 1)
    assert courses.size
    assert (courses == 0).all()


def test_signal_is_the_same_in_every_repeat(cfg, subject, drives):
    one, two = (
        response.Response(cfg, subject, "01", drives).courses("test01", repeat) for repeat in (1, 2)
    )
    assert np.array_equal(one, two)
    other = response.Response(cfg, subject, "01", drives).courses("train01", 1)
    places = np.flatnonzero(subject.model.ev > 0)
    alike = [abs(np.corrcoef(one[place], other[place])[0, 1]) for place in places]
    assert np.median(alike) < 0.3


def test_rest_is_spontaneous(cfg, subject, drives):
    one, two = (response.Response(cfg, subject, "01", drives).courses("rest", k) for k in (1, 2))
    responding = subject.model.ev > 0
    ratio = one[responding].var(1) / two[responding].var(1)
    assert 0.5 < np.median(ratio) < 2
    pairs = [np.corrcoef(a, b)[0, 1] for a, b in zip(one[responding], two[responding], strict=True)]
    assert abs(np.mean(pairs)) < 0.15


def test_covariance_leaves_out_what_is_slower_than_drift():
    time = np.arange(480) * features.INTERVAL
    slow, fast = np.sin(2 * np.pi * time / 240), np.sin(2 * np.pi * time / 20)
    courses = {"m": np.stack([slow, fast]).astype(np.float32)}
    covariance = response.movie_covariance(courses)
    assert covariance[0, 0] < 1e-3
    assert covariance[1, 1] == pytest.approx(0.5, abs=0.01)
    assert noise.LOWEST == 0.01


def test_a_late_movie_is_answered_late(cfg, subject, drives):
    now = response.Response(cfg, subject, "01", drives).courses("test01", 1)
    delayed = replace(cfg, movie_onset=6.0)
    late = response.Response(delayed, subject, "01", drives).courses("test01", 1)
    assert np.allclose(late[:, 12:], now[:, :-12], atol=1e-3 * np.abs(now).max())
    assert np.allclose(late[:, :12], 0, atol=1e-4 * np.abs(now).max())
    assert hrf.DURATION > 6
