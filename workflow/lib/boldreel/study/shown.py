"""What the whole study showed: the runs of all subjects with their segments, splits and exclusions.

Takes the runs that were found; returns one `Shown` per run, and what several splits show. Decisions that
concern all subjects are made here: how segments are named, how movies are named, and which stretches of film
training has to leave out because the test shows them. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

from boldreel.data import bids_names, presentations
from boldreel.data.presentations import Presentation, ShownRun
from boldreel.errors import UserError
from boldreel.names import fault_of, natural
from boldreel.study import overlaps, segments, selectors
from boldreel.study import presentations as shown
from boldreel.study.presentations import RunSpec
from boldreel.study.settings import PresentationsSettings, Rule

# Entities by which one acquisition becomes several files, which are no repeats of each other.
_VERSIONS = ("acquisition", "ceagent", "reconstruction")


class Found(bids_names.Labelled, Protocol):
    """A raw run (bids.Run) or a preprocessed one (derivatives.Found)."""

    @property
    def key(self) -> bids_names.Key: ...


@dataclass(frozen=True)
class Shown:
    """A run that was found, and what it showed.

    named : whether `segments` names it; stretches : the run, or the parts that it is cut into
    ignored : why it is not used, "" if there is no reason yet
    dropped : whether something that it shows was taken out, since a later split shows it as well
    """

    found: Found
    spec: RunSpec
    named: bool
    stretches: tuple[ShownRun, ...]
    ignored: str = ""
    dropped: bool = False


class Table(NamedTuple):
    """The user's own table: rows by subject and run (its entities), and which runs it excludes, and why."""

    rows: dict[tuple[str, frozenset[tuple[str, str]]], list[Presentation]]
    excluded: dict[tuple[str, frozenset[tuple[str, str]]], str]


