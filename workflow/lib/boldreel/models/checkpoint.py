"""Models as folders: `config.json` and `model.safetensors`, the layout of Hugging Face models.

Takes a module with a dataclass `config`; writes a folder, or a module read from one. Nothing
pickled is ever read.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import nn

from boldreel.data import atomic, weights
from boldreel.errors import UserError

CONFIG, WEIGHTS = "config.json", "model.safetensors"


class Pretrained(nn.Module):
    """A module that is built from one dataclass, `config_class`, and saved next to it."""

    config_class: ClassVar[type]

    def __init__(self, config: Any):
        super().__init__()
        self.config = config

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the folder in one step; one that was there is replaced."""
        from safetensors.torch import save_file

        entry = {"model_type": type(self).__name__, **dataclasses.asdict(self.config)}
        tensors = {name: value.detach().contiguous() for name, value in self.state_dict().items()}
        with atomic.folder(folder) as aside:
            (aside / CONFIG).write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")
            save_file(tensors, aside / WEIGHTS, metadata={"format": "pt"})

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Build the module from a folder, in evaluation mode.

        Raises UserError if files are missing, the folder holds another kind of model, or names or
        shapes of tensors differ (all are listed).
        """
        module = cls(cls._read_config(Path(folder)))
        tensors = read_tensors(folder)
        problems = weights.differences(module.state_dict(), tensors)
        if problems:
            raise UserError(f"{folder}: weights do not fit {cls.__name__}: {'; '.join(problems)}")
        module.load_state_dict(tensors)
        return module.eval()

    @classmethod
    def _read_config(cls, folder: Path) -> Any:
        try:
            entry = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise UserError(
                f"{folder}: no readable {CONFIG} ({error}); run the stage that trains it"
            ) from None
        if entry.pop("model_type", None) != cls.__name__:
            raise UserError(f"{folder}: not a {cls.__name__}; give the folder that its stage wrote")
        known = {field.name for field in dataclasses.fields(cls.config_class)}
        unknown = sorted(entry.keys() - known)
        if unknown:
            raise UserError(
                f"{folder}/{CONFIG}: unknown key {unknown[0]!r}; a newer version wrote it"
            )
        return cls.config_class(**entry)


def read_tensors(folder: str | Path) -> dict[str, Any]:
    """The tensors of a model folder; UserError if they are missing or damaged."""
    return weights.read(Path(folder) / WEIGHTS)
