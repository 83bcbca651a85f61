"""Where a model of the hub is on this machine: the hub's cache, read directly from disk.

Takes a `Repository` and the environment (HF_HUB_CACHE, HF_HOME, HF_HUB_OFFLINE); returns the folder of its
snapshot. Layout: `models--owner--name/refs/REVISION` names a commit, `snapshots/COMMIT` holds links to
`blobs/` (Hugging Face hub, "Understand caching"). Standard library only: during planning no other package
may be installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from boldreel.base_models.layouts import Part
from boldreel.base_models.names import Repository


def offline() -> bool:
    """Whether the environment forbids requests to the hub."""
    said = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return said.upper() in ("1", "ON", "YES", "TRUE")


def home() -> Path:
    """The folder of the hub's cache, which may not exist."""
    environment = os.environ
    user = environment.get("XDG_CACHE_HOME", "~/.cache")
    hub = str(Path(environment.get("HF_HOME", f"{user}/huggingface")) / "hub")
    named = environment.get("HF_HUB_CACHE", environment.get("HUGGINGFACE_HUB_CACHE", hub))
    return Path(os.path.expandvars(named)).expanduser()


def snapshot(repository: Repository) -> Path | None:
    """The folder of a model's files in the cache, possibly incomplete; None if there is none."""
    place = home() / ("models--" + repository.id.replace("/", "--"))
    revision = repository.revision or "main"
    try:
        commit = (place / "refs" / revision).read_text(encoding="utf-8").strip()
    except OSError:
        commit = revision
    found = place / "snapshots" / commit
    return found if commit and found.is_dir() else None


def files(folder: Path, parts: Iterable[Part]) -> list[str]:
    """Names, relative to the folder, of the files of these parts of a model, without dangling links."""
    return [
        f"{inside}/{path.name}" if inside else path.name
        for inside in sorted({part.folder for part in parts})
        if (folder / inside).is_dir()
        for path in (folder / inside).iterdir()
        if path.is_file()
    ]
