"""Delete everything that was derived from one subject: `python -m boldreel.forget --subject sub-03`.

Takes the results, training states and logs of a data set and its list of subjects; finds, by the provenance
that stands beside every artefact, all that the subject's data went into, over any number of steps; lists it
and, once confirmed, deletes it and excludes the subject in the list. The next run makes the shared models and
tables anew without the subject. Raw data elsewhere, and what others copied, are not touched.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from boldreel.data import atomic, provenance
from boldreel.errors import UserError
from boldreel.step import parser, run

_TEXT = {".json", ".tsv", ".csv", ".txt", ".log", ".html", ".svg", ".rst", ".md"}
_LARGEST = 200_000_000  # bytes of a text that is searched


@dataclass(frozen=True)
class Artefact:
    """What a step left, with its provenance."""

    path: Path
    inputs: tuple[Path, ...]
    command: tuple[str, ...]

    def names(self, label: str) -> bool:
        """Whether the step was given the subject by name."""
        here = False
        for word in self.command:
            here = word.startswith("--subject") if word.startswith("--") else here
            if (here and word.removeprefix("sub-") == label) or _mentions(word, label):
                return True
        return any(_mentions(str(path), label) for path in self.inputs)

    def option(self, name: str) -> str | None:
        """The value of one of the step's options."""
        words = list(self.command)
        return words[words.index(name) + 1] if name in words[:-1] else None


def _mentions(text: str, label: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9])sub-{label}(?![A-Za-z0-9])", text) is not None


def artefacts(root: Path) -> Iterator[Artefact]:
    """Everything below `root` that has a provenance; UserError where one cannot be read."""
    for path, entry in provenance.find(root):
        yield Artefact(path, tuple(map(Path, entry["inputs"])), tuple(map(str, entry["command"])))


def derived(found: Iterable[Artefact], label: str) -> list[Artefact]:
    """Those that the subject's data went into, directly or through others."""
    waiting = list(found)
    reached: list[Artefact] = []
    while True:
        paths = {a.path for a in reached}
        more = [
            a for a in waiting if _mentions(str(a.path), label) or a.names(label) or _from(a, paths)
        ]
        if not more:
            return sorted(reached, key=lambda a: str(a.path))
        reached += more
        waiting = [a for a in waiting if a not in more]


def _from(artefact: Artefact, paths: set[Path]) -> bool:
    return any(p in paths or not paths.isdisjoint(p.parents) for p in artefact.inputs)


def own_files(root: Path, label: str) -> Iterator[Path]:
    """Folders and files that carry the subject's name, and texts that mention it."""
    if not root.exists():
        return
    token = re.compile(rf"(^|[-_.])(sub-)?{label}([-_.]|$)")
    for path in sorted(root.iterdir()):
        plain = token.search(path.stem) is not None and root.name != "stimuli"
        if _mentions(path.name, label) or (path.suffix in {".log", ".tsv"} and plain):
            yield path
        elif path.is_dir():
            yield from own_files(path, label)
        elif path.suffix in _TEXT and not path.name.endswith("provenance.json"):
            if path.stat().st_size > _LARGEST:
                raise UserError(f"{path}: too large to be searched for sub-{label}; look by hand")
            if _mentions(path.read_text(encoding="utf-8", errors="replace"), label):
                yield path


@dataclass(frozen=True)
class Plan:
    """What is to be deleted: files and folders, none inside another; and the shared models among them."""

    paths: list[Path]
    models: list[Path]


def plan(results: Path, state: Path, logs: Path, label: str) -> Plan:
    """All that is derived from a subject; UserError if there is nothing."""
    reached = derived(artefacts(results), label)
    chosen = {a.path for a in reached if a.path.exists()}
    chosen |= {
        a.path.with_name(a.path.name + provenance.SUFFIX) for a in reached if not a.path.is_dir()
    }
    for artefact in reached:
        kept = artefact.option("--state")
        if kept is not None:
            chosen.add(Path(kept))
    for root in (results, state, logs):
        chosen |= set(own_files(root, label))
    outer = {p for p in chosen if p.exists() and chosen.isdisjoint(p.parents)}
    if not outer:
        raise UserError(
            f"{results}: nothing is derived from sub-{label}; check the label and --results"
        )
    shared = [
        a.path
        for a in reached
        if a.option("--state") is not None
        and not any(part.startswith("sub-") for part in a.path.parts)
    ]
    return Plan(sorted(outer), shared)


