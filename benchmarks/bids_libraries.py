"""Finding runs, events and sidecars: boldreel's own path next to pybids, ancpbids and bids2table.

Makes a data set of subjects with five runs each (empty images; sidecars and events in the root and next to
runs), and asks for all BOLD runs, the events file of each and its merged sidecar, each library in a process
of its own. Prints seconds, their ratio to boldreel's, peak memory, and where a library finds other events
or another RepetitionTime than boldreel. Libraries that are not installed are passed over, so this runs in
an environment that has them and the standard library:

    python -m venv .venv-bids && .venv-bids/bin/python -m pip install pybids ancpbids bids2table
    PYTHONPATH=workflow/lib .venv-bids/bin/python benchmarks/bids_libraries.py --subjects 100

Folders that are named with --trees are mirrored first: JSON and tables, all other files empty, and the
files that a table ``files.tsv`` lists in its column ``path``. So trees without their images can be tried.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

RUNS = [("seg1", 1), ("seg2", 1), ("seg3", 1), ("test1", 1), ("test1", 2)]
_KEPT = (".json", ".tsv")


class Answer(NamedTuple):
    """What a library says of one run: the path of its events in the tree, if any, and RepetitionTime (s)."""

    events: str | None
    repetition_time: float | None


Answers = dict[str, Answer]  # by path of the run in the tree


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def lay_out(root: Path, subjects: int) -> Answers:
    """Write a data set, and return what BIDS' inheritance says of each run.

    Each task has a sidecar and, apart from the test movie, events in the root. The test runs and seg3 have
    events next to them; the second test run has a sidecar of its own, with another RepetitionTime.
    """
    table = "onset\tduration\tstim_file\n0\t480\t{}.mp4\n"
    write(root / "dataset_description.json", json.dumps({"Name": "runs", "BIDSVersion": "1.8.0"}))
    for task in dict(RUNS):
        sidecar = {"RepetitionTime": 2.0, "TaskName": task}
        write(root / f"task-{task}_bold.json", json.dumps(sidecar))
        if task != "test1":
            write(root / f"task-{task}_events.tsv", table.format(task))
    right: Answers = {}
    for subject in (f"{k + 1:05d}" for k in range(subjects)):
        for task, run in RUNS:
            stem = f"sub-{subject}/func/sub-{subject}_task-{task}_run-{run}"
            write(root / f"{stem}_bold.nii.gz")
            events = f"task-{task}_events.tsv"
            if task in ("seg3", "test1"):
                events = f"{stem}_events.tsv"
                write(root / events, table.format(task))
            own = (task, run) == ("test1", 2)
            if own:
                write(root / f"{stem}_bold.json", json.dumps({"RepetitionTime": 1.5}))
            right[f"{stem}_bold.nii.gz"] = Answer(events, 1.5 if own else 2.0)
    return right


# Cases of the inheritance principle (BIDS 1.11): RepetitionTime of each sidecar, then events files, and runs
# with the right answer to each.
SIDECARS = {
    "task-near_bold.json": 5.0,
    "sub-02/sub-02_task-near_bold.json": 4.0,
    "sub-02/ses-1/sub-02_ses-1_task-near_bold.json": 3.0,
    "dir-AP_bold.json": 1.3,
    "dir-PA_bold.json": 8.0,
    "task-echo_bold.json": 1.4,
    "sub-01/func/sub-01_task-part_bold.json": 1.6,
    "sub-03/sub-03_bold.json": 1.7,
    "task-pad_run-1_bold.json": 1.1,
    "task-plus_bold.json": 1.2,
    "sub-01/sub-01_acq-6p_bold.json": 9.0,
}
EVENTS = {
    "near": "sub-02/ses-1/sub-02_ses-1_task-near_events.tsv",
    "echo": "sub-01/func/sub-01_task-echo_events.tsv",
    "part": "sub-01/func/sub-01_task-part_events.tsv",
    "pad": "task-pad_run-1_events.tsv",
    "plus": "task-plus_events.tsv",
}
CASES = {
    "sub-02/ses-1/func/sub-02_ses-1_task-near_bold.nii.gz": Answer(EVENTS["near"], 3.0),
    "sub-01/func/sub-01_task-way_dir-AP_bold.nii.gz": Answer(None, 1.3),
    "sub-01/func/sub-01_task-echo_echo-1_bold.nii.gz": Answer(EVENTS["echo"], 1.4),
    "sub-01/func/sub-01_task-echo_echo-2_bold.nii.gz": Answer(EVENTS["echo"], 1.4),
    "sub-01/func/sub-01_task-part_part-mag_bold.nii.gz": Answer(EVENTS["part"], 1.6),
    "sub-03/func/sub-03_task-any_bold.nii.gz": Answer(None, 1.7),
    # An index may have leading zeros; a plus joins labels, and half of such a value is another value.
    "sub-01/func/sub-01_task-pad_run-01_bold.nii.gz": Answer(EVENTS["pad"], 1.1),
    "sub-01/func/sub-01_task-plus_acq-6p+s2_bold.nii.gz": Answer(EVENTS["plus"], 1.2),
}


def lay_out_cases(root: Path) -> Answers:
    """Write a small tree in which each run is a case of the inheritance principle; returns the answers."""
    write(root / "dataset_description.json", '{"Name": "cases", "BIDSVersion": "1.11.1"}')
    for name, seconds in SIDECARS.items():
        write(root / name, json.dumps({"RepetitionTime": seconds}))
    for name in ("task-near_events.tsv", *EVENTS.values()):
        write(root / name, "onset\tduration\n0\t480\n")
    for name in CASES:
        write(root / name)
    return CASES


def mirror(tree: Path, root: Path) -> None:
    """Copy a tree's JSON files and tables; all other files are there, and empty."""
    for folder, _, names in os.walk(tree):
        for name in names:
            path = Path(folder, name)
            copy = root / path.relative_to(tree)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes() if path.suffix in _KEPT else b"")
    if (root / "files.tsv").exists():
        with (root / "files.tsv").open(newline="") as source:
            for row in csv.DictReader(source, delimiter="\t"):
                if not (root / row["path"]).exists():
                    write(root / row["path"])


