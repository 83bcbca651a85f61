"""Faster arithmetic gives the same network: only its rounding differs."""

import copy

import torch

from boldreel.insilico.base_models import clip, fit, unet


def denoise(model: torch.nn.Module) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn((2, 8, 8, 8), generator=generator)
    states = torch.randn((2, 16, 32), generator=generator)
    return model(latents, torch.tensor([10, 700]), states).sample


def test_prepared_network_computes_what_it_did():
    model = unet.create(32).eval()
    prepared = copy.deepcopy(model)
    fit.prepare(prepared)
    with torch.no_grad():
        torch.testing.assert_close(denoise(prepared), denoise(model), atol=2e-5, rtol=1e-4)
        with fit.arithmetic(True):
            rounded = denoise(prepared).float()
        apart = (rounded - denoise(model)).std() / denoise(model).std()
    assert 0 < apart < 0.05
    assert prepared.state_dict().keys() == model.state_dict().keys()


def test_attention_of_transformers_is_replaced_too():
    model = clip.create(clip.create_tokenizer()).eval()
    prepared = copy.deepcopy(model)
    fit.prepare(prepared)
    assert prepared.vision_model.config._attn_implementation == "eager"
    pixels = torch.randn((2, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(
            prepared.vision_model(pixels).pooler_output, model.vision_model(pixels).pooler_output
        )


def test_training_stays_in_float32_where_nothing_is_gained(monkeypatch, tmp_path):
    kinds = []

    def loss(_):
        out = model(torch.ones(2, 16)).square().mean()
        kinds.append(model(torch.ones(2, 16)).dtype)
        return out

    for units, rounded, kind in (
        (False, True, torch.float32),
        (True, False, torch.float32),
        (True, True, torch.bfloat16),
    ):
        monkeypatch.setattr(fit, "has_matrix_units", lambda units=units: units)
        model = torch.nn.Sequential(torch.nn.GroupNorm(2, 16), torch.nn.Linear(16, 3))
        schedule = fit.Schedule(2, lr=1e-3)
        fit.fit(model, loss, schedule, tmp_path / "state", "test", rounded=rounded)
        assert kinds[-1] == kind
        assert model[1].weight.dtype == torch.float32
