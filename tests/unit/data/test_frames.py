"""True frames of clips: which frames, of which movie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boldreel.data import arrays
from boldreel.data.frames import Movies, cut_clips, frame_index
from boldreel.errors import UserError


def decoded(folder: Path, count: int, rate: float = 3.0) -> np.ndarray:
    """A movie whose every frame has the grey of its number."""
    frames = np.broadcast_to(
        np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 8, 8, 3)
    )
    arrays.save(folder / "frames.npy", frames, kind="frames", frame_rate=rate)
    return np.asarray(frames)


def test_the_frame_shown_at_each_time() -> None:
    """Frame k of n is shown from k / n to (k + 1) / n of the clip."""
    for have in range(1, 9):
        for want in range(1, 9):
            shown = [max(k for k in range(have) if k * want <= t * have) for t in range(want)]
            assert frame_index(have, want).tolist() == shown


def test_clips_are_cut_from_their_movies(tmp_path: Path) -> None:
    decoded(tmp_path / "all" / "one", 40)
    decoded(tmp_path / "two", 20)
    table = pd.DataFrame(
        {"movie": ["one", "two", "one"], "first_frame": [10, 0, 30], "n_frames": [6, 6, 3]}
    )
    found = cut_clips(table, [tmp_path / "all", tmp_path / "two"], 3, (4, 4))
    assert found.shape == (3, 3, 4, 4, 3)
    assert found[..., 0, 0, 0].tolist() == [[10, 12, 14], [0, 2, 4], [30, 31, 32]]
    with pytest.raises(UserError, match="no frames of movie 'three'"):
        Movies([tmp_path / "all"]).frames("three")
