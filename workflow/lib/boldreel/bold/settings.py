"""The `bold` section of the configuration, with its defaults.

Takes the section as a dictionary; leaves a Settings. Keys that it does not know are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boldreel.errors import UserError
from boldreel.section import read

Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Settings:
    """How the embedded engine works.

    engine : whose derivatives are used
    resolution : voxel size of the output grid, mm
    output_box : first and last voxel centre of the output grid along x, y, z in MNI space, mm
    slice_timing : correct for SliceTiming where the sidecar has it
    high_pass : period (s) below which the cosine confounds do not go
    a_comp_cor : number of CompCor components from white matter and cerebrospinal fluid
    fd_threshold : framewise displacement (mm) above which a volume is an outlier
    dvars_threshold : standardised DVARS above which a volume is an outlier
    min_volumes : a run with fewer volumes is refused
    """

    engine: str = "embedded"
    resolution: float = 4.0
    output_box: Box = ((-72.0, 72.0), (-108.0, -36.0), (-32.0, 44.0))
    slice_timing: bool = True
    high_pass: float = 128.0
    a_comp_cor: int = 5
    fd_threshold: float = 0.5
    dvars_threshold: float = 1.5
    min_volumes: int = 20

    @classmethod
    def from_config(cls, section: Mapping[str, Any]) -> Settings:
        """Settings from the `bold` section; UserError on an unknown key or an impossible value."""
        given = dict(section)
        if "output_box" in given:
            given["output_box"] = _box(given["output_box"])
        settings = read(cls, given, "bold")
        if not settings.resolution > 0:
            raise UserError(f"config: bold.resolution is {settings.resolution}; give mm above 0")
        return settings


def _box(value: Any) -> Box:
    try:
        box = tuple((float(low), float(high)) for low, high in value)
    except (TypeError, ValueError):
        box = ()
    if len(box) != 3 or any(high <= low for low, high in box):
        raise UserError(
            f"config: bold.output_box is {value}; give [[x0, x1], [y0, y1], [z0, z1]] in mm, "
            "each rising"
        )
    return box  # type: ignore[return-value]
