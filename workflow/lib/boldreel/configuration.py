"""The configuration: checked against its schema, completed by the schema's defaults.

Takes what Snakemake read from the YAML files; leaves a complete dictionary. Also reads the list of
subjects and finds which movies a data set's events name.
"""

from __future__ import annotations

import copy
import difflib
import importlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from boldreel import forgotten
from boldreel.config_values import typed
from boldreel.errors import UserError
from boldreel.section import read

SCHEMA = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"
MOST_SUBJECTS = 10_000  # more than anybody plans in one run; a list that is none has millions
_VIDEO = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".gif")


def schema() -> dict[str, Any]:
    """The JSON schema of the configuration."""
    import yaml

    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def complete(config: Mapping[str, Any], rules: dict[str, Any] | None = None) -> dict[str, Any]:
    """`config` with defaults filled in.

    Raises UserError at an unknown key (naming the nearest known one) or a value that does not fit.
    """
    import jsonschema

    rules = rules or schema()
    filled = typed(config, rules)
    _fill(filled, rules)
    validator = jsonschema.Draft202012Validator(rules)
    errors = sorted(validator.iter_errors(filled), key=lambda e: len(list(e.absolute_path)))
    if errors:
        raise UserError(_explain(errors[0]))
    return filled


def _fill(value: dict[str, Any], rules: Mapping[str, Any]) -> None:
    for key, rule in rules.get("properties", {}).items():
        if key not in value and "default" in rule:
            value[key] = copy.deepcopy(rule["default"])
        if rule.get("type") == "object" and "properties" in rule:
            if value.setdefault(key, {}) is None:
                value[key] = {}
            if isinstance(value[key], dict):
                _fill(value[key], rule)