def subjects_of(root: Path) -> Iterator[str]:
    yield from sorted(path.name for path in root.glob("sub-*") if path.is_dir())


def relative(path: Any, root: Path) -> str:
    return Path(path).relative_to(root).as_posix()


def by_boldreel(root: Path) -> Answers:
    """The path that planning takes: data.bids and data.bids_inheritance alone."""
    from boldreel.data import bids, bids_inheritance

    answers = {}
    for subject in subjects_of(root):
        for run in bids.find_runs(root, subject):
            for path in (run.path, *run.echoes):
                events = bids_inheritance.events_of(path)
                there = relative(events, root) if events.exists() else None
                answers[relative(path, root)] = Answer(
                    there, repetition_time(bids_inheritance.inherited(path))
                )
    return answers


def by_pybids(root: Path) -> Answers:
    """BIDSLayout in memory; get_nearest with all_, without which it ends at the first folder that has any."""
    from bids import BIDSLayout

    derivative = '"derivative"' in (root / "dataset_description.json").read_text()
    layout = BIDSLayout(root, validate=False, is_derivative=derivative)
    answers = {}
    for bold in layout.get(suffix="bold", extension=[".nii.gz", ".nii"]):
        events = layout.get_nearest(
            bold.path,
            suffix="events",
            extension=".tsv",
            all_=True,
            ignore_strict_entities=["suffix", "extension"],
        )
        there = relative(events[0], root) if events else None
        answers[relative(bold.path, root)] = Answer(there, repetition_time(bold.get_metadata()))
    return answers


def by_ancpbids(root: Path) -> Answers:
    """load_dataset, and sidecar() of each run: it looks in the run's folder alone."""
    import ancpbids

    answers = {}
    for bold in ancpbids.load_dataset(str(root)).query(suffix="bold"):
        if bold.extension in (".nii", ".nii.gz"):
            events = bold.sidecar(suffix="events", extension=".tsv")
            there = relative(events[0].get_absolute_path(), root) if events else None
            path = relative(bold.get_absolute_path(), root)
            answers[path] = Answer(there, repetition_time(bold.get_metadata()))
    return answers


