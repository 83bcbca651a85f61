"""Step: what the judges see in one shard of a subject's reconstruction.

Reads a shard's clips and the frozen judges; writes a folder of their readings. `score --readings` gathers
those of all shards, so that looking at a subject's reconstructions is spread over jobs and GPUs.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from boldreel.data import atomic, provenance
from boldreel.data.reconstructions import Reconstruction
from boldreel.evaluate import output_cache
from boldreel.evaluate.readings import Judges, Models
from boldreel.evaluate.settings import JudgingSettings
from boldreel.settings import read
from boldreel.step import parser, run
from boldreel.training.device import lease


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    arguments = parser(__doc__)
    arguments.add_argument("--reconstruction", required=True, help="folder of a shard")
    Models.add_arguments(arguments)
    arguments.add_argument("--output", required=True, type=Path, help="folder")
    args = arguments.parse_args(argv)
    settings = read(JudgingSettings, args.config, "evaluate")

    shard = Reconstruction([args.reconstruction])
    names = list(shard.names)
    with lease() as device, atomic.folder(args.output) as folder:
        judges = Judges(
            Models.from_args(args),
            device,
            settings.batch_size,
            video_frames=settings.video_frames,
        )
        seen = judges.read(shard.frames(names), Path(args.reconstruction).name)
        output_cache.save(folder / output_cache.MODEL, seen, names)
        provenance.record(
            folder,
            inputs=[args.reconstruction],
            config=asdict(settings),
            seed=settings.seed,
            started=started,
        )


if __name__ == "__main__":
    run(main)
