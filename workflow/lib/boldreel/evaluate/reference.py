"""Step: what the judges see in clips that are the same for every subject, judged once.

Takes the upper bound's shards, stimuli, clips and the windows of any subject; leaves a folder of
readings of the true test clips, of the generator's clips from true features, and of the training
clips that the seed draws as a baseline. `score --reference` takes them from there.
"""

from __future__ import annotations

import time
from pathlib import Path

from boldreel.data import atomic, provenance, tables
from boldreel.evaluate import baselines, clips, stored
from boldreel.evaluate.readings import Judges
from boldreel.evaluate.score import DEFAULTS, split_clips
from boldreel.step import parser, run
from boldreel.training.device import lease


def main(argv: list[str] | None = None) -> None:
    started = time.time()
    arguments = parser(__doc__)
    arguments.add_argument("--upper-bound", nargs="+", required=True, help="shards")
    arguments.add_argument("--stimuli", nargs="+", required=True, help="folder(s) of movies")
    arguments.add_argument("--clips", required=True, help="clips.parquet")
    arguments.add_argument("--windows", required=True, help="windows.parquet of any subject")
    arguments.add_argument("--image-classifier")
    arguments.add_argument("--video-classifier")
    arguments.add_argument("--clip-model")
    arguments.add_argument("--output", required=True, type=Path, help="folder")
    args = arguments.parse_args(argv)
    config = {**DEFAULTS, **args.config}
    seed = int(config.get("seed", 0))

    upper = clips.Reconstruction(args.upper_bound)
    frames, size = upper.shape[0], (upper.shape[1], upper.shape[2])
    windows = tables.read(args.windows, "windows")
    test, training = split_clips(tables.read(args.clips, "clips"), windows)
    test = test[test["clip"].isin(upper.names)].reset_index(drop=True)
    drawn = baselines.random_rows(len(test), max(len(training), 1), seed)
    random = training.iloc[sorted(set(drawn))] if len(training) else training
    with lease() as device, atomic.folder(args.output) as folder:
        judges = Judges(
            args.image_classifier,
            args.video_classifier,
            args.clip_model,
            device,
            int(config["batch_size"]),
        )
        for name, table in (("truth", test), ("training", random)):
            shown = clips.cut(table, args.stimuli, frames, size)
            stored.save(folder / name, judges.read(shown, name), list(table["clip"]))
        names = list(test["clip"])
        made = judges.read(upper.frames(names), "true_features")
        stored.save(folder / "true_features", made, names)
        inputs = [*args.upper_bound, args.clips, args.windows]
        provenance.record(folder, inputs=inputs, config=config, seed=seed, started=started)


if __name__ == "__main__":
    run(main)
