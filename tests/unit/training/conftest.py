"""GPUs that are not there: an nvidia-smi that lists them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


def nvidia_smi(folder: Path, listing: str, code: int = 0) -> str:
    """A PATH on which nvidia-smi prints the listing and ends with the code."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "listing").write_text(listing)
    tool = folder / "nvidia-smi"
    asked = 'case "$*" in *driver_version*) echo 550.54.15; exit 0;; esac'
    tool.write_text(f'#!/bin/sh\n{asked}\ncat "{folder}/listing"\nexit {code}\n')
    tool.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def cards(*uuids: str) -> str:
    """What `nvidia-smi -L` prints of such cards."""
    return "".join(
        f"GPU {number}: NVIDIA A100-SXM4-40GB (UUID: {uuid})\n" for number, uuid in enumerate(uuids)
    )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that makes this process see such cards, or a listing; nothing else is set."""
    for name in ("CUDA_VISIBLE_DEVICES", "BOLDREEL_LEASED", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "")  # so that what it was before is put back at the end
        monkeypatch.delenv(name)

    def see(*uuids: str, listing: str | None = None, code: int = 0) -> None:
        text = cards(*uuids) if listing is None else listing
        monkeypatch.setenv("PATH", nvidia_smi(tmp_path / "bin", text, code))

    return see
