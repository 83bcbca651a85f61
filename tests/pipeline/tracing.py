"""Which files each step reads, against what its rule declares.

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
# On a disk staged() gives nothing; in remote storage it does.
_ON_DISK = "return list(paths) if remote() else []"
_STORED = "return list(paths)"


@dataclass
class Job:
    """A job of a plan. inputs : what it declares to read. own : what it leaves."""

    rule: str
    inputs: set[str]
    own: set[str]


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
        kinds = {name: set(text.split(", ")) for name, text in lines.items()}
        own = kinds.get("output", set()) | kinds.get("log", set()) | kinds.get("benchmark", set())
        job = Job(block.split(":")[0], kinds.get("input", set()), own)
        shell = re.search(r"^Shell command: (.*)", block, flags=re.MULTILINE)[1]
        for command in shell.split(" && ") if shell != "None" else []:
            found[step(shlex.split(command.split(" 2>&1")[0]))] = job
    return found


def step(words: list[str]) -> tuple[str, ...]:
    """The words of a command from the step's module on, without those of a launcher."""
    return tuple(words[len(words) - words[::-1].index("-m") :])


def undeclared(workspace: Workspace) -> tuple[set[str], dict[str, set[str]]]:
    """Rules whose steps were seen, and {rule: files that they read and that it does not declare}."""
    known = plan(workspace)
    read: defaultdict[int, set[str]] = defaultdict(set)
    written: defaultdict[int, set[str]] = defaultdict(set)
    jobs = {}
    for path in (workspace.root / "traces").glob("*.json"):
        notes = json.loads(path.read_text())
        job = known.get(step(notes["words"]))
        if job is not None:  # others are of tests with other settings
            jobs[id(job)] = job
            read[id(job)] |= set(notes["read"])
            written[id(job)] |= {final(name) for name in notes["written"]}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for key, job in jobs.items():
        allowed = job.inputs | job.own | written[key]
        for name in read[key]:
            places = [Path(final(name)), *Path(final(name)).parents]
            data = places[0].parts[0] in ("results", "resources")
            if data and allowed.isdisjoint(map(str, places)):
                found[job.rule].add(name)
    return {job.rule for job in jobs.values()}, dict(found)


def final(name: str) -> str:
    """The path of what is written aside, with the names that its file and folders will have."""
    parts = [
        atomic.final_name(Path(part)) if part not in ("", "..") else part
        for part in Path(name).parts
    ]
    return str(Path(*parts))
