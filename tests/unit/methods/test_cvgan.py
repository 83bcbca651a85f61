"""The method `cvgan`: trains stably from three seeds, finds a planted relation, sees no test run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from boldreel.data import arrays, tables
from boldreel.errors import UserError
from boldreel.methods import reconstruct, video_decoder
from boldreel.methods.cvgan import loss, train
from boldreel.methods.cvgan.model import VideoGan
from boldreel.methods.video_decoder import Shape, VideoDecoder

CONFIG = {
    "seed": 1,
    "code": 12,
    "thumbnail": 8,
    "size": 16,
    "latent": 24,
    "width": 4,
    "epochs": 24,
    "batch_size": 8,
}
CONFIG |= {"generator_rate": 2e-3, "discriminator_rate": 2e-3}
BRIEF = {"seed": 1, "epochs": 6}  # for what holds byte for byte, however long the training
SHAPE = Shape(code=5, frames=3, side=16, latent=8, width=4)


def fitted(study, folder: Path, **config) -> Path:  # type: ignore[no-untyped-def]
    options = ["--output", str(folder / "fit"), "--state", str(folder / "state")]
    train.main([*study.words(), *options, "--config", json.dumps({**CONFIG, **config})])
    return folder / "fit"


def drawn(study, model: Path, folder: Path) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
    reconstruct.main(
        [
            *("--model", str(model), "--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--output", str(folder)),
        ]
    )
    frames, meta = arrays.load(folder / "frames.npy", kind="reconstruction")
    return dict(zip(meta["clips"], frames, strict=True))


def identified(made: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> float:
    names = list(made)
    return video_decoder.two_way(*(np.stack([clips[n] for n in names]) for clips in (made, truth)))


@pytest.fixture(scope="module")
def models(study, tmp_path_factory) -> list[Path]:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("cvgan")
    return [fitted(study, folder / str(seed), seed=seed) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def brief(study, tmp_path_factory) -> Path:  # type: ignore[no-untyped-def]
    return fitted(study, tmp_path_factory.mktemp("brief"), **BRIEF)


def test_it_trains_stably_from_three_seeds(study, models, tmp_path) -> None:  # type: ignore[no-untyped-def]
    truth = study.truth()
    for number, model in enumerate(models):
        made = drawn(study, model, tmp_path / str(number))
        assert identified(made, truth) > 0.65
        history = tables.read(model / "history.tsv", "history")
        assert len(history) == CONFIG["epochs"] + 1
        assert np.isfinite(history["loss"].iloc[1:]).all()
        # both sides stay in play: neither has won for good
        assert 0.2 < history["discriminators"].iloc[-1] < 6
        assert history["val_loss"].min() < history["val_loss"].iloc[0] - 0.1


def test_without_signal_it_is_at_chance(silent, tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = fitted(silent, tmp_path, epochs=3)
    assert 0.38 < identified(drawn(silent, model, tmp_path / "out"), silent.truth()) < 0.62


def test_nothing_fitted_sees_a_test_run(make_study, brief, tmp_path) -> None:  # type: ignore[no-untyped-def]
    other = make_study()
    other.disturb()
    again = fitted(other, tmp_path, **BRIEF)
    one, two = (load_file(folder / "model" / "model.safetensors") for folder in (brief, again))
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_a_stopped_training_ends_as_if_it_had_not_been(study, brief, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    real, seen = train.both, []

    def stopping(*arguments):  # type: ignore[no-untyped-def]
        seen.append(1)
        if len(seen) == 40:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(train, "both", stopping)
        with pytest.raises(KeyboardInterrupt):
            fitted(study, tmp_path, **BRIEF)
    assert not (tmp_path / "fit").exists()
    again = fitted(study, tmp_path, **BRIEF)
    one, two = (load_file(folder / "model" / "model.safetensors") for folder in (brief, again))
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_a_clip_does_not_depend_on_its_company() -> None:
    torch.manual_seed(0)
    model = VideoGan(SHAPE)
    code = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    whole = video_decoder.draw(model.generator, code, torch.device("cpu"))
    assert whole.shape == (4, 3, 16, 16, 3) and whole.dtype == np.uint8
    assert np.array_equal(
        video_decoder.draw(model.generator, code[2:3], torch.device("cpu"))[0], whole[2]
    )


def test_each_side_learns_from_its_own_loss() -> None:
    """Gradients equal those of two separate passes: no loss leaks to the other side."""
    torch.manual_seed(0)
    model = VideoGan(SHAPE).eval()  # eval: spectral norm does not move between the passes
    code, real = torch.randn(3, 5), torch.rand(3, 3, 3, 16, 16) * 2 - 1

    def gradients() -> dict[str, torch.Tensor]:
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    total, numbers = loss.both(model, code, real, 0.1, 1.0, 0.5)
    total.backward()
    joint = gradients()
    assert set(joint) == {name for name, _ in model.named_parameters()}
    model.zero_grad()
    fake = model(code)
    pixels = (fake - real).abs().mean() + 0.5 * (fake.diff(dim=2) - real.diff(dim=2)).abs().mean()
    fooled = -sum(judge(fake, code).mean() for judge in model.discriminators)
    (pixels + 0.1 * fooled).backward()
    own = gradients()
    for name in (n for n in joint if n.startswith("generator")):
        torch.testing.assert_close(joint[name], own[name])
    model.zero_grad()
    for judge in model.discriminators:
        told = (
            torch.relu(1 - judge(real, code)).mean()
            + torch.relu(1 + judge(fake.detach(), code)).mean()
        )
        told.backward()
    theirs = gradients()
    for name in (n for n in joint if not n.startswith("generator")):
        torch.testing.assert_close(joint[name], theirs[name])
    assert set(numbers) == {"pixels", "change", "fooled", "discriminators"}


def test_discriminators_are_bounded() -> None:
    """Spectral norm holds every layer's gain near one, whatever its weights were set to."""
    torch.manual_seed(0)
    model = VideoGan(SHAPE)
    for judge in model.discriminators:
        with torch.no_grad():
            for name, parameter in judge.named_parameters():
                if name.endswith("original"):
                    parameter.mul_(50)
        code = torch.zeros(2, 5)
        clips = torch.randn(2, 3, 3, 16, 16)
        for _ in range(30):
            judge(clips, code)
        judge.eval()
        with torch.no_grad():
            weight = judge.score.weight
            assert torch.linalg.matrix_norm(weight, 2) == pytest.approx(1, abs=0.05)


def test_mistakes_are_one_line(study, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match="no model that draws"):
        VideoDecoder.from_pretrained(tmp_path)
    with pytest.raises(UserError, match="mixed_precision"):
        fitted(study, tmp_path, mixed_precision="int4")
    with pytest.raises(UserError, match="power of two"):
        fitted(study, tmp_path, size=24)
    with pytest.raises(UserError, match="not a key"):
        fitted(study, tmp_path, depth=3)
