"""The time to which slice-time correction moved the volumes of a preprocessed run.

Takes a run's sidecar and the raw data set; returns BIDS' StartTime (s), the time of volume 0 from the run's
beginning.

fMRIPrep writes StartTime and SliceTimingCorrected since 20.2.4 (CHANGES.rst). Before, it corrected every
run whose raw sidecar has SliceTiming, unless it was called with `--ignore slicetiming`, and said so
nowhere next to the run. The reference time was then 3dTshift's default, the mean of the slice times (AFNI's
help on -tzero); since 20.2.4 it is the middle of their range (init_bold_stc_wf, `--slice-time-ref` 0.5).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from boldreel.data import bids, bids_inheritance, derivatives
from boldreel.data.derivatives import Found
from boldreel.errors import UserError


class Start(NamedTuple):
    """StartTime (s), and how it was derived where no sidecar states it ("" where one does)."""

    seconds: float
    derived: str = ""


def find(
    found: Found,
    sidecar: Mapping[str, Any],
    raw: Path | str | None = None,
    given: float | None = None,
) -> Start:
    """StartTime of a preprocessed run.

    Parameters
    ----------
    sidecar : of the run
    raw : raw BIDS data set with the run's SliceTiming; None if the time does not matter, since the run
        shows nothing: then it is 0 where the sidecar does not say
    given : the configuration's `bold.start_time` (s), for runs whose sidecars do not say it

    Raises
    ------
    UserError : the run was corrected for slice timing, or may have been, and nothing says to which time; a
        time that is none, or not within a repetition.
    """
    if "StartTime" in sidecar:
        return Start(_times(found.path, "StartTime", [sidecar["StartTime"]], sidecar)[0])
    corrected = sidecar.get("SliceTimingCorrected")
    if found.pipeline == derivatives.HCP or corrected is False:
        return Start(0.0)
    if given is not None or raw is None:
        return Start(given or 0.0)
    source = bids.raw_name(found.path, raw)
    about = bids_inheritance.inherited(source)
    times = _times(source, "SliceTiming", about.get("SliceTiming") or [], about)
    if about and len(times) < 2 and not corrected:
        return Start(0.0)  # fMRIPrep had nothing to correct by
    whether = "to which time" if corrected else "whether, and to which time,"
    if len(times) < 2:
        raise UserError(
            f"{found.path}: its sidecar does not say {whether} it was corrected for slice timing "
            "(StartTime), nor do the raw data (SliceTiming); set bold.start_time (s; 0 where it was "
            "not corrected)"
        )
    start = round((min(times) + max(times)) / 2 if corrected else fmean(times), 3)
    return Start(
        start,
        f"sidecars do not say {whether} volumes were corrected for slice timing; taken as corrected to "
        f"{start:g} s, from the raw data's SliceTiming; if that is wrong, set bold.start_time",
    )


def _times(path: Path, name: str, told: Sequence[Any], about: Mapping[str, Any]) -> list[float]:
    """Times that a sidecar tells; UserError where one is no number of s from 0 to its RepetitionTime."""
    end = about.get("RepetitionTime", inf)
    for time in told:
        if not (isinstance(time, int | float) and 0 <= time <= end):
            raise UserError(
                f"{path}: its sidecar's {name} holds {time}; expected s, from 0 to RepetitionTime"
            )
    return [float(time) for time in told]


def tell(subject: str, derived: Sequence[str]) -> None:
    """A line on standard error for each way in which runs' start times were derived."""
    for how, runs in Counter(derived).items():
        if how:
            print(f"warning: sub-{subject}: {runs} runs' {how}", file=sys.stderr)
