"""What stands behind a clip on the page: its windows of BOLD, and what else was made of or for it.

Takes the results; returns for each clip and subject a sentence on the windows, and stills (the middle frame)
of the nearest training clip, of other seeds and of what the generator was fed in place of the responses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from boldreel.report import markup
from boldreel.report.results import Clips, Results

if TYPE_CHECKING:
    import pandas as pd

_CONTROLS = {
    "seed-1": "Another seed",
    "seed-2": "A third seed",
    "mean": "Fed the mean response",
    "noise": "Fed noise",
    "other": "Fed another subject’s response",
    "caption": "Fed the nearest training caption",
}


@dataclass
class Beside:
    """Of one clip and subject. windows : a sentence, plain text. stills : (label, data URI)."""

    windows: str
    stills: list[tuple[str, str]] = field(default_factory=list)


def collect(results: Results, names: Sequence[str]) -> dict[str, dict[str, Beside]]:
    """{clip: {subject: what stands behind it}} of the named clips, as far as it is there."""
    out: dict[str, dict[str, Beside]] = {name: {} for name in names}
    table = results.clips().set_index("clip", drop=False)
    for subject in results.subjects:
        windows = results.table(results.layout.windows(subject), "windows")
        if windows is None:
            continue
        told = sentences(windows, names)
        nearest = results.table(results.layout.nearest(subject), "nearest")
        near = (
            {} if nearest is None else dict(zip(nearest["clip"], nearest["nearest"], strict=True))
        )
        controls = results.controls(subject)
        for name in names:
            if name not in told:
                continue
            found = Beside(told[name])
            if name in near:
                row = table.loc[near[name]]
                label = f"Training clip nearest in BOLD: {row['caption'] or near[name]}"
                frames = results.truth(row, int(row["n_frames"]))
                found.stills.append((label, markup.picture(frames[len(frames) // 2])))
            found.stills += stills(controls, name)
            out[name][subject] = found
    return out


def stills(controls: dict[str, Clips], name: str) -> list[tuple[str, str]]:
    """(label, data URI) of a clip in each control that has it, in the order of `_CONTROLS`."""
    order = [key for key in _CONTROLS if key in controls]
    order += [key for key in controls if key not in _CONTROLS]
    return [
        (_CONTROLS.get(key, key), markup.picture(clip[len(clip) // 2]))
        for key in order
        if name in controls[key]
        for clip in [controls[key][name]]
    ]


def sentences(windows: pd.DataFrame, names: Sequence[str]) -> dict[str, str]:
    """{clip: which volumes of which runs its responses are}; volumes count from 1."""
    found = {}
    for name, rows in windows[windows["clip"].isin(list(names))].groupby("clip", sort=False):
        one = rows.iloc[0]
        first, last = int(one["first_volume"]) + 1, int(one["first_volume"] + one["window"])
        volumes = f"volume {first}" if first == last else f"volumes {first} to {last}"
        runs = f"the mean of {len(rows)} runs" if len(rows) > 1 else "one run"
        found[str(name)] = f"{volumes} of {one['segment']}, lag {float(one['lag']):g} s, {runs}"
    return found
