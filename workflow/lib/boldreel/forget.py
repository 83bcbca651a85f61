"""Delete everything that was derived from one subject: `python -m boldreel.forget --subject sub-03`.

Reads the results, training states and logs of a data set, its lists of subjects and Snakemake's records.
Uses the provenance next to every artefact to find everything that the subject's data went into, over any
number of steps. Lists it and, after confirmation, deletes it, excludes the subject in the lists and records
this in the results (`forgotten.tsv`). Later runs make the shared models and tables again without the
subject, even if the configuration still names it. Raw data elsewhere and copies made by others are not
touched.
"""

from __future__ import annotations

import base64
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from boldreel import forgotten
from boldreel.data import atomic, files, provenance
from boldreel.errors import UserError
from boldreel.layout import Layout
from boldreel.step import parser, run
from boldreel.study import subjects

_TEXT = {".json", ".tsv", ".csv", ".txt", ".log", ".html", ".svg", ".rst", ".md"}
_LARGEST = 200_000_000  # bytes of a text that is searched
_ENVIRONMENTS = {"conda", "conda-archive", "singularity"}  # of Snakemake, without data


@dataclass(frozen=True)
class Artefact:
    """What a step left, with its provenance.

    path : where it is. inputs : where these are now. Both as `provenance.plain` spells them.
    texts : its own path, its inputs' and the words of its command; of what lies in the results the path
        below them, since the folders above say nothing about whose data it holds.
    beside : what else the step wrote, where it is now. command : as the step was told. place : where a path
    of the command is now.
    """

    path: Path
    inputs: tuple[Path, ...]
    texts: tuple[str, ...]
    beside: tuple[Path, ...]
    command: tuple[str, ...]
    place: Callable[[str], Path]

    def names(self, label: str) -> bool:
        """Whether its path has the subject's name, or the step was given it."""
        here = False
        for word in self.command:
            here = word.startswith("--subject") if word.startswith("--") else here
            if here and word.removeprefix("sub-") == label:
                return True
        return any(_mentions(text, label) for text in self.texts)

    def option(self, name: str) -> str | None:
        """The value of one of the step's options."""
        words = list(self.command)
        return words[words.index(name) + 1] if name in words[:-1] else None


def _mentions(text: str, label: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9])sub-{label}(?![A-Za-z0-9])", text) is not None


def artefacts(root: Path) -> Iterator[Artefact]:
    """Everything below `root` that has a provenance; UserError if one cannot be read."""
    top = provenance.plain(root.resolve())

    def below(path: Path, told: str) -> str:
        return str(path.relative_to(top)) if path.is_relative_to(top) else told

    for found, entry in provenance.find(root):
        path, place = provenance.plain(found), provenance.whereabouts(found, entry)
        inputs, command = list(entry["inputs"]), list(map(str, entry["command"]))
        texts = [below(place(text), text) for text in [*inputs, *command]]
        yield Artefact(
            path,
            tuple(map(place, inputs)),
            (below(path, str(path)), *texts),
            tuple(map(place, entry.get("beside", {}))),
            tuple(command),
            place,
        )


def derived(found: Iterable[Artefact], label: str) -> list[Artefact]:
    """Artefacts that contain the subject's data, directly or through others; derived ones come first."""
    waiting = list(found)
    reached: list[Artefact] = []
    while True:
        paths = {path for a in reached for path in (a.path, *a.beside)}
        more = [a for a in waiting if a.names(label) or _from(a, paths)]
        if not more:
            return reached
        reached += more
        waiting = [a for a in waiting if a not in more]


def _from(artefact: Artefact, paths: set[Path]) -> bool:
    return any(p in paths or not paths.isdisjoint(p.parents) for p in artefact.inputs)


