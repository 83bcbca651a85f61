"""Download the files of base models that are read into the hub's cache; run it where there is a network.

    python -m boldreel.base_models clip=openai/clip-vit-large-patch14 diffusion=owner/name@revision

Takes keys of the configuration's `models` with their names; prints the folder of each. Downloads only the
files that are read, a fraction of some repositories.
"""

from __future__ import annotations

import argparse

from boldreel import step
from boldreel.base_models import layouts, resolve
from boldreel.errors import UserError


def _pair(text: str) -> tuple[str, str]:
    role, sign, name = text.partition("=")
    if role not in layouts.ROLES or not sign or not name:
        known = ", ".join(layouts.ROLES)
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=NAME with a key out of {known}")
    return role, name


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("models", nargs="+", type=_pair, metavar="KEY=NAME")
    faults = []
    for role, name in arguments.parse_args(argv).models:
        try:
            print(f"models.{role}: {name}: {resolve.find(role, name)}", flush=True)
        except UserError as error:
            faults.append(str(error))
    if faults:
        raise UserError("; ".join(faults))


if __name__ == "__main__":
    step.run(main)
