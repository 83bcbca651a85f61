"""Cut movies into clips: the units that are decoded, reconstructed and scored.

Reads the decoded movies or batches of movies (frames.npy, shots.tsv) and their annotations; writes
clips.parquet, one row per clip of clip_duration s in movie order. A clip belongs to the shot shown at its
centre, its caption names every shot that one of its frames shows, and ``cuts`` counts the changes of shot
between its frames. Movies without annotations are captioned by a model, where the config names one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel import step
from boldreel.data import arrays, batches, provenance, tables
from boldreel.errors import UserError
from boldreel.names import natural
from boldreel.settings import read
from boldreel.stimuli import annotation_table, captions
from boldreel.stimuli.settings import StimuliSettings
from boldreel.training.progress import Progress

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


class _Tables:
    """Annotations of movies, from a table for each or from one for all; what names whose was said by decode.

    each : tables that belong to the movie of their name, unless a batch says otherwise
    """

    def __init__(self, each: Sequence[Path], of_all: Path | None, said: Mapping[str, str]) -> None:
        self.said = said
        claimed = set(said.values())
        self.each = {path.stem: path for path in each if str(path) not in claimed}
        self.of_all = annotation_table.read_all(of_all) if of_all else None

    def of(self, movie: str) -> pd.DataFrame | None:
        """The annotations of a movie, None without any."""
        if self.of_all is not None:
            return self.of_all.get(self.said.get(movie, ""))
        path = self.said.get(movie) or self.each.get(movie)
        return annotation_table.read(path) if path else None


def _batch_rows(
    folder: Path, annotations: _Tables, duration: float, captioner: captions.Captioner | None
) -> Iterator[list[dict[str, Any]]]:
    """The clips of each movie of a batch, which may be one movie."""
    frames, meta = arrays.load(folder / "frames.npy", kind="frames")
    rate = float(meta["frame_rate"])
    shots = tables.read(folder / "shots.tsv", "shots")
    of_movie = dict(iter(shots.groupby("movie", sort=False))) if "movie" in shots else {}
    for movie, part in batches.parts(meta, folder.name, len(frames)).items():
        found = of_movie.get(movie, shots)
        rows = cut_movie(movie, part.stop - part.start, rate, found, duration)
        table = annotations.of(movie)
        if table is not None:
            describe(rows, rate, table)
        elif captioner is not None:
            captioner.describe(rows, frames[part], rate, found)
        else:
            raise UserError(
                f"{movie}: no annotations and no captioning model; put {movie}.tsv (onset, "
                "duration, shot, caption) next to the movie, or set models.caption, for example to "
                "Salesforce/blip-image-captioning-large or a folder"
            )
        if "movies" in meta:
            for row in rows:
                row["batch"] = folder.name
        yield rows


def main(argv: list[str] | None = None) -> None:
    import pandas as pd

    arguments = step.parser(__doc__)
    arguments.add_argument("--stimuli", type=Path, nargs="+", required=True, metavar="DIR")
    arguments.add_argument("--annotations", type=Path, nargs="*", default=[], metavar="TSV")
    arguments.add_argument("--annotation-table", type=Path, help="one table for all movies")
    arguments.add_argument("--caption-model", help="folder or hub id; default: config key caption")
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(StimuliSettings, args.config, "stimuli")
    model = args.caption_model or settings.caption
    said: dict[str, str] = {}
    for folder in args.stimuli:
        said |= arrays.load(folder / "frames.npy", kind="frames")[1].get("annotations", {})
    annotations = _Tables(args.annotations, args.annotation_table, said)
    found: list[list[dict[str, Any]]] = []
    progress = Progress(len(args.stimuli), "cut clips", unit="folders")
    with captions.Captioner(model) if model else nullcontext() as captioner:
        for folder in args.stimuli:
            found += _batch_rows(folder, annotations, settings.clip_duration, captioner)
            progress.update()
    found.sort(key=lambda rows: natural(rows[0]["movie"]))
    table = pd.DataFrame([row for rows in found for row in rows])
    tables.write(args.output, table, "clips")
    one = args.annotation_table
    given = [one] if one else list(dict.fromkeys([*args.annotations, *map(Path, said.values())]))
    provenance.record(
        args.output,
        inputs=[*(folder / "shots.tsv" for folder in args.stimuli), *given],
        config=asdict(settings),
        started=started,
    )


if __name__ == "__main__":
    step.run(main)