def own_files(root: Path, label: str, others: bool = False) -> Iterator[Path]:
    """Folders and files that carry the subject's name, and texts that mention it.

    A label alone is a name in logs and tables of all subjects. In what is named after another subject
    (`others`: the folder is) it is something else, such as the number of a run.
    """
    if not root.exists():
        return
    token = re.compile(rf"(^|[-_.])(sub-)?{label}([-_.]|$)")
    for path in sorted(root.iterdir()):
        named = others or path.name.startswith("sub-")
        plain = not named and token.search(path.stem) is not None and root.name != "stimuli"
        if _mentions(path.name, label) or (path.suffix in {".log", ".tsv"} and plain):
            yield path
        elif path.is_dir():
            yield from own_files(path, label, named)
        elif path.suffix in _TEXT and not path.name.endswith("provenance.json"):
            if path.stat().st_size > _LARGEST:
                raise UserError(f"{path}: too large to be searched for sub-{label}; look by hand")
            if _mentions(path.read_text(encoding="utf-8", errors="replace"), label):
                yield path


def records(folder: Path, label: str) -> Iterator[Path]:
    """Snakemake's records of jobs (`metadata`, named by their output in base64) and logs that mention the
    subject.

    folder : `.snakemake` of a working directory.
    """
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if parts[0] in _ENVIRONMENTS or not path.is_file() or path.stat().st_size > _LARGEST:
            continue
        name = "".join(part.removeprefix("@") for part in parts[1:])
        output = base64.b64decode(name + "===", altchars=b"-_").decode(errors="replace")
        text = path.read_text(encoding="utf-8", errors="replace")
        if _mentions(output, label) or _mentions(text, label):
            yield path


@dataclass(frozen=True)
class Plan:
    """What is to be deleted: files and folders, none inside another; and the shared models among them.

    What was made from others stands before these: should the deletion be stopped, the rest is still found.

    missing : inputs of artefacts that are nowhere: what was made of them cannot be told from them.
    """

    paths: list[Path]
    models: list[Path]
    missing: list[Path]


def plan(results: Path, state: Path, logs: Path, label: str) -> Plan:
    """All that is derived from a subject; UserError if there is nothing, or a run is going on there."""
    found = list(artefacts(results))
    theirs = {Path(".snakemake"), *(a.place(".snakemake") for a in found)}
    for folder in theirs:
        if any(folder.glob("locks/*")):
            raise UserError(
                f"{folder / 'locks'}: a run is active here; wait until it ends, or unlock first"
            )
    reached = derived(found, label)
    owned = {artefact.path for artefact in found}  # these are judged by themselves
    top = provenance.plain(results.resolve())
    ranks: dict[Path, int] = {}
    for root in (results, state, logs):
        ranks |= {provenance.plain(path): 0 for path in own_files(root, label)}
    for folder in theirs:
        ranks |= {provenance.plain(path): 0 for path in records(folder, label)}
    for rank, artefact in enumerate(reached):
        kept = artefact.option("--state")
        made = [] if kept is None else list(_states(artefact.place(kept), state))
        made += [path for path in artefact.beside if path not in owned and path.is_relative_to(top)]
        made.append(artefact.path)
        if not artefact.path.is_dir():  # its provenance last: all else is found by it
            made.append(artefact.path.with_name(artefact.path.name + provenance.SUFFIX))
        for path in made:
            ranks.setdefault(path, rank)
    ranks = {path: rank for path, rank in ranks.items() if path.exists()}
    if not ranks:
        raise UserError(
            f"{results}: nothing is derived from sub-{label}; check the label and --results"
        )
    outer = dict.fromkeys((p for p in ranks if ranks.keys().isdisjoint(p.parents)), len(reached))
    for path, rank in ranks.items():
        for place in (path, *path.parents):
            if place in outer:  # a folder counts as what was first made of all in it
                outer[place] = min(outer[place], rank)
    shared = [
        a.path
        for a in reached
        if a.option("--state") is not None
        and not any(part.startswith("sub-") for part in Path(a.texts[0]).parts)
    ]
    missing = {path for artefact in found for path in artefact.inputs if not path.exists()}
    return Plan(sorted(outer, key=lambda path: -outer[path]), shared, sorted(missing))


def _states(told: Path, state: Path) -> Iterator[Path]:
    """A training state where the step kept it, and where it is if the states of the data set were moved."""
    yield told
    for number, part in enumerate(told.parts):
        if part == state.name:
            yield provenance.plain(state.joinpath(*told.parts[number + 1 :]))


def size(path: Path) -> int:
    """Bytes of a file or folder."""
    members = path.rglob("*") if path.is_dir() else [path]
    return sum(p.lstat().st_size for p in members if not p.is_dir())


