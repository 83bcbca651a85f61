"""Where an artefact came from: hashes of itself, its inputs, config, code, versions, seed, device, cost.

Takes the target and what went into it; writes `provenance.json` in a folder target, or
`<file>.provenance.json` next to a file target. Of a step that Snakemake, or a person, runs it also holds the
hashes of everything else that the step wrote (`beside`).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import platform
import re
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import boldreel
from boldreel.data import atomic
from boldreel.errors import UserError

SUFFIX = ".provenance.json"
# Snakemake dates the folders with it that a rule leaves.
_TIMESTAMP = ".snakemake_timestamp"
_last: Path | None = None  # the provenance that this process wrote last
_state: str | None = None  # of the training that this process runs
_PACKAGES = [
    "numpy",
    "scipy",
    "pandas",
    "nibabel",
    "nilearn",
    "torch",
    "diffusers",
    "transformers",
    "accelerate",
    "himalaya",
    "av",
    "scikit-image",
    "safetensors",
]


def digest(path: str | Path) -> str:
    """BLAKE2b (128 bit, hex) of a file's bytes, or of the names and bytes of a folder's files.

    An array's file is taken with its JSON sidecar, without which it says nothing. Weights in the hub's cache
    are not read, gigabytes in every job that names them: the hub has hashed them already.

    Provenance files in a folder do not count: they hold times, which differ between equal results. Nor
    does what Snakemake adds to a folder.
    """
    path = Path(path)
    state = hashlib.blake2b(digest_size=16)
    files = [path]
    if path.is_dir():
        found = (p for p in path.rglob("*") if p.is_file())
        left_out = ("provenance.json", _TIMESTAMP)
        files = sorted(p for p in found if not p.name.endswith(left_out))
    elif path.suffix == ".npy" and path.with_suffix(".json").exists():
        files.append(path.with_suffix(".json"))
    for member in files:
        if path.is_dir():
            state.update(str(member.relative_to(path)).encode() + b"\0")
        if known := hub_sha256(member):
            state.update(known.encode())
            continue
        with open(member, "rb") as stream:
            while block := stream.read(1 << 20):
                state.update(block)
    return state.hexdigest()


def hub_sha256(path: Path) -> str | None:
    """SHA-256 of a large file in the hub's cache, the name of the blob that it links to; None of others."""
    if not path.is_symlink():
        return None
    blob = path.resolve()
    cached = blob.parent.name == "blobs" and blob.parent.parent.name.startswith("models--")
    return blob.name if cached and re.fullmatch("[0-9a-f]{64}", blob.name) else None


def code_hash(modules: Iterable[str] | None = None) -> str:
    """Hash of the source of the library's modules that are imported now (or of those named)."""
    names = modules if modules is not None else [m for m in sys.modules if m.startswith("boldreel")]
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(set(names)):
        source = getattr(sys.modules.get(name), "__file__", None)
        if source and Path(source).exists():
            state.update(name.encode() + b"\0" + Path(source).read_bytes())
    return state.hexdigest()


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0 if sys.platform != "darwin" else 1024.0**2)


