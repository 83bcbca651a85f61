"""The videos on the page: a seeded sample of clips, truth beside every subject's reconstruction.

Takes results; leaves, for each clip, small H.264 videos and first frames as data URIs.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from boldreel.data.video import write_mp4
from boldreel.report import markup
from boldreel.report.results import Results, draw_sample, seen_pairs


@dataclass
class Reel:
    """One clip on the page. videos : {kind: (mp4 URI, first frame URI)}, "truth" first.

    seen : whether its combination of attributes occurs in training; None where that is unknown.
    """

    clip: str
    segment: str
    caption: str
    attributes: dict[str, str]
    seen: bool | None
    shape: str
    videos: dict[str, tuple[str, str]] = field(default_factory=dict)


def encode(clip: np.ndarray, frame_rate: float, folder: Path) -> tuple[str, str]:
    """(mp4, first frame) data URIs of a clip (F, h, w, 3)."""
    path = folder / "clip.mp4"
    write_mp4(path, clip, frame_rate, crf=18)
    return markup.movie(path), markup.picture(clip[0])


def reels(results: Results, count: int, seed: int, combination: Sequence[str]) -> list[Reel]:
    """`count` clips drawn by seed from those that all subjects have."""
    own = {subject: results.reconstruction(subject) for subject in results.subjects}
    upper = results.upper_bound()
    first = own[results.subjects[0]]
    shared = [name for name in first.place if all(name in clips for clips in own.values())]
    table = results.clips()
    windows = results.table(f"sub-{results.subjects[0]}/windows.parquet", "windows")
    segments: dict[str, str] = {}
    seen: dict[str, bool] = {}
    if windows is not None:
        one = windows.drop_duplicates("clip")
        segments = dict(zip(one["clip"], one["segment"], strict=True))
        training = windows.loc[windows["split"] != "test", "clip"].unique()
        seen = seen_pairs(table, shared, training, combination)
    out = []
    with tempfile.TemporaryDirectory() as folder:
        for row in draw_sample(table, shared, count, seed).itertuples():
            clip = first[row.clip]
            reel = Reel(
                clip=str(row.clip),
                segment=segments.get(str(row.clip), str(row.movie)),
                caption=str(row.caption),
                attributes={k: str(v) for k, v in json.loads(str(row.attributes)).items()},
                seen=seen.get(str(row.clip)),
                shape=f"{clip.shape[2]}/{clip.shape[1]}",
            )
            kinds = {"truth": results.truth(row, len(clip))}
            kinds |= {subject: clips[str(row.clip)] for subject, clips in own.items()}
            if upper is not None and str(row.clip) in upper:
                kinds["upper"] = upper[str(row.clip)]
            for kind, frames in kinds.items():
                reel.videos[kind] = encode(frames, first.frame_rate, Path(folder))
            out.append(reel)
    return out
