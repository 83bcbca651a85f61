"""Step: what the judges see in clips that are the same for every subject, judged once.

Reads the upper bound's shards, stimuli, clips and the names of the training movies; writes a folder
of readings of the true test clips, of their mean colours held still, of the generator's clips from true
features, and of the training clips that the seed draws as a baseline. `score --reference` takes them
from there. No subject's data go in, so that another subject leaves it as it is.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from boldreel.data import atomic, batches, provenance, tables
from boldreel.data.frames import cut_clips
from boldreel.data.reconstructions import Reconstruction
from boldreel.evaluate import baselines, output_cache
from boldreel.evaluate.readings import Judges, Models
from boldreel.evaluate.settings import JudgingSettings
from boldreel.settings import read
from boldreel.step import parser, run
from boldreel.training.device import lease


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    arguments = parser(__doc__)
    arguments.add_argument("--upper-bound", nargs="+", required=True, help="shards")
    arguments.add_argument("--stimuli", nargs="+", required=True, help="folder(s) of movies")
    arguments.add_argument("--clips", required=True, help="clips.parquet")
    arguments.add_argument(
        "--training-movies", nargs="*", default=[], help="names of movies or batches"
    )
    Models.add_arguments(arguments)
    arguments.add_argument("--output", required=True, type=Path, help="folder")
    args = arguments.parse_args(argv)
    settings = read(JudgingSettings, args.config, "evaluate")

    upper = Reconstruction(args.upper_bound)
    frames, size = upper.shape[0], (upper.shape[1], upper.shape[2])
    table = tables.read(args.clips, "clips")
    test = table[table["clip"].isin(upper.names)]
    movies = batches.movies_of(table, args.training_movies) - set(test["movie"])
    random = baselines.random_clips(table, movies, len(test), settings.seed).drop_duplicates("clip")
    with lease() as device, atomic.folder(args.output) as folder:
        judges = Judges(
            Models.from_args(args),
            device,
            settings.batch_size,
            video_frames=settings.video_frames,
        )
        for name, chosen in (("truth", test), ("training", random)):
            shown = cut_clips(chosen, args.stimuli, frames, size)
            output_cache.save(folder / name, judges.read(shown, name), list(chosen["clip"]))
            if name == "truth":
                colours = np.stack([baselines.mean_colour(clip) for clip in shown])
                flat = judges.read(baselines.true_colour(colours, frames, size), "mean colours")
                output_cache.save(folder / "true_colour", flat, list(chosen["clip"]))
        names = list(test["clip"])
        made = judges.read(upper.frames(names), "true_features")
        output_cache.save(folder / "true_features", made, names)
        inputs = [*args.upper_bound, args.clips]
        provenance.record(
            folder, inputs=inputs, config=asdict(settings), seed=settings.seed, started=started
        )


if __name__ == "__main__":
    run(main)
