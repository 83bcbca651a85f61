"""Which columns of a run's confounds table the `roi` section removes.

Takes the table and the settings; returns the values of the columns. In fMRIPrep's tables nilearn chooses the
CompCor components, since only the JSON next to the table names their masks. The embedded engine's table has
the components of one mask and no such JSON.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from boldreel.data import confounds
from boldreel.errors import UserError
from boldreel.roi.settings import RoiSettings

_MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
_MOTION24 = ("", "_derivative1", "_power2", "_derivative1_power2")
_EMBEDDED_MASK = "anat_combined"


def load(table: Path, count: int, settings: RoiSettings, fmriprep: bool) -> np.ndarray:
    """The confounds (count, k) that the `roi` section asks for; n/a in the table becomes 0.

    Parameters
    ----------
    table : confounds of the run; count : its volumes
    fmriprep : whether fMRIPrep wrote the table, otherwise the embedded engine

    Raises
    ------
    UserError : a damaged table, or one without what roi.confounds needs.
    """
    columns = confounds.read(table, count)
    try:
        names = motion_names(settings)
        if settings.confounds == "compcor" and fmriprep:
            names += _fmriprep_components(table, settings)
        elif settings.confounds == "compcor":
            names += _embedded_components(columns, settings)
        # Components come from high-passed series: without the cosines they would bring slow drift back.
        if settings.confounds == "compcor" or settings.high_pass:
            names += sorted(name for name in columns if name.startswith("cosine"))
        # The first volumes, before T1 is in equilibrium, are far brighter than the run and would bend its
        # trend. nilearn leaves them out (sample_mask); a column for each comes to the same.
        if names and fmriprep:
            names += sorted(name for name in columns if name.startswith("non_steady_state"))
        absent = [name for name in names if name not in columns]
        if absent:
            raise UserError(
                f"no column {absent[0]}, which roi.confounds: {settings.confounds} needs"
            )
    except UserError as error:
        raise UserError(f"{table}: {error}") from None
    chosen = [np.nan_to_num(columns[name]) for name in names]
    return np.stack(chosen, axis=1) if chosen else np.zeros((count, 0))


def motion_names(settings: RoiSettings) -> list[str]:
    """Names of the head motion parameters that the section declares."""
    if settings.confounds == "motion24":
        return [axis + suffix for axis in _MOTION for suffix in _MOTION24]
    return [] if settings.confounds == "none" else list(_MOTION)


def _fmriprep_components(table: Path, settings: RoiSettings) -> list[str]:
    from nilearn.interfaces.fmriprep import load_confounds

    # The loader needs only the image's name, and finds table and JSON next to it.
    image = table.with_name(table.name.split("_desc-confounds")[0] + "_desc-preproc_bold.nii.gz")
    try:
        chosen, _ = load_confounds(
            str(image),
            strategy=("high_pass", "compcor"),
            compcor=settings.compcor,
            n_compcor=settings.n_compcor,
            demean=False,
        )
    except (ValueError, KeyError) as error:
        reason = " ".join(str(error).strip("'\"").split())
        raise UserError(
            f"nilearn finds no {settings.compcor} CompCor components ({reason}); fetch the table's "
            ".json, keep one table a run, or choose other roi.confounds"
        ) from None
    return [name for name in chosen.columns if not name.startswith("cosine")]


def _embedded_components(columns: dict[str, np.ndarray], settings: RoiSettings) -> list[str]:
    if settings.compcor != _EMBEDDED_MASK:
        raise UserError(
            f"the embedded engine has only {_EMBEDDED_MASK} components; set roi.compcor to that"
        )
    names = sorted(name for name in columns if name.startswith("a_comp_cor_"))
    if not names:
        raise UserError("no CompCor component; set bold.a_comp_cor, or choose other roi.confounds")
    return names[: settings.n_compcor]
