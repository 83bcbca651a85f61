"""Step: test clips of one subject by the linear maps.

Reads the model's folder, windows, series, clips and decoded movies; writes the folder that reconstruction
leaves, with `categories.tsv` (each clip's best class and its probability) and `nearest.tsv` (each clip's
nearest training clip and the correlation of their components) in it, and one for each control.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from boldreel.data import tables
from boldreel.data.frames import MovieClips, load_clips, resize
from boldreel.methods import controls
from boldreel.methods.linear.model import LinearModel
from boldreel.methods.linear.settings import Settings
from boldreel.settings import read
from boldreel.step import parser, run


def drawn(
    model: LinearModel,
    training: MovieClips,
    settings: Settings,
    x: np.ndarray,
    clips: Sequence[str],
) -> dict[str, Any]:
    """Frames of responses (n, window, positions), with the tables of categories and of neighbours."""
    import pandas as pd

    found = model.components(x)
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
            "clip": clips,
            "category": [model.labels[k] for k in top],
            "probability": shares[np.arange(len(top)), top],
        }
    )
    neighbours = pd.DataFrame(
        {"clip": clips, "nearest": nearest, "correlation": alike.astype(float)}
    )
    return {
        "frames": frames,
        "frame_rate": training.frame_rate,
        "extra_tables": {
            "categories.tsv": (categories, "categories"),
            "nearest.tsv": (neighbours, "nearest"),
        },
    }


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--model", type=Path, required=True, help="folder that train left")
    controls.add_arguments(arguments)
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--stimuli", type=Path, required=True, help="folder of decoded movies")
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(Settings, args.config, "method_options.linear")

    model = LinearModel.from_pretrained(args.model / "model")
    listed = tables.read(args.clips, "clips").set_index("clip")
    movies = sorted(set(listed.loc[model.clips, "movie"]))
    training = load_clips(args.clips, args.stimuli, movies)

    def draw(x: np.ndarray, clips: Sequence[str]) -> dict[str, Any]:
        return drawn(model, training, settings, x, clips)

    controls.write_all(args, draw, settings.seed, config=asdict(settings), started=started)


if __name__ == "__main__":
    run(main)