def exclude(table: Path, label: str) -> str | None:
    """The list of subjects with the subject's row excluded; None if it is not there or already is."""
    lines = files.read_text(table).splitlines()
    heads = [k for k, line in enumerate(lines) if line.strip() and not line.startswith("#")]
    names = [name.strip() for name in lines[heads[0]].split("\t")] if heads else []
    column = next((name for name in subjects.COLUMNS if name in names), None)
    if column is None:
        raise UserError(f"{table}: no column 'subject'; name the list of subjects with --subjects")
    if "exclude" not in names:
        names.append("exclude")
        lines[heads[0]] = "\t".join(names)
    changed = False
    for k in heads[1:]:
        cells = lines[k].split("\t")
        cells += [""] * (len(names) - len(cells))
        at = names.index("exclude")
        if cells[names.index(column)].strip().removeprefix("sub-") == label:
            changed |= cells[at].strip().lower() not in ("true", "yes", "1")
            cells[at] = "true"
            lines[k] = "\t".join(cells)
    return "\n".join(lines) + "\n" if changed else None


def lists(results: Path) -> list[Path]:
    """Tables of subjects and of the cohort that the last run on these results named, as far as they are here.

    Where no run has left its configuration: the demo's, of the demo alone.
    """
    import yaml

    left = Path(Layout(str(results)).resolved_configuration())
    if left.is_file():
        config = yaml.safe_load(left.read_text(encoding="utf-8"))
        named = [config["subjects"], config["pretrain"]["subjects"]]
    else:
        named = ["config/subjects.tsv"] if results.name == "demo" else []
    tables = [Path(name) for name in named if isinstance(name, str)]
    return [table for table in dict.fromkeys(tables) if table.is_file()]


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
    arguments.add_argument(
        "--subjects",
        type=Path,
        nargs="+",
        help="tables of subjects, and of the pretraining cohort, in which the subject is excluded "
        "(default: those that the run named)",
    )
    arguments.add_argument("--yes", action="store_true", help="delete without asking")
    args = arguments.parse_args(argv)
    label = args.subject.removeprefix("sub-")
    if not re.fullmatch(r"[A-Za-z0-9]+", label):
        raise UserError(f"--subject {args.subject}: a label is letters and digits")
    results = args.results / args.dataset
    if not results.exists():
        raise UserError(f"{results}: no such results; name them with --results and --dataset")
    tables = lists(results) if args.subjects is None else args.subjects
    for table in tables:
        if not table.exists():
            raise UserError(f"{table}: list of subjects not found; name it with --subjects")
    found = plan(results, args.state / args.dataset, args.logs / args.dataset, label)
    listed = {table: exclude(table, label) for table in tables}
    for path in sorted(found.paths):
        print(path)
    total = sum(size(path) for path in found.paths)
    print(
        f"{len(found.paths)} files and folders, {total / 1e6:.0f} MB, are derived from sub-{label}."
    )
    if found.models:
        print("Shared models trained on it, which the next run trains again without:")
        for path in found.models:
            print(f"  {path}")
    if found.missing:
        print(
            f"{len(found.missing)} inputs named by provenance are missing ({found.missing[0]}, ...): "
            "files made from them may be missed. If they are elsewhere, run this where Snakemake ran."
        )
    for table, text in listed.items():
        if text is not None:
            print(f"sub-{label} will be excluded in {table}.")
    listing = Layout(str(results)).forgotten()
    print(f"It will be recorded in {listing}; later runs on these results skip it.")
    print("Raw data outside these folders and labels in the configuration are not changed.")
    if not args.yes:
        if not sys.stdin.isatty():
            raise UserError("nothing deleted: add --yes, or run it in a terminal and confirm")
        if input(f"Delete all of it? Type sub-{label}: ").strip() != f"sub-{label}":
            print("Nothing was deleted.")
            return
    forgotten.add(
        results, label
    )  # before all else: should this be stopped, no run takes it in again
    for table, text in listed.items():
        if text is not None:
            atomic.write_text(table, text)
    delete(found.paths)
    print(f"Deleted. Nothing below {results} is derived from sub-{label} any more.")


if __name__ == "__main__":
    run(main, results=False)
