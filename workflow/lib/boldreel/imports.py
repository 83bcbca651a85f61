"""Which of the library's modules a step imports, directly or through others, and their hash.

Takes a module's dotted name; returns file paths or a hash. Snakemake does not see that an imported
module changed: each rule carries this hash as a parameter, so that exactly the stages that import a
changed module run again. Read from the source, nothing is imported; imports inside functions count.
Comments, docstrings and blank lines do not count: an edit of those reruns nothing.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_LIBRARY = Path(__file__).parent
_PACKAGE = _LIBRARY.name
# A string, which may hold what looks like a comment, or the rest of a line with the comments and blank lines
# that follow. Exact in the syntax of Python 3.11: later ones allow an f-string's own quotes in its braces.
_STRING_OR_REST = re.compile(
    rb"""
    ( \"{3} .*? (?<! \\ ) (?: \\\\ )* \"{3} | \" [^"\\]* (?: \\. [^"\\]* )* \"
    | '{3} .*? (?<! \\ ) (?: \\\\ )* '{3} | ' [^'\\]* (?: \\. [^'\\]* )* ' )
    | (?: [ \t\r]* (?: \#[^\n]* )? \n )+
    """,
    re.DOTALL | re.VERBOSE,
)


class _Source(NamedTuple):
    """What a module's source says.

    own : modules of this library that it imports; others : top-level names of packages that it imports
    code : the source without comments, docstrings and blank lines
    """

    own: frozenset[str]
    others: frozenset[str]
    code: bytes


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


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """All statements, those inside others too. `ast.walk` reads expressions too, which takes longer."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for name in ("body", "handlers", "orelse", "finalbody", "cases"):
            waiting += getattr(node, name, [])


def _cut(source: bytes, parts: list[ast.Constant]) -> bytes:
    """The source without these constants."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for part in sorted(parts, key=lambda part: (part.lineno, part.col_offset), reverse=True):
        # ast counts lines from 1, and bytes within a line
        begin = starts[part.lineno - 1] + part.col_offset
        end = starts[(part.end_lineno or 0) - 1] + (part.end_col_offset or 0)
        source = source[:begin] + source[end:]
    return source


def _without_comments(source: bytes) -> bytes:
    """The source without comments, blank lines and blanks at the ends of lines; strings stay as they are."""
    return _STRING_OR_REST.sub(lambda found: found[1] or b"\n", source + b"\n").strip(b"\n")


@functools.cache
def _read(module: str) -> _Source:
    path = _source(module)
    own: set[str] = set()
    others: set[str] = set()
    if path is None or not path.exists():
        return _Source(frozenset(), frozenset(), b"")
    source = path.read_bytes()
    docstrings = []  # and other strings that are statements of their own, which do nothing
    for node in _statements(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, path.name == "__init__.py")
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstrings.append(node.value)
        for name in names:
            if name.split(".")[0] != _PACKAGE:
                others.add(name.split(".")[0])
            elif _source(name) is not None:
                own.add(name)
    code = _without_comments(_cut(source, docstrings))
    return _Source(frozenset(own), frozenset(others), code)


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
        waiting += [*_read(name).own, *parents]
    return tuple(sorted(name for name in seen if _source(name) is not None))


def packages(module: str) -> frozenset[str]:
    """Top-level names of everything outside the library that `module`'s closure imports."""
    return frozenset().union(*(_read(name).others for name in closure(module)))


@functools.cache
def fingerprint(module: str) -> str:
    """Hash (64 bit, hex) of the source of `module`'s closure, without comments and docstrings."""
    state = hashlib.blake2b(digest_size=8)
    for name in closure(module):
        state.update(name.encode() + b"\0" + _read(name).code + b"\0")
    return state.hexdigest()
