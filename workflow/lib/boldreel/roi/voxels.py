"""A subject's voxel table: which positions are there, how reliable they are, which are selected.

Reads the positions, the subject's training series and their presentations; writes voxels.parquet, in the
order of the positions. Selection is a mask over this fixed order, never a new order.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel import step
from boldreel.data import arrays, bids_names, presentations, provenance, tables
from boldreel.errors import UserError
from boldreel.roi import reliability, repeats
from boldreel.roi.settings import RoiSettings
from boldreel.settings import read

if TYPE_CHECKING:
    import pandas


def build(
    positions: pandas.DataFrame,
    series: list[tuple[np.ndarray, dict]],
    groups: list[repeats.Group],
    settings: RoiSettings,
) -> pandas.DataFrame:
    """The voxel table (schema "voxels", and reliability_p).

    Parameters
    ----------
    series : (array (n, V), sidecar) of every training run
    groups : which of these runs are repeats of each other, and where

    Raises
    ------
    UserError : a series of another atlas, no position present in all runs, or selection by
        reliability asked for where nothing was repeated or nothing is reliable.
    """
    present = (positions["i"] >= 0).to_numpy()
    for values, meta in series:
        if values.shape[1] != len(positions):
            raise UserError(
                f"{meta['run']}: {values.shape[1]} positions, the atlas has {len(positions)}; run "
                "the series step again"
            )
        present = present & (np.ptp(values, axis=0) > 0)
    if not present.any():
        raise UserError("no position has a signal in all training runs; check the fields of view")
    correlation = np.full(len(positions), np.nan)
    p = correlation.copy()
    if groups:
        found, chance = reliability.reliability(
            [series[run][0][: len(group.same)][group.same] for run in group.runs]
            for group in groups
        )
        correlation[present], p[present] = found[present], chance[present]
    selected = present
    if settings.selection == "reliability":
        if len(groups) < 2:
            raise UserError(
                "configuration: roi.selection is reliability, but fewer than two films were shown in several "
                "training runs at the same time; choose roi.selection: all"
            )
        selected = reliability.select(
            correlation, p, present, settings.threshold, settings.fraction
        )
        if not selected.any():
            raise UserError(
                f"configuration: no position is reliable at roi.threshold {settings.threshold:g}; raise "
                "it, or choose roi.selection: all"
            )
    return positions.assign(
        present=present, reliability=correlation, selected=selected, reliability_p=p
    )


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    parser = step.parser(__doc__)
    parser.add_argument("--positions", type=Path, required=True, help="positions.parquet")
    parser.add_argument(
        "--series", type=Path, nargs="+", required=True, help="series of the training runs, .npy"
    )
    parser.add_argument("--presentations", type=Path, required=True, help="what the runs showed")
    parser.add_argument("--output", type=Path, required=True, help="voxels.parquet")
    arguments = parser.parse_args(argv)
    settings = read(RoiSettings, arguments.config, "roi")
    positions = tables.read(arguments.positions, "positions")
    series = [arrays.load(path, kind="series") for path in arguments.series]
    table = {run.label: run for run in presentations.read(arguments.presentations)}
    shown = []
    for path, (values, meta) in zip(arguments.series, series, strict=True):
        run = table.get(bids_names.run_label(*bids_names.parse_label(path)))
        # What the test shows is nobody's repeat here, although a run may show it between.
        rows, test = (run.of("train", "validation"), run.of("test")) if run else ((), ())
        shown.append(repeats.shown(rows, len(values), meta["t_r"], meta["start_time"], test))
    groups = repeats.groups(shown)
    frame = build(positions, series, groups, settings)
    tables.write(arguments.output, frame, "voxels")
    provenance.record(
        arguments.output,
        inputs=[arguments.positions, arguments.presentations, *arguments.series],
        config=arguments.config,
        started=started,
    )
    typical = frame["reliability"].median()
    of = f"{sum(len(group.runs) for group in groups)} of {len(series)} runs repeat a film"
    print(
        f"{int(frame['present'].sum())} positions present, {int(frame['selected'].sum())} selected; {of}"
        + ("" if np.isnan(typical) else f", median reliability {typical:.3f}")
    )


if __name__ == "__main__":
    step.run(main)
