"""Write one pinned conda environment per stage: envs/{stage}.yaml from envs/{stage}.in.

Takes the short lists of what each stage's rules import (`*.in`, one distribution a line) and the
pins of requirements.lock; leaves a yaml with `python`, `pip` and, under `pip:`, every distribution
of the closure at exactly the version of the lock. Stages that need much the same get files that are equal
byte for byte, which hold what all of them need: Snakemake makes one environment of such files, and PyTorch,
several gigabytes of it, is installed once. Reads the metadata of the environment that it
runs in (made from the same lock), so it needs no network.

Usage: python envs/generate.py [--check]
"""

from __future__ import annotations

import argparse
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ENVS = Path(__file__).parent
PYTHON = "3.11"
HEAD = "# Made from {names}.in and requirements.lock by `make envs`; do not edit.\n"
# Stages with equal files. A change of pins reruns a whole group, so preprocessing is not in the second.
TOGETHER = (
    ("insilico", "bold", "roi", "windows"),
    (
        *("stimuli", "pretrain", "align", "probe", "ablate", "generator", "reconstruct"),
        *("evaluate", "cvgan", "linear", "selfsupervised"),
    ),
)


def pins() -> dict[str, str]:
    """{distribution: "name==version"} of requirements.lock."""
    lines = (ENVS / "requirements.lock").read_text(encoding="utf-8").splitlines()
    kept = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return {canonicalize_name(line.split("==")[0]): line for line in kept}


def wanted(path: Path) -> list[str]:
    """The distributions that an .in file names."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def closure(names: list[str], locked: dict[str, str]) -> list[str]:
    """Pins of `names` and of everything that they require on this platform, sorted."""
    waiting = [Requirement(name) for name in names]
    found: dict[str, str] = {}
    done: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in done:
            continue
        done.add(key)
        if name not in locked:
            raise SystemExit(f"error: {name} is not in envs/requirements.lock; add it and pin it")
        found[name] = locked[name]
        for text in metadata.requires(name) or []:
            needed = Requirement(text)
            extras = requirement.extras or {""}
            applies = needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in extras
            )
            # CUDA libraries of torch's default build are chosen by pip, not pinned here
            if applies and canonicalize_name(needed.name) in locked:
                waiting.append(needed)
    return [found[name] for name in sorted(found)]


def render(path: Path, locked: dict[str, str]) -> str:
    """The yaml text of one stage's environment, without a name, which would differ."""
    group = next((names for names in TOGETHER if path.stem in names), (path.stem,))
    names = [name for stage in group for name in wanted(path.with_name(f"{stage}.in"))]
    lines = "".join(f"      - {pin}\n" for pin in closure(names, locked))
    return (
        HEAD.format(names=".in, ".join(group)) + "channels:\n  - conda-forge\n"
        f"  - nodefaults\ndependencies:\n  - python={PYTHON}\n"
        + (f"  - pip\n  - pip:\n{lines}" if lines else "")
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument(
        "--check", action="store_true", help="change nothing, fail if not current"
    )
    check = arguments.parse_args().check
    locked = pins()
    stale = []
    for path in sorted(ENVS.glob("*.in")):
        if path.stem == "requirements":
            continue
        target = path.with_suffix(".yaml")
        text = render(path, locked)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            stale.append(target.name)
            if not check:
                target.write_text(text, encoding="utf-8")
    if check and stale:
        sys.exit(f"error: not current: {', '.join(stale)}; run `make envs`")
    print(f"{len(stale)} written" if not check else "current")


if __name__ == "__main__":
    main()
