"""Every step that reads series names them in its provenance, so that `boldreel.verify` sees one change."""

from __future__ import annotations

import ast
import importlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures_settings import section
from tests.fixtures_study import pretrained, study, study_writer  # noqa: F401 - fixtures

import boldreel
from boldreel.data import arrays, provenance

LIBRARY = Path(boldreel.__file__).parent
ALIGN = section("align", seed=1, epochs=2, batch_size=40, depth=1)
RETRIEVAL = {"seed": 1, "permutations": 19, "combination": ["object", "colour"]}
# Steps that train for long or need base models; `test_each_step_asks_for_the_names` sees these too.
LONG = (
    "boldreel.evaluate.",
    "boldreel.generator.",
    "boldreel.methods.",
    "boldreel.reconstruct.",
    "boldreel.probe.attention",
)


@cache
def steps() -> list[str]:
    """Modules with a command line that takes the folder of a subject's series."""
    found = []
    for path in sorted(LIBRARY.rglob("*.py")):
        if 'if __name__ == "__main__":' not in path.read_text(encoding="utf-8"):
            continue
        name = ".".join(["boldreel", *path.relative_to(LIBRARY).with_suffix("").parts])
        if "--series-dir" in " ".join(strings(name)):
            found.append(name)
    return found


@cache
def source(name: str) -> ast.Module:
    path = LIBRARY.joinpath(*name.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """{name in the module: (module it is from, name there, or "" for a module)}."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("boldreel"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                place = LIBRARY.joinpath(*whole.split(".")[1:])
                is_module = place.is_dir() or place.with_suffix(".py").exists()
                target = (whole, "") if is_module else (str(node.module), alias.name)
                found[alias.asname or alias.name] = target
    return found


def reached(name: str, function: str = "main") -> Iterator[tuple[str, str, ast.AST]]:
    """(module, name, node) of the functions that a function calls, and these in turn."""
    waiting, seen = [(name, function)], set()
    while waiting:
        module, wanted = waiting.pop()
        if (module, wanted) in seen:
            continue
        seen.add((module, wanted))
        tree = source(module)
        known = imported(tree)
        own = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        if wanted not in own:
            continue
        yield module, wanted, own[wanted]
        for node in ast.walk(own[wanted]):
            if isinstance(node, ast.Name):
                if node.id in own:
                    waiting.append((module, node.id))
                elif node.id in known and known[node.id][1]:
                    waiting.append(known[node.id])
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                whole, inner = known.get(node.value.id, ("", "x"))
                if not inner:
                    waiting.append((whole, node.attr))


def strings(name: str) -> Iterator[str]:
    """The strings in the functions that a step calls."""
    for _, _, function in reached(name):
        for node in ast.walk(function):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_each_step_asks_for_the_names() -> None:
    """Where the function that reads a split's series is called, so is the one that names them."""
    found = steps()
    assert all(any(name.startswith(long) for name in found) for long in LONG)
    for name in found:
        called = {function for _, function, _ in reached(name)}
        assert called & {"load_responses", "load_trials", "repeat_blocks"}, name
        assert "series_files" in called, name


def command(name: str, study: Any, pretrained: Path, root: Path) -> list[str]:  # noqa: F811
    """A short command line of a step on the invented study."""
    series = ["--windows", str(study.windows), "--series-dir", str(study.series)]
    clips = ["--clips", str(study.clips), "--features", *map(str, study.features)]
    output = ["--output", str(root / name)]
    fit = [*series, *clips, "--voxels", str(study.voxels), *output, "--config", json.dumps(ALIGN)]
    state = ["--pretrained", str(pretrained), "--state", str(root / "state")]
    scored = [*series, *clips, *output, "--align", str(root / "boldreel.align.train")]
    scored += ["--subject", "01", "--config", json.dumps(RETRIEVAL)]
    test = ["--test", str(root / "boldreel.probe.encode")]
    match name.removeprefix("boldreel."):
        case "align.train":
            return [*fit, *state, "--left-out", str(root / "left_out.npy")]
        case "align.sketch":
            return [*fit, "--left-out", str(root / "sketch_left_out.npy")]
        case "align.pool":
            return [*fit, *state, "--subjects", "02"]
        case "probe.minutes":
            return [*fit, "--subject", "01", "--pool", str(root / "boldreel.align.pool")]
        case "probe.ablate":
            return [*fit, *state, "--subject", "01", "--ablation", "ridge", "--seed", "1"]
        case "probe.rois" | "probe.scaling":
            return [*fit, "--subject", "01"]
        case "probe.attributes":
            more = ["--voxels", str(study.voxels), "--left-out", str(root / "left_out.npy")]
            return [*scored, *more, *test]
        case "probe.encode":
            return [*series, *output, "--align", str(root / "boldreel.align.train")]
        case "probe.retrieve" | "probe.repeats":
            return [*scored, *test]
        case "probe.cross":
            twice = [str(root / "boldreel.align.train")] * 2
            two = ["--windows", *[str(study.windows)] * 2, "--series-dir", *[str(study.series)] * 2]
            given = ["--subjects", "01", "02", "--align", *twice, *two, *clips, *output]
            return [*given, "--config", json.dumps(RETRIEVAL)]
        case "probe.zero_shot":
            two = ["--windows", *[str(study.windows)] * 2, "--series-dir", *[str(study.series)] * 2]
            two += ["--voxels", *[str(study.voxels)] * 2, "--align", json.dumps(ALIGN)]
            given = ["--subjects", "01", "02", *two, *clips, *output]
            return [*given, "--config", json.dumps(RETRIEVAL)]
        case "windows.intersubject":
            three = [str(study.windows)] * 3, [str(study.series)] * 3
            given = ["--subjects", "01", "02", "03", "--windows", *three[0]]
            return [*given, "--series-dir", *three[1], *output, "--config", "{}"]
        case "windows.ceiling":
            return [*series, *output, "--config", "{}"]
    raise AssertionError(f"{name} takes --series-dir: add its command line here, or to LONG")


def test_every_series_that_a_step_reads_is_named(
    study: Any,  # noqa: F811
    pretrained: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: set[Path] = set()
    load = arrays.load

    def noting(path: Path | str, *rest: Any, **more: Any) -> Any:
        opened.add(Path(path))
        return load(path, *rest, **more)

    monkeypatch.setattr(arrays, "load", noting)
    # sorted: the steps of align come before those of probe that read them, and encode before the rest
    for name in sorted(steps(), key=lambda name: name == "boldreel.probe.attributes"):
        if name.startswith(LONG):
            continue
        words = command(name, study, pretrained, tmp_path)
        opened.clear()
        importlib.import_module(name).main(words)
        places = [found for found in provenance.find(tmp_path) if name in str(found[0])]
        assert places, name
        named = {Path(path) for _, entry in places for path in entry["inputs"]}
        read = {path for path in opened if path.parent == study.series}
        assert read and read <= named, f"{name}: {sorted(read - named)}"
