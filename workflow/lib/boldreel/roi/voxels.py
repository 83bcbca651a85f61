"""A subject's voxel table: which positions are there, how reliable they are, which are selected.

Takes the positions and the subject's training series; leaves voxels.parquet, in the order of the
positions. Selection is a mask over this fixed order, never a new order.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel import step
from boldreel.data import arrays, provenance, tables
from boldreel.errors import UserError
from boldreel.roi import reliability
from boldreel.roi.settings import RoiSettings
from boldreel.settings import read

if TYPE_CHECKING:
    import pandas

_REST = "rest"  # BIDS' task label of resting runs: their repeats saw nothing in common


def build(
    positions: pandas.DataFrame, series: list[tuple[np.ndarray, dict]], settings: RoiSettings
) -> pandas.DataFrame:
    """The voxel table (schema "voxels", and reliability_p).

    Parameters
    ----------
    series : (array (n, V), sidecar) of every training run

    Raises
    ------
    UserError : a series of another atlas, no position present in all runs, or selection by
        reliability asked for where nothing was repeated or nothing is reliable.
    """
    present = (positions["i"] >= 0).to_numpy()
    segments: dict[str, list[np.ndarray]] = {}
    for values, meta in series:
        if values.shape[1] != len(positions):
            raise UserError(
                f"{meta['run']}: {values.shape[1]} positions, the atlas has {len(positions)}; run "
                "the series step again"
            )
        present = present & (np.ptp(values, axis=0) > 0)
        segments.setdefault(meta["segment"], []).append(values)
    if not present.any():
        raise UserError("no position has a signal in all training runs; check the fields of view")
    repeated = {
        name: runs
        for name, runs in segments.items()
        if len(runs) > 1 and not name.startswith(_REST)
    }
    correlation = np.full(len(positions), np.nan)
    p = correlation.copy()
    if repeated:
        found, chance = reliability.reliability(repeated)
        correlation[present], p[present] = found[present], chance[present]
    selected = present
    if settings.selection == "reliability":
        if len(repeated) < 2:
            raise UserError(
                "config: roi.selection is reliability, but fewer than two training segments were "
                "repeated; choose roi.selection: all"
            )
        selected = reliability.select(
            correlation, p, present, settings.threshold, settings.fraction
        )
        if not selected.any():
            raise UserError(
                f"config: no position is reliable at roi.threshold {settings.threshold:g}; raise "
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
    parser.add_argument("--output", type=Path, required=True, help="voxels.parquet")
    arguments = parser.parse_args(argv)
    settings = read(RoiSettings, arguments.config, "roi")
    positions = tables.read(arguments.positions, "positions")
    series = [arrays.load(path, kind="series") for path in arguments.series]
    frame = build(positions, series, settings)
    tables.write(arguments.output, frame, "voxels")
    provenance.record(
        arguments.output,
        inputs=[arguments.positions, *arguments.series],
        config=arguments.config,
        started=started,
    )
    typical = frame["reliability"].median()
    print(
        f"{int(frame['present'].sum())} positions present, {int(frame['selected'].sum())} selected"
        + ("" if np.isnan(typical) else f", median reliability {typical:.3f}")
    )


if __name__ == "__main__":
    step.run(main)
