from __future__ import annotations

import numpy as np
import pytest

from boldreel.insilico import features, head, scanner


def test_slice_times_are_interleaved():
    times = scanner.slice_times(5, 2.0)
    assert times.tolist() == [0.0, 1.2, 0.4, 1.6, 0.8]


def test_undoing_the_true_motion_gives_a_still_head(subject, unwarp):
    n, view = 12, subject.view
    parameters = np.zeros((n, 6))
    parameters[1::2] = [0.8, -0.6, 0.7, 0.8, 0.9, -0.7]
    poses = head.poses(parameters, view.centre)
    changes = np.zeros((n, *subject.model.shape), np.float32)
    signal = np.zeros((len(subject.model.ev), 60), np.float32)
    times = scanner.slice_times(view.shape[2], 2.0)
    rng = np.random.default_rng(0)
    data = scanner.acquire(subject, poses, changes, signal, times, 2.0, rng)
    basis = np.polynomial.legendre.legvander(np.linspace(-1, 1, n), 3)

    def movement(poses):
        series = unwarp(subject, data, poses, order=3)
        left = series - basis @ np.linalg.lstsq(basis, series, rcond=None)[0]
        return np.median(np.abs(left) / series.mean(0))

    still = movement(poses)
    assert still < 0.005
    assert movement(np.repeat(poses[:1], n, 0)) > 2.5 * still
    assert movement(np.linalg.inv(poses)) > 2.5 * still


def test_slices_are_sampled_at_their_own_time(subject):
    n, view, model = 40, subject.view, subject.model
    poses = head.poses(np.zeros((n, 6)), view.centre)
    changes = np.zeros((n, *model.shape), np.float32)
    time = np.arange(n * 4 + 1) * features.INTERVAL
    wave = 20 * np.sin(2 * np.pi * time / 20)
    signal = np.where(model.ev[:, None] > 0, wave, 0).astype(np.float32)
    times = scanner.slice_times(view.shape[2], 2.0)
    data = scanner.acquire(subject, poses, changes, signal, times, 2.0, np.random.default_rng(1))
    basis = np.polynomial.legendre.legvander(np.linspace(-1, 1, n), 3)
    phases = 2 * np.pi * np.arange(n) * 2 / 20
    design = np.column_stack([np.sin(phases), np.cos(phases), basis])
    checked = 0
    for k in range(view.shape[2]):
        series = data[:, :, k].reshape(-1, n).T.astype(float)
        series = series[:, series.mean(0) > 1500]
        beta = np.linalg.lstsq(design, series / series.mean(0), rcond=None)[0]
        strong = np.hypot(beta[0], beta[1]) > 0.1
        if strong.sum() < 20:
            continue
        delay = np.arctan2(beta[1, strong], beta[0, strong]) * 20 / (2 * np.pi)
        assert np.median(delay) == pytest.approx(times[k], abs=0.08)
        checked += 1
    assert checked > 10
