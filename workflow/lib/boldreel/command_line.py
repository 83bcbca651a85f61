"""The command `boldreel`: begin and check a study, run the workflow, and explain its configuration.

The steps of the workflow have their own command lines: `python -m boldreel.<stage>.<step> --help`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boldreel.errors import UserError


def snakefile() -> Path:
    """The Snakefile of the working directory or else of this library's checkout.

    Raises UserError if there is neither.
    """
    above = [
        base for base in Path(__file__).parents if Path(__file__).is_relative_to(base / "workflow")
    ]
    for base in (Path(), *above):
        if (base / "workflow" / "Snakefile").is_file():
            return base / "workflow" / "Snakefile"
    raise UserError(
        "no workflow/Snakefile here; run boldreel in a checkout of the workflow, or in a folder that "
        "snakedeploy created"
    )


DEMO = Path("config/config.yaml")


def configured(files: Sequence[Path], settings: Sequence[str] = ()) -> dict[str, Any]:
    """The keys that the user set: files, then `key=value` settings. Later ones override, as in Snakemake.

    Where none of them names a data set, config/config.yaml comes first, as in the Snakefile: the working
    directory's, else the checkout's. Raises UserError for a file that is missing, and for what is no YAML.
    """
    import yaml

    named: dict[str, Any] = {}
    for path in files:
        _merge(named, _read(path))
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UserError(f"--config {setting}: write key=value")
        try:
            _merge(named, {key: yaml.safe_load(value)})
        except yaml.YAMLError as error:
            raise UserError(
                f"--config {setting}: no YAML ({' '.join(str(error).split())})"
            ) from None
    if named.get("bids"):
        return named
    merged = _read(DEMO if DEMO.is_file() else snakefile().parents[1] / DEMO)
    _merge(merged, named)
    return merged


def _read(path: Path) -> dict[str, Any]:
    import yaml

    if not path.is_file():
        raise UserError(f"{path}: configuration not found; give one with --configfile")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    except RecursionError:
        raise UserError(
            f"{path}: too many brackets inside each other; not a configuration"
        ) from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: not a configuration; write `key: value` lines")
    return found


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def explain(given: dict[str, Any], key: str) -> str:
    """Value, origin, presets and meaning of a dotted key; for a section, one line per key.

    Raises UserError for an unknown key.
    """
    import difflib

    from boldreel import configuration, presets
    from boldreel.settings import leaves

    rules = dict(leaves(configuration.schema()))
    below = [name for name in rules if name == key or name.startswith(f"{key}.")]
    if not below:
        near = difflib.get_close_matches(key, rules, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "; see config/README.md"
        raise UserError(f"configuration: unknown key {key!r}{hint}")
    complete, origins = configuration.complete(given), configuration.origins(given)
    if below != [key]:
        return "\n".join(
            f"{name}: {json.dumps(configuration.value_of(complete, name))}  # {origins[name]}"
            for name in below
        )
    rule = rules[key]
    lines = [
        f"{key}: {json.dumps(configuration.value_of(complete, key))}",
        f"comes from: {origins[key]}",
    ]
    if rule["by preset"]:
        values = (f"{name} {_of_preset(name, key)}" for name in presets.NAMES)
        lines.append(f"in the presets: {', '.join(values)}")
    elif "default" in rule:
        lines.append(f"default: {json.dumps(rule['default'])}")
    return "\n".join([*lines, f"meaning: {rule['description']}"])


def _of_preset(preset: str, key: str) -> str:
    from boldreel import configuration, presets

    return json.dumps(configuration.value_of(presets.load(preset), key))


def _config(args: argparse.Namespace) -> None:
    from boldreel import configuration, resolved

    if args.schema:
        print(json.dumps(configuration.schema(), indent=1))
        return
    given = configured(args.configfile, args.config)
    if args.explain:
        print(explain(given, args.explain))
    else:
        print(resolved.text(given, configuration.complete(given)), end="")


def _check(args: argparse.Namespace) -> None:
    """Print what a run would start with, and run every check that needs no job; stop at the first mistake."""
    from boldreel import configuration, resolved
    from boldreel.base_models import check as models_check
    from boldreel.study import preflight
    from boldreel.study.study import Study

    repository = snakefile().resolve().parents[1]

    def located(path: str) -> str:
        there = (place for place in (Path(path), repository / path) if place.exists())
        return str(next(there, path))

    given = configured(args.configfile, args.config)
    complete = configuration.complete(given)
    study = Study(complete, repository, located)
    for line in (
        *resolved.summary(given, complete, study.subjects, study.counted()),
        *study.ignored(),
        *study.left_out(),
    ):
        print(line)
    absent = models_check.check_named(study.models)
    if absent:
        print(f"warning: {models_check.absent_line(absent)}")
    preflight.check_grids(study)
    preflight.check_container(study)
    preflight.check_runs(study)
    words = [
        "boldreel",
        "run",
        *(["--configfile", *map(str, args.configfile)] if args.configfile else []),
        *(["--config", *args.config] if args.config else []),
    ]
    print(f"{'after the download' if absent else 'ready'}: {shlex.join(words)}")


def _init(args: argparse.Namespace) -> None:
    """Write presentations.tsv, and a configuration to begin with if there is none yet."""
    from boldreel import configuration
    from boldreel.data import atomic
    from boldreel.study import init
    from boldreel.study.study import Study

    if args.output.exists() and not args.force:
        raise UserError(f"{args.output}: exists already; name another --output, or add --force")
    if args.configfile:
        repository = snakefile().resolve().parents[1]
        complete = configuration.complete(configured(args.configfile, args.config))
        text, lines = init.of_study(Study(complete, repository))
    elif args.bids:
        text, lines = init.of_tree(args.bids, args.derivatives)
    else:
        raise UserError("boldreel init: name the root of a BIDS data set, or --configfile")
    atomic.write_text(args.output, text)
    for line in lines:
        print(line)
    print(f"written: {args.output}")
    beginning = Path("mine.yaml")
    if not args.configfile and not beginning.exists():
        atomic.write_text(beginning, init.configuration(str(args.bids), str(args.output)))
        print(f"written: {beginning}; fill in its segments, or the column split of the table")


def _run(args: argparse.Namespace) -> None:
    words = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile())]
    if not any(word.split("=")[0] in ("--cores", "-c", "--jobs", "-j") for word in args.more):
        words += ["--cores", "all"]
    if args.configfile:
        words += ["--configfile", *map(str, args.configfile)]
    if args.config:
        words += ["--config", *args.config]
    sys.stdout.flush()
    os.execv(words[0], [*words, *args.more])


def _clean(args: argparse.Namespace) -> None:
    from boldreel import clean

    found = clean.unused(args.results / args.dataset, args.state / args.dataset)
    for line in clean.lines(found, args.delete):
        print(line)


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    asked = argparse.ArgumentParser(prog="boldreel", description=__doc__)
    verbs = asked.add_subparsers(dest="verb", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="configuration files; later files override earlier ones (default: config/config.yaml)",
    )
    shared.add_argument(
        "--config",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="single keys; they override the files",
    )
    run = verbs.add_parser(
        "run",
        parents=[shared],
        help="run the workflow; arguments after -- go to Snakemake",
        epilog="Arguments after -- go to Snakemake: boldreel run --configfile mine.yaml -- --dry-run",
    )
    run.set_defaults(act=_run)
    check = verbs.add_parser(
        "check",
        parents=[shared],
        help="show subjects, runs and models, and stop at the first mistake",
    )
    check.set_defaults(act=_check)
    init = verbs.add_parser(
        "init",
        parents=[shared],
        help="write presentations.tsv: what each run of a data set showed, for you to edit",
    )
    init.add_argument(
        "bids", type=Path, nargs="?", help="root of the data set, if --configfile is not given"
    )
    init.add_argument("--derivatives", type=Path, help="take the runs of this fMRIPrep tree")
    init.add_argument("--output", type=Path, default=Path("presentations.tsv"), metavar="TSV")
    init.add_argument("--force", action="store_true", help="replace the table")
    init.set_defaults(act=_init)
    config = verbs.add_parser(
        "config", parents=[shared], help="print every value of the configuration and its origin"
    )
    config.add_argument(
        "--explain", metavar="KEY", help="explain one key, such as align.epochs, or a section"
    )
    config.add_argument("--schema", action="store_true", help="print the JSON schema, for editors")
    config.set_defaults(act=_config)
    clean = verbs.add_parser("clean", help="list, or delete, what no result comes from any more")
    clean.add_argument("--states", action="store_true", required=True, help="training states")
    clean.add_argument("--dataset", default="demo")
    clean.add_argument("--results", type=Path, default=Path("results"))
    clean.add_argument("--state", type=Path, default=Path("state"))
    clean.add_argument("--delete", action="store_true", help="delete them, not only list them")
    clean.set_defaults(act=_clean)
    return asked


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; a user's mistake ends it with one line and exit code 2."""
    asked = parser()
    args, more = asked.parse_known_args(argv)
    if more and args.verb != "run":
        asked.error(f"unrecognized arguments: {' '.join(more)}")
    args.more = [word for word in more if word != "--"]
    try:
        args.act(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
