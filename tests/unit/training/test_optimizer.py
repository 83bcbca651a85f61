"""What the optimizer decays, and at which rates it learns."""

import torch

from boldreel.training.optimizer import adamw


def test_matrices_alone_decay_and_frozen_parameters_stay_out() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2), torch.nn.Linear(2, 2))
    model[2].requires_grad_(False)
    token = torch.nn.Parameter(torch.zeros(1, 1, 5))
    optimizer = adamw([(model.parameters(), 1e-2), ([token], 1e-3)], 0.05, betas=(0.9, 0.95))
    found = [
        ([tuple(p.shape) for p in group["params"]], group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
    ]
    assert found == [
        ([(2, 3)], 1e-2, 0.05),
        ([(2,), (2,), (2,)], 1e-2, 0.0),
        ([(1, 1, 5)], 1e-3, 0.0),
    ]
    assert all(group["betas"] == (0.9, 0.95) for group in optimizer.param_groups)
