"""The generator tests' random models and data set."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

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
