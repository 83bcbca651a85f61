"""Decode movies: frames at the working rate and size, and their shots.

Reads an mp4 (or any video) and, where there are some, its annotations; writes in a folder frames.npy
(uint8, frames x size x size x 3, the picture shown at time k / frame_rate) and shots.tsv (shot, onset
and duration in s). Shots come from the annotations, or from the pictures where the config says
``shots: detect`` or no annotations exist.

A batch of movies, listed by the table of presentations of whoever saw them first, shares one folder: their
frames follow each other in one array, whose sidecar says which are whose, and shots.tsv has a column `movie`.
"""

from __future__ import annotations

import time
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boldreel import step
from boldreel.data import (
    arrays,
    batches,
    movie_annotations,
    movie_files,
    presentations,
    provenance,
    tables,
    video,
)
from boldreel.errors import UserError
from boldreel.settings import read
from boldreel.stimuli import annotation_table, shots
from boldreel.stimuli.settings import StimuliSettings
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    import pandas as pd


def find_shots(
    movie: Path, table: pd.DataFrame | None, source: str = "annotations"
) -> list[tuple[float, float]]:
    """(onset, duration) in s of the shots of a movie.

    Parameters
    ----------
    table : the movie's annotations, None if there are none
    source : "annotations" (detected where there are none) or "detect"
    """
    if source == "annotations" and table is not None:
        return annotation_table.shots(table)
    facts = video.probe(movie)
    rate = min(facts["frame_rate"] or shots.FRAME_RATE, shots.FRAME_RATE)
    return shots.detect(video.frames(movie, rate, shots.SIDE), rate)


def shot_name(movie: str, number: int) -> str:
    """For example ``train01-s003``; numbered from 0."""
    return f"{movie}-s{number:03d}"


def listed(table: Path, rows: str, stimuli: Path, batch: str) -> dict[str, Path]:
    """{movie: its file} of a batch.

    Parameters
    ----------
    table : of presentations; rows : which of its movies, by name (data.batches.as_ranges)
    batch : name of the batch, which follows from its movies

    Raises
    ------
    UserError : the table has other movies than the batch was made of, or a file is missing.
    """
    shown = presentations.movies_of(presentations.read(table))
    names = sorted(shown)
    wanted = batches.rows_in(rows)
    movies = [names[row] for row in wanted if row < len(names)]
    splits = batch.split("-")[:-1]
    if len(movies) < len(wanted) or batches.name_of(splits, movies) != batch:
        raise UserError(
            f"{table}: its movies {rows} are not those of batch {batch}; start the run again, which lists "
            "them again"
        )
    return {name: Path(movie_files.file_of(stimuli, shown[name])) for name in movies}


class Annotations:
    """Annotations of movies by name: from a table for each, or from one table for all.

    found : {movie: its table, or what the one table calls it} of the movies that were asked for
    files : tables that were read
    """

    def __init__(self, each: Path | None, of_all: Path | None, stimuli: Path | None) -> None:
        self.each, self.of_all, self.stimuli = each, of_all, stimuli
        self._known = annotation_table.read_all(of_all) if of_all else {}
        self.found: dict[str, str] = {}
        self.files: list[Path] = [of_all] if of_all else []

    def of(self, movie: str, file: Path) -> pd.DataFrame | None:
        """The annotations of a movie, None without any."""
        if self.of_all:
            name = movie_annotations.name_in(self._known, movie, file, self.stimuli or file.parent)
            if name is None:
                return None
            self.found[movie] = name
            return self._known[name]
        table = self.each or movie_annotations.beside(file)
        if table is None:
            return None
        self.found[movie] = str(table)
        self.files.append(table)
        return annotation_table.read(table)


def _listed_shots(movie: str, bounds: list[tuple[float, float]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "shot": [shot_name(movie, k) for k in range(len(bounds))],
            "onset": [onset for onset, _ in bounds],
            "duration": [duration for _, duration in bounds],
        }
    )


def _arguments(argv: list[str] | None) -> Namespace:
    arguments = step.parser(__doc__)
    which = arguments.add_mutually_exclusive_group(required=True)
    which.add_argument("--movie", type=Path, help="one movie")
    which.add_argument("--presentations", type=Path, help="table that lists the movies of a batch")
    arguments.add_argument("--rows", help="which movies of that table, such as 0-199")
    arguments.add_argument("--stimuli", type=Path, help="folder of the movies")
    arguments.add_argument(
        "--output", type=Path, required=True, help="folder R/stimuli/{movie or batch}"
    )
    arguments.add_argument(
        "--annotations", type=Path, help="default: the .tsv next to the movie, if there is one"
    )
    arguments.add_argument("--annotation-table", type=Path, help="one table for all movies")
    args = arguments.parse_args(argv)
    if args.presentations and not (args.rows and args.stimuli):
        arguments.error("--presentations needs --rows and --stimuli")
    return args


def main(argv: list[str] | None = None) -> None:
    import pandas as pd

    args = _arguments(argv)
    started = time.time()
    settings = read(StimuliSettings, args.config, "stimuli")
    batch = args.output.name
    single = args.movie is not None
    movies = (
        {batch: args.movie}
        if single
        else listed(args.presentations, args.rows, args.stimuli, batch)
    )
    annotations = Annotations(args.annotations, args.annotation_table, args.stimuli)
    parts = []
    meta: dict[str, Any] = {"frame_rate": settings.frame_rate}
    if single:
        meta["source"] = args.movie.name
    path = args.output / "frames.npy"
    with arrays.growing(path, kind="frames", meta=meta) as append:
        counts = dict.fromkeys(movies, 0)
        progress = Progress(len(movies), "decode", unit="movies", quiet=single)
        for name, file in movies.items():
            table = annotations.of(name, file)
            # A film of two hours has gigabytes of frames: they go to disk one by one.
            for frame in video.frames(file, settings.frame_rate, settings.size):
                append(frame[None])
                counts[name] += 1
            found = _listed_shots(name, find_shots(file, table, settings.shots))
            progress.update()
            parts.append(found if single else found.assign(movie=name))
        if not single:
            meta["movies"] = batches.counted(counts)
        # A table that has its movie's name needs no word: `stimuli.clips` knows whose it is.
        if args.annotation_table or {Path(each).stem for each in annotations.found.values()} - {
            batch
        }:
            meta["annotations"] = annotations.found
        tables.write(args.output / "shots.tsv", pd.concat(parts, ignore_index=True), "shots")
    provenance.record(
        path,
        inputs=[*movies.values(), *annotations.files],
        config=asdict(settings),
        started=started,
    )


if __name__ == "__main__":
    step.run(main)
