"""Where the cuts of a continuous movie fall."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from boldreel.data import tables
from boldreel.reconstruct import long_movies

CHAIN = [f"m-{i:04d}" for i in range(6)]
RATE, EACH = 3.0, 6


def _clips(starts: list[int]) -> list[np.ndarray]:
    """Clips whose picture changes at these frames of the movie, with a little noise everywhere."""
    rng = np.random.default_rng(0)
    frames = np.empty((len(CHAIN) * EACH, 48, 64, 3), np.uint8)
    picture = rng.integers(0, 255, (6, 8, 3))
    for number in range(len(frames)):
        if number in starts:
            picture = rng.integers(0, 255, (6, 8, 3))
        large = np.kron(picture, np.ones((8, 8, 1)))
        frames[number] = np.clip(large + rng.normal(0, 3, large.shape), 0, 255)
    return list(frames.reshape(len(CHAIN), EACH, 48, 64, 3))


def test_cuts_are_told_apart_by_where_they_fall() -> None:
    table = long_movies.cuts(CHAIN, _clips([12, 21]), RATE)
    assert table["seconds"].tolist() == [4.0, 7.0]
    assert table["clip"].tolist() == [CHAIN[2], CHAIN[3]]
    assert table["between_clips"].tolist() == [True, False]


def test_a_movie_without_cuts_has_an_empty_table(tmp_path: Path) -> None:
    clips = dict(zip(CHAIN, _clips([]), strict=True))
    table = long_movies.cuts_of_all([CHAIN], clips, RATE)
    tables.write(tmp_path / "cuts.tsv", table, "movie_cuts")
    assert tables.read(tmp_path / "cuts.tsv", "movie_cuts").empty
    assert "0 cuts: 0 at the 5 places" in long_movies.summary([CHAIN], table)


def test_a_movie_is_its_clips_in_order() -> None:
    clips = dict(zip(CHAIN, _clips([7, 20]), strict=True))
    ((name, frames),) = long_movies.movies([CHAIN], clips)
    assert name == CHAIN[0] and np.array_equal(frames, np.concatenate(list(clips.values())))
