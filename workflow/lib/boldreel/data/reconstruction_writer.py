"""The one writer of folders of reconstructed clips; their reader is `boldreel.data.reconstructions`.

Such a folder holds `frames.npy` (clips, frames, height, width, 3), `video/{clip}.mp4` and provenance.json;
with several samples of each clip also `samples.npy` (clips, samples, frames, height, width, 3) and
`video/{clip}_sample-{k}.mp4`; with continuous movies also `movie/{first clip}.mp4`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.data import arrays, atomic, provenance, tables, video

if TYPE_CHECKING:
    import pandas as pd


def write(
    output: Path,
    clips: Sequence[str],
    frames: np.ndarray,
    frame_rate: float,
    *,
    inputs: Sequence[Path],
    config: Mapping[str, Any],
    seed: int,
    started: float,
    sampling: Mapping[str, Any] | None = None,
    samples: np.ndarray | None = None,
    movies: Iterable[tuple[str, np.ndarray]] = (),
    extra_tables: Mapping[str, tuple[pd.DataFrame, str]] | None = None,
) -> None:
    """Write the folder in one step.

    Parameters
    ----------
    frames : uint8 (clips, frames, height, width, 3). frame_rate : frames per second.
    inputs : what the reconstructions were made from, for provenance.
    sampling : further entries of the sidecar, such as the number of steps.
    samples : uint8 (clips, samples, frames, height, width, 3), all samples of each clip; the first ones
        are `frames`.
    movies : (name, uint8 (frames, height, width, 3)) of movies longer than a clip.
    extra_tables : {path in the folder: (table, its kind)} of further tables.
    """
    if frames.dtype != np.uint8 or frames.ndim != 5 or len(frames) != len(clips):
        raise ValueError(f"{frames.dtype} {frames.shape} for {len(clips)} clips")
    meta = {"clips": list(clips), "frame_rate": frame_rate, "seed": seed, **(sampling or {})}
    with atomic.folder(output) as aside:
        arrays.save(aside / "frames.npy", frames, kind="reconstruction", **meta)
        for clip, pictures in zip(clips, frames, strict=True):
            video.write_mp4(aside / "video" / f"{clip}.mp4", pictures, frame_rate)
        if samples is not None:
            arrays.save(aside / "samples.npy", samples, kind="samples", **meta)
            for clip, of_clip in zip(clips, samples, strict=True):
                for k, pictures in enumerate(of_clip[1:], 1):
                    path = aside / "video" / f"{clip}_sample-{k}.mp4"
                    video.write_mp4(path, pictures, frame_rate)
        for name, pictures in movies:
            video.write_mp4(aside / "movie" / f"{name}.mp4", pictures, frame_rate)
        for name, (table, kind) in (extra_tables or {}).items():
            tables.write(aside / name, table, kind)
        provenance.record(aside, inputs=inputs, config=dict(config), seed=seed, started=started)
