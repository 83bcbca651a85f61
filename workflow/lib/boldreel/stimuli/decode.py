"""Decode one movie: frames at the working rate and size, and its shots.

Reads an mp4 (or any video) and, where there are some, its annotations; writes in a folder frames.npy
(uint8, frames x size x size x 3, the picture shown at time k / frame_rate) and shots.tsv (shot, onset
and duration in s). Shots come from the annotations, or from the pictures where the config says
``shots: detect`` or no annotations exist.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from boldreel import step
from boldreel.data import arrays, provenance, tables, video
from boldreel.settings import read
from boldreel.stimuli import annotation_table, shots
from boldreel.stimuli.settings import StimuliSettings


def find_shots(
    movie: Path, table: Path | None, source: str = "annotations"
) -> list[tuple[float, float]]:
    """(onset, duration) in s of the shots of a movie.

    Parameters
    ----------
    table : the movie's annotations, None if there are none
    source : "annotations" (detected where there are none) or "detect"
    """
    if source == "annotations" and table is not None:
        return annotation_table.shots(annotation_table.read(table))
    facts = video.probe(movie)
    rate = min(facts["frame_rate"] or shots.FRAME_RATE, shots.FRAME_RATE)
    return shots.detect(video.frames(movie, rate, shots.SIDE), rate)


def shot_name(movie: str, number: int) -> str:
    """For example ``train01-s003``; numbered from 0."""
    return f"{movie}-s{number:03d}"


def main(argv: list[str] | None = None) -> None:
    import pandas as pd

    arguments = step.parser(__doc__)
    arguments.add_argument("--movie", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True, help="folder R/stimuli/{movie}")
    arguments.add_argument(
        "--annotations", type=Path, help="default: the .tsv next to the movie, if there is one"
    )
    args = arguments.parse_args(argv)
    started = time.time()
    beside = args.movie.with_suffix(".tsv")
    table = args.annotations or (beside if beside.is_file() else None)

    settings = read(StimuliSettings, args.config, "stimuli")
    rate = settings.frame_rate
    bounds = find_shots(args.movie, table, settings.shots)
    listed = pd.DataFrame(
        {
            "shot": [shot_name(args.movie.stem, k) for k in range(len(bounds))],
            "onset": [onset for onset, _ in bounds],
            "duration": [duration for _, duration in bounds],
        }
    )
    tables.write(args.output / "shots.tsv", listed, "shots")
    # A film of two hours has gigabytes of frames: they go to disk one by one.
    frames = video.frames(args.movie, rate, settings.size)
    arrays.save_rows(
        args.output / "frames.npy", frames, kind="frames", frame_rate=rate, source=args.movie.name
    )
    provenance.record(
        args.output / "frames.npy",
        inputs=[args.movie, *([table] if table else [])],
        config=asdict(settings),
        started=started,
    )


if __name__ == "__main__":
    step.run(main)
