"""Names that a path or a movie may have."""

from __future__ import annotations


def fault_of(name: str) -> str:
    """What keeps a path or a movie's name from being used, or nothing."""
    if name.startswith("-"):
        return "begins with a dash, like an option; give the whole path, or another name"
    if set("{}") & set(name):
        return "has braces, which are wildcards for Snakemake; give it another name"
    if not name.isprintable():
        return "has characters that cannot be seen; give it another name"
    return ""
