"""What a subject's runs showed, from events files, from rules of the configuration or from the user's own
table.

Takes runs by their names and entities; returns their presentations, and the stretches that runs are cut into.
Standard library only: the workflow plans with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from boldreel.data import bids_inheritance, bids_names, event_files, headers, presentations
from boldreel.data.presentations import ENTITIES, Presentation
from boldreel.errors import UserError
from boldreel.study import segments, selectors
from boldreel.study.settings import Rule

_FIELD = re.compile(r"\{(\w+)([+-]\d+)?(?::(\w+))?\}")


class Candidate(NamedTuple):
    """A functional run as its file's name tells it.

    entities : by the names of presentations.ENTITIES, with subject
    path : BOLD; events : its events file, None without one
    length : s of the run; None until somebody asks
    """

    entities: dict[str, str]
    path: Path
    events: Path | None = None
    length: float | None = None

    @property
    def names(self) -> list[str]:
        """What a pattern of `segments` may match: task, task and run, session, task and run."""
        task, run, session = (self.entities.get(name) for name in ("task", "run", "session"))
        short = f"{task}_run-{run}" if run else f"{task}"
        full = f"task-{short}"
        own = segments.name_of(self.entities, ("run",))
        found = [str(task), short, full, own, *([f"ses-{session}_{full}"] if session else [])]
        return list(dict.fromkeys(found))


def entities_of(subject: str, name: str) -> dict[str, str]:
    """The entities of a run in a file's name, run numbers without zeros in front."""
    found = bids_names.parse_entities(name)
    named = {long: found[short] for long, short in ENTITIES.items() if short in found}
    if named.get("run", "").isdigit():
        named["run"] = str(int(named["run"]))
    return {"subject": subject, **named}


def rule_of(rules: Sequence[Rule], run: Candidate) -> Rule:
    """The first rule that fits a run; BIDS' own columns if none does."""
    for number, rule in enumerate(rules):
        wanted = selectors.conditions(rule.where, f"presentations.rules[{number}].where")
        if selectors.matches(wanted, run.entities):
            return rule
    return Rule()


def shown_in(run: Candidate, rule: Rule, earlier: float = 0.0) -> list[Presentation]:
    """The presentations of a run, without splits; none where it shows nothing.

    Parameters
    ----------
    earlier : s of the film that the runs before this one have shown (`parts`)

    Raises
    ------
    UserError : a column that a rule names is missing, a cell is no time, rows contradict each other.
    """
    rows = list(_rows(run, rule, earlier))
    stated = rule.speed is not None or any(row.speed != 1.0 for row in rows)
    joined = presentations.join(rows, stated or _states_speed(run, rule))
    inside = (
        row.within(rule.begin or 0.0, _end(rule)) if _cropped(rule) else row for row in joined
    )
    return [row for row in inside if row is not None]


def _cropped(rule: Rule) -> bool:
    return rule.begin is not None or rule.end is not None


def _end(rule: Rule) -> float:
    return float("inf") if rule.end is None else rule.end


def _states_speed(run: Candidate, rule: Rule) -> bool:
    return bool(rule.events and run.events and "speed" in event_files.columns(run.events))


def _rows(run: Candidate, rule: Rule, earlier: float) -> Iterable[Presentation]:
    constant = rule.onset is not None and not isinstance(rule.onset, str)
    if not rule.events or (run.events is None and rule.stimulus):
        if not rule.stimulus:
            return
        if not constant and rule.parts is None:
            raise UserError(
                f"{run.path}: no events file; give onset and duration of {rule.stimulus} in "
                "presentations.rules, "
                "or write its _events.tsv"
            )
        yield _row(run, rule, {}, str(run.path), earlier)
        return
    if run.events is None:
        return
    columns = event_files.columns(run.events)
    needed = [*rule.rows, *(one for one in _asked(rule) if isinstance(one, str))]
    needed += [name for name, *_ in _fields(rule.stimulus or "") if name not in run.entities]
    needed += [name for name in ("onset", "duration") if getattr(rule, name) is None]
    needed += [] if rule.stimulus else ["stim_file"]
    missing = [name for name in dict.fromkeys(needed) if name not in columns]
    if rule.parts is not None:
        missing = [name for name in missing if name not in ("onset", "duration")]
    if missing and rule == Rule() and "stim_file" not in columns:
        event_files.check_columns(run.events, columns)
    if missing:
        raise UserError(
            f"{run.events}: no column {missing[0]}, which presentations.rules names or BIDS asks for (found "
            f"{', '.join(columns)})"
        )
    wanted = {column: _words(values) for column, values in rule.rows.items()}
    for line, cells in event_files.rows(run.events):
        if any(cells[column] not in values for column, values in wanted.items()):
            continue
        origin = f"{run.events}: row {line}"
        if not rule.stimulus and not cells["stim_file"]:
            continue
        yield _row(run, rule, cells, origin, earlier)


