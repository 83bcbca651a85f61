"""What it costs to start the steps: CPU seconds that they spend on imports, at the start and later.

Takes a repository (default: this one); runs the workflow of the tests' small configuration in a copy of it,
where each step notes its imports as it ends, and plans the demo for how often it starts each step. Prints a
row in Markdown for each step of the demo: means of its jobs in the run, times its jobs in the demo.

    .venv/bin/python benchmarks/imports.py
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
# The packages that take longest to import.
HEAVY = (
    "torch",
    "diffusers",
    "transformers",
    "pandas",
    "scipy",
    "sklearn",
    "matplotlib",
    "nilearn",
)
SMALL = ("--configfile", "tests/pipeline/small.yaml")
# Every import statement of Python 3.11 that finds a new module calls this function, and those within it too.
NOTES = """
import atexit, importlib._bootstrap as bootstrap, json, os, sys, time

_find, _spent, _inside = bootstrap._find_and_load, 0.0, False


def _timed(name, import_):
    global _spent, _inside
    if _inside:
        return _find(name, import_)
    _inside, began = True, time.process_time()
    try:
        return _find(name, import_)
    finally:
        _inside, _spent = False, _spent + time.process_time() - began


def _leave():
    about = {"words": sys.orig_argv, "modules": list(sys.modules), "imports": _spent}
    with open(os.environ["IMPORTS_NOTED"] + f"/{os.getpid()}-{time.time()}.json", "w") as notes:
        json.dump(about, notes)


bootstrap._find_and_load = _timed
atexit.register(_leave)
"""


def copy(repository: Path, target: Path) -> None:
    """Everything that git tracks or would track."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(
        words, cwd=repository, capture_output=True, check=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (repository / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(repository / name, target / name)


def snakemake(folder: Path, *arguments: str, **variables: str) -> str:
    """What Snakemake prints in a folder."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--printshellcmds", *arguments],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"error: the workflow stopped:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def steps(words: str) -> list[str]:
    """The steps that commands start. The launcher of trainings becomes the step that follows it."""
    found = re.findall(r"-m boldreel\.([\w.]+)", words)
    return [step for step in found if step != "training.launch"]


def noted(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """{step: what each of its processes noted}."""
    found = defaultdict(list)
    for path in folder.glob("*.json"):
        about = json.loads(path.read_text())
        for step in steps(" ".join(about["words"]))[:1]:
            found[step].append(about)
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repository", type=Path, default=ROOT)
    parser.add_argument("--folder", type=Path, help="where to run, and keep what the run leaves")
    parser.add_argument("--cores", default="2")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or temporary
        work, notes = Path(folder, "work"), Path(folder, "notes")
        notes.mkdir(parents=True)
        copy(args.repository, work)
        demo = Counter(steps(snakemake(work, "--dry-run", "--cores", args.cores)))
        (work / "workflow" / "lib" / "sitecustomize.py").write_text(NOTES)
        snakemake(work, *SMALL, "--cores", args.cores, IMPORTS_NOTED=str(notes))
        found = noted(notes)
    rows = {}
    for step, jobs in demo.items():
        own = found.get(step, [])
        if not own:
            print(f"warning: the small configuration does not start {step}", file=sys.stderr)
            continue
        seconds = sum(about["imports"] for about in own) / len(own)
        last = set(own[-1]["modules"])
        rows[step] = (len(last), seconds, jobs, [name for name in HEAVY if name in last])
    print("| step | modules | imports (CPU s) | jobs of the demo | in all (CPU s) | loads |")
    print("|---|---|---|---|---|---|")
    for step, (modules, seconds, jobs, heavy) in sorted(
        rows.items(), key=lambda row: -row[1][1] * row[1][2]
    ):
        print(
            f"| {step} | {modules:,} | {seconds:.2f} | {jobs} | {seconds * jobs:.1f} | {', '.join(heavy)} |"
        )
    total = sum(seconds * jobs for _, seconds, jobs, _ in rows.values())
    print(f"| all of these | | | {sum(row[2] for row in rows.values())} | {total:.1f} | |")


if __name__ == "__main__":
    main()
