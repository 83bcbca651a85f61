"""Subjects who withdrew consent: `forgotten.tsv` in the results of a data set.

`boldreel.forget` writes a label and a date per line. Every later run on these results removes the label from
the subjects and from the pretraining cohort, wherever the configuration names it.
"""

from __future__ import annotations

import datetime
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from boldreel.data import atomic
from boldreel.errors import UserError
from boldreel.layout import Layout

_HEAD = "subject\tdate"


def read(results: str | Path) -> dict[str, str]:
    """{label without "sub-": date} of those who were forgotten in the results of a data set.

    Raises UserError if the list, or a line of it, cannot be read: nobody is taken in by mistake.
    """
    path = Path(Layout(str(results)).forgotten())
    if not path.exists():
        return {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable table ({error}); save it as UTF-8") from None
    gone: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        label, _, date = line.strip().partition("\t")
        if not line.strip() or line.strip() == _HEAD:
            continue
        if not re.fullmatch(r"[A-Za-z0-9]+", label.removeprefix("sub-")):
            raise UserError(f"{path}: line {number} is not a label and a date; correct it")
        gone[label.removeprefix("sub-")] = date
    return gone


def add(results: str | Path, label: str) -> None:
    """Record that a subject is forgotten from today."""
    gone = {label: datetime.date.today().isoformat(), **read(results)}
    lines = [_HEAD, *(f"{name}\t{date}" for name, date in sorted(gone.items()))]
    atomic.write_text(Layout(str(results)).forgotten(), "\n".join(lines) + "\n")


def left(labels: Iterable[str], gone: Mapping[str, str]) -> list[str]:
    """The labels that were not forgotten; reports the others on standard error."""
    kept = []
    for label in labels:
        if label in gone:
            line = (
                f"sub-{label} is skipped: forgotten on {gone[label]} (forgotten.tsv in the results)"
            )
            print(line, file=sys.stderr, flush=True)
        else:
            kept.append(label)
    return kept
