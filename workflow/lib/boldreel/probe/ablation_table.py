"""What each part of the encoder contributes: a table with intervals.

Reads the clip-by-clip tables of all ablations and seeds; writes one row per subject, ablation and
metric: the mean over seeds and clips, and its difference to "full". Intervals (95 %) resample seeds and
whole shots together; differences are paired, by seed and clip.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.data import provenance, tables
from boldreel.stats import bootstrap
from boldreel.step import parser, run

if TYPE_CHECKING:
    import pandas as pd

REFERENCE = "full"
RESAMPLES = 2000


def interval(values: np.ndarray, shots: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % interval of the mean of values (seeds, clips), resampling seeds, and clips by shot (clips,).

    (NaN, NaN) if there are too few shots.
    """
    rng = np.random.default_rng(seed)
    drawn = bootstrap.resample(shots, np.zeros(len(shots)), RESAMPLES, rng)
    return bootstrap.interval_over_seeds(values, drawn, rng)


def summarise(clips: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The table "ablation" of the joined tables "ablation_clips".

    The difference of an ablation to the reference is over the clips that both have.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for (subject, metric), part in clips.groupby(["subject", "metric"], sort=False):
        grids = {
            str(ablation): own.pivot(index="seed", columns="clip", values="value")
            for ablation, own in part.groupby("ablation", sort=False)
        }
        shot_of = part.drop_duplicates("clip").set_index("clip")["shot"]
        chance = part.groupby("ablation")["chance"].mean()
        for ablation, grid in grids.items():
            shots = shot_of.loc[grid.columns].to_numpy()
            low, high = interval(grid.to_numpy(), shots, seed)
            row = {
                "subject": subject,
                "ablation": ablation,
                "metric": metric,
                "value": float(grid.to_numpy().mean()),
                "ci_low": low,
                "ci_high": high,
                "chance": float(chance[ablation]),
                "difference": 0.0,
                "difference_low": 0.0,
                "difference_high": 0.0,
                "seeds": len(grid),
                "n": grid.shape[1],
            }
            reference = grids.get(REFERENCE)
            if reference is not None and ablation != REFERENCE:
                both = grid.columns.intersection(reference.columns)
                seeds = grid.index.intersection(reference.index)
                gap = grid.loc[seeds, both].to_numpy() - reference.loc[seeds, both].to_numpy()
                low, high = interval(gap, shot_of.loc[both].to_numpy(), seed)
                row |= {
                    "difference": float(gap.mean()),
                    "difference_low": low,
                    "difference_high": high,
                }
            rows.append(row)
    return pd.DataFrame(rows)


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--clips", type=Path, nargs="+", required=True)
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()

    import pandas as pd

    every = [tables.read(path, "ablation_clips") for path in args.clips]
    table = summarise(pd.concat(every, ignore_index=True))
    tables.write(args.output, table, "ablation")
    provenance.record(args.output, inputs=args.clips, config=args.config, started=started)
    shown = table[table["metric"] == "two_way_text"]
    for row in shown.itertuples():
        print(
            f"sub-{row.subject}, {row.ablation}: two-way {row.value:.3f} ({row.ci_low:.3f} to "
            f"{row.ci_high:.3f}), against {REFERENCE} {row.difference:+.3f} "
            f"({row.difference_low:+.3f} to {row.difference_high:+.3f})"
        )


if __name__ == "__main__":
    run(main)
