"""What was run and for how long, from Snakemake's benchmark files.

Takes a folder with {stage}/{job}.tsv; returns a table of jobs, and sums per stage.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

STAGES = (
    "insilico",
    "stimuli",
    "bold",
    "roi",
    "windows",
    "pretrain",
    "align",
    "generator",
    "cotrain",
    "probe",
    "reconstruct",
    "evaluate",
    "report",
)


def jobs(folder: Path | None) -> pd.DataFrame:
    """One row per job: stage, job, seconds (wall), cpu_seconds, memory_mb (peak resident).

    Empty where there are no benchmarks. A job that ran too briefly to be measured has NaN memory.
    """
    import pandas as pd

    rows = []
    for path in sorted(folder.rglob("*.tsv")) if folder is not None and folder.is_dir() else []:
        table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        if "s" not in table.columns or not len(table):
            continue
        last = table.iloc[-1]
        rows.append(
            {
                "stage": path.parent.name if path.parent != folder else path.stem.split("_")[0],
                "job": path.stem,
                "seconds": float(last["s"]),
                "cpu_seconds": float(last.get("cpu_time", float("nan"))),
                "memory_mb": float(last.get("max_rss", float("nan"))),
            }
        )
    columns = ["stage", "job", "seconds", "cpu_seconds", "memory_mb"]
    return pd.DataFrame(rows, columns=columns)


def by_stage(table: pd.DataFrame) -> pd.DataFrame:
    """Per stage, in the pipeline's order: jobs, seconds (sum), cpu_seconds, memory_mb (peak)."""
    grouped = table.groupby("stage", sort=False).agg(
        jobs=("job", "count"),
        seconds=("seconds", "sum"),
        longest=("seconds", "max"),
        cpu_seconds=("cpu_seconds", "sum"),
        memory_mb=("memory_mb", "max"),
    )
    rank = {stage: k for k, stage in enumerate(STAGES)}
    order = sorted(grouped.index, key=lambda stage: (rank.get(stage, len(rank)), stage))
    return grouped.loc[order].reset_index()