def _asked(rule: Rule) -> list[Any]:
    times = [rule.onset, rule.stimulus_onset, rule.speed]
    return [*times, *([] if rule.duration == "run" else [rule.duration])]


def _words(values: Any) -> set[str]:
    each = values if isinstance(values, list | tuple) else [values]
    return {"" if value is None else str(value) for value in each}


def _row(
    run: Candidate, rule: Rule, cells: Mapping[str, str], origin: str, earlier: float
) -> Presentation:
    stimulus = (
        filled(rule.stimulus, {**cells, **run.entities}, origin)
        if rule.stimulus
        else cells["stim_file"]
    )
    onset = _number(rule.onset, "onset", cells, origin)
    if onset is None:
        onset = 0.0 if rule.parts is not None else _missing("onset", origin)
    length = _part(run, rule)
    if length is None:
        length = length_of(run) - onset if needs_length(rule) else None
    duration = _number(
        None if rule.duration == "run" else rule.duration, "duration", cells, origin, low=0.0
    )
    if length is not None and (duration is None or rule.duration == "run"):
        duration = length
    if duration is None:
        duration = _missing("duration", origin)
    begin = _number(rule.stimulus_onset, "stim_onset", cells, origin, low=0.0)
    speed = _number(rule.speed, "speed", cells, origin, low=0.0)
    if speed is not None and speed <= 0:
        presentations.number(f"{speed:g}", "speed", origin, low=0.0, above=True)
    known = begin is not None or rule.parts is not None or rule.stimulus_onset is not None
    return Presentation(
        onset,
        duration,
        stimulus,
        (begin or 0.0) + (earlier if rule.parts is not None else 0.0),
        1.0 if speed is None else speed,
        known,
        origin,
    )


def _number(
    asked: str | float | None,
    column: str,
    cells: Mapping[str, str],
    origin: str,
    low: float = float("-inf"),
) -> float | None:
    """A constant, or the number in the column that is asked for (by default the one of BIDS), or None."""
    if asked is not None and not isinstance(asked, str):
        return float(asked)
    name = asked or column
    cell = cells.get(name, "")
    if not cell:
        return None
    return presentations.number(cell, name, origin, low)


def _missing(column: str, origin: str) -> float:
    raise UserError(f"{origin}: {column} is n/a; expected a time in seconds")


def _part(run: Candidate, rule: Rule) -> float | None:
    """s of the part of the film that a run shows, by the rule's lengths; None where they do not say."""
    if not isinstance(rule.parts, list | tuple):
        return None
    number = int(run.entities.get("run", "1"))
    if number > len(rule.parts):
        raise UserError(
            f"{run.path}: presentations.rules gives the lengths of {len(rule.parts)} parts, this is run "
            f"{number}; add "
            "its length"
        )
    return float(rule.parts[number - 1])


class Parts:
    """How far the runs of one film in parts have come."""

    def __init__(self) -> None:
        self.runs = 0
        self.shown = 0.0

    def before(self, run: Candidate, rule: Rule) -> float:
        """s of the film that the runs before this one have shown; runs are given in their order.

        Raises
        ------
        UserError : the rule goes by the lengths of runs, and one before this is missing.
        """
        number = int(run.entities.get("run", "1"))
        if isinstance(rule.parts, list | tuple):  # whether or not the runs before it are there
            _part(run, rule)
            return float(sum(rule.parts[: number - 1]))
        if number != self.runs + 1:
            raise UserError(
                f"{run.path}: presentations.rules has parts: runs, but run {self.runs + 1} is missing, and "
                f"nobody knows where in the film run {number} begins; give the lengths of all parts instead"
            )
        before = self.shown
        self.runs, self.shown = number, before + length_of(run)
        return before


