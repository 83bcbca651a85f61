"""What it costs to start the steps: CPU seconds and modules of an interpreter that has imported a step.

Takes nothing; plans the demo in an empty folder for how often each step is started, imports each step in a
process of its own, and prints a row in Markdown for each. What a step imports later, where it needs it, does
not count here.

    .venv/bin/python benchmarks/imports.py
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
# The packages that take longest to import.
HEAVY = ("torch", "diffusers", "transformers", "pandas", "scipy", "sklearn", "matplotlib", "nilearn")
IMPORT = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(len(sys.modules), *[name for name in sys.argv[2:] if name in sys.modules])
"""


class Import(NamedTuple):
    """CPU seconds of one process, the number of modules it has loaded, and which of `HEAVY`."""

    seconds: float
    modules: int
    heavy: tuple[str, ...]


def starts(snakefile: Path = ROOT / "workflow" / "Snakefile") -> dict[str, int]:
    """How often the demo starts each step, `boldreel.<stage>.<step>`, by the commands of its plan."""
    with tempfile.TemporaryDirectory() as folder:
        plan = subprocess.run(
            [sys.executable, "-m", "snakemake", "-s", str(snakefile), "--dry-run", "--printshellcmds"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    found = re.findall(r"-m (boldreel\.[\w.]+)", plan.stdout + plan.stderr)
    # The launcher of trainings becomes the step that follows it.
    return collections.Counter(step for step in found if step != "boldreel.training.launch")


def import_(step: str, repeats: int = 3) -> Import:
    """Import `step` in a process of its own; the least CPU seconds of several tries."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "workflow" / "lib"),
        "PYTHONDONTWRITEBYTECODE": "",
        "MPLBACKEND": "Agg",
    }
    seconds = []
    for _ in range(repeats):
        process = subprocess.Popen(
            [sys.executable, "-c", IMPORT, step, *HEAVY],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        count, *heavy = process.stdout.read().split()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"error: {step} cannot be imported")
        seconds.append(usage.ru_utime + usage.ru_stime)
    return Import(min(seconds), int(count), tuple(heavy))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="tries, of which the least counts")
    args = parser.parse_args(argv)
    demo = starts()
    imported = {step: import_(step, args.repeats) for step in demo}
    print("| step | modules | CPU s | jobs of the demo | CPU s in all | loads |\n|---|---|---|---|---|---|")
    for step in sorted(demo, key=lambda step: -demo[step] * imported[step].seconds):
        found = imported[step]
        print(
            f"| {step.removeprefix('boldreel.')} | {found.modules:,} | {found.seconds:.2f} | {demo[step]} "
            f"| {demo[step] * found.seconds:.1f} | {', '.join(found.heavy)} |",
            flush=True,
        )
    total = sum(demo[step] * imported[step].seconds for step in demo)
    print(f"| all | | | {sum(demo.values())} | {total:.1f} | |")


if __name__ == "__main__":
    main()
