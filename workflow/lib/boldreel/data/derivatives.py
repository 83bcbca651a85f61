"""Preprocessed runs in a derivatives tree of fMRIPrep, XCP-D or the HCP pipelines, by their names alone.

Takes the tree's root, a subject and a space; returns one Found per run. No file is opened, and nothing but
the standard library is imported: the Snakefile lists the runs of a thousand subjects with it.

A space is named as fMRIPrep's --output-spaces does: ``MNI152NLin2009cAsym``, ``MNI152NLin2009cAsym:res-2``,
``fsLR``, ``fsLR:den-91k`` or ``fsLR:den-170k``. fsLR means CIFTI, everything else a volume.
A volume whose name states no resolution is on its native grid, ``MNI152NLin2009cAsym:res-native``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from boldreel.data import bids_names
from boldreel.errors import UserError
from boldreel.names import natural

VOLUME = "MNI152NLin2009cAsym"
SURFACE = "fsLR"
_DENSITY, _FINER = "91k", "170k"
NATIVE = "native"  # what fMRIPrep calls the resolution of a volume whose name states none
FMRIPREP, HCP, XCP_D = "fmriprep", "hcp", "xcp_d"
HCP_SPACE = "MNI152NLin6Asym"
PREPROC, DENOISED = "preproc", "denoised"
_HCP_RESULTS = ("MNINonLinear", "Results")
# Names of the HCP's cleaned runs. Releases differ in the high-pass (hp2000, hp0 of multi-run FIX) and in what
# was done after FIX (rclean, tclean); of several the first is taken.
_CLEANED = ("hp2000_clean", "hp2000_clean_rclean_tclean", "hp0_clean_rclean_tclean", "hp0_clean")
_HCP_FINER = "_Atlas_1.6mm"  # on a mesh of 59k, which the HCP distributes of its 7T runs
_HCP_DENSE = {
    density: tuple(
        f"{atlas}{registered}_{cleaned}.dtseries.nii"
        for registered in ("_MSMAll", "")
        for cleaned in _CLEANED
    )
    for density, atlas in ((_DENSITY, "_Atlas"), (_FINER, _HCP_FINER))
}
_HCP_ENDINGS = {
    SURFACE: (*_HCP_DENSE[_DENSITY], *_HCP_DENSE[_FINER]),
    HCP_SPACE: tuple(f"_{cleaned}.nii.gz" for cleaned in _CLEANED),
}
_ENDINGS = {True: "_bold.dtseries.nii", False: "_desc-{desc}_bold.nii*"}
# fMRIPrep's names of the confounds table, the present one and that of versions up to 20.1.
_CONFOUNDS = ("_desc-confounds_timeseries.tsv", "_desc-confounds_regressors.tsv")


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
    def key(self) -> bids_names.Key:
        """What pairs it with raw data (data.bids_names.run_key)."""
        return (self.segment, "", 1) if self.pipeline == HCP else bids_names.run_key(self.path)

    @property
    def confounds(self) -> Path | None:
        """The confounds table that fMRIPrep wrote next to it; None for runs that were cleaned already."""
        if self.pipeline != FMRIPREP:
            return None
        stem = self.path.name.split("_space-")[0].split("_desc-")[0]
        paths = [self.path.with_name(stem + ending) for ending in _CONFOUNDS]
        return next((path for path in paths if os.path.lexists(path)), None)


def find(root: Path | str, subject: str, space: str = VOLUME, desc: str = PREPROC) -> list[Found]:
    """The runs of a subject, by segment and repeat.

    Parameters
    ----------
    subject : label without "sub-"
    desc : which series of a tree in BIDS' naming: "preproc" (fMRIPrep) or "denoised" (XCP-D)

    Raises
    ------
    UserError : no such tree or subject, nothing in this space (the spaces that are there are named), or
        several resolutions.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such derivatives folder; check bold.derivatives")
    if (root / f"sub-{subject}").is_dir():
        runs = _find_bids(root / f"sub-{subject}", space, desc)
    elif root.joinpath(subject, *_HCP_RESULTS).is_dir():
        runs = _find_hcp(root.joinpath(subject, *_HCP_RESULTS), space)
    else:
        raise UserError(
            f"{root}: neither sub-{subject} (fMRIPrep) nor {subject}/MNINonLinear/Results (HCP) is "
            "there; check the path and the list of subjects"
        )
    return sorted(runs, key=lambda run: (natural(run.segment), run.repeat))


def parse_space(space: str) -> tuple[str, dict[str, str]]:
    """(name, entities) of a space as fMRIPrep names it: "X:res-2" is ("X", {"res": "2"})."""
    name, *parts = space.split(":")
    pairs = [part.split("-", 1) for part in parts]
    if not name or any(len(pair) != 2 for pair in pairs):
        raise UserError(
            f"configuration: bold.space is {space!r}; give for example {VOLUME}:res-2 or {SURFACE}:den-91k"
        )
    return name, {key: value for key, value in pairs}


