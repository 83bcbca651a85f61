"""Step: test clips of one subject by the linear maps.

Takes the model's folder, windows, series, clips and decoded movies; leaves the folder that reconstruction
leaves, with `categories.tsv` (each clip's best class and its probability) and `nearest.tsv` (each clip's
nearest training clip and the correlation of their components) in it.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from boldreel.data import tables
from boldreel.data.responses import load_responses, series_files
from boldreel.evaluate.clips import resize
from boldreel.methods import material, output
from boldreel.methods.linear.model import LinearModel
from boldreel.methods.linear.settings import Settings
from boldreel.section import read
from boldreel.step import parser, run


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--model", type=Path, required=True, help="folder that train left")
    arguments.add_argument("--windows", type=Path, required=True)
    arguments.add_argument("--series-dir", type=Path, required=True)
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--stimuli", type=Path, required=True, help="folder of decoded movies")
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(Settings, args.config, "method_options.linear")

    import pandas as pd

    model = LinearModel.from_pretrained(args.model / "model")
    responses = load_responses(args.windows, args.series_dir, "test")
    listed = tables.read(args.clips, "clips").set_index("clip")
    movies = sorted(set(listed.loc[model.clips, "movie"]))
    training = material.load_frames(args.clips, args.stimuli, movies)
    found = model.components(responses.x)
    best, alike = model.nearest(found)
    nearest = [model.clips[row] for row in best]
    size = training.take(nearest[:1]).shape[2:4]
    if settings.readout == "nearest":
        frames = training.take(nearest)
    else:
        frames = np.stack([resize(clip, size) for clip in model.pictures(found)])
    shares = model.categories(found)
    top = shares.argmax(axis=1)
    categories = pd.DataFrame(
        {
            "clip": responses.clips,
            "category": [model.labels[k] for k in top],
            "probability": shares[np.arange(len(top)), top],
        }
    )
    neighbours = pd.DataFrame(
        {"clip": responses.clips, "nearest": nearest, "correlation": alike.astype(float)}
    )
    output.write(
        args.output,
        responses.clips,
        frames,
        training.frame_rate,
        inputs=[args.model, args.windows, *series_files(args.windows, args.series_dir, "test")],
        config=asdict(settings),
        seed=settings.seed,
        started=started,
        beside={
            "categories.tsv": (categories, "categories"),
            "nearest.tsv": (neighbours, "nearest"),
        },
    )


if __name__ == "__main__":
    run(main)
