"""Section `report`: keys, units and bounds."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.settings import from_workflow, setting


@dataclass(frozen=True)
class ReportSettings:
    """Figures and page."""

    seed: int = from_workflow(0)
    sheet_clips: int = setting(12, "Clips of a subject on the sample sheet.", minimum=1)
    page_clips: int = setting(12, "Clips of a subject that play on the page.", minimum=1)
    strip_clips: int = setting(9, "Clips on the strip.", minimum=1)
    strip_bytes: int = setting(290000, "Largest size of the strip, bytes.", minimum=1)
    level: float = setting(0.05, "Level of significance, after Holm.", minimum=0, maximum=1)
