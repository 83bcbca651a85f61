"""Names that a path or a movie may have, and their order."""

from __future__ import annotations

import re


def fault_of(name: str) -> str:
    """What keeps a path or a movie's name from being used, or nothing."""
    if name.startswith("-"):
        return "begins with a dash, like an option; give the whole path, or another name"
    if set("{}") & set(name):
        return "has braces, which are wildcards for Snakemake; give it another name"
    if not name.isprintable():
        return "has characters that cannot be seen; give it another name"
    return ""


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sorting key that puts seg2 before seg10."""
    return tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part)
        for part in re.split(r"(\d+)", text)
        if part
    )
