"""The generator tests' random models and data set."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boldreel.reconstruct import encode

_path = Path(__file__).parents[1] / "generator" / "conftest.py"
_spec = importlib.util.spec_from_file_location("generator_fixtures", _path)
assert _spec is not None and _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _fixtures
_spec.loader.exec_module(_fixtures)

base_folder = _fixtures.base_folder
dataset = _fixtures.dataset
encoder_folder = _fixtures.encoder_folder
generator_folder = _fixtures.generator_folder


@pytest.fixture
def encoded(
    dataset: Any, encoder_folder: Path, generator_folder: Path, tmp_path: Path
) -> Callable[..., Path]:
    """A function that runs the step `encode` and returns its folder."""
    made: list[Path] = []

    def call(**config: Any) -> Path:
        made.append(tmp_path / f"conditions-{len(made)}")
        encode.main(
            [
                "--encoder",
                str(encoder_folder),
                "--generator",
                str(generator_folder),
                "--windows",
                str(dataset.windows),
            ]
            + ["--series-dir", str(dataset.series), "--output", str(made[-1])]
            + ["--config", json.dumps({"seed": 5, **config})]
        )
        return made[-1]

    return call
