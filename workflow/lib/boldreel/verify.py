"""Compare results with the hashes in their provenance: `python -m boldreel.verify --dataset demo`.

Takes the results of a data set; lists artefacts whose bytes are no longer those that their step left, inputs
that are no longer those that an artefact was made from, and what killed steps left over. Writes nothing.
Exit code 1 where something differs.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from boldreel.data import atomic, provenance
from boldreel.errors import UserError
from boldreel.step import parser, run


@dataclass
class Comparison:
    """What was found.

    artefacts, inputs : how many of each were compared
    changed : artefacts with other bytes than recorded; absent : those that are not there
    stale : {input that differs: artefacts made from it as it was}, but for those that changed themselves
    unknown : inputs that are not there, so that nothing can be said
    """

    artefacts: int = 0
    inputs: int = 0
    changed: list[Path] = field(default_factory=list)
    absent: list[Path] = field(default_factory=list)
    stale: dict[Path, list[Path]] = field(default_factory=dict)
    unknown: list[Path] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether results and provenance contradict each other."""
        return bool(self.changed or self.absent or self.stale)


def compare(results: Path) -> Comparison:
    """Hash everything below `results` that has a provenance, and what it was made from."""
    digest = cache(provenance.digest)
    about = Comparison()
    uses: defaultdict[Path, list[tuple[Path, str]]] = defaultdict(list)
    for found, entry in provenance.find(results):
        path, place = provenance.plain(found), provenance.whereabouts(found, entry)
        about.artefacts += 1
        if not path.exists():
            about.absent.append(path)
        elif entry.get("hash") not in (None, digest(path)):
            about.changed.append(path)
        for name, content in entry["inputs"].items():
            uses[place(name)].append((path, content))
    about.stale = dict(_stale(uses, about.changed, digest))
    about.inputs = sum(path.exists() for path in uses)
    about.unknown = [path for path in uses if not path.exists()]
    return about


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
    if found.unknown:
        print(f"{len(found.unknown)} inputs are not there (moved?) and were not compared")
    wrong = len(found.changed) + len(found.absent) + len(found.stale)
    print(f"{found.artefacts} artefacts and {found.inputs} inputs compared, {wrong} differ")
    if found.differs:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
