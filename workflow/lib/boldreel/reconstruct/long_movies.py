"""Movies longer than a clip, and where they cut.

Takes the drawn clips of chains; returns each chain's frames and a table of cuts: those that are found in
the reconstruction, by the detector that found the shots of the stimuli, and whether each falls where one
clip ends and the next begins. A cut between clips is what continuing is to avoid unless the brain asks for
it; a cut within a clip is an artefact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from boldreel.reconstruct.plan import Chain
from boldreel.stimuli import shots

if TYPE_CHECKING:
    import pandas as pd


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
    import pandas as pd

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


def movies(
    chains: Sequence[Chain], frames: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """(first clip, uint8 frames (n, h, w, 3)) of each chain, from the frames of each clip."""
    for chain in chains:
        yield chain[0], np.concatenate([frames[clip] for clip in chain])


def cuts_of_all(
    chains: Sequence[Chain], frames: Mapping[str, np.ndarray], frame_rate: float
) -> pd.DataFrame:
    """The table "movie_cuts" of all chains."""
    import pandas as pd

    parts = [cuts(chain, [frames[clip] for clip in chain], frame_rate) for chain in chains]
    return pd.concat(parts, ignore_index=True).astype({"between_clips": bool})


def summary(chains: Sequence[Chain], table: pd.DataFrame) -> str:
    """A line on where the cuts fall."""
    places = sum(len(chain) - 1 for chain in chains)
    between = int(table["between_clips"].sum())
    return (
        f"continuous: {len(chains)} movies, {len(table)} cuts: {between} at the {places} places where "
        f"clips meet, {len(table) - between} within clips"
    )
