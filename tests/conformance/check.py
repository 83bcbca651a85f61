"""Compare the project with reference arrays that were made by the published code.

    python tests/conformance/check.py [DIR]

Takes a folder of .npz arrays with .safetensors weights and configs.json; prints a line for each
array (`name max|diff| tolerance ok|FAIL`) and exits 1 if one fails, if a file is unreadable or
unknown, or if nothing was compared. Each `cases_*` module next to this file knows some of the files.
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
import cases_generator
import cases_metrics
import cases_names
import cases_preparation
import cases_sampling
from comparison import Arrays, Comparison

Case = Callable[[Arrays, dict[str, Any]], Iterator[Comparison]]

CASES: dict[str, Case] = {
    **cases_encoder.CASES,
    **cases_generator.CASES,
    **cases_metrics.CASES,
    **cases_sampling.CASES,
    **cases_preparation.CASES,
}
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
    # not-a-number is within no tolerance
    ok = worst <= tolerance
    print(f"{name} {worst:.3g} {tolerance:g} {'ok' if ok else 'FAIL'}")
    return ok


def compare_file(path: Path) -> list[bool]:
    """Compare all arrays of one file; whatever is wrong with it is one failed line."""
    case = case_of(path)
    if case is None:
        print(f"{path.name}: no case compares this file FAIL")
        return [False]
    results = []
    try:
        configs = json.loads(path.with_name("configs.json").read_text(encoding="utf-8"))
        arrays = Arrays(path)
        results += [compare(comparison) for comparison in case(arrays, configs)]
        unread = arrays.unread()
    except Exception as error:  # a damaged file can fail anywhere; the others are compared still
        short = " ".join(str(error).split())[:200]
        print(f"{path.name}: unreadable ({type(error).__name__}: {short}) FAIL")
        return [*results, False]
    for key in unread:
        print(f"{path.stem}:{key} no case compares this array FAIL")
    if not results:
        print(f"{path.name}: nothing to compare FAIL")
    return [*results, *[False] * len(unread), *([] if results else [False])]


def main(argv: list[str]) -> int:
    """Exit code: 0 if all arrays of the folder are within their tolerances."""
    folder = Path(argv[0]) if argv else DEFAULT
    results = []
    for path in sorted(folder.glob("*.npz")):
        results += compare_file(path)
    if not results:
        print(f"{folder}: nothing to compare FAIL")
    names = folder / "published_keys.json"
    if results and names.exists():
        results += [compare(comparison) for comparison in cases_names.names(names)]
    for path in sorted(folder.glob("*.safetensors")):
        if case_of(path) is None:
            print(f"{path.name}: no case reads this file FAIL")
            results.append(False)
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
