"""Step: what a subject's co-trained encoder makes of each test clip, once for all shards and controls.

Reads encoder, generator, windows and series; writes a folder with conditions (`readers`): `brain.npy` from
the responses, `noise.npy` from noise in their place, `mean.npy` from the mean training response. Next to them
`text.npy` (clips, D), directions from the training mean to the text embeddings that are predicted, and that
mean, `text_mean.npy` (1, D). Sampling only reads this folder, so that no condition depends on the shard.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from boldreel import step
from boldreel.data import arrays, atomic, provenance
from boldreel.data.responses import load_responses, series_files
from boldreel.reconstruct import control_responses
from boldreel.reconstruct.conditions import showings
from boldreel.reconstruct.readers import reader
from boldreel.reconstruct.settings import EncodingSettings
from boldreel.settings import read


def main(argv: list[str] | None = None) -> None:
    """Command line of the step."""
    parser = step.parser(__doc__)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--windows", type=Path, required=True)
    parser.add_argument("--series-dir", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    started = time.time()
    settings = read(EncodingSettings, args.config, "reconstruct")

    from boldreel.training.device import lease
    from boldreel.training.loop import set_threads

    set_threads()
    own = (args.windows, args.series_dir)
    inputs = [args.encoder, args.generator, args.windows, *series_files(*own, "test")]
    responses = load_responses(*own, "test", settings.repeats)
    # Of all clips: how many of them a control shows is decided when it is sampled.
    every = len(responses.clips)
    noise = control_responses.noise(*own, every, settings.seed, settings.repeats)
    given = {"brain": (responses.clips, responses.x), "noise": noise}
    made = reader(args.generator)
    with atomic.folder(args.output) as aside:
        with lease() as device:
            for source, (clips, x) in given.items():
                count = showings(args.windows, clips, settings.repeats)
                found = made.read(args.encoder, x, count, device)
                conditions = found.conditions
                arrays.save(aside / f"{source}.npy", conditions, kind="condition", clips=clips)
                if source == "brain":
                    own_count = count
                    own_text = found.text, found.text_mean
            mean = made.of_mean(args.encoder, float(np.median(own_count)))
        arrays.save(aside / "mean.npy", mean[None], kind="condition")
        arrays.save(aside / "text.npy", own_text[0], kind="prediction", clips=responses.clips)
        arrays.save(aside / "text_mean.npy", own_text[1], kind="prediction")
        provenance.record(
            aside,
            inputs=inputs,
            config=asdict(settings),
            seed=settings.seed,
            started=started,
        )


if __name__ == "__main__":
    step.run(main)
