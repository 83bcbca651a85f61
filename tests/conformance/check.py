"""Compare the models with reference arrays that were made by the published code.

    python tests/conformance/check.py [DIR]

Takes a folder of .npz arrays with .safetensors weights and configs.json; prints a line for each
array (`name max|diff| tolerance ok|FAIL`) and exits 1 if one fails, if a file is unreadable or
unknown, or if nothing was compared. Each `cases_*` module beside this file knows some of the files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import cases_encoder

# name of an array, what the project gives, what the reference holds, tolerance
Comparison = tuple[str, np.ndarray, np.ndarray, float]
Case = Callable[[Path, dict[str, Any]], Iterator[Comparison]]

CASES: dict[str, Case] = {**cases_encoder.CASES}
DEFAULT = Path(__file__).parents[2].parent / "shared" / "conformance"


def case_of(path: Path) -> Case | None:
    """The case whose prefix the file's name starts with."""
    return next((case for prefix, case in CASES.items() if path.stem.startswith(prefix)), None)


def compare(comparison: Comparison) -> bool:
    """Print the line of one array; whether it is within its tolerance."""
    name, own, reference, tolerance = comparison
    if own.shape != reference.shape:
        print(f"{name} shape {own.shape} for {reference.shape} {tolerance:g} FAIL")
        return False
    worst = float(np.abs(own.astype(np.float64) - reference).max())
    ok = worst <= tolerance
    print(f"{name} {worst:.3g} {tolerance:g} {'ok' if ok else 'FAIL'}")
    return ok


def main(argv: list[str]) -> int:
    folder = Path(argv[0]) if argv else DEFAULT
    files = sorted(folder.glob("*.npz"))
    results = []
    for path in files:
        case = case_of(path)
        if case is None:
            print(f"{path.name}: no case compares this file FAIL")
            results.append(False)
            continue
        try:
            configs = json.loads((folder / "configs.json").read_text(encoding="utf-8"))
            results += [compare(comparison) for comparison in case(path, configs)]
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            print(f"{path.name}: unreadable ({error}) FAIL")
            results.append(False)
    if not results:
        print(f"{folder}: nothing to compare FAIL")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
