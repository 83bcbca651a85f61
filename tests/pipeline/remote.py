"""What tests of results in remote storage share: fetched plugins, and a workspace with them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .workflow import ROOT, Workspace


def pins(name: str) -> list[str]:
    """The lines of `envs/{name}.lock`."""
    lines = (ROOT / "envs" / f"{name}.lock").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def fetch(folder: Path, *packages: str) -> None:
    """Install packages into a folder of their own; the test is skipped where they cannot be fetched."""
    words = ["install", "--quiet", "--no-deps", "--no-compile", "--target", str(folder)]
    words += ["--disable-pip-version-check", *packages]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"the plugins cannot be fetched: {done.stderr.strip().splitlines()[-1]}")


@dataclass
class Remote(Workspace):
    """A workspace with plugins, and with further environment variables."""

    plugins: Path = Path()
    more: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        return super().environment() | {"PYTHONPATH": str(self.plugins)} | self.more
