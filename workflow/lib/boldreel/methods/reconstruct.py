"""Step: reconstruct the test clips of one subject by a method with codes (`cvgan`, `selfsupervised`).

Reads the model's folder, windows and series; writes the folder that reconstruction leaves, and one for each
control.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boldreel.methods import controls
from boldreel.methods.video_decoder import VideoDecoder
from boldreel.step import parser, run
from boldreel.training.device import lease
from boldreel.training.loop import set_threads


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = parser(__doc__)
    arguments.add_argument("--model", type=Path, required=True, help="folder that train left")
    controls.add_arguments(arguments)
    args = arguments.parse_args(argv)
    started = time.time()
    set_threads()
    decoder = VideoDecoder.from_pretrained(args.model / "model")
    with lease() as device:

        def draw(x: np.ndarray, _: Sequence[str]) -> dict[str, Any]:
            return {"frames": decoder.clips(x, device), "frame_rate": decoder.frame_rate}

        seed = int(args.config.get("seed", 0))
        controls.write_all(args, draw, seed, config=args.config, started=started)


if __name__ == "__main__":
    run(main)
