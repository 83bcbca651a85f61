"""Which runs of a subject are used, and why the others are not.

Takes the runs that were found with what they showed; returns those to use and those to ignore. Runs that
`segments` names are used, and any fault in one of them stops the plan. For a member of the pretraining cohort
all other intact runs, of rest or of any task, are used as well. Standard library only: the Snakefile lists
the runs of a thousand subjects with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from boldreel.data import bids_inheritance, bids_names, event_files, files, headers
from boldreel.errors import UserError
from boldreel.study.shown import Found, Shown

_MOST_SUBJECTS = 5  # whose ignored runs are listed one by one
_MOST_RUNS = 8
_UNNAMED = "not named in segments"


@dataclass(frozen=True)
class Selection:
    """runs : those that count, in their order; ignored : the others, and why."""

    runs: list[Shown]
    ignored: list[tuple[Found, str]]


def choose(
    runs: Iterable[Shown],
    fault_of: Callable[[Found], str] | None = None,
    left_out: Callable[[Found], str] = lambda run: "",
) -> Selection:
    """The runs that are used.

    Parameters
    ----------
    fault_of : for a member of the pretraining cohort, the fault of a run that no split names, or nothing;
        None for other subjects, whose runs outside the splits are not used
    left_out : why a run is excluded, or nothing

    Raises
    ------
    UserError : a run that `segments` names cannot be told from another one, or shows nothing.
    """
    chosen = Selection([], [])
    runs = list(runs)
    skipped = {one.found.path: why for one in runs if (why := one.ignored or left_out(one.found))}
    # Those that are named have names of their own.
    unnamed = (one.found for one in runs if not one.named and one.found.path not in skipped)
    alike = bids_names.same_label(unnamed)
    for one in runs:
        run = one.found
        faulty = run.fault or alike.get(run.path, "")
        if run.path in skipped:
            chosen.ignored.append((run, skipped[run.path]))
        elif one.named and faulty:
            raise UserError(faulty)
        elif one.named:
            _check_shows(one)
            chosen.runs.append(one)
        elif fault_of is None:
            chosen.ignored.append((run, _UNNAMED))
        elif wrong := _reason(faulty) or fault_of(run):
            chosen.ignored.append((run, f"{_UNNAMED}, {wrong}"))
        else:
            chosen.runs.append(one)
    return chosen


def _check_shows(one: Shown) -> None:
    """UserError for a run that `segments` names and of which nobody knows what it showed."""
    if any(row.split for stretch in one.stretches for row in stretch.rows):
        return
    name = f"task-{one.found.segment}"
    if one.dropped:
        raise UserError(
            f"{one.found.path}: all that it shows is shown in a later split as well, and nothing is left for "
            "training; change `segments`"
        )
    if one.spec.events is None:
        raise UserError(
            f"{one.found.path}: no events file for this run; write its _events.tsv, say in "
            "presentations.rules "
            f"what it showed, or remove {name} from `segments`"
        )
    if event_files.is_template(one.spec.events):
        raise UserError(
            f"{one.spec.events}: heudiconv's template, which nobody has filled in; write its rows, say in "
            f"presentations.rules what the run showed, or remove {name} from `segments`"
        )
    raise UserError(
        f"{one.spec.events}: no row shows a movie, but `segments` names the run; name the movie in "
        "stim_file, say in "
        f"presentations.rules what it showed, or remove {name} from `segments`"
    )


def fault(path: Path, min_volumes: int, raw: bool) -> str:
    """The fault of a run that can be seen without reading its volumes; "" for none.

    raw : whether it needs a sidecar that says its repetition time
    """
    try:
        files.check_source(path)
        count = headers.count_volumes(path)
        if raw and "RepetitionTime" not in bids_inheritance.read_sidecar(path):
            return "no RepetitionTime in its sidecar"
    except UserError as error:
        return _reason(str(error))
    return f"{count} volumes" if count < min_volumes else ""


def check_left(whose: str, left: Sequence[object]) -> None:
    """UserError if a member of the pretraining cohort has no run to pretrain on."""
    if not left:
        raise UserError(
            f"{whose}: no run is left for pretraining (test runs and damaged ones do not count); take the "
            "subject out of pretrain.subjects, or add runs"
        )


def check_preprocessed(
    whose: str,
    raw: Iterable[bids_names.Key],
    preprocessed: Iterable[bids_names.Key],
    named: Callable[[bids_names.Key], bool],
) -> None:
    """UserError if a raw run named by `segments` has no preprocessed run (both by bids_names.run_key)."""
    raw, there = sorted(raw), set(preprocessed)
    paired = bids_names.pair(raw, there)
    for key in raw:
        if key in paired or not named(key):
            continue
        task, _, number, *_ = key
        near = [other for other in there if (other[0], other[2]) == (task, number)]
        hint = f" (there is one {_which(near[0])})" if near else ""
        raise UserError(
            f"{whose}: task-{task} run {number} {_which(key)} of the raw data has no preprocessed "
            f"run in the derivatives{hint}; preprocess it, or remove its task from `segments`"
        )


def told(ignored: Mapping[str, Sequence[tuple[Found, str]]]) -> list[str]:
    """Lines about the ignored runs of subjects (label -> runs): one each for a few, one for all others."""
    concerned = {subject: runs for subject, runs in ignored.items() if runs}
    listed = list(concerned)[:_MOST_SUBJECTS]
    lines = [
        f"sub-{subject}: {_count(len(concerned[subject]))} ignored, {_list(concerned[subject])}"
        for subject in listed
    ]
    further = [runs for subject, runs in concerned.items() if subject not in listed]
    if further:
        lines.append(f"{len(further)} more subjects: {_count(sum(map(len, further)))} ignored")
    return lines


def _which(key: bids_names.Key) -> str:
    _, session, _, *further = key
    told = f"of ses-{session}" if session else "without a session"
    return " ".join([told, *further])


def _list(ignored: Sequence[tuple[Found, str]]) -> str:
    reasons: dict[str, list[str]] = {}
    alike = bids_names.same_label(run for run, _ in ignored)
    for run, why in ignored:
        known = run.segment and not run.fault and run.path not in alike
        name = f"task-{run.segment} run {run.repeat}" if known else run.path.name
        reasons.setdefault(why, []).append(name)
    return "; ".join(
        f"{why}: {', '.join(names[:_MOST_RUNS])}{' ...' if len(names) > _MOST_RUNS else ''}"
        for why, names in reasons.items()
    )


def _reason(message: str) -> str:
    """The fault in a line that says where, what, and how to fix it."""
    return message.split(": ", 1)[-1].split(";")[0]


def _count(runs: int) -> str:
    return f"{runs} run{'s' if runs != 1 else ''}"
