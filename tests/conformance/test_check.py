"""The runner on arrays of the kinds that are held back, made by naive constructions."""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage.metrics import structural_similarity

sys.path.insert(0, str(Path(__file__).parent))

import check
from naive_network import NaiveNetwork, NaiveSampler, random_weights

from boldreel.models import published_video_unet as published

CONFIGS = {
    "b4": {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": [16, 32, 32, 32],
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "cross_attention_dim": 12,
        "attention_head_dim": 4,
    },
    "d1": {
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "num_train_timesteps": 1000,
        "prediction_type": "epsilon",
        "set_alpha_to_one": False,
        "skip_prk_steps": True,
        "steps_offset": 1,
        "trained_betas": None,
    },
}


def _write_network(folder: Path) -> NaiveNetwork:
    shapes = {k: list(t.shape) for k, t in published.build(CONFIGS["b4"]).unet.state_dict().items()}
    weights = random_weights(shapes)
    save_file(weights, folder / "b4_unet3d_weights.safetensors")
    network = NaiveNetwork(weights, CONFIGS["b4"])
    torch.manual_seed(1)
    latents, context = torch.randn(2, 4, 6, 8, 8), torch.randn(2, 7, 12)
    arrays = {f"out_t{t}": network(latents, t, context).numpy() for t in (501, 1)}
    np.savez(folder / "b4_unet3d.npz", latents=latents, context=context, **arrays)
    return network


def _write_sampling(
    folder: Path,
    network: NaiveNetwork,
    kinds: tuple[str, ...] = ("pndm", "ddim"),
    scales: tuple[float, ...] = (12.5, 1.0),
    clip: bool = False,
) -> None:
    torch.manual_seed(2)
    shapes = {"latents0": (1, 4, 6, 8, 8), "cond": (1, 7, 12), "uncond": (1, 7, 12)}
    arrays = {name: torch.randn(shape) for name, shape in shapes.items()}
    noise, cond, uncond = (x.double() for x in arrays.values())
    double = NaiveNetwork({name: w.double() for name, w in network.w.items()}, CONFIGS["b4"])
    for scale in scales:

        def predict(x: torch.Tensor, t: int, scale: float = scale) -> torch.Tensor:
            c = double(x, t, cond)
            if scale == 1:
                return c
            u = double(x, t, uncond)
            return u + scale * (c - u)

        sampler = NaiveSampler(predict, 10, clip)
        for kind in kinds:
            times, states = getattr(sampler, kind)(noise)
            run, states = f"{kind}_s10_g{scale}", [state.float() for state in states]
            arrays |= {f"{run}_latents": states[-1], f"{run}_timesteps": np.array(times)}
            arrays |= {f"{run}_step{i}": states[i] for i in (0, 4)}
    np.savez(folder / "d1_guided_sampling.npz", **arrays)


def _write_identification(folder: Path) -> None:
    """The published loop over 400 classes, trial by trial, and its expectation by counting."""
    rng = np.random.default_rng(3)
    truth, scores = rng.normal(size=(2, 5, 400)).astype(np.float32)
    scores += truth
    powers = np.exp(scores.astype(float))
    probabilities = (powers / powers.sum(1, keepdims=True)).astype(np.float32)
    right = truth.argsort(axis=1)[:, -3:]
    arrays = {
        "logits_gt": truth,
        "logits_pred": scores,
        "gt_top3": right,
        "probs_pred": probabilities,
    }
    for n, k in ((2, 1), (50, 1), (50, 3)):
        drawn, share, expected = [], [], []
        for row, classes in zip(probabilities, right, strict=True):
            others = [c for c in range(400) if c not in classes]
            trials = np.stack([rng.choice(others, n - 1, replace=False) for _ in range(100)])
            won = [
                any(sum(row[d] > row[c] for d in trial) < k for c in classes) for trial in trials
            ]
            above = sum(row[c] > row[classes].max() for c in others)
            ways = sum(
                math.comb(above, j) * math.comb(397 - above, n - 1 - j) for j in range(min(k, n))
            )
            drawn.append(trials)
            share.append(sum(won) / 100)
            expected.append(ways / math.comb(397, n - 1))
        # one draw serves all k, as in the published arrays
        if k == 1:
            arrays[f"distractors_n{n}"] = np.array(drawn, np.int16)
            arrays[f"acc_n{n}_k{k}"] = np.array(share)
            arrays[f"std_n{n}_k{k}"] = np.sqrt(np.array(share) * (1 - np.array(share)) / 100)
        arrays[f"exact_n{n}_k{k}"] = np.array(expected)
    np.savez(folder / "c1_nway_topk_vid400.npz", **arrays)


def _write_similarity(folder: Path) -> None:
    frames = np.random.default_rng(4).integers(0, 256, (2, 3, 4, 16, 20, 3)).astype(np.uint8)
    values = [
        [
            structural_similarity(a, b, data_range=255, channel_axis=2)
            for a, b in zip(*pair, strict=True)
        ]
        for pair in zip(*frames, strict=True)
    ]
    np.savez(folder / "c2_ssim.npz", pred=frames[0], gt=frames[1], ssim_per_frame=values)


