"""The library as an installable package: its data go with it, and what it imports is declared."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

from boldreel import command_line, imports, packaged, presets
from boldreel.insilico import areas, noise
from boldreel.report import page

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "workflow" / "lib"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DISTRIBUTION = {"skimage": "scikit-image", "yaml": "pyyaml", "PIL": "pillow"}


def names(requirements: list[str]) -> set[str]:
    """Distributions without their bounds."""
    return {re.split(r"[<>=!~ \[;]", one)[0].lower() for one in requirements}


BASE = names(PROJECT["project"]["dependencies"])
EXTRAS = {
    name: names(listed) for name, listed in PROJECT["project"]["optional-dependencies"].items()
}


def imported(module: str) -> set[str]:
    """Distributions that a module's closure imports."""
    outside = imports.packages(module) - set(sys.stdlib_module_names)
    return {DISTRIBUTION.get(name, name).lower() for name in outside if name}


def test_package_data_are_all_files_that_are_no_code():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    listed = {
        path
        for package, globs in patterns.items()
        for glob in globs
        for path in LIBRARY.joinpath(*package.split(".")).glob(glob)
    }
    there = {
        path
        for path in (LIBRARY / "boldreel").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert len(there) > 20
    assert there - listed == set(), "not in the wheel: add it to package-data"
    assert all(
        any(LIBRARY.joinpath(*package.split(".")).glob(glob))
        for package, globs in patterns.items()
        for glob in globs
    ), "names nothing"


def test_every_folder_with_code_is_a_package():
    folders = {path.parent for path in (LIBRARY / "boldreel").rglob("*.py")}
    assert {folder for folder in folders if not (folder / "__init__.py").exists()} == set()


def test_data_are_found_from_any_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert {presets.load(name)["align"]["batch_size"] for name in presets.NAMES}
    assert len(areas.read_centres()["area"]) == 34
    assert noise.read_spectrum().b > 0
    assert packaged.path("boldreel.roi", "tables/hcp_mmp.tsv").is_file()
    assert packaged.path("boldreel.report", "published.tsv").is_file()
    assert "retrieval" in page.caption("rois") and page.caption("no such figure") == ""


def test_no_module_counts_the_folders_above_it():
    """`parents[n]` of a module's file holds in one checkout, and in no installation."""

    def counts(node: ast.AST) -> bool:
        up = isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute)
        return up and node.value.attr == "parents" and "__file__" in ast.unparse(node)

    found = [
        path
        for path in (LIBRARY / "boldreel").rglob("*.py")
        if any(map(counts, ast.walk(ast.parse(path.read_text(encoding="utf-8")))))
    ]
    assert found == []


def test_the_library_finds_its_own_snakefile(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert command_line.snakefile() == ROOT / "workflow" / "Snakefile"


def test_all_is_what_the_stages_list():
    stages = [path for path in (ROOT / "envs").glob("*.in") if path.stem != "requirements"]
    lines = [line.split("#")[0] for path in stages for line in path.read_text().splitlines()]
    listed = names([line.strip() for line in lines if line.strip()])
    assert len(listed) > 15
    assert BASE | EXTRAS["all"] == listed | BASE | EXTRAS["workflow"]
    assert EXTRAS["evaluate"] <= EXTRAS["all"] and not BASE & EXTRAS["all"]


def test_the_standalone_command_declares_what_it_imports():
    assert imported("boldreel.evaluate.__main__") == (BASE | EXTRAS["evaluate"]) - {
        "jsonschema",
        "pyyaml",
    }


@pytest.mark.parametrize("module", ["boldreel.base_models.check", "boldreel.bold.check"])
def test_planning_declares_what_it_imports(module):
    assert imported(module) <= BASE | EXTRAS["workflow"]