def _find_bids(folder: Path, space: str, desc: str) -> list[Found]:
    name, wanted = parse_space(space)
    every = [path for path in _series(folder, name == SURFACE, desc) if _is_in(path, name, wanted)]
    if not every:
        raise UserError(_absent(folder, space, desc))
    if "res" not in wanted:
        # fMRIPrep means the native grid by a space without a resolution.
        native = [path for path in every if "res" not in bids_names.parse_entities(path.name)]
        every = native or every
    kinds = sorted({space_of(path) for path in every})
    if len(kinds) > 1:
        raise UserError(
            f"{folder}: runs in {' and in '.join(kinds)}; choose one of them in bold.space"
        )
    densities = {bids_names.parse_entities(path.name).get("den", _DENSITY) for path in every}
    if name == SURFACE and not densities <= set(_HCP_DENSE):
        raise UserError(
            f"{folder}: runs in {kinds[0]}; only den-{_DENSITY} and den-{_FINER} can be read: resample the "
            "runs (wb_command -cifti-resample), or set bold.space to a volume"
        )
    pipeline = XCP_D if desc == DENOISED else FMRIPREP
    return [
        Found(*counted[:2], path, name, pipeline, counted.fault)
        for path, counted in zip(every, bids_names.count_repeats(every), strict=True)
    ]


def _series(folder: Path, surface: bool, desc: str) -> list[Path]:
    """Preprocessed runs of a subject's folder, in any space; single echoes are not runs."""
    ending = _ENDINGS[surface].format(desc=desc)
    paths = [
        path for part in ("func", "ses-*/func") for path in folder.glob(f"{part}/sub-*{ending}")
    ]
    kept = []
    for path in sorted(paths):
        entities = bids_names.parse_entities(path.name)
        image = path.name.endswith((".nii", ".nii.gz"))
        # fMRIPrep's dense series have no desc.
        if image and "echo" not in entities and entities.get("desc", PREPROC) == desc:
            kept.append(path)
    return kept


def _is_in(path: Path, name: str, wanted: dict[str, str]) -> bool:
    """Whether a file is in a space, with the entities that the configuration asks for."""
    entities = bids_names.parse_entities(path.name)
    return entities.get("space") == name and all(
        _plain(entities.get(key, NATIVE if key == "res" else "")) == _plain(value)
        for key, value in wanted.items()
    )


def same_resolution(wanted: dict[str, str], written: dict[str, str]) -> bool:
    """Whether two spaces state one resolution: none is the native one, and res-02 is res-2."""
    return _plain(wanted.get("res", NATIVE)) == _plain(written.get("res", NATIVE))


def _plain(label: str) -> str:
    """A label without leading zeros: res-02 is res-2."""
    return str(int(label)) if label.isdigit() else label


def _absent(folder: Path, space: str, desc: str) -> str:
    """One line about a space in which there is no run: what there is instead."""

    def spaces(kind: str) -> list[str]:
        paths = [path for surface in _ENDINGS for path in _series(folder, surface, kind)]
        return sorted({space_of(path) for path in paths} - {""})

    there = ", ".join(spaces(desc)) or "none at all"
    other = PREPROC if desc == DENOISED else DENOISED
    if there == "none at all" and spaces(other):
        way = " and roi.confounds: none" if other == DENOISED else ""
        return f"{folder}: no desc-{desc} run, but desc-{other} ones; set bold.desc: {other}{way} to use them"
    return (
        f"{folder}: no run in space {space}; there is: {there}; set bold.space, or add it to "
        "fMRIPrep's --output-spaces"
    )


def _find_hcp(results: Path, space: str) -> list[Found]:
    name, wanted = parse_space(space)
    if name not in _HCP_ENDINGS:
        raise UserError(
            f"{results}: an HCP tree has the spaces {' and '.join(_HCP_ENDINGS)}, not {name}; set "
            "bold.space"
        )
    endings = _HCP_ENDINGS[name]
    if name == SURFACE and "den" in wanted:
        if wanted["den"] not in _HCP_DENSE:
            raise UserError(
                f"configuration: bold.space is {space!r}; an HCP tree has {SURFACE}:den-{_DENSITY} and "
                f"{SURFACE}:den-{_FINER}"
            )
        endings = _HCP_DENSE[wanted["den"]]
    folders = sorted(path for path in results.iterdir() if path.is_dir())
    folders = [path for path in folders if path.name.startswith(("rfMRI_", "tfMRI_"))]
    runs = []
    for folder in folders:
        paths = (folder / f"{folder.name}{ending}" for ending in endings)
        if path := next((path for path in paths if os.path.lexists(path)), None):
            runs.append(Found(hcp_segment(folder.name), 1, path, name, HCP))
    if not runs:
        raise UserError(f"{results}: no *{endings[0]}; fetch the FIX-denoised runs")
    return [replace(run, fault=fault) for run, fault in zip(runs, _registered(runs), strict=True)]


def _registered(runs: Sequence[Found]) -> list[str]:
    """The fault of each HCP run whose surface was registered in another way than the others' (MSMAll)."""
    names = ["_MSMAll_" in run.path.name for run in runs]
    if all(names) or not any(names):
        return [""] * len(runs)
    return [
        ""
        if aligned
        else f"{run.path}: not registered by MSMAll, as other runs are; fetch its MSMAll series"
        for aligned, run in zip(names, runs, strict=True)
    ]


def is_finer(path: Path | str) -> bool:
    """Whether a run is a dense series on the mesh of 59k vertices, by its name."""
    name = os.path.basename(path)  # noqa: PTH119 - asked for each of thousands of jobs
    return name.endswith(".dtseries.nii") and (
        f"_den-{_FINER}_" in name or f"{_HCP_FINER}_" in name
    )


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


def space_of(path: Path) -> str:
    """The space of a preprocessed run by its name, as fMRIPrep spells it; "" for one that states none."""
    entities = bids_names.parse_entities(path.name)
    parts = [entities.get("space", "")]
    parts += [f"{key}-{_plain(entities[key])}" for key in ("res", "den") if key in entities]
    return ":".join(parts)
