"""Movies longer than a clip, and where they cut.

Takes the drawn clips of chains; returns for each chain `{first clip}.mp4` and a table of cuts: those that
are found in the reconstruction, by the detector that found the shots of the stimuli, and whether each
falls where one clip ends and the next begins. A cut between clips is what continuing is to avoid unless
the brain asks for it; a cut within a clip is an artefact.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from boldreel.data import tables, video
from boldreel.reconstruct.shards import Chain
from boldreel.stimuli import shots


def small(frames: np.ndarray) -> np.ndarray:
    """uint8 frames (n, h, w, 3) at the side that the detector of cuts reads."""
    from PIL import Image

    side = (shots.SIDE, shots.SIDE)
    resized = [Image.fromarray(frame).resize(side, Image.Resampling.BOX) for frame in frames]
    return np.stack([np.asarray(picture) for picture in resized])


def cuts(chain: Chain, frames: Sequence[np.ndarray], frame_rate: float) -> pd.DataFrame:
    """The cuts of one movie: movie (its first clip), seconds, clip that begins or contains it, and
    between_clips.

    Parameters
    ----------
    frames : of each clip of the chain (F, h, w, 3), uint8.
    """
    times = shots.cut_times(small(np.concatenate(list(frames))), frame_rate)
    each = len(frames[0])
    rows = []
    for seconds in times:
        number = round(float(seconds) * frame_rate)
        rows.append(
            {
                "movie": chain[0],
                "seconds": float(seconds),
                "clip": chain[number // each],
                "between_clips": number % each == 0,
            }
        )
    return pd.DataFrame(rows, columns=["movie", "seconds", "clip", "between_clips"])


def write_movies(
    folder: Path, chains: Sequence[Chain], frames: dict[str, np.ndarray], frame_rate: float
) -> str:
    """Writes `{first clip}.mp4` for each chain and `cuts.tsv`; returns a line on where cuts fall."""
    parts = []
    for chain in chains:
        of_chain = [frames[clip] for clip in chain]
        video.write_mp4(folder / f"{chain[0]}.mp4", np.concatenate(of_chain), frame_rate)
        parts.append(cuts(chain, of_chain, frame_rate))
    table = pd.concat(parts, ignore_index=True)
    tables.write(folder / "cuts.tsv", table.astype({"between_clips": bool}), "movie_cuts")
    places = sum(len(chain) - 1 for chain in chains)
    between = int(table["between_clips"].sum())
    return (
        f"continuous: {len(chains)} movies, {len(table)} cuts: {between} at the {places} places where "
        f"clips meet, {len(table) - between} within clips"
    )
