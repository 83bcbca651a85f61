"""Which files each step reads and writes, against what its rule declares.

`record` puts a `sitecustomize` into a workspace's library, with which every step notes the files that Python
opens for it. `undeclared` compares these notes with what a plan says of each job, as it would be with results
in remote storage: there a job finds nothing but its declared inputs.
"""

from __future__ import annotations

import json
import re
import shlex
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from boldreel.data import atomic

from .workflow import Workspace

_NOTES = '''
"""Notes which files a step reads and writes."""
import atexit, json, os, sys, time

_here, _read, _written = os.getcwd(), set(), set()
# where Snakemake runs, its jobs and nobody else
if os.path.dirname(os.path.dirname(os.path.dirname(__file__))) == _here and "-m" in sys.orig_argv:
    _WRITING = os.O_WRONLY | os.O_RDWR

    def _note(event, arguments):
        if event == "open" and isinstance(arguments[0], str):
            name, mode, flags = arguments
            writes = set("wax+") & set(mode) if mode else (flags or 0) & _WRITING
            (_written if writes else _read).add(os.path.relpath(os.path.join(_here, name), _here))

    def _leave():
        kinds = {"words": sys.orig_argv, "read": sorted(_read), "written": sorted(_written)}
        os.makedirs(os.path.join(_here, "traces"), exist_ok=True)
        with open(os.path.join(_here, "traces", f"{os.getpid()}-{time.time()}.json"), "w") as notes:
            json.dump(kinds, notes)

    sys.addaudithook(_note)
    atexit.register(_leave)
'''
# On a disk Inputs.staged() is empty; in remote storage it is not.
_ON_DISK = "stored=remote()"
_STORED = "stored=True"
# No step depends on these: provenance, the description that the first subject's job writes, and the jobs'
# run times. The report shows whatever run times it finds.
_BESIDE = re.compile(r"provenance\.json$|derivatives/\w+/dataset_description\.json$|/benchmarks/")
# Tables and captions of the library, which the hash of its code does not cover.
_PACKAGED = re.compile(r"workflow/lib/.*\.(tsv|json|rst)$")


@dataclass
class Job:
    """A job of a plan. declared : its inputs, outputs, log and benchmark."""

    rule: str
    declared: set[str]


def record(workspace: Workspace) -> None:
    """Let the steps of a workspace note what they open."""
    (workspace.root / "workflow" / "lib" / "sitecustomize.py").write_text(_NOTES)


def plan(workspace: Workspace) -> dict[tuple[str, ...], Job]:
    """{words of a command: its job} of the whole workflow, with inputs as they are in remote storage."""
    common = workspace.root / "workflow" / "rules" / "common.smk"
    before = common.read_text()
    assert _ON_DISK in before
    common.write_text(before.replace(_ON_DISK, _STORED))
    try:
        done = workspace.run("--dry-run", "--forceall")
    finally:
        common.write_text(before)
    assert done.returncode == 0, done.stderr[-3000:]
    found = {}
    for block in re.split(r"^(?:local)?rule ", done.stdout + done.stderr, flags=re.MULTILINE)[1:]:
        lines = dict(re.findall(r"^    (\w+): (.*)$", block, flags=re.MULTILINE))
        files = [lines.get(kind, "") for kind in ("input", "output", "log", "benchmark")]
        job = Job(block.split(":")[0], set(", ".join(files).split(", ")))
        shell = re.search(r"^Shell command: (.*)", block, flags=re.MULTILINE)[1]
        for command in shell.split(" && ") if shell != "None" else []:
            found[step(shlex.split(command.split(" 2>&1")[0]))] = job
    return found


def step(words: list[str]) -> tuple[str, ...]:
    """The words of a command from the step's module on, without those of a launcher."""
    return tuple(words[len(words) - words[::-1].index("-m") :])


def undeclared(workspace: Workspace) -> tuple[set[str], dict[str, set[str]]]:
    """Rules whose steps were seen, and {rule: files that they read or write and that it does not declare}."""
    known = plan(workspace)
    seen: set[str] = set()
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in (workspace.root / "traces").glob("*.json"):
        notes = json.loads(path.read_text())
        job = known.get(step(notes["words"]))
        if job is None:  # of a test with other settings
            continue
        seen.add(job.rule)
        for name in map(final, [*notes["read"], *notes["written"]]):
            above = {name, *map(str, Path(name).parents)}
            data = Path(name).parts[0] in ("results", "resources") or _PACKAGED.match(name)
            if data and above.isdisjoint(job.declared) and not _BESIDE.search(name):
                found[job.rule].add(name)
    return seen, dict(found)


def final(name: str) -> str:
    """The path of what is written aside, with the names that its file and folders will have."""
    return str(atomic.final_path(Path(name)))
