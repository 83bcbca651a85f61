"""AlexNet's layers and LPIPS: equal to torchmetrics where that defines it, and weights are checked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from boldreel.errors import UserError
from boldreel.evaluate import alexnet, clip_similarity, layers
from boldreel.evaluate.lpips import Lpips


@pytest.fixture(scope="module")
def network() -> alexnet.AlexNet:
    torch.manual_seed(0)
    return alexnet.AlexNet().eval().requires_grad_(False)


def test_lpips_equals_torchmetrics(network, monkeypatch):
    library = pytest.importorskip("torchmetrics.functional.image.lpips")
    monkeypatch.setattr(library, "_get_tv_model_features", lambda *_, **__: network.features)
    theirs = library._LPIPS(pretrained=False, net="alex", eval_mode=True)
    own = Lpips(network, torch.device("cpu"))
    for lin, weight in zip(theirs.lins, own.weights, strict=True):
        lin.model[-1].weight.data = weight[None]
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 3, 2, 48, 40, 3), dtype=np.uint8)
    i = np.array([[0, 1, 2], [1, 2, 0]])
    j = np.array([[0, 1, 2], [0, 1, 2]])
    found = own.pairs(a, b, i, j)
    for row in range(2):
        for k in range(3):
            frames = [
                torch.from_numpy(x[n]).permute(0, 3, 1, 2).float() / 255
                for x, n in ((a, i[row, k]), (b, j[row, k]))
            ]
            with torch.inference_mode():
                wanted = theirs(*frames, normalize=True).mean()
            assert found[row, k] == pytest.approx(float(wanted), rel=1e-4)


def test_lpips_is_zero_for_the_same_and_grows_with_noise(network):
    own = Lpips(network, torch.device("cpu"))
    rng = np.random.default_rng(1)
    picture = rng.integers(60, 190, (1, 1, 64, 64, 3))
    noisy = [np.clip(picture + rng.normal(0, s, picture.shape), 0, 255) for s in (0, 10, 60)]
    clips = np.concatenate(noisy).astype(np.uint8)
    index = np.arange(3)[None]
    same, little, much = own.pairs(clips, clips, index, np.zeros_like(index))[0]
    assert same == 0 < little < much


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_are_read(network, tmp_path, suffix):
    path = tmp_path / f"alexnet{suffix}"
    state = {**network.state_dict(), "classifier.1.weight": torch.zeros(2, 2)}
    if suffix == ".pth":
        torch.save(state, path)
    else:
        from safetensors.torch import save_file

        save_file(state, path)
    read = alexnet.load(path)
    images = torch.randn(1, 3, 64, 64)
    for one, other in zip(read(images), network(images), strict=True):
        assert torch.equal(one, other)


def test_weights_that_do_not_fit_are_named(network, tmp_path):
    state = network.state_dict()
    del state["features.3.weight"]
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"does not fit: features\.3\.weight"):
        alexnet.load(tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be read"):
        alexnet.load(tmp_path / "b.pth")


def test_vectors_give_correlations():
    torch.manual_seed(2)
    maps = torch.randn(4, 3, 7, 7)
    found = layers.vectors(maps).astype(np.float64)
    wanted = np.corrcoef(maps.flatten(1).numpy())
    np.testing.assert_allclose(found @ found.T, wanted, atol=2e-3)


def test_a_layer_does_not_mind_contrast(network):
    rng = np.random.default_rng(3)
    frames = rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    early, late = layers.of_alexnet(network, frames, "cpu")
    assert early.shape == (2, 192 * 36) and late.shape == (2, 256 * 25)
    np.testing.assert_allclose(np.linalg.norm(early.astype(np.float64), axis=1), 1, atol=1e-2)


def test_identification_equals_the_naive_count():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(2, 7, 2, 5)).astype(np.float16)
    shots = np.array(["a", "a", "b", "b", "c", "d", "d"])
    index = np.arange(7)
    found = clip_similarity.identification(a, b, shots, index, index)
    for k in range(7):
        score = [(a[k].astype(np.float64) * b[m]).sum() for m in range(7)]
        others = [m for m in range(7) if shots[m] != shots[k]]
        assert found[k] == pytest.approx(np.mean([score[m] < score[k] for m in others]))
