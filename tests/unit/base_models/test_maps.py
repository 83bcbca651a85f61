"""Hidden states of classifiers as maps."""

import torch

from boldreel.base_models.maps import as_maps


def test_tokens_become_maps_without_the_class_token():
    tokens = torch.arange(2 * 10 * 3).reshape(2, 10, 3).float()
    maps = as_maps(tokens)
    assert maps.shape == (2, 3, 3, 3)
    assert torch.equal(maps[0, :, 0, 1], tokens[0, 2]) and torch.equal(
        maps[1, :, 2, 2], tokens[1, 9]
    )
