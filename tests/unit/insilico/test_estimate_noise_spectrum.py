from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from boldreel.insilico import noise

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "estimate_noise_spectrum.py"


@pytest.fixture(scope="module")
def estimate():
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_known_spectrum_is_found_again(estimate):
    rng = np.random.default_rng(0)
    true = noise.Spectrum(0.05, 1.0, 0.4)
    runs = [noise.shape_in_time(rng.standard_normal((120, 800)), 2.0, true).T for _ in range(4)]
    data = 1000 + 10 * np.concatenate(runs, axis=1)
    frequency, power, n = estimate.mean_spectrum(data, 120, 2.0)
    assert n == 4 * 800
    found = noise.Spectrum(*estimate.fit(frequency, power))
    at = np.linspace(0.02, 0.24, 12)
    ratio = found.power(at) / true.power(at)
    assert ratio.std() / ratio.mean() < 0.06
