"""Preprocessed runs in a derivatives tree of fMRIPrep or of the HCP pipelines, by their names alone.

Takes the tree's root, a subject and a space; returns one Found per run. No file is opened, and nothing but
the standard library is imported: the Snakefile lists the runs of a thousand subjects with it.

A space is named as fMRIPrep's --output-spaces does: ``MNI152NLin2009cAsym``, ``MNI152NLin2009cAsym:res-2``,
``fsLR`` or ``fsLR:den-91k``. fsLR means CIFTI, everything else a volume.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from boldreel.data import bids
from boldreel.errors import UserError

VOLUME = "MNI152NLin2009cAsym"
SURFACE = "fsLR"
_DENSITY = "91k"
FMRIPREP, HCP = "fmriprep", "hcp"
HCP_SPACE = "MNI152NLin6Asym"
_HCP_RESULTS = ("MNINonLinear", "Results")
_HCP_ENDINGS = {
    SURFACE: "_Atlas_MSMAll_hp2000_clean.dtseries.nii",
    HCP_SPACE: "_hp2000_clean.nii.gz",
}
_ENDINGS = {True: "_bold.dtseries.nii", False: "_desc-preproc_bold.nii*"}


@dataclass(frozen=True)
class Found:
    """One preprocessed run: path, space by name, the pipeline that made it; fault as in bids.Run."""

    segment: str
    repeat: int
    path: Path
    space: str
    pipeline: str
    fault: str = ""

    @property
    def surface(self) -> bool:
        """Whether it is CIFTI."""
        return self.space == SURFACE

    @property
    def key(self) -> tuple[str, str, int]:
        """What pairs it with raw data (data.bids.run_key)."""
        return (self.segment, "", 1) if self.pipeline == HCP else bids.run_key(self.path)


def find(root: Path | str, subject: str, space: str = VOLUME) -> list[Found]:
    """The runs of a subject, by segment and repeat.

    Parameters
    ----------
    subject : label without "sub-"

    Raises
    ------
    UserError : no such tree or subject, nothing in this space (the spaces that are there are named), or
        several resolutions.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such derivatives folder; check bold.derivatives")
    if (root / f"sub-{subject}").is_dir():
        runs = _find_fmriprep(root / f"sub-{subject}", space)
    elif root.joinpath(subject, *_HCP_RESULTS).is_dir():
        runs = _find_hcp(root.joinpath(subject, *_HCP_RESULTS), space)
    else:
        raise UserError(
            f"{root}: neither sub-{subject} (fMRIPrep) nor {subject}/MNINonLinear/Results (HCP) is "
            "there; check the path and the list of subjects"
        )
    return sorted(runs, key=lambda run: (bids.natural(run.segment), run.repeat))


def parse_space(space: str) -> tuple[str, dict[str, str]]:
    """(name, entities) of a space as fMRIPrep names it: "X:res-2" is ("X", {"res": "2"})."""
    name, *parts = space.split(":")
    pairs = [part.split("-", 1) for part in parts]
    if not name or any(len(pair) != 2 for pair in pairs):
        raise UserError(
            f"configuration: bold.space is {space!r}; give for example {VOLUME}:res-2 or {SURFACE}:den-91k"
        )
    return name, {key: value for key, value in pairs}


def _find_fmriprep(folder: Path, space: str) -> list[Found]:
    name, wanted = parse_space(space)
    ending = _ENDINGS[name == SURFACE]
    every = sorted([*folder.glob(f"func/sub-*{ending}"), *folder.glob(f"ses-*/func/sub-*{ending}")])
    every = [path for path in every if path.name.endswith((".nii", ".nii.gz"))]
    found: list[tuple[Path, dict[str, str]]] = []
    for path in every:
        entities = bids.parse_entities(path.name)
        if entities.get("space") == name and wanted.items() <= entities.items():
            found.append((path, entities))
    if not found:
        others = [path for e in _ENDINGS.values() for path in folder.rglob(f"func/*{e}")]
        there = ", ".join(sorted({_space_of(path) for path in others} - {""})) or "none at all"
        raise UserError(
            f"{folder}: no run in space {space}; there is: {there}; set bold.space, or add it to "
            "fMRIPrep's --output-spaces"
        )
    kinds = sorted({_space_of(path) for path, _ in found})
    if len(kinds) > 1:
        raise UserError(
            f"{folder}: runs in {' and in '.join(kinds)}; choose one of them in bold.space"
        )
    densities = {entities.get("den", _DENSITY) for _, entities in found}
    if name == SURFACE and densities != {_DENSITY}:
        raise UserError(
            f"{folder}: runs in {kinds[0]}; only den-{_DENSITY} can be read: call fMRIPrep with "
            f"--cifti-output {_DENSITY}, or set bold.space to a volume"
        )
    paths = [path for path, _ in found]
    return [
        Found(*counted[:2], path, name, FMRIPREP, counted.fault)
        for path, counted in zip(paths, bids.count_repeats(paths), strict=True)
    ]


def _find_hcp(results: Path, space: str) -> list[Found]:
    name, _ = parse_space(space)
    if name not in _HCP_ENDINGS:
        raise UserError(
            f"{results}: an HCP tree has the spaces {' and '.join(_HCP_ENDINGS)}, not {name}; set "
            "bold.space"
        )
    runs = []
    for folder in sorted(path for path in results.iterdir() if path.is_dir()):
        path = folder / f"{folder.name}{_HCP_ENDINGS[name]}"
        if folder.name.startswith(("rfMRI_", "tfMRI_")) and path.exists():
            runs.append(Found(hcp_segment(folder.name), 1, path, name, HCP))
    if not runs:
        raise UserError(f"{results}: no *{_HCP_ENDINGS[name]}; fetch the FIX-denoised runs")
    return runs


def hcp_segment(folder: str) -> str:
    """The segment's name of an HCP run: letters and digits, as BIDS' task labels are.

    ``rfMRI_REST1_LR`` is ``rest1LR`` (resting runs begin with "rest"), ``tfMRI_MOVIE1_7T_AP`` is
    ``MOVIE1AP``.
    """
    _, *parts = folder.split("_")
    joined = "".join(part for part in parts if part not in ("3T", "7T"))
    if not re.fullmatch(r"[A-Za-z0-9]+", joined):
        raise UserError(
            f"{folder}: the name of a run is letters, digits and underscores; rename the folder"
        )
    return joined.replace("REST", "rest", 1) if joined.startswith("REST") else joined


def _space_of(path: Path) -> str:
    entities = bids.parse_entities(path.name)
    parts = [entities.get("space", "")]
    parts += [f"{key}-{entities[key]}" for key in ("res", "den") if key in entities]
    return ":".join(parts)
