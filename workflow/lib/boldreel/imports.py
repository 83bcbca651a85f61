"""Which of the library's modules a step imports, directly or through others, and their hash.

Takes a module's dotted name; returns file paths or a hash. Snakemake does not see that an imported
module changed: each rule carries this hash as a parameter, so that exactly the stages that import a
changed module run again. Read from the source, nothing is imported; imports inside functions count.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path

_LIBRARY = Path(__file__).parent
_PACKAGE = _LIBRARY.name


def _source(module: str) -> Path | None:
    parts = module.split(".")[1:]
    path = _LIBRARY.joinpath(*parts)
    if path.is_dir():
        return path / "__init__.py"
    return path.with_suffix(".py") if path.with_suffix(".py").exists() else None


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """The dotted name that `from ...x import` means inside `module`."""
    if node.level == 0:
        return node.module or ""
    up = module.split(".")
    keep = len(up) - node.level + (1 if is_package else 0)
    return ".".join([*up[:keep], *([node.module] if node.module else [])])


@functools.cache
def _direct(module: str) -> tuple[frozenset[str], frozenset[str]]:
    """(modules of this library, top-level names of others) that `module`'s source imports."""
    path = _source(module)
    own: set[str] = set()
    others: set[str] = set()
    if path is None or not path.exists():
        return frozenset(), frozenset()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, path.name == "__init__.py")
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.split(".")[0] != _PACKAGE:
                others.add(name.split(".")[0])
            elif _source(name) is not None:
                own.add(name)
    return frozenset(own), frozenset(others)


@functools.cache
def closure(module: str) -> tuple[str, ...]:
    """`module` and every module of the library that it imports, directly or not, sorted."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        # importing a.b.c runs a/__init__ and a/b/__init__ as well
        parents = [name.rsplit(".", k)[0] for k in range(1, name.count(".") + 1)]
        waiting += [*_direct(name)[0], *parents]
    return tuple(sorted(name for name in seen if _source(name) is not None))


def packages(module: str) -> frozenset[str]:
    """Top-level names of everything outside the library that `module`'s closure imports."""
    return frozenset().union(*(_direct(name)[1] for name in closure(module)))


@functools.cache
def fingerprint(module: str) -> str:
    """Hash (64 bit, hex) of the source of `module`'s closure."""
    state = hashlib.blake2b(digest_size=8)
    for name in closure(module):
        path = _source(name)
        if path is not None and path.exists():
            state.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return state.hexdigest()
