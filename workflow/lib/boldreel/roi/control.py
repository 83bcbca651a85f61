"""Step: cleaned series of a subject where nothing visual is expected: the control for every area.

Reads positions of the groups in `roi.control` and all preprocessed runs of a subject; writes a folder with
{run}.npy for each, cleaned exactly as the series of visual areas are. A run that covers none of these
positions is an error, since scores of nothing would look like chance.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from boldreel import step
from boldreel.data import atomic, bids_names, provenance
from boldreel.errors import UserError
from boldreel.roi import series
from boldreel.roi.settings import RoiSettings
from boldreel.settings import read
from boldreel.training.progress import Progress


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--positions", type=Path, required=True, help="positions of control areas")
    parser.add_argument("--bold", type=Path, nargs="*", default=[], help="preprocessed runs")
    parser.add_argument("--runs", type=Path, help="instead: table of preprocessed runs, .tsv")
    parser.add_argument(
        "--labels", nargs="*", default=[], help="with --runs: task-NAME_run-N of those to take"
    )
    parser.add_argument(
        "--stretches",
        type=json.loads,
        default=[],
        metavar="JSON",
        help="[label, begin, end] of each run that is a stretch of one, else null, in the same order",
    )
    series.add_spheres(parser)
    parser.add_argument("--output", type=Path, required=True, help="folder of series")
    arguments = parser.parse_args(argv)
    settings = read(RoiSettings, arguments.config, "roi")
    if bool(arguments.bold) == bool(arguments.runs):
        raise UserError("give either --bold or --runs with --labels")
    sources = [series.source_beside(path) for path in arguments.bold]
    if arguments.runs:
        named = [bids_names.parse_label(Path(label)) for label in arguments.labels]
        sources = [series.source_of(arguments.runs, *label) for label in named]
    for number, stretch in enumerate(arguments.stretches):
        if stretch:
            sources[number] = series.stretch_of(sources[number], *stretch)
    progress = Progress(len(sources), "control series", unit="runs")
    with atomic.folder(arguments.output) as aside:
        for source in sources:
            label = bids_names.run_label(source.segment, source.repeat)
            try:
                output = aside / f"{label}.npy"
                series.write(source, arguments.positions, settings, output, arguments.spheres)
            except UserError as error:
                raise UserError(f"roi.control: {error}; or set roi.control: []") from None
            progress.update()
        provenance.record(
            aside,
            inputs=[arguments.positions, *arguments.spheres, *(source.bold for source in sources)],
            config=arguments.config,
            started=started,
        )


if __name__ == "__main__":
    step.run(main)
