"""Which state folder belongs to a training: one per configuration, inputs and code.

The number of epochs does not count: a longer training resumes from a shorter one's state.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from boldreel import imports
from boldreel.data import provenance
from boldreel.data.provenance import digest


def state_folder(
    base: str | Path,
    *,
    module: str,
    config: Mapping[str, Any],
    inputs: Iterable[str | Path],
    ignore: tuple[str, ...] = ("epochs",),
) -> Path:
    """`base/{fingerprint}` for the training step `module` (dotted name).

    The fingerprint covers `config` without the keys in `ignore`, the content of `inputs` (files or
    folders; provenance files next to them do not count) and the source of the step and its imports. The
    provenance of what is trained names the folder.
    """
    kept = {key: value for key, value in config.items() if key not in ignore}
    state = hashlib.blake2b(digest_size=10)
    state.update(json.dumps(kept, sort_keys=True, default=str).encode())
    state.update(imports.fingerprint(module).encode())
    for path in inputs:
        state.update(_content(Path(path)).encode())
    folder = Path(base) / state.hexdigest()
    provenance.trained_in(folder)
    return folder


def _content(path: Path) -> str:
    if not path.is_dir():
        return digest(path)
    files = sorted(p for p in path.rglob("*") if p.is_file() and "provenance" not in p.name)
    return "".join(str(p.relative_to(path)) + digest(p) for p in files)