@dataclass
class StudyPresentations:
    """The presentations of a study.

    events_of : the events file of a run of a subject, None without one
    lenient : whether a run whose events cannot be read is passed over; `skipped` says why
    """

    settings: PresentationsSettings
    segments: Mapping[str, Sequence[Any]]
    events_of: Callable[[str, Found], Path | None]
    table: Path | None = None
    lenient: bool = False
    skipped: list[str] = field(default_factory=list)
    runs: dict[str, list[Shown]] = field(default_factory=dict)
    held: dict[str, dict[str, list[tuple[float, float]]]] = field(default_factory=dict)

    def read(self, found: Mapping[str, Sequence[Found]]) -> None:
        """Fill `runs` and `held` from the runs that were found, by subject.

        Raises
        ------
        UserError : what runs showed cannot be known, or is shown in two splits.
        """
        table = read_table(self.table) if self.table else None
        read: dict[str, list[tuple[Found, RunSpec, list[Presentation]]]] = {}
        for subject, runs in found.items():
            read[subject] = list(self._specs(subject, runs, table))
        if table:
            self._check_table(table, read)
        for subject, each in read.items():
            labelled = self._labelled(each, self._naming(each))
            self.runs[subject] = [self._shown(*one) for one in labelled]
            self._check_versions(subject)
        self._hold_apart()

    @cached_property
    def chosen(self) -> dict[str, list[selectors.Selector]]:
        """The selectors of each split."""
        return selectors.parse(self.segments)

    @cached_property
    def _filter(self) -> dict[str, tuple[str, ...]]:
        return selectors.conditions(self.settings.filter, "presentations.filter")

    @cached_property
    def _excluded(self) -> list[tuple[dict[str, tuple[str, ...]], str]]:
        return [
            (selectors.conditions(each, "presentations.exclude", ("reason",)), str(each["reason"]))
            for each in self.settings.exclude
        ]

    def _specs(
        self, subject: str, runs: Sequence[Found], table: Table | None
    ) -> Iterable[tuple[Found, RunSpec, list[Presentation]]]:
        """(run, its spec, its presentations) of a subject, in the order of the runs."""
        films: dict[tuple[str, ...], shown.Parts] = {}
        for run in self._filtered(subject, runs):
            entities = entities_of(subject, run)
            spec = RunSpec(run.segment, run.repeat, entities, str(run.path))
            if not selectors.matches(self._filter, entities):
                yield run, spec._replace(excluded="left out by presentations.filter"), []
                continue
            why = next(
                (why for wanted, why in self._excluded if selectors.matches(wanted, entities)), ""
            )
            key = subject, run_key(entities)
            if table:
                rows = table.rows.get(key, [])
                yield run, spec._replace(excluded=why or table.excluded.get(key, "")), rows
                continue
            spec = spec._replace(excluded=why)
            rule = shown.rule_of(self.settings.rules, spec.candidate)
            if rule.parts is not None and not run.fault:
                film = subject, entities["task"], entities.get("session", "")
                parts = films.setdefault(film, shown.Parts())
                spec = spec._replace(earlier=parts.before(spec.candidate, rule))
            # A run that cannot be told from another one has no events of its own.
            if run.fault or not (self.lenient or self._concerns(spec)):
                yield run, spec, []
                continue
            try:
                yield run, *self._read(subject, run, spec, rule)
            except UserError as error:
                if self.lenient:
                    self.skipped.append(str(error))
                elif not why:
                    raise
                yield run, spec, []  # a reason to exclude a run is that its events are broken

    def _filtered(self, subject: str, runs: Sequence[Found]) -> list[Found]:
        """The runs in their order; those that the filter keeps count as if there were no others."""
        kept = [run for run in runs if selectors.matches(self._filter, entities_of(subject, run))]
        others = [run for run in runs if run not in kept]
        counted = bids_names.recounted(kept) if others else kept
        return sorted([*counted, *others], key=lambda each: (each.segment, each.repeat))

    def _concerns(self, spec: RunSpec) -> bool:
        """Whether `segments` may name a run, or something that is shown in it."""
        return any(
            one.matches_run(shown.possible_names(spec), spec.entities)
            for each in self.chosen.values()
            for one in each
        )

    def _read(
        self, subject: str, run: Found, spec: RunSpec, rule: Rule
    ) -> tuple[RunSpec, list[Presentation]]:
        """(the spec of a run with what it is read from, its presentations)."""
        events = self.events_of(subject, run)
        spec = spec._replace(
            events=str(events) if events else None,
            length=shown.length_of(spec.candidate) if shown.needs_length(rule) else None,
            begin=rule.begin,
            end=rule.end,
        )
        by_stimulus_alone = not self.lenient and not any(
            (one.pattern is not None or one.entities)
            and one.matches_run(shown.possible_names(spec), spec.entities)
            for each in self.chosen.values()
            for one in each
        )
        # The events of a localizer name no movie, and nobody has named the localizer.
        if by_stimulus_alone and shown.shows_nothing(spec.candidate, rule):
            return spec, []
        return spec, shown.shown_in(spec.candidate, rule, spec.earlier)

    @staticmethod
    def _naming(
        each: Sequence[tuple[Found, RunSpec, list[Presentation]]],
    ) -> dict[str, tuple[str, ...]]:
        """{task: entities that name its segments} of one subject, whose names depend on nobody else."""
        by_task: dict[str, list[tuple[Mapping[str, str], segments.Shown]]] = {}
        for run, spec, rows in each:
            if rows and not run.fault and not spec.excluded:
                by_task.setdefault(run.segment, []).append((spec.entities, segments.content(rows)))
        return {task: segments.naming_entities(runs) for task, runs in by_task.items()}

    def _labelled(
        self,
        each: Sequence[tuple[Found, RunSpec, list[Presentation]]],
        naming: Mapping[str, tuple[str, ...]],
    ) -> Iterable[tuple[Found, RunSpec, list[Presentation]]]:
        """The same with the segment and repeat that each run is labelled as."""
        counts: dict[str, int] = {}
        order = sorted(each, key=lambda one: natural("_".join(one[1].entities.values())))
        labels: dict[int, tuple[str, int]] = {}
        for run, spec, rows in order:
            by = naming.get(run.segment, ()) if rows else ()
            if by:
                name = segments.name_of(spec.entities, by)
                counts[name] = counts.get(name, 0) + 1
                labels[id(run)] = name, counts[name]
        for run, spec, rows in each:
            segment, repeat = labels.get(id(run), (run.segment, run.repeat))
            yield run, spec._replace(segment=segment, repeat=repeat), rows

    def _shown(self, run: Found, spec: RunSpec, rows: Sequence[Presentation]) -> Shown:
        named, stretches = shown.stretches_of(spec, rows, self.chosen, self.settings.guard)
        if spec.excluded:
            left = [stretch._replace(excluded=spec.excluded) for stretch in stretches]
            return Shown(run, spec, False, tuple(left), spec.excluded)
        return Shown(run, spec, named, tuple(stretches))

    def _check_versions(self, subject: str) -> None:
        """UserError if two files of one acquisition are used: they are no repeats."""
        seen: dict[tuple[str, ...], Shown] = {}
        for one in self.runs[subject]:
            entities = one.spec.entities
            if not one.named or one.ignored:
                continue
            key = tuple(word for name, word in entities.items() if name not in _VERSIONS)
            other = seen.setdefault(key, one)
            differ = [
                name
                for name in _VERSIONS
                if entities.get(name) != other.spec.entities.get(name) and name not in self._filter
            ]
            if other is not one and differ:
                values = " or ".join(
                    str(each.spec.entities.get(differ[0], "''")) for each in (other, one)
                )
                raise UserError(
                    f"{one.found.path}: the same run as {other.found.path.name} in another {differ[0]}; "
                    "choose one in "
                    f"presentations.filter: {{{differ[0]}: {values}}}"
                )

    def _hold_apart(self) -> None:
        """What is shown in two splits: refused, or taken out of training."""
        self.held = overlaps.find(run for subject in self.runs for run in self.used(subject))
        if not self.held:
            return
        for subject, each in self.runs.items():
            for number, one in enumerate(each):
                if one.named:
                    self.runs[subject][number] = self._apart(subject, one)

    def _apart(self, subject: str, one: Shown) -> Shown:
        kept, dropped = [], False
        for stretch in one.stretches:
            found = overlaps.conflict(stretch, self.held)
            if found and self.settings.overlap == "error":
                row, split = found
                raise UserError(
                    f"{row.origin}: sub-{subject}, {stretch.label}, shows {row.stimulus} in {row.split}, "
                    f"and {split} "
                    "shows the same part of it; choose other splits, or set presentations.overlap: "
                    "drop-from-train"
                )
            dropped = dropped or found is not None
            kept.append(stretch._replace(rows=overlaps.without(stretch.rows, self.held)))
        return replace(one, stretches=tuple(kept), dropped=dropped)

    @staticmethod
    def _check_table(
        table: Table, read: Mapping[str, Sequence[tuple[Found, RunSpec, list[Presentation]]]]
    ) -> None:
        """UserError if the user's table has a run that the data set does not have."""
        known = {
            (subject, run_key(spec.entities))
            for subject, each in read.items()
            for _, spec, _ in each
        }
        for (subject, key), rows in table.rows.items():
            if subject in read and (subject, key) not in known:
                words = "_".join(f"{name}-{word}" for name, word in sorted(key))
                raise UserError(
                    f"{rows[0].origin}: sub-{subject} has no run {words}; correct the row or remove it"
                )

    def used(self, subject: str) -> list[ShownRun]:
        """The runs and stretches of a subject that `segments` names."""
        return [
            stretch for one in self.runs.get(subject, ()) if one.named for stretch in one.stretches
        ]

    def names_run(self, entities: Mapping[str, str]) -> bool:
        """Whether `segments` names a run as a whole by its entities, and nothing leaves it out."""
        left_out = not selectors.matches(self._filter, entities) or any(
            selectors.matches(wanted, entities) for wanted, _ in self._excluded
        )
        task = entities.get("task", "")
        names = shown.possible_names(RunSpec(task, 1, dict(entities), ""))
        return not left_out and any(
            one.matches_run(names, entities) and not one.stimulus
            for each in self.chosen.values()
            for one in each
        )

    @cached_property
    def named_movies(self) -> tuple[dict[str, str], bool]:
        """`movie_names` of all that is shown in a run that is used."""
        return movie_names(
            row.stimulus for subject in self.runs for run in self.used(subject) for row in run.rows
        )


