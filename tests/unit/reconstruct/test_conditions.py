"""What clips are reconstructed from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from boldreel.align import encoder
from boldreel.data import arrays
from boldreel.data.responses import load_responses
from boldreel.reconstruct.conditions import from_brain, from_captions


def test_captions(dataset) -> None:  # type: ignore[no-untyped-def]
    conditions = from_captions(dataset.clips, [dataset.features("test01")])
    stored, _ = arrays.load(dataset.features("test01") / "condition.npy", kind="condition")
    assert list(conditions) == [f"test01-{i:04d}" for i in range(6)]
    assert np.array_equal(list(conditions.values()), stored)


@pytest.mark.parametrize("repeats", ["average", 1])
def test_brain_averages_test_repeats(dataset, encoder_folder, repeats) -> None:  # type: ignore[no-untyped-def]
    conditions = from_brain(encoder_folder, dataset.windows, dataset.series, repeats)
    responses = load_responses(dataset.windows, dataset.series, "test", repeats)
    assert list(conditions) == responses.clips
    model = encoder.SpatioTemporalEncoder.from_pretrained(encoder_folder)
    expected = model(torch.from_numpy(responses.x)).condition.detach().numpy()
    assert np.allclose(list(conditions.values()), expected, atol=1e-5)
