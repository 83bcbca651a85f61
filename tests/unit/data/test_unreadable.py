"""Models of others whose weights are a pickle that would have to be executed: refused, never executed."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from boldreel.base_models import diffusion, frozen
from boldreel.errors import UserError
from boldreel.evaluate.readings import Judges, Models
from boldreel.methods.network import Network

EMBEDDED = Path(__file__).parents[3] / "resources" / "insilico"
CPU = torch.device("cpu")


class Dangerous:
    def __reduce__(self) -> tuple:
        return (Path("executed").touch, ())


LOADERS: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "clip": ("clip", "", lambda folder: frozen.load_clip(folder, CPU)),
    "text encoder": (
        "diffusion",
        "text_encoder",
        lambda folder: frozen.load_text_encoder(folder, CPU),
    ),
    "denoiser": ("diffusion", "unet", diffusion.load_unet),
    "autoencoder": ("diffusion", "vae", diffusion.load_vae),
    "network of a method": ("image_classifier", "", lambda folder: Network(str(folder), CPU)),
    "judge of frames": (
        "image_classifier",
        "",
        lambda folder: Judges(Models(image_classifier=str(folder))),
    ),
    "judge of clips": (
        "video_classifier",
        "",
        lambda folder: Judges(Models(video_classifier=str(folder))),
    ),
}


@pytest.mark.parametrize("loader", LOADERS)
def test_a_pickle_in_place_of_weights_is_refused(
    loader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name, part, load = LOADERS[loader]
    folder = tmp_path / name
    shutil.copytree(EMBEDDED / name, folder)
    (weights,) = (folder / part).glob("*.safetensors")
    pickled = {
        "model.safetensors": "pytorch_model.bin",
        "diffusion_pytorch_model.safetensors": "diffusion_pytorch_model.bin",
    }
    weights.unlink()
    for content in (pickle.dumps(Dangerous()), None):
        target = weights.with_name(pickled[weights.name])
        if content is None:
            torch.save({"weight": torch.zeros(1), "more": Dangerous()}, target)
        else:
            target.write_bytes(content)
        with pytest.raises(UserError) as caught:
            load(folder)
        assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
        assert "weights_only=False" not in str(caught.value), "no advice to execute it"
        assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\x08\0\0\0\0\0\0\0{", None], ids=["empty", "cut", "short"]
)
@pytest.mark.parametrize("loader", LOADERS)
def test_damaged_weights_are_one_line(loader: str, content: bytes | None, tmp_path: Path) -> None:
    name, part, load = LOADERS[loader]
    folder = tmp_path / name
    shutil.copytree(EMBEDDED / name, folder)
    (weights,) = (folder / part).glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1000] if content is None else content)
    with pytest.raises(UserError) as caught:
        load(folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


def test_the_stand_in_would_be_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Dangerous()))
    assert (tmp_path / "executed").exists()
