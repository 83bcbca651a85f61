"""benchmarks/bids_libraries.py: boldreel finds what BIDS' inheritance says, and differences show."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, "bids_libraries", raising=False)
    return importlib.import_module("bids_libraries")


def test_two_subjects(libraries: ModuleType, tmp_path: Path) -> None:
    right = libraries.lay_out(tmp_path, 2)
    assert len(right) == 10
    said = libraries.ask("boldreel", tmp_path)
    assert said["answers"] == right
    assert said["seconds"] > 0 and said["peak_mb"] > 0


def test_cases_of_inheritance(libraries: ModuleType, tmp_path: Path) -> None:
    right = libraries.lay_out_cases(tmp_path)
    assert libraries.by_boldreel(tmp_path) == right


def test_differences_are_said_with_an_example(libraries: ModuleType, tmp_path: Path) -> None:
    right = libraries.lay_out(tmp_path, 1)
    first, second, third, *_ = sorted(right)
    found = right | {first: libraries.Answer(None, 2.0), second: libraries.Answer("x", 2.0)}
    del found[third]
    assert libraries.differences("it", right, right) == []
    assert libraries.differences("it", found, right) == [
        f"it: events missing, 1 runs: {first}: None, not {right[first].events}",
        f"it: events differs, 1 runs: {second}: x, not {right[second].events}",
        f"it: not found, 1 runs: {third}",
    ]


def test_a_tree_without_images_is_mirrored(libraries: ModuleType, tmp_path: Path) -> None:
    """Listed files are there and empty; tables and JSON keep what they say, and nothing else does."""
    tree, copy = tmp_path / "tree", tmp_path / "copy"
    bold = "sub-01/func/sub-01_task-a_bold.nii.gz"
    libraries.write(tree / "files.tsv", f"path\tkind\n{bold}\tbold\n")
    libraries.write(tree / "dataset_description.json", "{}")
    libraries.write(tree / "task-a_bold.json", '{"RepetitionTime": 1.49}')
    libraries.write(tree / "movie.mp4", "large")
    libraries.mirror(tree, copy)
    assert (copy / "movie.mp4").read_bytes() == (copy / bold).read_bytes() == b""
    assert libraries.by_boldreel(copy) == {bold: libraries.Answer(None, 1.49)}
