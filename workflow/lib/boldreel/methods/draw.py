"""Step: test clips of one subject by a method that draws from codes (`cvgan`, `selfsupervised`).

Takes the model's folder, windows and series; leaves the folder that reconstruction leaves.
"""

from __future__ import annotations

import time
from pathlib import Path

from boldreel.data.responses import load_responses, series_files
from boldreel.methods import output
from boldreel.methods.drawer import Drawer
from boldreel.step import parser, run
from boldreel.training.device import lease
from boldreel.training.loop import set_threads


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = parser(__doc__)
    arguments.add_argument("--model", type=Path, required=True, help="folder that train left")
    arguments.add_argument("--windows", type=Path, required=True)
    arguments.add_argument("--series-dir", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    set_threads()
    drawer = Drawer.from_pretrained(args.model / "model")
    responses = load_responses(args.windows, args.series_dir, "test")
    with lease() as device:
        frames = drawer.clips(responses.x, device)
    output.write(
        args.output,
        responses.clips,
        frames,
        drawer.frame_rate,
        inputs=[args.model, args.windows, *series_files(args.windows, args.series_dir, "test")],
        config=args.config,
        seed=int(args.config.get("seed", 0)),
        started=started,
    )


if __name__ == "__main__":
    run(main)
