"""The `roi` section of the configuration, with its defaults.

Takes the section as a dictionary; leaves a Settings. Keys that it does not know are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boldreel.errors import UserError
from boldreel.section import read

CONFOUNDS = ("none", "motion6", "motion24", "compcor")
# Masks of CompCor, as nilearn's load_confounds names them.
COMPCOR = (
    "anat_combined",
    "anat_separated",
    "temporal",
    "temporal_anat_combined",
    "temporal_anat_separated",
)
SELECTIONS = ("all", "reliability")
# Groups of named atlases where a film has nothing to say, with or without sound.
CONTROL = {"visual-centres": ("control",), "hcp-mmp": ("somatomotor",)}


@dataclass(frozen=True)
class Settings:
    """Which places are used, and how their series are cleaned.

    atlas : "visual-centres", "hcp-mmp", "whole-cortex", the path of a table of centres, of a volume of
        labels (.nii, with a .tsv beside it) or of a dlabel.nii
    mask : a NIfTI or CIFTI file; places outside it are left out; None for none
    groups : groups of areas of the atlas that are used
    control : groups of areas where nothing visual is expected, on which ridge regression is fitted beside;
        None for those that are known of the atlas
    grey_matter : probability of grey matter (template) above which a voxel is a place
    patch_size : positions a patch; areas are padded to whole patches
    detrend_order : order of the polynomial that is taken out of each run, -1 for none
    confounds : "none" | "motion6" | "motion24" | "compcor" (motion6, CompCor components and cosines)
    compcor : with "compcor": from which masks; combined is white matter and CSF together
    n_compcor : with "compcor": components of each mask, those of the largest variance
    high_pass : take out the run's cosine confounds with other confounds too
    selection : "all" positions that are present, or only those of enough "reliability"
    threshold : with "reliability": p (Bonferroni-corrected) below which a position counts as reliable
    fraction : with "reliability": which part of those, the most reliable first, is selected
    """

    atlas: str = "visual-centres"
    mask: str | None = None
    groups: tuple[str, ...] = ("early", "ventral", "dorsal", "motion")
    control: tuple[str, ...] | None = None
    grey_matter: float = 0.3
    patch_size: int = 16
    detrend_order: int = 4
    confounds: str = "motion6"
    compcor: str = "anat_combined"
    n_compcor: int = 5
    high_pass: bool = False
    selection: str = "all"
    threshold: float = 0.01
    fraction: float = 1.0

    @classmethod
    def from_config(cls, section: Mapping[str, Any]) -> Settings:
        """Settings from the `roi` section; UserError on an unknown key or an impossible value."""
        given = dict(section)
        for key in ("groups", "control"):
            if given.get(key) is not None:
                given[key] = tuple(given[key])
        settings = read(cls, given, "roi")
        for key, allowed in (
            ("confounds", CONFOUNDS),
            ("compcor", COMPCOR),
            ("selection", SELECTIONS),
        ):
            value = getattr(settings, key)
            if value not in allowed:
                raise UserError(f"config: roi.{key} is {value!r}; choose {' or '.join(allowed)}")
        if not settings.groups:
            raise UserError("config: roi.groups is empty; name at least one group of the atlas")
        both = sorted(set(settings.groups) & set(settings.control or ()))
        if both:
            raise UserError(
                f"config: {both[0]!r} is in roi.groups and roi.control; take it out of one"
            )
        for key in ("patch_size", "n_compcor"):
            if getattr(settings, key) < 1:
                raise UserError(f"config: roi.{key} is {getattr(settings, key)}; give 1 or more")
        if not 0.0 < settings.fraction <= 1.0:
            raise UserError(f"config: roi.fraction is {settings.fraction}; give above 0, up to 1")
        return settings

    @property
    def control_groups(self) -> tuple[str, ...]:
        """Groups of the control; () for none."""
        return CONTROL.get(self.atlas, ()) if self.control is None else self.control