def record(
    target: str | Path,
    *,
    inputs: Iterable[str | Path],
    config: Mapping[str, Any],
    seed: int | None = None,
    started: float | None = None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write the provenance of `target`. `started` is `time.time()` at the start of the step."""
    global _last
    target = Path(target)
    torch = sys.modules.get("torch")
    versions = {}
    for package in _PACKAGES:
        if package.replace("scikit-image", "skimage") in sys.modules:
            versions[package] = metadata.version(package)
    entry = {
        "target": str(atomic.final_path(target)),
        "hash": digest(target) if target.exists() else None,
        "boldreel": boldreel.__version__,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "beside": _beside(target),
        "inputs": {str(path): digest(path) for path in inputs if Path(path).exists()},
        "config": dict(config),
        "code": code_hash(),
        "seed": seed,
        "python": platform.python_version(),
        "versions": versions,
        "device": "cuda" if torch is not None and torch.cuda.is_available() else "cpu",
        "seconds": None if started is None else round(time.time() - started, 2),
        "peak_memory_mb": round(_peak_memory_mb(), 1),
        **({} if _state is None else {"state": _state}),
        **(extra or {}),
    }
    where = (
        target / "provenance.json" if target.is_dir() else target.with_name(target.name + SUFFIX)
    )
    atomic.write_text(where, json.dumps(entry, indent=1, default=str) + "\n")
    _last = atomic.final_path(where)


def trained_in(folder: Path) -> None:
    """Name the folder of a training's state in all provenance that the process writes from now on."""
    global _state
    _state = str(folder)


def complete() -> None:
    """Add what the process wrote after its last provenance to that; make one if it made none.

    For the end of a step. What it wrote without any provenance has the files that its command names as
    inputs.
    """
    left = _left(atomic.collected())
    if not left:
        return
    if _last is None or not _last.exists():
        named = dict.fromkeys(word for word in sys.argv[1:] if os.path.isfile(word))  # noqa: PTH113 - long words
        first, *others = left
        inputs = [word for word in named if Path(word) not in left]
        record(first, inputs=inputs, config={}, extra={"beside": _hashes(others)})
        return
    entry = json.loads(_last.read_text(encoding="utf-8"))
    entry["beside"] = {**entry.get("beside", {}), **_hashes(left)}
    atomic.write_text(_last, json.dumps(entry, indent=1) + "\n")


def _beside(target: Path) -> dict[str, str]:
    """Hashes of what the process wrote since the last provenance, but for the target."""
    own = atomic.final_path(target)
    sidecar = own.with_suffix(".json") if own.suffix == ".npy" else own
    left = [path for path in _left(atomic.collected()) if path not in (own, sidecar)]
    return _hashes([path for path in left if own not in path.parents])


def _left(paths: Iterable[Path]) -> list[Path]:
    """Results among what was written: neither provenances nor the state of a training."""
    words = sys.argv
    states = [Path(after) for word, after in itertools.pairwise(words) if word == "--state"]
    return [
        path
        for path in paths
        if not path.name.endswith("provenance.json")
        and not (path / "provenance.json").exists()  # a folder with its own
        and not any(state in (path, *path.parents) for state in states)
    ]


def _hashes(paths: Iterable[Path]) -> dict[str, str]:
    return {str(path): digest(path) for path in paths}


def find(root: str | Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """(artefact, its provenance) of everything below `root`; UserError if one cannot be read."""
    root = Path(root)
    for path in sorted([*root.rglob(f"*{SUFFIX}"), *root.rglob("provenance.json")]):
        if any(map(atomic.is_unfinished, (path, *path.relative_to(root).parents))):
            continue
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            kinds = {"inputs": dict, "command": list, "target": str}
            readable = all(isinstance(entry[key], kind) for key, kind in kinds.items())
        except (ValueError, KeyError, TypeError):
            readable = False
        if not readable:
            raise UserError(
                f"{path}: not a provenance; what it belongs to cannot be judged: delete both by hand"
            )
        if path.name == "provenance.json":
            yield path.parent, entry
        else:
            yield path.with_name(path.name.removesuffix(SUFFIX)), entry


def plain(path: str | Path) -> Path:
    """A path in the one spelling by which it can be compared.

    Links among its folders are followed, itself none; seen from the working directory if it lies below.
    """
    path = Path(path)
    real = Path(os.path.realpath(path.parent), path.name)
    return real.relative_to(Path.cwd()) if real.is_relative_to(Path.cwd()) else real


def whereabouts(artefact: Path, entry: Mapping[str, Any]) -> Callable[[str], Path]:
    """A function: path that a step recorded -> where that is now, in the spelling of `plain`.

    Steps record paths as they were given: relative to the folder where they ran, or absolute, and before
    results were moved. The target is recorded in the same way and is now `artefact`. Both end alike; what
    precedes that part of the target is replaced by what precedes it in `artefact`. A path that then leads
    nowhere is left as recorded.
    """
    told = Path(os.path.normpath(entry["target"])).parts
    here = Path(os.path.abspath(artefact)).parts  # noqa: PTH100 - links stay, ".." goes
    shared = 0
    while shared < min(len(told), len(here)) and told[-1 - shared] == here[-1 - shared]:
        shared += 1
    before, now = told[: len(told) - shared], here[: len(here) - shared]

    def place(path: str) -> Path:
        parts = Path(os.path.normpath(path)).parts
        if parts[: len(before)] == before:
            moved = Path(*now, *parts[len(before) :])  # what is absolute stays so
            if os.path.lexists(moved) or not os.path.lexists(path):
                return plain(moved)
        return plain(path)

    return place
