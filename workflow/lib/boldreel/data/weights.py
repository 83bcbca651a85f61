"""Tensors by name, in files of others and of one's own.

Takes a safetensors file, or a pickle that holds tensors alone; returns a dictionary of tensors, and what
keeps it from fitting a module. Nothing pickled is ever executed.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from boldreel.data.unreadable import reason
from boldreel.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

# Under these names checkpoints of the field keep their tensors, next to counters of the training.
_HOLDERS = ("model", "state_dict", "module")


def read(file: str | Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, or of a ``.bin``, ``.pt`` or ``.pth`` pickle.

    Of a training's checkpoint, the entry `model`, `state_dict` or `module` is taken.

    Raises UserError if it cannot be read, or would have to be executed to be read.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if Path(file).suffix == ".safetensors":
            return load_file(file)
        found = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UserError(
            f"{file}: unreadable weights ({reason(error)}); give the checkpoint again"
        ) from None
    if isinstance(found, dict):
        holder = next((name for name in _HOLDERS if isinstance(found.get(name), dict)), None)
        tensors = found if holder is None else found[holder]
        if tensors and all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
            return tensors
    raise UserError(f"{file}: holds more than named tensors; save the state_dict alone")


def differences(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> list[str]:
    """What keeps tensors from taking the place of `own`: missing and unexpected names, other shapes."""
    wrong = [
        f"{name} is {list(tensors[name].shape)}, not {list(own[name].shape)}"
        for name in sorted(own.keys() & tensors.keys())
        if own[name].shape != tensors[name].shape
    ]
    found = {
        "missing": sorted(own.keys() - tensors.keys()),
        "unexpected": sorted(tensors.keys() - own.keys()),
        "of another shape": wrong,
    }
    return [f"{what}: {', '.join(names)}" for what, names in found.items() if names]
