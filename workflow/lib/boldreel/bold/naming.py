"""Names of derivatives, as fMRIPrep gives them.

Takes the output path of a preprocessed run, or a folder and a subject; returns the paths next to it.
"""

from __future__ import annotations

from pathlib import Path

from boldreel.bold.template import SPACE
from boldreel.errors import UserError

BOLD_ENDING = f"_space-{SPACE}_desc-preproc_bold.nii"


class RunFiles:
    """The files of one preprocessed run, from the path of its BOLD."""

    def __init__(self, bold: str | Path) -> None:
        self.bold = Path(bold)
        if not self.bold.name.endswith(BOLD_ENDING):
            raise UserError(
                f"{self.bold}: a preprocessed run ends in {BOLD_ENDING}; name the output so"
            )
        self.stem = self.bold.name.removesuffix(BOLD_ENDING)

    def beside(self, ending: str) -> Path:
        """The path of this run's file with another ending."""
        return self.bold.with_name(f"{self.stem}_{ending}")

    @property
    def sidecar(self) -> Path:
        """JSON next to the BOLD."""
        return self.bold.with_suffix(".json")

    @property
    def mask(self) -> Path:
        """Brain mask on the output grid."""
        return self.beside(f"space-{SPACE}_desc-brain_mask.nii.gz")

    @property
    def boldref(self) -> Path:
        """Mean of the motion-corrected run on the output grid."""
        return self.beside(f"space-{SPACE}_boldref.nii.gz")

    @property
    def confounds(self) -> Path:
        """Confounds table."""
        return self.beside("desc-confounds_timeseries.tsv")

    @property
    def motion(self) -> Path:
        """Head motion, one matrix a volume."""
        return self.beside("from-orig_to-boldref_mode-image_desc-hmc_xfm.txt")

    @property
    def coregistration(self) -> Path:
        """Rigid transform from the run's reference to the T1w."""
        return self.beside("from-boldref_to-T1w_mode-image_desc-coreg_xfm.txt")


class AnatomyFiles:
    """The files of a subject's anatomy, from its folder `.../sub-XX/anat`."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.subject = self.folder.parent.name
        if not self.subject.startswith("sub-") or self.folder.name != "anat":
            raise UserError(f"{folder}: the anatomy's folder is .../sub-<label>/anat; name it so")

    def file(self, ending: str) -> Path:
        """The path of this subject's anatomical file with an ending."""
        return self.folder / f"{self.subject}_{ending}"

    @property
    def t1w(self) -> Path:
        """T1w, intensity-normalised, in its own grid."""
        return self.file("desc-preproc_T1w.nii.gz")

    @property
    def mask(self) -> Path:
        """Brain mask in the grid of the T1w."""
        return self.file("desc-brain_mask.nii.gz")

    @property
    def to_template(self) -> Path:
        """Affine transform from the T1w to the template."""
        return self.file(f"from-T1w_to-{SPACE}_mode-image_xfm.txt")

    @property
    def from_template(self) -> Path:
        """Affine transform from the template to the T1w."""
        return self.file(f"from-{SPACE}_to-T1w_mode-image_xfm.txt")

    @property
    def coregistration_target(self) -> Path:
        """Brain of the T1w at 2 mm, uncompressed: what every run is coregistered to."""
        return self.file("res-2_desc-brain_T1w.nii")

    def on_grid(self, ending: str) -> Path:
        """A file on the output grid of the BOLD, in template space."""
        return self.file(f"space-{SPACE}_{ending}.nii.gz")
