"""What several splits show, in a file: thousands of movies do not fit on a command line.

Takes what the plan found (Study.overlaps); writes overlaps.json, which the jobs that leave such stretches of
film out of training read. Standard library only.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from boldreel.data import json_documents, provenance

SCHEMA = "overlaps"
Places = dict[str, dict[str, list[list[float]]]]  # stretches, s, by two names


def write(path: str | Path, found: dict[str, Any]) -> None:
    """Write what `Study.overlaps` returned."""
    started = time.time()
    json_documents.write(path, found, SCHEMA)
    provenance.record(Path(path), inputs=[], config={}, started=started)


def held(path: str | Path) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """{split: {stimulus: stretches of it, s}}, with stimuli as events name them."""
    return {
        split: {
            stimulus: [(begin, end) for begin, end in stretches]
            for stimulus, stretches in places.items()
        }
        for split, places in json_documents.read(path, SCHEMA)["held"].items()
    }


def several(path: str | Path) -> Places:
    """{movie: {split: stretches of it, s}}, with movies as results name them."""
    about = json_documents.read(path, SCHEMA)
    found: Places = {}
    for split, places in about["held"].items():
        for stimulus, stretches in places.items():
            found.setdefault(about["movies"][stimulus], {})[split] = stretches
    return found
