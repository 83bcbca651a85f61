"""All base models of a configuration, before the first job: unavailable ones are reported together.

Takes the configuration's `models`; returns lines. Cheap, and without torch, transformers or diffusers: it
lists a folder, or looks up a model of the hub in the hub's cache. The hub itself is asked only when jobs are
about to start.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from boldreel.base_models import cache, hub, layouts, resolve
from boldreel.base_models.names import Repository, fault, parse
from boldreel.errors import UserError

TIMEOUT = 5.0  # s, for the hub's answer on one model


def check_named(models: Mapping[str, str]) -> dict[str, Repository]:
    """The models of the hub that are not in its cache, by role.

    Raises
    ------
    UserError : missing or incomplete folders, names that no model can have; all in one line.
    """
    absent: dict[str, Repository] = {}
    faults: list[str] = []
    for role, name in models.items():
        try:
            if role not in layouts.ROLES:  # a single file
                if not Path(name).is_file():
                    raise fault(role, name, "no such file; check the path in the configuration")
                continue
            place, parts = parse(role, name), layouts.parts_of(role)
            if isinstance(place, Path):
                resolve.check_folder(role, place, parts)
                continue
            found = cache.snapshot(place)
            if found is None or resolve.missing(found, parts):
                absent[role] = place
        except UserError as error:
            faults.append(str(error))
    if faults:
        raise UserError("; ".join(faults))
    return absent


def absent_line(absent: Mapping[str, Repository]) -> str:
    """The line that a plan prints about models that are not in the cache."""
    named = ", ".join(f"models.{role} ({repository})" for role, repository in absent.items())
    return (
        f"{named}: no such folder, and not in the hub's cache ({cache.home()}); check the spelling, or "
        f"download where there is a network: {resolve.command(list(absent.items()))}"
    )


def check_hub(absent: Mapping[str, Repository], elsewhere: bool) -> list[str]:
    """Check that models missing in the cache can be downloaded; return a warning or nothing.

    Parameters
    ----------
    absent : see `check_named`.
    elsewhere : whether jobs run on other machines, which may reach the hub where this one does not.

    Raises
    ------
    UserError : the hub has no such model, a part of it is missing, or the hub cannot be reached or asked;
        all in one line. If jobs run elsewhere, an unreachable hub is only a warning.
    """
    faults: list[str] = []
    unasked: dict[str, Repository] = {}
    reason = "HF_HUB_OFFLINE is set"
    for role, repository in absent.items():
        if cache.offline() or unasked:
            unasked[role] = repository
            continue
        try:
            listed = hub.listing(repository, TIMEOUT)
            resolve.choose(role, repository, listed, layouts.parts_of(role))
        except hub.UnknownModel as error:
            faults.append(str(fault(role, repository, str(error))))
        except hub.Unreachable as error:
            unasked[role], reason = repository, f"the hub cannot be reached from here ({error})"
        except UserError as error:
            faults.append(str(error))
    warnings: list[str] = []
    if unasked and elsewhere and not cache.offline():
        warnings.append(
            f"{absent_line(unasked)}; {reason}, but it is assumed that the jobs' machines reach it"
        )
    elif unasked:
        faults.append(f"{absent_line(unasked)}; {reason}")
    if faults:
        raise UserError("; ".join(faults))
    return warnings