@pytest.fixture(scope="module")
def held_back(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the layout that the arrays held back have."""
    folder = tmp_path_factory.mktemp("arrays")
    (folder / "configs.json").write_text(json.dumps(CONFIGS))
    with torch.no_grad():
        _write_sampling(folder, _write_network(folder))
    _write_identification(folder)
    _write_similarity(folder)
    return folder


@pytest.fixture
def folder(held_back: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(held_back, tmp_path / "arrays"))


def _change(file: Path, **arrays: np.ndarray) -> None:
    np.savez(file, **{**np.load(file), **arrays})


def test_all_kinds_agree(held_back: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([str(held_back)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.endswith(" ok") and len(line.split()) == 4 for line in lines)
    compared = {line.split()[0] for line in lines}
    for name in (
        "b4_unet3d:out_t501",
        "b4_unet3d:out_t1",
        "d1_guided_sampling:pndm_s10_g12.5_latents",
        "d1_guided_sampling:ddim_s10_g1.0_step4",
        "d1_guided_sampling:pndm_s10_g1.0_timesteps",
        "c1_nway_topk_vid400:exact_n50_k3",
        "c2_ssim:ssim_per_frame",
    ):
        assert name in compared


def test_ddim_that_clips_is_recognised(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    network = NaiveNetwork(load_file(folder / "b4_unet3d_weights.safetensors"), CONFIGS["b4"])
    with torch.no_grad():
        _write_sampling(folder, network, ("ddim",), (1.0,), clip=True)
    assert all(check.compare_file(folder / "d1_guided_sampling.npz"))
    # where the configuration says that nothing is clipped, it is believed
    changed = {**CONFIGS, "d1": {**CONFIGS["d1"], "clip_sample": False}}
    (folder / "configs.json").write_text(json.dumps(changed))
    assert not all(check.compare_file(folder / "d1_guided_sampling.npz"))


@pytest.mark.parametrize("key", ["out_t501", "latents"])
def test_a_difference_fails(folder: Path, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "b4_unet3d.npz"
    _change(file, **{key: np.load(file)[key] + 1e-3})
    assert not all(check.compare_file(file))
    assert "b4_unet3d:out_t501" in capsys.readouterr().out


def test_not_a_number_and_other_shapes_fail(folder: Path) -> None:
    file = folder / "c2_ssim.npz"
    values = np.load(file)["ssim_per_frame"]
    _change(file, ssim_per_frame=np.full_like(values, np.nan))
    assert not any(check.compare_file(file))
    _change(file, ssim_per_frame=values[:1])
    assert not any(check.compare_file(file))


@pytest.mark.parametrize("damage", ["npz", "weights", "configs", "no weights"])
def test_unreadable_files_fail(
    folder: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "b4_unet3d.npz"
    weights = folder / "b4_unet3d_weights.safetensors"
    if damage == "no weights":
        weights.unlink()
    else:
        broken = {"npz": file, "weights": weights, "configs": folder / "configs.json"}[damage]
        broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    assert check.compare_file(file) == [False]
    assert "b4_unet3d.npz: unreadable" in capsys.readouterr().out


def test_unknown_files_and_arrays_fail(tmp_path: Path, held_back: Path) -> None:
    shutil.copy(held_back / "configs.json", tmp_path)
    shutil.copy(held_back / "c2_ssim.npz", tmp_path)
    assert check.main([str(tmp_path)]) == 0
    _change(tmp_path / "c2_ssim.npz", another=np.zeros((2, 2)))
    assert check.main([str(tmp_path)]) == 1
    shutil.copy(held_back / "c2_ssim.npz", tmp_path)
    save_file({"x": torch.zeros(1)}, tmp_path / "zz_weights.safetensors")
    assert check.main([str(tmp_path)]) == 1
    (tmp_path / "zz_weights.safetensors").unlink()
    np.savez(tmp_path / "zz.npz", x=np.zeros(1))
    assert check.main([str(tmp_path)]) == 1


def test_nothing_to_compare_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([str(tmp_path)]) == 1
    assert "nothing to compare FAIL" in capsys.readouterr().out


@pytest.mark.skipif(not check.DEFAULT.is_dir(), reason="no reference arrays next to the checkout")
def test_reference_arrays() -> None:
    assert check.main([]) == 0


def test_tolerances_follow_from_float32_and_the_guidance_scale() -> None:
    """What another processor rounds passes; a thousandth in a logit, or in a state, does not."""
    import cases_metrics
    import cases_sampling

    logits = np.random.default_rng(0).normal(0, 8, (50, 400)).astype(np.float32)
    limit = cases_metrics.of_probabilities(logits)
    exact = cases_metrics.softmax(logits)
    single = torch.softmax(torch.from_numpy(logits), 1).numpy()
    assert np.abs(single - exact).max() < limit
    high = np.where(np.arange(400) == logits.argmax(1)[:, None], logits + 1e-3, logits)
    assert np.abs(cases_metrics.softmax(high) - exact).max() > limit
    at = {scale: cases_sampling.tolerance(scale) for scale in (1.0, 12.5, 100.0)}
    assert at[1.0] == pytest.approx(1e-4) and 1.7e-4 < at[12.5] < at[100.0] < 1e-3