def _explain(error: Any) -> str:
    where = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))[0]
        near = difflib.get_close_matches(unknown, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        name = f"{where}.{unknown}" if where else unknown
        return f"configuration: unknown key {name!r}; {hint}"
    if error.validator == "minItems":
        count = f"{len(error.instance)} given, at least {error.validator_value} needed"
        return f"configuration: {where}: {count}; see config/README.md"
    if error.validator == "required":
        return f"configuration: {where or 'top level'}: {error.message}; see config/README.md"
    return f"configuration: {where}: {error.message}; see config/README.md"


def check_engine(config: Mapping[str, Any]) -> None:
    """UserError where the engine and what it works on do not belong together."""
    engine = config["bold"]["engine"]
    if config["bids"] is None and engine != "embedded":
        raise UserError(
            f"configuration: bold.engine is {engine}, but `bids` is not set: the simulated data have no "
            "other preprocessing; set bids to the root of a raw data set"
        )
    if engine == "derivatives" and not config["bold"]["derivatives"]:
        raise UserError(
            "configuration: bold.engine is derivatives, but bold.derivatives does not say where they "
            "lie; name the root of an fMRIPrep or HCP tree"
        )
    if engine == "embedded" and config["bold"]["space"]:
        raise UserError(
            "configuration: bold.space is for fMRIPrep and derivatives; the embedded engine has one "
            "space, MNI152NLin2009aSym"
        )


def check_warmup(config: Mapping[str, Any]) -> None:
    """UserError where a training would end before its warm-up does."""
    amounts = {}
    for section in ("pretrain", "align"):
        amounts[f"{section}.warmup_epochs"] = config[section]["epochs"], "epochs"
    for section in ("generator", "cotrain"):
        steps = config[section]["epochs"] * config[section]["steps_per_epoch"]
        amounts[f"{section}.warmup"] = steps, "steps"
    for key, (total, unit) in amounts.items():
        section, name = key.split(".")
        warmup = config[section][name] or 0
        if 0 < total <= warmup:
            raise UserError(
                f"configuration: {key} is {warmup} of {total} {unit} in all: the learning rate would "
                f"never reach its peak; lower it or raise {section}.epochs"
            )


def check_processes(config: Mapping[str, Any]) -> None:
    """UserError where processes that train together could not part their batch evenly."""
    for section, key in (
        ("pretrain", "batch_size"),
        ("align", "batch_size"),
        ("generator", "batch"),
        ("cotrain", "batch"),
    ):
        batch, processes = config[section][key], config[section]["processes"]
        if batch % processes:
            raise UserError(
                f"configuration: {section}.{key} is {batch}; it must be a multiple of "
                f"{section}.processes, {processes}"
            )


def check_methods(config: Mapping[str, Any], root: Path) -> None:
    """UserError for a method without rule file or package, and for options that it does not have.

    root : of the repository. A method `name` is workflow/rules/name.smk and boldreel.methods.name, whose
    settings.py has a dataclass `Settings`.
    """
    chosen = [name for name in config["methods"] if name != "mindvideo"]
    unused = sorted(set(config["method_options"]) - set(chosen))
    if unused:
        raise UserError(
            f"configuration: method_options.{unused[0]} is given, but {unused[0]} is not in `methods`"
        )
    for name in chosen:
        package = f"boldreel.methods.{name}"
        rules = root / "workflow" / "rules" / f"{name}.smk"
        try:
            settings = importlib.import_module(f"{package}.settings")
        except ModuleNotFoundError:
            settings = None
        if settings is None or not rules.exists():
            known = sorted(
                path.name
                for path in (Path(__file__).parent / "methods").iterdir()
                if (path / "settings.py").exists()
            )
            raise UserError(
                f"configuration: methods: no method {name!r} (known: mindvideo, {', '.join(known)}); it "
                f"needs workflow/rules/{name}.smk and {package}.settings"
            )
        read(settings.Settings, config["method_options"].get(name, {}), f"method_options.{name}")


def check_paths(config: Mapping[str, Any], root: Path) -> None:
    """UserError for a path that commands or Snakemake would read as something else.

    Blanks, quotes, semicolons, dollar signs and letters of any alphabet are left as they are: every path is
    quoted where a shell sees it.
    """
    named = {key: config[key] for key in ("results", "state", "subjects", "bids")}
    named |= {f"models.{key}": value for key, value in config["models"].items()}
    named |= {f"roi.{key}": config["roi"][key] for key in ("atlas", "mask")}
    named |= {f"{key}.derivatives": config[key]["derivatives"] for key in ("bold", "pretrain")}
    for key, value in {"the repository": str(root), **named}.items():
        fault = _fault(value or "")
        if key == "the repository" and ":" in value:
            fault = "has a colon, at which Python parts its paths; move it elsewhere"
        if fault:
            raise UserError(f"configuration: {key}: the path {value!r} {fault}")


def check_writable(folders: Iterable[str | Path]) -> None:
    """UserError for a folder that nothing can be written to, or in which it could not be made."""
    for folder in map(Path, folders):
        above = (folder.absolute(), *folder.absolute().parents)
        # Path.exists would raise below a folder that is closed to us
        place = next(path for path in above if os.path.exists(path))  # noqa: PTH110
        if not place.is_dir():
            raise UserError(f"{place}: a file, where the folder {folder} is to be; move it away")
        if not os.access(place, os.W_OK | os.X_OK):
            raise UserError(
                f"{folder}: cannot be written ({place} is read-only, or somebody else's); set `results` and "
                "`state` in the configuration to folders elsewhere, or make it writable"
            )


def _fault(name: str) -> str:
    """What keeps a path or a movie's name from being used, or nothing."""
    if name.startswith("-"):
        return "begins with a dash, like an option; give the whole path, or another name"
    if set("{}") & set(name):
        return "has braces, which are wildcards for Snakemake; give it another name"
    if not name.isprintable():
        return "has characters that cannot be seen; give it another name"
    return ""


def subjects(path: str | Path, gone: Mapping[str, str] = MappingProxyType({})) -> list[str]:
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
    named: str | list[str],
    located: Callable[[str], str],
    gone: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Labels of the pretraining cohort: a list, or the path of a table as `subjects` reads it.

    Who was forgotten is left out of either. Raises UserError if fewer than two are left.
    """
    if isinstance(named, str):
        where, found = named, subjects(located(named), gone)
    else:
        where = "configuration: pretrain.subjects"
        found = forgotten.left((_label(str(label), where) for label in named), gone)
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


def movies_shown(events: Iterable[str | Path]) -> dict[str, str]:
    """{movie name: stim_file} of everything that the events files show, by name.

    Raises UserError where two movies have one name, or a name could not be that of a folder.
    """
    from boldreel.data.bids import stim_files

    shown: dict[str, str] = {}
    for path in events:
        for value in stim_files(path):
            name = Path(value).stem
            fault = "begins with a dot" if name.startswith(".") else _fault(name)
            if fault:
                raise UserError(f"{path}: stim_file {value!r} {fault}")
            if shown.setdefault(name, value) != value:
                raise UserError(f"{path}: two movies are named {name!r}: {shown[name]} and {value}")
    return shown


def movie_file(bids: str | Path, name: str) -> str:
    """The path of a movie under `stimuli/`; UserError if it is missing."""
    for suffix in _VIDEO:
        path = Path(bids) / "stimuli" / f"{name}{suffix}"
        if os.path.lexists(path):  # a link that leads nowhere is told as such
            return str(path)
    raise UserError(
        f"{bids}/stimuli: movie {name!r} is named by the events but is not there; copy it or mend stim_file"
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
