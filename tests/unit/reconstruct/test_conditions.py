"""Which clips a shard holds and what they are reconstructed from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from boldreel.align import encoder
from boldreel.data import arrays
from boldreel.data.responses import load_responses
from boldreel.errors import UserError
from boldreel.reconstruct.conditions import from_brain, from_captions, shard_of


def test_shards_are_a_partition() -> None:
    clips = [f"test01-{i:04d}" for i in range(7)]
    shards = [shard_of(clips[::-1], k, 3) for k in range(3)]
    assert sorted(clip for shard in shards for clip in shard) == clips and shards[0] == clips[::3]
    with pytest.raises(UserError, match="count from 0"):
        shard_of(clips, 3, 3)
    with pytest.raises(UserError, match="fewer shards"):
        shard_of(clips[:1], 1, 2)


def test_captions(dataset) -> None:  # type: ignore[no-untyped-def]
    clips, condition = from_captions(dataset.clips, [dataset.features("test01")], 1, 2)
    stored, _ = arrays.load(dataset.features("test01") / "condition.npy", kind="condition")
    assert clips == ["test01-0001", "test01-0003", "test01-0005"]
    assert np.array_equal(condition, stored[1::2])


@pytest.mark.parametrize("repeats", ["average", 1])
def test_brain_averages_test_repeats_and_ignores_shards(dataset, encoder_folder, repeats) -> None:  # type: ignore[no-untyped-def]
    paths = (encoder_folder, dataset.windows, dataset.series, repeats)
    clips, condition = from_brain(*paths, 0, 1)
    responses = load_responses(dataset.windows, dataset.series, "test", repeats)
    assert clips == sorted(responses.clips)
    model = encoder.SpatioTemporalEncoder.from_pretrained(encoder_folder)
    expected = model(torch.from_numpy(responses.x)).condition.detach().numpy()
    assert np.allclose(condition, expected, atol=1e-5)
    for k in range(2):
        some, part = from_brain(*paths, k, 2)
        assert some == clips[k::2] and np.allclose(part, condition[k::2], atol=1e-5)
