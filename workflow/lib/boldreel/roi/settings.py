"""Section `roi`: keys, units and bounds."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.errors import UserError
from boldreel.settings import by_preset, setting

# Atlases that are named, and the spaces of those that have one: boldreel's own is in the embedded engine's.
HCP_MMP, CORTEX = "hcp-mmp", "whole-cortex"
HCP_MMP_SPACE, EMBEDDED_SPACE = "MNI152NLin2009cAsym", "MNI152NLin2009aSym"
CONFOUNDS = ("none", "motion6", "motion24", "compcor")
# Masks of CompCor, as nilearn's load_confounds names them.
COMPCOR = (
    "anat_combined",
    "anat_separated",
    "temporal",
    "temporal_anat_combined",
    "temporal_anat_separated",
)
# Groups of named atlases where a film has nothing to say, with or without sound.
CONTROL = {"visual-centres": ("control",), "hcp-mmp": ("somatomotor",)}


@dataclass(frozen=True)
class RoiSettings:
    """Which voxels, and how their series are cleaned."""

    atlas: str = by_preset(
        "`visual-centres` (the demo's, for the embedded engine); `hcp-mmp` (HCP-MMP1.0, for "
        "fsLR and MNI152NLin2009cAsym); `whole-cortex`; or a file: a table like "
        "`workflow/lib/boldreel/roi/tables/visual_centres.tsv`, a volume of labels (`.nii.gz` "
        "with its space in its name, and a `.tsv` of index, name and group next to it), or a "
        "`dlabel.nii`."
    )
    mask: str | None = setting(
        None,
        "NIfTI in the data's space, or CIFTI map; positions outside it are removed from the "
        "atlas' areas.",
    )
    groups: tuple[str, ...] = setting(
        ("early", "ventral", "dorsal", "motion"), "Groups of areas that are used.", min_items=1
    )
    control: tuple[str, ...] | None = setting(
        None,
        "Groups of areas without visual responses, as a control for the score of each group. "
        "`null` means `[control]` for `visual-centres`, `[somatomotor]` for `hcp-mmp` and none "
        "for other atlases; with silent films `[auditory, somatomotor]` works too; `[]` is "
        "none.",
    )
    grey_matter: float = setting(
        0.3, "Probability of grey matter above which a voxel is a position.", minimum=0, maximum=1
    )
    patch_size: int = setting(
        16, "Positions of a patch; areas are padded to whole patches.", minimum=1
    )
    detrend_order: int = setting(
        4, "Order of the polynomial removed from each run; -1 for none.", minimum=-1
    )
    confounds: str = setting(
        "motion6",
        "Confounds removed from each run. `compcor` is motion6, CompCor components and the run's "
        "cosines. With any of them, fMRIPrep's non-steady-state volumes are removed too.",
        choices=CONFOUNDS,
    )
    compcor: str = setting(
        "anat_combined",
        "With compcor: mask of the components, as in nilearn's load_confounds. The embedded "
        "engine has only `anat_combined`.",
        choices=COMPCOR,
    )
    n_compcor: int = setting(5, "With compcor: number of components per mask.", minimum=1)
    high_pass: bool = setting(False, "Remove the run's cosines with other confounds too.")
    selection: str = setting(
        "all",
        "All positions that are present, or only the reliable ones (judged on training repeats).",
        choices=("all", "reliability"),
    )
    threshold: float = setting(
        0.01,
        "With reliability: p (Bonferroni) below which a position is reliable.",
        minimum=0,
        maximum=1,
    )
    fraction: float = setting(
        1.0,
        "With reliability: share of the reliable positions to keep, the most reliable first.",
        above=0,
        maximum=1,
    )

    def __post_init__(self) -> None:
        both = sorted(set(self.groups) & set(self.control or ()))
        if both:
            raise UserError(
                f"configuration: {both[0]!r} is in roi.groups and roi.control; remove it from one"
            )

    @property
    def control_groups(self) -> tuple[str, ...]:
        """Groups of the control; () for none."""
        return CONTROL.get(self.atlas, ()) if self.control is None else self.control
