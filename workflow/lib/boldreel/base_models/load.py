"""Opening a part of a base model: `from_pretrained` of its class, and one line if it fails.

Takes a role, a name and a class of transformers or diffusers; returns an instance. Files come only from the
folder that `resolve` found. So a model behaves the same as a folder, from the cache or just downloaded, with
or without a network.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from boldreel.base_models import layouts, resolve
from boldreel.base_models.names import fault
from boldreel.data import unreadable


def network(role: str, name: str | Path, part: str, kind: Any, **options: Any) -> Any:
    """A network in evaluation mode, frozen, with all of its weights.

    Parameters
    ----------
    role, name, part : see `boldreel.base_models.resolve.find`.
    kind : class with `from_pretrained`. options : of that, such as the float type.

    Raises
    ------
    UserError : it is missing, is of another class, or some weights are missing and would be random.
    """
    model, found = _open(
        role, name, part, kind.from_pretrained, kind, output_loading_info=True, **options
    )
    lacking = sorted(found["missing_keys"])
    if lacking:
        raise fault(
            role,
            name,
            f"not a trained {kind.__name__}: {len(lacking)} of its tensors are missing, such as "
            f"{lacking[0]}; name another model, or fill the folder with the whole model",
        )
    return model.eval().requires_grad_(False)


def tool(role: str, name: str | Path, part: str, kind: Any, **options: Any) -> Any:
    """What prepares a network's input: a tokenizer or an image processor; see `network`."""
    return _open(role, name, part, kind.from_pretrained, kind, **options)


def settings(role: str, name: str | Path, part: str, kind: Any) -> dict[str, Any]:
    """The settings of a part without weights: a scheduler; see `network`."""
    return _open(role, name, part, kind.load_config, kind)


def _open(
    role: str,
    name: str | Path,
    part: str,
    opening: Callable[..., Any],
    kind: Any,
    **options: Any,
) -> Any:
    folder = resolve.find(role, name, part) / layouts.ROLES[role][part].folder
    if kind.__module__.startswith("transformers."):
        # Code that a model brings along is never executed; without this, transformers would ask.
        options["trust_remote_code"] = False
    try:
        return opening(folder, local_files_only=True, **options)
    except unreadable.ERRORS as error:
        raise fault(
            role,
            name,
            f"its {part} cannot be loaded as {kind.__name__} ({unreadable.reason(error)}); name a model of "
            "that kind, or fill the folder with its files again",
        ) from None