def by_bids2table(root: Path) -> Answers:
    """index_dataset and load_bids_metadata; events by the rows with a run's entities."""
    import bids2table

    kept = {"path", "suffix", "ext"}
    # Its columns are named by their entities, and these are all that may differ between a run and its events.
    entities = ("sub", "ses", "task", "acq", "ce", "rec", "dir", "run")
    table = bids2table.index_dataset(str(root))
    columns = [name for name in table.column_names if name in kept or name in entities]
    rows = table.select(columns).to_pylist()

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row.get(name) for name in entities)

    events = {
        key(row): row["path"] for row in rows if (row["suffix"], row["ext"]) == ("events", ".tsv")
    }
    return {
        row["path"]: Answer(
            events.get(key(row)),
            repetition_time(bids2table.load_bids_metadata(str(root / row["path"]))),
        )
        for row in rows
        if row["suffix"] == "bold" and row["ext"] in (".nii", ".nii.gz")
    }


HOW: dict[str, tuple[str, Callable[[Path], Answers]]] = {
    "boldreel": ("boldreel", by_boldreel),
    "pybids": ("bids", by_pybids),
    "ancpbids": ("ancpbids", by_ancpbids),
    "bids2table": ("bids2table", by_bids2table),
}


def repetition_time(sidecar: dict[str, Any]) -> float | None:
    value = sidecar.get("RepetitionTime")
    return None if value is None else float(value)


def ask(library: str, root: Path) -> dict[str, Any]:
    """Seconds (import included), peak memory (MB) and answers of a library, in this process."""
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    answers = HOW[library][1](root)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mb": peak, "answers": answers}


def ask_alone(library: str, root: Path, limit: float) -> dict[str, Any] | str:
    """The same in a process of its own; why there is no answer, if there is none."""
    words = [sys.executable, __file__, "--library", library, "--root", str(root)]
    try:
        done = subprocess.run(words, timeout=limit, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return f"over {limit:.0f} s"
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    said["answers"] = {path: Answer(*answer) for path, answer in said["answers"].items()}
    return said


def differences(name: str, found: Answers, right: Answers) -> list[str]:
    """One line for each kind of difference to other answers, with an example."""
    kinds: dict[str, list[str]] = {}
    for path in sorted(found.keys() | right.keys()):
        if path not in found or path not in right:
            kinds.setdefault("not found" if path not in found else "found too", []).append(path)
            continue
        for what, mine, other in zip(Answer._fields, found[path], right[path], strict=True):
            if mine != other:
                kind = f"{what} {'missing' if mine is None else 'differs'}"
                kinds.setdefault(kind, []).append(f"{path}: {mine}, not {other}")
    return [f"{name}: {kind}, {len(each)} runs: {each[0]}" for kind, each in kinds.items()]


def compare(
    name: str, root: Path, right: Answers | None, libraries: list[str], limit: float
) -> None:
    """Print a row for each library, then where their answers differ.

    They are compared with `right`, or with boldreel's answers where that is None.
    """
    own = 0.0
    lines = []
    for library in libraries:
        said = ask_alone(library, root, limit)
        if isinstance(said, str):
            print(f"| {name} | {library} | {said} | | | |", flush=True)
            continue
        own = said["seconds"] if library == "boldreel" else own
        right = said["answers"] if right is None else right
        ratio = said["seconds"] / own
        print(
            f"| {name} | {library} | {said['seconds']:.2f} | {ratio:.1f} | {said['peak_mb']:.0f} "
            f"| {len(said['answers'])} |",
            flush=True,
        )
        lines += differences(f"{name}, {library}", said["answers"], right)
    for line in lines:
        print(f"    {line}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, nargs="*", default=[100])
    parser.add_argument("--trees", type=Path, nargs="*", default=[])
    parser.add_argument("--libraries", choices=list(HOW), nargs="*", default=list(HOW))
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for each library")
    parser.add_argument("--library", choices=list(HOW), help="for a process of its own")
    parser.add_argument("--root", type=Path, help="for a process of its own")
    args = parser.parse_args()
    if args.library:
        print(json.dumps(ask(args.library, args.root)))
        return
    # boldreel first: all ratios are to its seconds.
    wanted = dict.fromkeys(["boldreel", *args.libraries])
    libraries = [name for name in wanted if find_spec(HOW[name][0])]
    print(
        "| tree | library | seconds | times boldreel | peak (MB) | runs |\n|---|---|---|---|---|---|"
    )
    for subjects in args.subjects:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder).resolve()
            right = lay_out(root, subjects)
            compare(f"{subjects:,} subjects", root, right, libraries, args.limit)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        compare("cases", root, lay_out_cases(root), libraries, args.limit)
    for tree in args.trees:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder).resolve() / tree.name
            mirror(tree, root)
            compare(tree.name, root, None, libraries, args.limit)


if __name__ == "__main__":
    main()
