"""Compare results with the hashes in their provenance: `python -m boldreel.verify --dataset demo`.

Takes the results of a data set; lists artefacts whose bytes are no longer those that their step left, inputs
that are no longer those that an artefact was made from, what no provenance names, and what killed steps left
over. Writes nothing. Exit code 1 where something differs, and where less than all was compared.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from boldreel import run_lock
from boldreel.data import atomic, provenance
from boldreel.errors import UserError
from boldreel.layout import Layout
from boldreel.step import parser, run

_SHOWN = 20  # lines about files without provenance


@dataclass
class Comparison:
    """What was found.

    artefacts, inputs : how many of each were compared
    changed : artefacts with other bytes than recorded; absent : those that are not there
    stale : {input that differs: artefacts made from it as it was}, but for those that changed themselves
    unknown : inputs that are not there, so that nothing can be said
    unhashed : artefacts whose provenance has no hash. unnamed : files that no provenance names
    """

    artefacts: int = 0
    inputs: int = 0
    changed: list[Path] = field(default_factory=list)
    absent: list[Path] = field(default_factory=list)
    stale: dict[Path, list[Path]] = field(default_factory=dict)
    unknown: list[Path] = field(default_factory=list)
    unhashed: list[Path] = field(default_factory=list)
    unnamed: list[Path] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether results and provenance contradict each other."""
        return bool(self.changed or self.absent or self.stale)

    @property
    def whole(self) -> bool:
        """Whether all was compared."""
        return not (self.unknown or self.unhashed or self.unnamed)


def compare(results: Path) -> Comparison:
    """Hash everything below `results` that has a provenance, and what it was made from."""
    digest = cache(provenance.digest)
    about = Comparison()
    uses: defaultdict[Path, list[tuple[Path, str]]] = defaultdict(list)
    beside: defaultdict[Path, set[str]] = defaultdict(set)
    named: set[Path] = set()
    for found, entry in provenance.find(results):
        path, place = provenance.plain(found), provenance.whereabouts(found, entry)
        named.add(path)
        if not path.exists():
            about.absent.append(path)
        elif entry.get("hash") is None:
            about.unhashed.append(path)
        elif entry["hash"] != digest(path):
            about.changed.append(path)
        for name, content in entry.get("beside", {}).items():
            beside[place(name)].add(content)
        for name, content in entry["inputs"].items():
            uses[place(name)].append((path, content))
    top = provenance.plain(results.resolve())
    for path, contents in beside.items():
        # What several jobs write, each anew, is as one of them left it.
        if path in named or not path.is_relative_to(top):
            continue
        if not path.exists():
            about.absent.append(path)
        elif digest(path) not in contents:
            about.changed.append(path)
    named |= beside.keys()
    about.artefacts = len(named)
    about.stale = dict(_stale(uses, about.changed, digest))
    about.inputs = sum(path.exists() for path in uses)
    about.unknown = [path for path in uses if not path.exists()]
    about.unnamed = list(_unnamed(results, named | uses.keys()))
    return about


def _unnamed(results: Path, named: set[Path]) -> Iterator[Path]:
    """Files below the results that no provenance names, neither itself nor with a folder around it.

    Runs of the workflow leave a few of their own, which no step reads: its lock, its configuration, the list
    of forgotten subjects, and Snakemake's times.
    """
    layout = Layout(str(results))
    own = {Path(layout.forgotten()), Path(layout.resolved_configuration()), results / run_lock.NAME}
    own = {provenance.plain(path) for path in own}
    times = provenance.plain(results / "benchmarks")
    for found in sorted(results.rglob("*")):
        around = found.relative_to(results).parents
        if not found.is_file() or any(map(atomic.is_unfinished, (found, *around))):
            continue
        path = provenance.plain(found)
        if found.name.endswith(("provenance.json", ".snakemake_timestamp")):
            continue
        if path in own or times in path.parents or path in named:
            continue
        if path.suffix == ".json" and path.with_suffix(".npy") in named:
            continue
        if named.isdisjoint(path.parents):
            yield path


def _stale(
    uses: Mapping[Path, Iterable[tuple[Path, str]]],
    changed: Iterable[Path],
    digest: Callable[[Path], str],
) -> Iterator[tuple[Path, list[Path]]]:
    """(input that differs, artefacts made from it). A changed artefact is reported once, as itself."""
    known = set(changed)
    for path, users in uses.items():
        if not path.exists() or path in known or not known.isdisjoint(path.parents):
            continue
        if any(path in other.parents for other in known):
            continue
        made = [user for user, content in users if content != digest(path)]
        if made:
            yield path, made


def left_over(results: Path) -> list[Path]:
    """Unfinished files and folders of steps that were killed, none inside another."""
    found = [path for path in sorted(results.rglob(".*")) if atomic.is_unfinished(path)]
    return [path for path in found if not any(other in path.parents for other in found)]


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    arguments = parser(__doc__)
    arguments.add_argument("--dataset", default="demo")
    arguments.add_argument("--results", type=Path, default=Path("results"))
    args = arguments.parse_args(argv)
    results = args.results / args.dataset
    if not results.is_dir():
        raise UserError(f"{results}: no such results; name them with --results and --dataset")
    found = compare(results)
    for path in found.changed:
        print(f"{path}: its bytes are not those that its step left; delete it and run again")
    for path in found.absent:
        print(f"{path}: not there, only its provenance; run again")
    for path, made in sorted(found.stale.items()):
        more = f" and {len(made) - 1} more" if len(made) > 1 else ""
        print(f"{path}: not what {made[0]}{more} was made from; delete what is wrong and run again")
    for path in left_over(results):
        print(f"{path}: left by a step that was killed; delete it unless a run is going on")
    for path in found.unhashed:
        print(f"{path}: its provenance has no hash; delete both and run again")
    for path in found.unnamed[:_SHOWN]:
        print(f"{path}: no provenance names it; delete it, or move it out of the results")
    if len(found.unnamed) > _SHOWN:
        print(f"... and {len(found.unnamed) - _SHOWN} more files that no provenance names")
    if found.unknown:
        print(
            f"{len(found.unknown)} inputs are not there (moved?) and were not compared, such as "
            f"{found.unknown[0]}"
        )
    wrong = len(found.changed) + len(found.absent) + len(found.stale)
    print(f"{found.artefacts} artefacts and {found.inputs} inputs compared, {wrong} differ")
    if not found.whole:
        print("less than all was compared")
    if found.differs or not found.whole:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
