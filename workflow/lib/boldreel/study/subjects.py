"""Who takes part: the subjects, and the cohort that pretraining uses.

Takes the complete configuration and the tables that it names; returns labels without "sub-".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from boldreel import forgotten
from boldreel.errors import UserError

MOST_SUBJECTS = 10_000  # more than anybody plans in one run; a list that is none has millions


def of(
    config: Mapping[str, Any], located: Callable[[str], str], gone: Mapping[str, str]
) -> list[str]:
    """Labels of the subjects: of the table that the configuration names, else all of the data set.

    located : finds a path of the configuration. gone : who was forgotten, see `forgotten.read`.
    """
    if config["subjects"]:
        return read(located(config["subjects"]), gone)
    if not config["bids"]:
        raise UserError(
            "configuration: no value for subjects; name a table, as config/subjects.tsv is"
        )
    root = Path(located(config["bids"]))
    found = sorted(path.name.removeprefix("sub-") for path in root.glob("sub-*") if path.is_dir())
    if not found:
        raise UserError(f"{root}: no folder sub-XX; set `bids` to the root of a raw BIDS data set")
    kept = forgotten.left(found, gone)
    if not kept:
        raise UserError(f"{root}: no subject is left; name others in `subjects`")
    return kept


def read(path: str | Path, gone: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Labels (without "sub-") of the subjects in a TSV with a column `subject`.

    Rows whose column `exclude` is true are left out, and who was forgotten (`gone`, as `forgotten.read`
    gives it). Raises UserError if there is no such file or
    column, a label is not letters and digits, or stands twice, or there are more rows than can be planned.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: list of subjects not found; set `subjects` in the configuration")
    labels: dict[str, bool] = {}
    names: list[str] = []
    for number, row in _rows(path):
        if not names:
            names = row
            if "subject" not in names:
                break
            continue
        values = dict(zip(names, [*row, *[""] * len(names)], strict=False))
        label = _label(values["subject"], f"{path}: line {number}")
        if label in labels:
            raise UserError(f"{path}: line {number}: subject {label!r} stands there twice")
        labels[label] = values.get("exclude", "").strip().lower() not in ("true", "yes", "1")
        if len(labels) > MOST_SUBJECTS:
            raise UserError(
                f"{path}: more than {MOST_SUBJECTS:,} subjects, whose jobs nobody could plan in one run; "
                "is it the list of subjects? Else part it"
            )
    if "subject" not in names:
        raise UserError(f"{path}: no column 'subject'; the first line must name the columns")
    kept = forgotten.left((label for label, included in labels.items() if included), gone)
    if not kept:
        raise UserError(f"{path}: no subject is left; add a row")
    return kept


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(number, cells) of the lines of a table that are neither empty nor comments."""
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip() and not line.startswith("#"):
                    yield number, line.rstrip("\r\n").split("\t")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable table ({error}); save it as UTF-8") from None


def _label(text: str, where: str) -> str:
    """A subject's label without "sub-"."""
    label = text.strip().removeprefix("sub-")
    if not re.fullmatch(r"[A-Za-z0-9]+", label):
        raise UserError(
            f"{where}: label {label!r} is not letters and digits alone, as BIDS wants; rename the subject"
        )
    return label


def cohort(
    config: Mapping[str, Any],
    located: Callable[[str], str],
    watching: list[str],
    gone: Mapping[str, str],
) -> list[str]:
    """Labels of the pretraining cohort: a list, a table as `subjects` reads it, or all who watch.

    Who was forgotten is left out. Raises UserError if somebody is named twice or fewer than two are left.

    watching : labels of the subjects.
    """
    named = config["pretrain"]["subjects"]
    where = "configuration: pretrain.subjects"
    if named is None:
        where, found = f"{where} is not given, so the cohort is those who watch", watching
    elif isinstance(named, str):
        where, found = named, read(located(named), gone)
    else:
        found = forgotten.left((_label(str(label), where) for label in named), gone)
    twice = next((label for label in found if found.count(label) > 1), None)
    if twice is not None:
        raise UserError(f"{where} names {twice} twice; take one of them out")
    if len(found) < 2:
        raise UserError(f"{where}: {len(found)} subject, at least 2 needed, since one is held out")
    return found


def check_holdout(config: Mapping[str, Any], cohort: Iterable[str]) -> None:
    """UserError where pretrain.holdout names somebody who is not in the pretraining cohort."""
    known = list(cohort)
    for label in config["pretrain"]["holdout"] or []:
        if label not in known:
            raise UserError(
                f"configuration: pretrain.holdout names {label}, who is not in the cohort "
                f"({', '.join(known)}); take it out"
            )


def check_pool(config: Mapping[str, Any], subjects: Iterable[str]) -> None:
    """Whether subjects can share an encoder as the configuration says.

    Raises UserError if windows may differ between them, or the pool names someone who is not there.
    """
    align = config["align"]
    if align["subjects"] != "pooled":
        return
    known = list(subjects)
    if config["windows"]["window"] is None:
        raise UserError(
            "config: align.subjects is pooled, and sweeps may choose another window for each subject; "
            "set windows.window (volumes)"
        )
    pool = known if align["pool"] is None else align["pool"]
    unknown = [label for label in pool if label not in known]
    if unknown:
        raise UserError(
            f"config: align.pool names {unknown[0]}, who is not among the subjects ({', '.join(known)})"
        )
    if len(pool) < 2:
        raise UserError(
            "config: align.subjects is pooled, but there is one subject; name two or more"
        )