def size(path: Path) -> int:
    """Bytes of a file or folder."""
    members = path.rglob("*") if path.is_dir() else [path]
    return sum(p.lstat().st_size for p in members if not p.is_dir())


def exclude(table: Path, label: str) -> str | None:
    """The list of subjects with the subject's row excluded; None if it is not there or already is."""
    lines = table.read_text(encoding="utf-8").splitlines()
    heads = [k for k, line in enumerate(lines) if line.strip() and not line.startswith("#")]
    if not heads:
        return None
    names = lines[heads[0]].split("\t")
    if "exclude" not in names:
        names.append("exclude")
        lines[heads[0]] = "\t".join(names)
    changed = False
    for k in heads[1:]:
        cells = lines[k].split("\t")
        cells += [""] * (len(names) - len(cells))
        at = names.index("exclude")
        if cells[names.index("subject")].strip().removeprefix("sub-") == label:
            changed |= cells[at].strip().lower() not in ("true", "yes", "1")
            cells[at] = "true"
            lines[k] = "\t".join(cells)
    return "\n".join(lines) + "\n" if changed else None


def delete(paths: Iterable[Path]) -> None:
    """Remove files and folders; links go, not what they lead to."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    arguments = parser(__doc__)
    arguments.add_argument("--subject", required=True, help="label, with or without sub-")
    arguments.add_argument("--dataset", default="demo")
    arguments.add_argument("--results", type=Path, default=Path("results"))
    arguments.add_argument("--state", type=Path, default=Path("state"))
    arguments.add_argument("--logs", type=Path, default=Path("logs"))
    arguments.add_argument("--subjects", type=Path, default=Path("config/subjects.tsv"))
    arguments.add_argument("--yes", action="store_true", help="delete without asking")
    args = arguments.parse_args(argv)
    label = args.subject.removeprefix("sub-")
    if not re.fullmatch(r"[A-Za-z0-9]+", label):
        raise UserError(f"--subject {args.subject}: a label is letters and digits")
    if not args.subjects.exists():
        raise UserError(f"{args.subjects}: list of subjects not found; name it with --subjects")
    results = args.results / args.dataset
    if not results.exists():
        raise UserError(f"{results}: no such results; name them with --results and --dataset")
    if any(Path(".snakemake/locks").glob("*")):
        raise UserError(
            ".snakemake/locks: a run is going on here; wait for its end, or unlock first"
        )
    found = plan(results, args.state / args.dataset, args.logs / args.dataset, label)
    listed = exclude(args.subjects, label)
    for path in found.paths:
        print(path)
    total = sum(size(path) for path in found.paths)
    print(
        f"{len(found.paths)} files and folders, {total / 1e6:.0f} MB, are derived from sub-{label}."
    )
    if found.models:
        print("Shared models trained on it, which the next run trains anew without:")
        for path in found.models:
            print(f"  {path}")
    if listed is not None:
        print(f"sub-{label} will be excluded in {args.subjects}.")
    print("Raw data outside of these folders stay where they are.")
    if not args.yes:
        if not sys.stdin.isatty():
            raise UserError("nothing deleted: add --yes, or run it in a terminal and confirm")
        if input(f"Delete all of it? Type sub-{label}: ").strip() != f"sub-{label}":
            print("Nothing was deleted.")
            return
    if listed is not None:
        atomic.write_text(args.subjects, listed)
    delete(found.paths)
    print(f"Deleted. Nothing below {results} is derived from sub-{label} any more.")


if __name__ == "__main__":
    run(main)
