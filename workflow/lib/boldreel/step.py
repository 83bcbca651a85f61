"""How a step starts and ends when Snakemake, or a person, runs `python -m boldreel.<stage>.<step>`.

Takes a `main(argv)`; returns an exit code: 0, 2 after a user's mistake or where the disk takes nothing or
memory is used up (one line on standard error), 130 after Ctrl-C, or 143 after SIGTERM (training steps save
their state on the way out).
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from boldreel.errors import UserError, write_error


class Stopped(SystemExit):
    """SIGTERM arrived. A training loop saves its state, everything else just leaves."""

    def __init__(self) -> None:
        super().__init__(143)


def _json_object(text: str) -> dict:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not JSON ({error})") from None
    except RecursionError:
        raise argparse.ArgumentTypeError("JSON with too many brackets inside each other") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("must be a JSON object")
    return value


def parser(doc: str | None) -> argparse.ArgumentParser:
    """An argument parser with `--config JSON`; `doc` is the step's module docstring."""
    arguments = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument(
        "--config",
        type=_json_object,
        default={},
        metavar="JSON",
        help="the stage's section of the configuration, as a JSON object",
    )
    return arguments


def _stop(_signal: int, _frame: object) -> None:
    raise Stopped


def keep_private() -> None:
    """Let no one but the owner and the group read what this process writes: brain data.

    The environment variable BOLDREEL_UMASK, such as 022, decides otherwise.
    """
    asked = os.environ.get("BOLDREEL_UMASK")
    if asked is not None and not re.fullmatch("0?[0-7]{3}", asked):
        raise UserError(f"BOLDREEL_UMASK is {asked!r}; give three octal digits, such as 022")
    before = os.umask(0o077)
    os.umask(before | 0o007 if asked is None else int(asked, 8))


def run(main: Callable[[], None], results: bool = True) -> None:
    """Call `main()` and leave the process with its exit code; never a traceback for a UserError.

    results : whether what it writes are results, all of which get a provenance.
    """
    from boldreel.data import atomic, provenance

    signal.signal(signal.SIGTERM, _stop)
    if results:
        atomic.collect()
    try:
        keep_private()
        try:
            main()
            provenance.complete()
        except OSError as error:
            # Most is written through data.atomic, which names the result; this is for the rest.
            place = error.filename if isinstance(error.filename, str) else "."
            if error.errno == errno.EACCES:  # of reading or of writing: nothing tells which
                raise UserError(f"{place}: no permission to read or write it; ask for it") from None
            reason = write_error(error, Path(place))
            if reason is None:
                raise
            raise reason from None
        except MemoryError as error:
            told = f" ({error})" if str(error) else ""
            raise UserError(
                f"memory is used up{told}; close other programs, take smaller batches or fewer clips at "
                f"once, "
                "or a machine with more"
            ) from None
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr, flush=True)
        sys.exit(130)
    except UserError as error:
        if os.environ.get("RANK", "0") != "0":
            # Of processes that train together the first one says it, and its end ends the others.
            time.sleep(2)
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(2)
