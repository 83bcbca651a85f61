"""Step: what a subject's co-trained encoder makes of each test clip, once for all shards and controls.

Reads the encoder, windows and series; writes a folder with conditions (clips, length, width), `brain.npy`
from the responses and `noise.npy` from noise in their place; and `text.npy` (clips, D), directions from the
training mean to the text embeddings that are predicted, with that mean, `text_mean.npy` (1, D). Sampling only
reads this folder, so that no condition depends on the shard.
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
from boldreel.reconstruct.conditions import BATCH
from boldreel.reconstruct.settings import EncodingSettings
from boldreel.settings import read


def main(argv: list[str] | None = None) -> None:
    """Command line of the step."""
    parser = step.parser(__doc__)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--windows", type=Path, required=True)
    parser.add_argument("--series-dir", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    started = time.time()
    settings = read(EncodingSettings, args.config, "reconstruct")

    import torch

    from boldreel.models.decoder import decode
    from boldreel.models.encoder import SpatioTemporalEncoder
    from boldreel.training.device import lease
    from boldreel.training.loop import set_threads

    set_threads()
    own = (args.windows, args.series_dir)
    inputs = [args.encoder, args.windows, *series_files(*own, "test")]
    responses = load_responses(*own, "test", settings.repeats)
    # Of all clips: how many of them a control shows is decided when it is sampled.
    every = len(responses.clips)
    noise = control_responses.noise(*own, every, settings.seed, settings.repeats)
    given = {"brain": (responses.clips, responses.x), "noise": noise}
    encoder = SpatioTemporalEncoder.from_pretrained(args.encoder).eval()
    calibration = encoder.calibration
    mean = calibration.text_mean[None].numpy().copy()
    with atomic.folder(args.output) as aside:
        with lease() as device:
            encoder.to(device)
            for source, (clips, x) in given.items():
                found = list(decode(encoder, torch.from_numpy(x), BATCH))
                conditions = torch.cat([part.condition.float() for part in found]).numpy()
                arrays.save(aside / f"{source}.npy", conditions, kind="condition", clips=clips)
                if source == "brain":
                    text = torch.cat([part.text for part in found]).to(device)
                    toward = calibration.centred_text(text).cpu().numpy()
        arrays.save(aside / "text.npy", toward, kind="prediction", clips=responses.clips)
        arrays.save(aside / "text_mean.npy", mean.astype(np.float32), kind="prediction")
        provenance.record(
            aside,
            inputs=inputs,
            config=asdict(settings),
            seed=settings.seed,
            started=started,
        )


if __name__ == "__main__":
    step.run(main)