def entities_of(subject: str, run: Found) -> dict[str, str]:
    """The entities of a run; those of a name that is not BIDS' are its task alone."""
    found = shown.entities_of(subject, run.path.name)
    if "task" not in found:  # HCP's names
        found = {"subject": subject, "task": run.segment}
    return found


def run_key(entities: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """What names a run of a subject, whatever the order of its entities."""
    return frozenset((name, word) for name, word in entities.items() if name != "subject")


def read_table(path: Path) -> Table:
    """The user's own table of presentations.

    Raises
    ------
    UserError : a column that is missing, a cell that is no time, a split that does not exist.
    """
    rows: dict[tuple[str, frozenset[tuple[str, str]]], list[Presentation]] = {}
    excluded: dict[tuple[str, frozenset[tuple[str, str]]], str] = {}
    for origin, cells in presentations.cells_of(
        path, ("subject", "task", "onset", "duration", "stimulus")
    ):
        entities = presentations.entities_of(cells)
        if entities.get("run", "").isdigit():
            entities["run"] = str(int(entities["run"]))
        key = cells["subject"].removeprefix("sub-"), run_key(entities)
        row = presentations.row_of(cells, origin)
        split = cells.get("split", "").replace(presentations.NOTHING, "")
        if split not in ("", *selectors.SPLITS):
            raise UserError(
                f"{origin}: split is {split!r}; it must be {', '.join(selectors.SPLITS)} or n/a"
            )
        rows.setdefault(key, []).append(row._replace(split=split))
        if presentations.is_excluded(cells):
            excluded[key] = cells.get("reason", "") or "excluded in the table of presentations"
    joined = {key: presentations.join(each, speed_stated=True) for key, each in rows.items()}
    return Table(joined, excluded)


def movie_name(stimulus: str, full: bool) -> str:
    """A movie's name in the results: its path without suffix, and without folder unless `full`."""
    path = PurePosixPath(stimulus).with_suffix("")
    return str(path).strip("./*").replace("/", "_") if full else path.name


def movie_names(stimuli: Iterable[str]) -> tuple[dict[str, str], bool]:
    """({path of a movie: its name in the results}, whether names need the whole path to differ).

    Raises
    ------
    UserError : a name that cannot be that of a folder, or two movies with one name.
    """
    paths = sorted(set(stimuli))
    full = len({movie_name(path, False) for path in paths}) < len(paths)
    found: dict[str, str] = {}
    for path in paths:
        name = movie_name(path, full)
        fault = "begins with a dot" if name.startswith(".") else fault_of(name)
        if fault:
            raise UserError(f"stimulus {path!r} {fault}")
        if name in found:
            raise UserError(f"two movies are named {name!r}: {found[name]} and {path}; rename one")
        found[name] = path
    return {path: name for name, path in found.items()}, full
