"""Cut movies into clips: the units that are decoded, reconstructed and scored.

Reads the decoded movies (frames.npy, shots.tsv) and their annotations; writes clips.parquet, one row
per clip of clip_duration s in movie order. A clip belongs to the shot shown at its centre, its
caption names every shot that one of its frames shows, and ``cuts`` counts the changes of shot between
its frames. Movies without annotations are captioned by a model, where the config names one.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel import step
from boldreel.data import arrays, bids, provenance, tables
from boldreel.errors import UserError
from boldreel.settings import read
from boldreel.stimuli import annotation_table
from boldreel.stimuli.settings import StimuliSettings

if TYPE_CHECKING:
    import pandas as pd

CLIP_DURATION = 2.0


def cut_movie(
    movie: str,
    n_frames: int,
    frame_rate: float,
    shots: pd.DataFrame,
    duration: float = CLIP_DURATION,
) -> list[dict[str, Any]]:
    """The clips of one movie, without captions.

    Parameters
    ----------
    n_frames, frame_rate : of the decoded frames; what is left at the end and fills no clip is dropped
    shots : table "shots" of the movie
    duration : of a clip, s

    Returns
    -------
    rows of the table "clips", without caption and attributes

    Raises
    ------
    UserError : a clip would hold no frame, or the movie no clip.
    """
    per_clip = round(duration * frame_rate)
    if per_clip < 1:
        raise UserError(
            f"stimuli.clip_duration of {duration} s holds no frame at {frame_rate} frames per second; "
            "raise clip_duration or frame_rate"
        )
    names, onsets = shots["shot"].to_list(), shots["onset"].to_numpy()
    rows: list[dict[str, Any]] = []
    for index in range(n_frames):
        start = index * duration
        first = round(start * frame_rate)
        if first + per_clip > n_frames:
            break
        seen = annotation_table.rows_at(onsets, (first + np.arange(per_clip)) / frame_rate)
        centre = annotation_table.rows_at(onsets, np.array([start + duration / 2]))[0]
        rows.append(
            {
                "clip": f"{movie}-{index:04d}",
                "movie": movie,
                "index": index,
                "start": start,
                "duration": duration,
                "first_frame": first,
                "n_frames": per_clip,
                "shot": names[centre],
                "cuts": int(np.count_nonzero(np.diff(seen))),
            }
        )
    if not rows:
        raise UserError(
            f"{movie}: the movie is {n_frames / frame_rate:.1f} s long, shorter than one clip of "
            f"{duration} s; lower stimuli.clip_duration"
        )
    return rows


def frame_times(row: dict[str, Any], frame_rate: float) -> np.ndarray:
    """Times in s, in the movie, of a clip's frames."""
    return (row["first_frame"] + np.arange(row["n_frames"])) / frame_rate


def describe(rows: list[dict[str, Any]], frame_rate: float, table: pd.DataFrame) -> None:
    """Add caption and attributes from the movie's annotations to its rows."""
    for row in rows:
        row["caption"] = annotation_table.caption(table, frame_times(row, frame_rate))
        row["attributes"] = annotation_table.attributes(table, row["start"] + row["duration"] / 2)


def _movie_rows(
    folder: Path, tables_of: dict[str, Path], duration: float, caption_model: str | None
) -> list[dict[str, Any]]:
    frames, meta = arrays.load(folder / "frames.npy", kind="frames")
    rate = float(meta["frame_rate"])
    shots = tables.read(folder / "shots.tsv", "shots")
    rows = cut_movie(folder.name, len(frames), rate, shots, duration)
    if folder.name in tables_of:
        describe(rows, rate, annotation_table.read(tables_of[folder.name]))
    elif caption_model:
        from boldreel.stimuli import captions

        captions.describe(rows, frames, rate, shots, caption_model)
    else:
        raise UserError(
            f"{folder.name}: no annotations and no captioning model; put {folder.name}.tsv (onset, "
            "duration, shot, caption) next to the movie, or set models.caption, for example to "
            "Salesforce/blip-image-captioning-large or a folder"
        )
    return rows


def main(argv: list[str] | None = None) -> None:
    import pandas as pd

    arguments = step.parser(__doc__)
    arguments.add_argument("--stimuli", type=Path, nargs="+", required=True, metavar="DIR")
    arguments.add_argument("--annotations", type=Path, nargs="*", default=[], metavar="TSV")
    arguments.add_argument("--caption-model", help="folder or hub id; default: config key caption")
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    tables_of = {path.stem: path for path in args.annotations}
    settings = read(StimuliSettings, args.config, "stimuli")
    model = args.caption_model or settings.caption
    rows: list[dict[str, Any]] = []
    for folder in sorted(args.stimuli, key=lambda folder: bids.natural(folder.name)):
        rows += _movie_rows(folder, tables_of, settings.clip_duration, model)
    tables.write(args.output, pd.DataFrame(rows), "clips")
    provenance.record(
        args.output,
        inputs=[*(folder / "shots.tsv" for folder in args.stimuli), *args.annotations],
        config=asdict(settings),
        started=started,
    )


if __name__ == "__main__":
    step.run(main)
