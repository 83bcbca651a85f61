"""What planning thousands of movies costs: seconds and memory of `snakemake --dry-run`.

Takes nothing; lays out trees of raw BIDS in a temporary folder, with empty movies and headers of images, and
prints a row in Markdown for each. *boldmoments*: ten subjects who all see the same 1,102 clips, 1,000 of them
in three sessions and 102 in ten. *had*: 30 subjects with 12 runs of 60 clips, each seen once and by one
subject, 21,600 in all. `--scale` multiplies the movies.

    .venv/bin/python benchmarks/plan_movies.py
"""

from __future__ import annotations

import argparse
import gzip
import json
import struct
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from plan import Plan, plan, write

VOLUMES = 200
Shown = Iterator[tuple[str, str, list[str]]]  # (subject, start of the run's file name, movies)


def header() -> bytes:
    """A NIfTI-1 header of float32 (2, 2, 2, VOLUMES), 2 mm and 2 s, and nothing after it."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 4, 2, 2, 2, VOLUMES, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 16, 32)
    struct.pack_into("<8f", head, 76, 1, 2, 2, 2, 2, 0, 0, 0)
    struct.pack_into("<f", head, 108, 352)
    head[344:348] = b"n+1\0"
    return gzip.compress(bytes(head))


def bold_moments(scale: float) -> Shown:
    tenth = round(100 * scale)
    train = [f"train/{k // tenth:02d}-{k % tenth:04d}.mp4" for k in range(10 * tenth)]
    test = [f"test/{k:04d}.mp4" for k in range(round(102 * scale))]
    for subject in (f"{k:02d}" for k in range(1, 11)):
        for session in range(2, 6):
            label = f"{session:02d}"
            for task, movies, runs in (("train", train, 10), ("test", test, 3)):
                if task == "train" and session == 5:
                    continue
                for run in range(runs):
                    stem = f"ses-{label}/func/sub-{subject}_ses-{label}_task-{task}_run-{run + 1}"
                    yield subject, stem, movies[run::runs]


def had(scale: float) -> Shown:
    per_run = round(60 * scale)
    for subject in (f"{k:02d}" for k in range(1, 31)):
        for run in range(1, 13):
            stem = f"func/sub-{subject}_task-action_run-{run:02d}"
            yield subject, stem, [f"{subject}/{run:02d}-{k:03d}.mp4" for k in range(per_run)]


KINDS = {
    "boldmoments": (
        bold_moments,
        {
            "train": [{"task": "train"}],
            "validation": [{"task": "train", "stimulus": "train/09*"}],
            "test": [{"task": "test"}],
        },
    ),
    "had": (
        had,
        {
            "train": [{"task": "action", "run": list(range(1, 11))}],
            "validation": [{"task": "action", "run": 11}],
            "test": [{"task": "action", "run": 12}],
        },
    ),
}


def lay_out(root: Path, kind: str, scale: float = 1.0) -> Path:
    """Write the tree of a kind, and return the configuration for it."""
    shown, segments = KINDS[kind]
    image, movies = header(), set()
    for subject, stem, names in shown(scale):
        path = root / "bids" / f"sub-{subject}" / f"{stem}_bold.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
        write(path.with_name(path.name.replace(".nii.gz", ".json")), '{"RepetitionTime": 2.0}')
        rows = [f"{4 * k + 4}\t2\t{name}" for k, name in enumerate(names)]
        events = "\n".join(["onset\tduration\tstim_file", *rows]) + "\n"
        write(path.with_name(path.name.replace("bold.nii.gz", "events.tsv")), events)
        movies.update(names)
    for name in movies:
        write(root / "bids" / "stimuli" / name)
    changed = {
        "dataset": kind,
        "bids": str(root / "bids"),
        "segments": segments,
        "bold": {"engine": "fmriprep-docker"},
    }
    write(root / "movies.yaml", json.dumps(changed))
    return root / "movies.yaml"


def planned(kind: str, scale: float = 1.0, *more: str, under: Sequence[str] = ()) -> Plan:
    """Lay out a tree and plan it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        return plan(root, lay_out(root, kind, scale), *more, under=under)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, nargs="+", default=[1.0])
    print("| data set | movies | jobs | of decoding | seconds | of the processor | peak (MB) |")
    print("|---|---|---|---|---|---|---|")
    for scale in parser.parse_args().scale:
        for kind, (shown, _) in KINDS.items():
            found = planned(kind, scale)
            movies = len({name for *_, names in shown(scale) for name in names})
            cells = [kind, f"{movies:,}", f"{found.jobs['total']:,}"]
            cells += [str(found.jobs["stimuli_decode"]), f"{found.seconds:.1f}"]
            cells.append(f"{found.cpu_seconds:.1f}")
            print("| " + " | ".join([*cells, f"{found.peak_mb:.0f}"]) + " |", flush=True)


if __name__ == "__main__":
    main()
