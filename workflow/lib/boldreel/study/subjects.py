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
from boldreel.data import files
from boldreel.errors import UserError

MOST_SUBJECTS = (
    10_000  # no run has more; a file that is not a list of subjects may have millions of rows
)

COLUMNS = ("subject", "participant_id")  # either holds the labels


def of(
    config: Mapping[str, Any], located: Callable[[str], str], gone: Mapping[str, str]
) -> list[str]:
    """Labels of the subjects: from the table in the configuration, else every subject of the data set.

    located : finds a path of the configuration. gone : forgotten subjects, see `forgotten.read`.
    """
    if config["subjects"]:
        return read(located(config["subjects"]), gone)
    if not config["bids"]:
        raise UserError(
            "configuration: subjects is missing; name a table such as config/subjects.tsv"
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
    """Labels (without "sub-") of the subjects in a TSV with a column `subject`, or BIDS' `participant_id`.

    Rows whose column `exclude` is true are left out, and so are forgotten subjects (`gone`, see
    `forgotten.read`). Raises UserError if the file or the column is missing, if a label is repeated or has
    characters other than letters and digits, or if there are more than MOST_SUBJECTS rows.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"{path}: list of subjects not found; correct `subjects` in the configuration"
        )
    labels: dict[str, bool] = {}
    names: list[str] = []
    column: str | None = None
    for number, row in _rows(path):
        if not names:
            names = [name.strip() for name in row]
            column = next((name for name in COLUMNS if name in names), None)
            if column is None:
                break
            continue
        values = dict(zip(names, [*row, *[""] * len(names)], strict=False))
        assert column is not None
        label = _label(values[column], f"{path}: line {number}")
        if label in labels:
            raise UserError(f"{path}: line {number}: subject {label!r} is listed twice; remove one")
        labels[label] = values.get("exclude", "").strip().lower() not in ("true", "yes", "1")
        if len(labels) > MOST_SUBJECTS:
            raise UserError(
                f"{path}: more than {MOST_SUBJECTS:,} subjects, too many for one run; is this the list of "
                "subjects? If so, split it"
            )
    if column is None:
        raise UserError(f"{path}: no column 'subject'; the first line must name the columns")
    kept = forgotten.left((label for label, included in labels.items() if included), gone)
    if not kept:
        raise UserError(f"{path}: no subject is left; add a row")
    return kept


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(number, cells) of the lines of a table that are neither empty nor comments."""
    try:
        with path.open(encoding=files.encoding_of(path)) as lines:
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
            f"{where}: label {label!r}: BIDS allows letters and digits only; rename the subject"
        )
    return label


def cohort(
    config: Mapping[str, Any],
    located: Callable[[str], str],
    watching: list[str],
    gone: Mapping[str, str],
) -> list[str]:
    """Labels of the pretraining cohort: a list, a table like `subjects`, or all subjects of the study.

    Forgotten subjects are left out. Raises UserError if somebody is named twice or fewer than two are left.

    watching : labels of the subjects of the study.
    """
    named = config["pretrain"]["subjects"]
    where = "configuration: pretrain.subjects"
    if named is None:
        where, found = f"{where} is not set, so the cohort is the subjects of the study", watching
    elif isinstance(named, str):
        where, found = named, read(located(named), gone)
    else:
        found = forgotten.left((_label(str(label), where) for label in named), gone)
    twice = next((label for label in found if found.count(label) > 1), None)
    if twice is not None:
        raise UserError(f"{where} names {twice} twice; take one of them out")
    if len(found) < 2:
        raise UserError(
            f"{where}: {len(found)} subject, but at least 2 are needed, since one is held out"
        )
    return found


def check_holdout(config: Mapping[str, Any], cohort: Iterable[str]) -> None:
    """UserError if pretrain.holdout names somebody who is not in the pretraining cohort."""
    known = list(cohort)
    for label in config["pretrain"]["holdout"] or []:
        if label not in known:
            raise UserError(
                f"configuration: pretrain.holdout names {label}, who is not in the cohort "
                f"({', '.join(known)}); remove this label"
            )


def check_pool(config: Mapping[str, Any], subjects: Iterable[str]) -> None:
    """Check that the subjects can share an encoder, if the configuration asks for it.

    Raises UserError if windows may differ between subjects, or the pool names an unknown subject.
    """
    align = config["align"]
    if align["subjects"] != "pooled":
        return
    known = list(subjects)
    if config["windows"]["window"] is None:
        raise UserError(
            "configuration: align.subjects is pooled, but the sweep may choose different windows; "
            "set windows.window (volumes)"
        )
    pool = known if align["pool"] is None else align["pool"]
    unknown = [label for label in pool if label not in known]
    if unknown:
        raise UserError(
            f"configuration: align.pool names {unknown[0]}, which is not a subject ({', '.join(known)})"
        )
    if len(pool) < 2:
        raise UserError(
            "configuration: align.subjects is pooled, but there is only one subject; name two or more"
        )


def check_backbone(config: Mapping[str, Any]) -> None:
    """Check that the packed generator is told what it needs, if the configuration asks for it.

    Raises UserError if alignment leaves no predictions of clips that it did not see, or clips are to continue
    each other.
    """
    if config["generator"]["backbone"] != "packed":
        return
    align = config["align"]
    wanted = {"subjects": "each", "refit": True}
    wrong = [key for key, value in wanted.items() if align[key] != value]
    if align["linear_path"] == "none":
        wrong.append("linear_path")
    if wrong:
        key = wrong[0]
        raise UserError(
            f"configuration: align.{key} is {align[key]}, but generator.backbone packed needs left-out "
            f"predictions of every training clip; set align.{key} to {wanted.get(key, 'inversion')}, or the "
            "backbone to inflated"
        )
    if config["reconstruct"]["continuous"] is not None:
        raise UserError(
            "configuration: reconstruct.continuous is set, but generator.backbone packed draws each clip "
            "alone; set it to null, or the backbone to inflated"
        )
