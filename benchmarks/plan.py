"""What planning costs: seconds and memory of `snakemake --dry-run` with many subjects.

Takes nothing; lays out trees of empty files under the names of fMRIPrep and of the HCP in a temporary
folder, and prints a row in Markdown for each number of subjects. *watch*: so many subjects with three runs
of training movies and two of a test movie, preprocessed elsewhere, and two at rest for pretraining. *rest*:
three such subjects, and a pretraining cohort of so many with four runs each, as the HCP's are. *Quiet* is
with `--quiet`, which plans as much and describes no job.

    .venv/bin/python benchmarks/plan.py
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SHOWN = [("seg1", 1), ("seg2", 1), ("seg3", 1), ("test1", 1), ("test1", 2)]
RESTING = [f"rfMRI_REST{k}_{way}" for k in (1, 2) for way in ("LR", "RL")]
SPACE = "space-fsLR_den-91k_bold.dtseries.nii"


class Plan(NamedTuple):
    """What a dry run printed and took: jobs by rule (none where it is quiet), seconds, peak resident MB, and
    the seconds that the processor worked, which other load on the machine hardly changes."""

    jobs: dict[str, int]
    seconds: float
    peak_mb: float
    cpu_seconds: float


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def labels(count: int) -> list[str]:
    return [f"{k + 1:05d}" for k in range(count)]


def lay_out(root: Path, watching: int, resting: int) -> Path:
    """Write trees of empty files, and return the configuration for them."""
    for segment in dict(SHOWN):
        write(root / f"bids/stimuli/{segment}.mp4")
    for subject in labels(watching):
        for segment, repeat in SHOWN:
            stem = f"sub-{subject}/func/sub-{subject}_task-{segment}_run-{repeat}_"
            events = f"onset\tduration\tstim_file\n0\t480\t{segment}.mp4\n"
            write(root / f"bids/{stem}events.tsv", events)
            write(root / f"derivatives/{stem}{SPACE}")
    cohort = [f"1{label}" for label in labels(resting)]
    for subject in cohort:
        for run in RESTING:
            folder = root / "hcp" / subject / "MNINonLinear" / "Results" / run
            write(folder / f"{run}_Atlas_MSMAll_hp2000_clean.dtseries.nii")
    for name, rows in (("subjects", labels(watching)), ("cohort", cohort)):
        write(root / f"{name}.tsv", "\n".join(["subject", *rows]) + "\n")
    derivatives = str(root / "derivatives")
    changed = {
        "dataset": "many",
        "bids": str(root / "bids"),
        "subjects": str(root / "subjects.tsv"),
        "segments": {"train": ["seg*"], "validation": ["seg3"], "test": ["test*"]},
        "bold": {
            "engine": "derivatives",
            "derivatives": derivatives,
            "space": "fsLR:den-91k",
        },
        "roi": {"atlas": "hcp-mmp", "confounds": "none"},
        "pretrain": {"derivatives": str(root / "hcp"), "subjects": str(root / "cohort.tsv")},
        "reconstruct": {"shards": 1},
    }
    write(root / "many.yaml", json.dumps(changed))
    return root / "many.yaml"


def plan(root: Path, configuration: Path, *more: str, under: Sequence[str] = ()) -> Plan:
    """Dry-run the whole workflow in `root`, with further options of Snakemake's before the others.

    under : options of Python's, such as `-m cProfile -o FILE`.
    """
    words = [sys.executable, *under, "-m", "snakemake", "--dry-run", *more, "--cores", "2"]
    words += ["--snakefile", str(ROOT / "workflow" / "Snakefile"), "--directory", str(root)]
    words += ["--configfile", str(configuration)]
    started = time.monotonic()
    with (root / "printed").open("w") as log:
        process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, cwd=root)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    text = (root / "printed").read_text()
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"error: the plan failed:\n{text[-3000:]}")
    table = re.search(r"^job +count\n-[- ]*\n((?:\w+ +\d+\n)+)", text, re.MULTILINE)
    lines = table[1].splitlines() if table else []
    jobs = {name: int(count) for name, count in map(str.split, lines)}
    peak = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    return Plan(jobs, seconds, peak, usage.ru_utime + usage.ru_stime)


def planned(watching: int, resting: int, *more: str, under: Sequence[str] = ()) -> Plan:
    """Lay out so many subjects and plan them."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        return plan(root, lay_out(root, watching, resting), *more, under=under)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 100, 1000])
    counts = parser.parse_args().counts
    print("| subjects | | jobs | seconds | quiet | ms a job | peak (MB) |")
    print("|---|---|---|---|---|---|---|")
    for kind, watching, resting in (
        *(("rest", 3, count) for count in counts),
        *(("watch", count, 2) for count in counts),
    ):
        found, quiet = planned(watching, resting), planned(watching, resting, "--quiet")
        jobs = found.jobs["total"]
        cells = [f"{max(watching, resting):,}", kind, f"{jobs:,}", f"{found.seconds:.1f}"]
        cells += [f"{quiet.seconds:.1f}"]
        cells += [f"{1000 * found.seconds / jobs:.2f}", f"{found.peak_mb:.0f}"]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
