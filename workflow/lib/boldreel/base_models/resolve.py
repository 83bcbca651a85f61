"""The folder of a base model on this machine: named, in the hub's cache, or downloaded into it.

Takes a role (a key of the configuration's `models`) and a name; returns a folder that holds every file of
the parts that are asked for. What the cache holds is taken as it is, without asking the hub whether its
branch has moved on since, so that all jobs of a run see the same model.
"""

from __future__ import annotations

from pathlib import Path

from boldreel.base_models import cache, hub, layouts
from boldreel.base_models.names import Repository, fault, parse
from boldreel.errors import UserError


def find(role: str, name: str | Path, *parts: str) -> Path:
    """The folder of a base model, complete for these parts.

    Parameters
    ----------
    role : such as ``clip``, see `boldreel.base_models.layouts.ROLES`.
    name : see `boldreel.base_models.names.parse`.
    parts : of the role's; none means all. No other part is looked at, or downloaded.

    Raises
    ------
    UserError : there is no such folder or model, a part is missing, or it is not in the cache and the hub
        may not or cannot be asked.
    """
    place = parse(role, name)
    wanted = layouts.parts_of(role, parts)
    if isinstance(place, Path):
        check_folder(role, place, wanted)
        return place
    cached = cache.snapshot(place)
    if cached is not None and not missing(cached, wanted):
        return cached
    if cache.offline():
        raise not_cached(role, place, "HF_HUB_OFFLINE is set")
    try:
        chosen = choose(role, place, hub.listing(place), wanted)
        return hub.download(place, chosen)
    except hub.UnknownModel as error:
        raise fault(role, name, str(error)) from None
    except hub.Unreachable as error:
        raise not_cached(role, place, f"the hub cannot be reached ({error})") from None


def files(role: str, folder: Path, *parts: str) -> list[Path]:
    """The files of a complete model that are read for these parts; no parts means all."""
    wanted = layouts.parts_of(role, parts)
    chosen, _ = layouts.select(wanted, cache.files(folder, wanted))
    return [folder / name for name in chosen]


def missing(folder: Path, parts: list[layouts.Part]) -> list[str]:
    """Files of these parts that are missing in a folder."""
    return layouts.select(parts, cache.files(folder, parts))[1]


def check_folder(role: str, folder: Path, parts: list[layouts.Part]) -> None:
    """UserError for a user's folder with a missing file."""
    lacking = missing(folder, parts)
    if lacking:
        raise fault(
            role,
            folder,
            f"{lacking[0]} is missing; fill the folder with the whole model, or name another",
        )


def choose(
    role: str, repository: Repository, listed: list[str], parts: list[layouts.Part]
) -> list[str]:
    """Files of a model on the hub that are read; UserError if one is missing."""
    chosen, lacking = layouts.select(parts, listed)
    if lacking:
        raise fault(
            role, repository, f"{lacking[0]} is missing in this model of the hub; name another"
        )
    return chosen


def not_cached(role: str, repository: Repository, why: str) -> UserError:
    """UserError for a model of the hub that is missing or incomplete on this machine."""
    found = cache.snapshot(repository)
    lacking = missing(found, layouts.parts_of(role)) if found else []
    where = f"no such folder, and not in the hub's cache ({cache.home()})"
    if lacking:
        where = f"{lacking[0]} is missing in the hub's cache ({cache.home()})"
    return fault(
        role,
        repository,
        f"{where}; {why}: check the spelling, or download it where there is a network: "
        f"{command([(role, repository)])}",
    )


def command(models: list[tuple[str, Repository]]) -> str:
    """The command line that downloads these models."""
    words = [f"{role}={repository}" for role, repository in models]
    return " ".join(["python -m boldreel.base_models", *words])
