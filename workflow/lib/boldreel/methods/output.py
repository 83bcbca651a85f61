"""A method's reconstructions on disk: the folder that every later stage reads.

Takes frames by clip; writes `frames.npy` (clips, frames, height, width, 3), `video/{clip}.mp4` and
provenance.json, as `boldreel.reconstruct.sample` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    beside: Mapping[str, tuple[pd.DataFrame, str]] | None = None,
) -> None:
    """Writes the folder in one step.

    Parameters
    ----------
    frames : uint8 (clips, frames, height, width, 3). frame_rate : frames per second.
    inputs : what the reconstructions were made from, for provenance.
    beside : {file name: (table, its kind)} that the method leaves in the folder as well.
    """
    if frames.dtype != np.uint8 or frames.ndim != 5 or len(frames) != len(clips):
        raise ValueError(f"{frames.dtype} {frames.shape} for {len(clips)} clips")
    with atomic.folder(output) as aside:
        arrays.save(
            aside / "frames.npy",
            frames,
            kind="reconstruction",
            clips=list(clips),
            frame_rate=frame_rate,
            seed=seed,
        )
        for clip, pictures in zip(clips, frames, strict=True):
            video.write_mp4(aside / "video" / f"{clip}.mp4", pictures, frame_rate)
        for name, (table, kind) in (beside or {}).items():
            tables.write(aside / name, table, kind)
        provenance.record(aside, inputs=inputs, config=dict(config), seed=seed, started=started)
