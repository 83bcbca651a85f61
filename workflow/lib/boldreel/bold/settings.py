"""Section `bold`: keys, units and bounds."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.errors import UserError
from boldreel.settings import by_preset, setting, subsection

Range = tuple[float, float]
Box = tuple[Range, Range, Range]


@dataclass(frozen=True)
class FmriprepSettings:
    """How fMRIPrep runs. Its work directory is under `state`, so a stopped run resumes."""

    version: str = setting("25.2.7", "Version of fMRIPrep; names the Docker image.")
    image: str | None = setting(
        None,
        "Docker image (null means `nipreps/fmriprep:{version}`) or path of an Apptainer image "
        "(`.sif`).",
    )
    licence: str | None = setting(
        None, "FreeSurfer's licence file; null means the environment variable `FS_LICENSE`."
    )
    output_spaces: tuple[str, ...] = setting(
        ("MNI152NLin2009cAsym:res-2",), "Output spaces.", min_items=1
    )
    cifti: str | None = setting(
        "91k", "Density of CIFTI output (fsLR), null for none.", choices=("91k", "170k", None)
    )
    bids_filter: str | None = setting(None, "JSON file with BIDS filters.")
    threads: int = setting(8, "Processors of a subject's run.", minimum=1)
    memory: int = setting(24000, "Memory of a subject's run, MB.", minimum=1000)
    options: tuple[str, ...] = setting((), "Further command-line arguments of fMRIPrep.")


@dataclass(frozen=True)
class GridSettings:
    """The grid in MNI space that the embedded engine writes."""

    resolution: float = by_preset("Voxel size of the output grid in MNI space, mm.", above=0)
    output_box: Box = by_preset(
        "First and last voxel centre of the output grid along x, y, z in MNI space, mm.",
        min_items=3,
        max_items=3,
    )

    def __post_init__(self) -> None:
        if any(high <= low for low, high in self.output_box):
            raise UserError(
                f"configuration: bold.output_box is {self.output_box}; give [[x0, x1], [y0, y1], "
                "[z0, z1]] in mm, each rising"
            )


@dataclass(frozen=True)
class BoldSettings(GridSettings):
    """Preprocessing."""

    engine: str = by_preset(
        "What preprocesses the data: boldreel's own engine (not fMRIPrep), fMRIPrep in a "
        "container, or nothing: `derivatives` that already exist.",
        choices=("embedded", "fmriprep-docker", "fmriprep-apptainer", "derivatives"),
    )
    derivatives: str | None = setting(
        None,
        "With the engine `derivatives`: root of an fMRIPrep, XCP-D or HCP tree, which is read in place.",
    )
    space: str | None = setting(
        None,
        "With fMRIPrep or `derivatives`: space of the runs in the syntax of fMRIPrep's "
        "`--output-spaces` (`MNI152NLin2009cAsym:res-2`); `fsLR` is CIFTI. Without a resolution it is "
        "the native grid (`res-native`) if there is one, else the only resolution. Null means "
        "`MNI152NLin2009cAsym`.",
    )
    desc: str = setting(
        "preproc",
        "With `derivatives`: which series of a BIDS tree, fMRIPrep's `preproc` or XCP-D's `denoised`. "
        "The latter are cleaned already: set `roi.confounds: none`.",
        choices=("preproc", "denoised"),
    )
    start_time: float | None = setting(
        None,
        "With fMRIPrep or `derivatives`, if their sidecars do not say it (fMRIPrep before "
        "20.2.4): time within a repetition to which slice-time correction moved the volumes, s;"
        " 0 if it was not applied. Null derives it from the raw data's `SliceTiming`.",
        minimum=0,
    )
    betas: str | None = setting(
        None,
        "With `derivatives` whose volumes are single trials (`boldreel.bold.betas`): which runs a beta was "
        "fitted on. `all-runs` if anything of the fit saw further runs, as GLMsingle's denoising and ridge "
        "regression do; `per-run` if each run was fitted by itself. Nothing in the files tells.",
        choices=("per-run", "all-runs", None),
    )
    spheres: str | None = setting(
        None,
        "With `derivatives` on the mesh of 59k vertices (HCP 1.6 mm, `den-170k`): folder of this mesh's two "
        "spheres, under TemplateFlow's names or the HCP's. Null means TemplateFlow's cache.",
    )
    fmriprep: FmriprepSettings = subsection(
        FmriprepSettings,
        "How fMRIPrep runs. Its work directory is under `state`, so a stopped run resumes.",
    )
    slice_timing: bool = setting(True, "Correct for slice timing if the sidecar gives it.")
    high_pass: float = setting(128.0, "Longest period of the cosine confounds, s.", above=0)
    a_comp_cor: int = setting(
        5, "CompCor components from white matter and cerebrospinal fluid.", minimum=0
    )
    fd_threshold: float = setting(
        0.5, "Framewise displacement above which a volume is an outlier, mm.", above=0
    )
    dvars_threshold: float = setting(
        1.5, "Standardised DVARS above which a volume is an outlier.", above=0
    )
    min_volumes: int = setting(20, "Runs with fewer volumes are refused.", minimum=1)
