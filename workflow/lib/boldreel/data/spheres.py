"""The spheres of fsLR with 59k vertices, which the HCP's 1.6 mm series and fMRIPrep's 170k series are on.

Takes a folder, by default TemplateFlow's cache; returns one file for each hemisphere. Nothing is opened, and
only the standard library is imported: it is looked for during planning.
"""

from __future__ import annotations

import os
from pathlib import Path

from boldreel.data import bids_names
from boldreel.errors import UserError

SIDES = ("L", "R")
_HCP = "{side}.sphere.59k_fs_LR.surf.gii"  # also with "S1200." or a subject before it
_SUFFIX = "_sphere.surf.gii"
COMMAND = (
    "pip install templateflow && python -c \"from templateflow.api import get; get('fsLR', density='59k', "
    "suffix='sphere', space=None)\""
)


def find(folder: str | Path | None) -> list[str]:
    """The files of the left and of the right sphere.

    Parameters
    ----------
    folder : that holds them under TemplateFlow's names (tpl-fsLR_hemi-L_den-59k_sphere.surf.gii) or the HCP's
        (L.sphere.59k_fs_LR.surf.gii); None for TemplateFlow's cache

    Raises
    ------
    UserError : one of them is missing; says how to fetch both.
    """
    places = [Path(folder)] if folder else caches()
    for place in places:
        found = [_of(place, side) for side in SIDES]
        if all(found):
            return [str(path) for path in found]
    where = f"bold.spheres {folder}" if folder else f"TemplateFlow's cache ({places[0]})"
    raise UserError(
        "series on the mesh of 59k vertices (HCP 1.6 mm, den-170k) need its spheres, and neither "
        f"tpl-fsLR_hemi-L_den-59k{_SUFFIX} nor {_HCP.format(side='L')}, each with its R, is in {where}; "
        f"fetch them: {COMMAND}, or name their folder in bold.spheres"
    )


def caches() -> list[Path]:
    """TemplateFlow's folder for fsLR: in TEMPLATEFLOW_HOME if it is set, else in the user's cache."""
    told = os.environ.get("TEMPLATEFLOW_HOME")
    user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    homes = [told] if told else [f"{user}/templateflow", "~/Library/Caches/templateflow"]
    return [Path(home).expanduser() / "tpl-fsLR" for home in homes]


def _of(folder: Path, side: str) -> Path | None:
    hcp = _HCP.format(side=side)
    paths = sorted(folder.glob(f"*{_SUFFIX}")) + sorted(folder.glob(f"*{hcp}"))
    return next((path for path in paths if _is(path.name, side, hcp) and _has_content(path)), None)


def _has_content(path: Path) -> bool:
    # TemplateFlow lays out empty files, or links to what DataLad would fetch, until one is asked for.
    return path.is_file() and path.stat().st_size > 0


def _is(name: str, side: str, hcp: str) -> bool:
    if name == hcp or name.endswith(f".{hcp}"):
        return True
    entities = bids_names.parse_entities(name)
    # The spheres in another space are for moving data to that space.
    return (
        name.startswith("tpl-fsLR_")
        and "space" not in entities
        and (entities.get("hemi"), entities.get("den")) == (side, "59k")
    )