def shows_nothing(run: Candidate, rule: Rule) -> bool:
    """Whether a run has no events in which a movie could be named, and no rule says what it showed."""
    if rule != Rule() or run.events is None:
        return False
    return "stim_file" not in event_files.columns(run.events)


def needs_length(rule: Rule) -> bool:
    """Whether a rule asks how long runs last."""
    return rule.parts == "runs" or rule.duration == "run"


def length_of(run: Candidate) -> float:
    """s of a run, from its header and sidecar; UserError where they do not say."""
    if run.length is not None:
        return run.length
    path = run.path
    sidecar = bids_inheritance.read_sidecar(path)
    try:
        t_r = float(sidecar["RepetitionTime"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path}: its sidecar has no RepetitionTime, s") from None
    return headers.count_volumes(path) * t_r


def _fields(template: str) -> list[tuple[str, str, str]]:
    return _FIELD.findall(template)


def filled(template: str, words: Mapping[str, str], origin: str) -> str:
    """A template with columns and entities put in: `{run}`, `{run-1}`, `{run:02d}`, `{stim_file}`.

    Raises
    ------
    UserError : no such column or entity, or arithmetic with something that is no whole number.
    """

    def one(match: re.Match[str]) -> str:
        name, shift, form = match.groups()
        if not words.get(name):
            raise UserError(
                f"{origin}: stimulus {template!r} asks for {name}, which this run does not have"
            )
        word = words[name]
        if not shift and not form:
            return word
        if not word.isdigit():
            raise UserError(
                f"{origin}: stimulus {template!r}: {name} is {word!r}, not a whole number"
            )
        try:
            return format(int(word) + int(shift or 0), form or "d")
        except ValueError:
            raise UserError(
                f"configuration: presentations.rules: {match.group()} is not a format; write {{run:02d}}"
            ) from None

    return _FIELD.sub(one, template)


class RunSpec(NamedTuple):
    """What the table of a subject is made from, for one functional run; plain values, for a command line.

    segment, repeat : what the run is labelled as, before it is cut into stretches
    earlier : s of film that earlier runs have shown; length : s of the run, None where it does not matter
    excluded : the reason
    begin, end : s of the run that are used; None for no limit
    """

    segment: str
    repeat: int
    entities: dict[str, str]
    path: str
    events: str | None = None
    earlier: float = 0.0
    length: float | None = None
    excluded: str = ""
    begin: float | None = None
    end: float | None = None

    @property
    def candidate(self) -> Candidate:
        """The run as `shown_in` takes it."""
        events = Path(self.events) if self.events else None
        return Candidate(self.entities, Path(self.path), events, self.length)


def possible_names(spec: RunSpec) -> list[str]:
    """What a pattern of `segments` may match, before segments are named."""
    own = [segments.name_of(spec.entities, by) for by in segments.BY]
    return list(dict.fromkeys([spec.segment, *spec.candidate.names, *own]))


def stretches_of(
    spec: RunSpec,
    rows: Sequence[Presentation],
    chosen: Mapping[str, Sequence[selectors.Selector]],
    guard: float,
) -> tuple[bool, list[presentations.ShownRun]]:
    """(whether `segments` names the run, the run or its stretches with the split of each row).

    Stretches of a run are segments of their own: `movie` in two is `moviepart1` and `moviepart2`.
    """
    candidate = spec.candidate
    names = [spec.segment, *candidate.names]
    named, cut = selectors.assign(chosen, names, spec.entities, rows, guard)
    file = bids_names.run_label(spec.segment, spec.repeat)
    made = []
    for number, stretch in enumerate(cut):
        whole = len(cut) == 1 and stretch.begin is None
        begin = [time for time in (stretch.begin, spec.begin) if time is not None]
        end = [time for time in (stretch.end, spec.end) if time is not None]
        segment = spec.segment if whole else f"{spec.segment}part{number + 1}"
        made.append(
            presentations.ShownRun(
                bids_names.run_label(segment, spec.repeat),
                file,
                {name: word for name, word in spec.entities.items() if name != "subject"},
                max(begin, default=None),
                min(end, default=None),
                stretch.rows,
            )
        )
    return named, made
