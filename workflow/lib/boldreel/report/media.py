"""The videos on the page: clips by name, truth next to every subject's reconstruction.

Takes results; returns, for each clip, small H.264 videos and first frames as data URIs.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel.data.video import write_mp4
from boldreel.report import markup
from boldreel.report.beside import Beside, collect
from boldreel.report.results import Results, draw_sample, seen_pairs

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Reel:
    """One clip on the page. videos : {kind: (mp4 URI, first frame URI)}, "truth" first.

    seen : whether its combination of attributes occurs in training; None if that is unknown.
    beside : {subject: what stands behind it}.
    """

    clip: str
    segment: str
    caption: str
    attributes: dict[str, str]
    seen: bool | None
    shape: str
    videos: dict[str, tuple[str, str]] = field(default_factory=dict)
    beside: Mapping[str, Beside] = field(default_factory=dict)


def encode(clip: np.ndarray, frame_rate: float, folder: Path) -> tuple[str, str]:
    """(mp4, first frame) data URIs of a clip (F, h, w, 3)."""
    path = folder / "clip.mp4"
    write_mp4(path, clip, frame_rate, crf=18)
    return markup.movie(path), markup.picture(clip[0])


@dataclass(frozen=True)
class Pick:
    """A clip at the end or in the middle of a subject's order by a score, and its value."""

    clip: str
    subject: str
    place: str
    value: float


@dataclass(frozen=True)
class Shown:
    """What the page shows: clips drawn by seed, and those picked by a score, each with its place."""

    drawn: list[Reel]
    picked: list[tuple[Pick, Reel]]


# Which metric orders clips: the first that there is.
_ORDERS = (("nway_video", "top3_n50_k1"), ("nway_frame", "top3_n50_k1"), ("ssim", "rgb_uniform"))


def score_of(per_clip: Mapping[str, pd.DataFrame]) -> tuple[str, str] | None:
    """The (metric, definition) that orders clips, of those that the tables of clips hold."""
    for wanted in _ORDERS:
        for table in per_clip.values():
            if ((table["metric"] == wanted[0]) & (table["definition"] == wanted[1])).any():
                return wanted
    return None


def picks(per_clip: Mapping[str, pd.DataFrame]) -> list[Pick]:
    """Each subject's best, median and worst clip of the model by `score_of`; ties by name."""
    score = score_of(per_clip)
    if score is None:
        return []
    out = []
    for subject, table in per_clip.items():
        rows = table[
            (table["condition"] == "model")
            & (table["metric"] == score[0])
            & (table["definition"] == score[1])
            & table["value"].notna()
        ].sort_values(["value", "clip"], ascending=[False, True])
        if len(rows):
            places = {"best": 0, "median": len(rows) // 2, "worst": len(rows) - 1}
            for place, k in places.items():
                row = rows.iloc[k]
                out.append(Pick(str(row["clip"]), subject, place, float(row["value"])))
    return out


def shown(
    results: Results,
    per_clip: Mapping[str, pd.DataFrame],
    count: int,
    seed: int,
    combination: Sequence[str],
) -> Shown:
    """`count` clips drawn by seed from those that all subjects have, and each subject's picks."""
    own = [results.reconstruction(subject) for subject in results.subjects]
    shared = [name for name in own[0].place if all(name in clips for clips in own)]
    drawn = list(draw_sample(results.clips(), shared, count, seed)["clip"])
    chosen = picks(per_clip)
    names = list(dict.fromkeys([*drawn, *(pick.clip for pick in chosen)]))
    found = {reel.clip: reel for reel in reels(results, names, combination)}
    return Shown([found[name] for name in drawn], [(pick, found[pick.clip]) for pick in chosen])


def reels(results: Results, names: Sequence[str], combination: Sequence[str]) -> list[Reel]:
    """The named clips, in that order; each with the subjects that have it."""
    own = {subject: results.reconstruction(subject) for subject in results.subjects}
    upper = results.upper_bound()
    table = results.clips()
    windows = results.table(results.layout.windows(results.subjects[0]), "windows")
    segments: dict[str, str] = {}
    seen: dict[str, bool] = {}
    if windows is not None:
        one = windows.drop_duplicates("clip")
        segments = dict(zip(one["clip"], one["segment"], strict=True))
        training = windows.loc[windows["split"] != "test", "clip"].unique()
        seen = seen_pairs(table, names, training, combination)
    behind = collect(results, names)
    out = []
    with tempfile.TemporaryDirectory() as folder:
        for row in table.set_index("clip", drop=False).loc[list(names)].itertuples():
            kinds = {s: clips[str(row.clip)] for s, clips in own.items() if row.clip in clips}
            clip = next(iter(kinds.values()))
            reel = Reel(
                clip=str(row.clip),
                segment=segments.get(str(row.clip), str(row.movie)),
                caption=str(row.caption),
                attributes={k: str(v) for k, v in json.loads(str(row.attributes)).items()},
                seen=seen.get(str(row.clip)),
                shape=f"{clip.shape[2]}/{clip.shape[1]}",
                beside=behind[str(row.clip)],
            )
            kinds = {"truth": results.truth(row, len(clip)), **kinds}
            if upper is not None and str(row.clip) in upper:
                kinds["upper"] = upper[str(row.clip)]
            for kind, frames in kinds.items():
                rate = next(iter(own.values())).frame_rate
                reel.videos[kind] = encode(frames, rate, Path(folder))
            out.append(reel)
    return out
