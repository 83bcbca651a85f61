"""What turns responses into clips in the methods that draw from codes, and its folder.

Takes a fitted encoder and a trained generator; writes `model.safetensors` and `config.json`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from boldreel.data import atomic
from boldreel.data.frames import resize
from boldreel.errors import UserError
from boldreel.methods.codes import Encoder
from boldreel.methods.generator import Generator, Shape, draw


@dataclass(frozen=True)
class Drawer:
    """Encoder and generator, with what the movies are like.

    size : height and width in pixels of the movies. frame_rate : frames per second.
    """

    encoder: Encoder
    generator: Generator
    size: tuple[int, int]
    frame_rate: float

    def clips(self, x: np.ndarray, device: torch.device) -> np.ndarray:
        """uint8 clips (n, F, height, width, 3) of responses (n, window, positions)."""
        drawn = draw(self.generator.to(device), self.encoder(x), device)
        return np.stack([resize(clip, self.size) for clip in drawn])

    def save_pretrained(self, folder: Path | str) -> None:
        """Write the folder in one step."""
        from safetensors.torch import save_file

        tensors = {f"generator.{k}": v.contiguous() for k, v in self.generator.state_dict().items()}
        for name in ("used", "weight", "bias", "scale"):
            value = np.ascontiguousarray(getattr(self.encoder, name))
            tensors[f"encoder.{name}"] = torch.from_numpy(value)
        about = {
            "shape": asdict(self.generator.shape),
            "size": list(self.size),
            "frame_rate": self.frame_rate,
        }
        with atomic.folder(folder) as aside:
            save_file(tensors, aside / "model.safetensors")
            atomic.write_text(aside / "config.json", json.dumps(about, indent=1) + "\n")

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Drawer:
        """Read what `save_pretrained` wrote; UserError if it is not there."""
        from safetensors.torch import load_file

        folder = Path(folder)
        if not (folder / "model.safetensors").exists():
            raise UserError(f"{folder}: no model that draws; run its method's train step")
        about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        parts: dict[str, dict[str, torch.Tensor]] = {"generator": {}, "encoder": {}}
        for name, value in load_file(folder / "model.safetensors").items():
            part, _, key = name.partition(".")
            parts[part][key] = value
        generator = Generator(Shape(**about["shape"]))
        generator.load_state_dict(parts["generator"])
        encoder = Encoder(**{name: value.numpy() for name, value in parts["encoder"].items()})
        height, width = about["size"]
        return cls(encoder, generator.eval(), (height, width), about["frame_rate"])
