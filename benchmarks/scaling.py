"""What each stage costs for a unit of its work, and what that makes for larger studies.

Takes finished results of embedded data sets of at least two sizes; prints three tables in Markdown: cost by
kind of job, what bounds it, and what studies would need.

A kind of job costs seconds to start (imports, weights) and seconds for a unit; both are fitted to all its
jobs by least squares with nothing below zero. *Explained* is the share of the variance of their seconds that
this line explains. Memory is the largest peak of a job as its provenance has it, bytes what it left. Where a
network does the work, a unit is told in GFLOP of the demo's network, and studies at published sizes are in
PFLOP and in hours of a GPU that does so many TFLOP a second (--tflops, assumed and not measured); elsewhere
they are in hours of one processor core like the one that was measured, and in what is left on disk.

    .venv/bin/snakemake --cores all
    .venv/bin/snakemake --cores all --config dataset=tiny \\
        --configfile tests/pipeline/tiny.yaml
    .venv/bin/python benchmarks/scaling.py results/demo results/tiny
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import NamedTuple

import finished
import networks
import numpy as np
import pandas as pd
import studies
import work
from scipy.optimize import nnls


class Cost(NamedTuple):
    """Seconds to start and for a unit, share explained, largest peak in MB, bytes for a unit, jobs."""

    start: float
    unit: float
    explained: float
    peak_mb: float
    left: float
    jobs: int


def measured(kind: work.Work, runs: list[finished.Run]) -> Cost:
    """Fit a kind of job to what was measured of it."""
    units, seconds, left, peaks = [], [], [], [0.0]
    for run in runs:
        for path in sorted((run.root / "benchmarks" / kind.stage).glob("*.tsv")):
            match = re.fullmatch(kind.job, path.stem)
            if match is None:
                continue
            of = match.groupdict()
            table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
            units.append(kind.done(run, **of))
            seconds.append(float(table["s"].iloc[-1]))
            targets = kind.left(run, **of)
            left.append(sum(run.size(target) for target in targets))
            peaks += [run.about(t).get("peak_memory_mb", 0.0) for t in targets]
            peaks.append(float(np.nan_to_num(table["max_rss"].iloc[-1])))
    if not units:
        raise SystemExit(f"error: no job {kind.stage}/{kind.job} in {[str(r.root) for r in runs]}")
    x, y = np.array(units), np.array(seconds)
    (start, unit), rest = nnls(np.column_stack([np.ones_like(x), x]), y)
    spread = ((y - y.mean()) ** 2).sum()
    # a line through two points says nothing
    explained = 1 - rest**2 / spread if len(x) > 2 and spread > 0 else float("nan")
    return Cost(start, unit, explained, max(peaks), sum(left) / x.sum(), len(x))


def row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def head(*cells: str) -> str:
    return row(*cells) + "\n|" + "---|" * len(cells)


def short(value: float) -> str:
    """Three digits, with thousands set apart."""
    if value == 0 or np.isnan(value):
        return "–" if np.isnan(value) else "0"
    digits = max(0, 2 - int(np.floor(np.log10(abs(value)))))
    return f"{value:,.{digits}f}" if digits < 7 else f"{value:.2e}"


def named(kind: work.Work) -> str:
    """Stage and job of a kind, without what differs between its jobs."""
    return f"{kind.stage}: {re.split(r'-?[(]', kind.job)[0]}"


def demo_unit(kind: work.Work, gflop: dict[str, float]) -> str:
    """The unit, with its GFLOP where a network does the work."""
    if not kind.network:
        return kind.unit
    return f"{kind.unit} ({short(gflop[kind.network])} GFLOP)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="+", help="folders, the demo's first")
    parser.add_argument("--tflops", type=float, default=50.0, help="sustained by a GPU, assumed")
    args = parser.parse_args()
    runs = [finished.Run(path) for path in args.results]
    small, full = networks.of_demo(args.results[0]), networks.of_publication()
    costs = [measured(kind, runs) for kind in work.KINDS]

    print(head("job", "unit", "jobs", "start (s)", "s/unit", "explained", "peak (MB)", "kB/unit"))
    for kind, cost in zip(work.KINDS, costs, strict=True):
        explained = "–" if np.isnan(cost.explained) else f"{100 * cost.explained:.0f} %"
        cells = [short(cost.start), short(cost.unit), explained, f"{cost.peak_mb:,.0f}"]
        unit = demo_unit(kind, small)
        print(row(named(kind), unit, str(cost.jobs), *cells, short(cost.left / 1e3)))

    print("\n" + head("job", "bound by", "why it grows linearly"))
    for kind in work.KINDS:
        print(row(named(kind), kind.bound, kind.growth))

    known = studies.studies()
    print("\n" + head("job", *(study.name for study in known)))
    totals = {study.name: [0.0, 0.0] for study in known}
    for kind, cost in zip(work.KINDS, costs, strict=True):
        cells = []
        for study in known:
            needed = kind.needed(study)
            if not needed:
                cells.append("–")
            elif kind.network:
                pflop = needed * full[kind.network] / 1e6
                hours = pflop * 1e3 / args.tflops / 3600
                totals[study.name][1] += hours
                cells.append(f"{short(pflop)} PFLOP, {short(hours)} GPU h")
            else:
                seconds = kind.jobs(study) * cost.start + needed * kind.pixels(study) * cost.unit
                hours = seconds / 3600
                totals[study.name][0] += hours
                left = kind.written(study) if kind.written else needed * cost.left
                cells.append(f"{short(hours)} core h, {short(left / 1e9)} GB")
        print(row(named(kind), *cells))
    sums = [f"{short(core)} core h, {short(gpu)} GPU h" for core, gpu in totals.values()]
    print(row("**rows above**", *sums))


if __name__ == "__main__":
    main()
