"""Section `report`: keys, units and bounds; and what the commands that make a page by themselves take."""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.evaluate.settings import EvaluateSettings
from boldreel.settings import from_workflow, setting


@dataclass(frozen=True)
class FiguresSettings:
    """The keys of the section that the figures use."""

    seed: int = from_workflow(0)
    method: str = from_workflow("mindvideo")
    sheet_clips: int = setting(12, "Clips of a subject on the sample sheet.", minimum=1)
    strip_clips: int = setting(9, "Clips on the strip.", minimum=1)
    strip_bytes: int = setting(290000, "Largest size of the strip, bytes.", minimum=1)


@dataclass(frozen=True)
class PageSettings:
    """The keys of the section that the page uses, and facts about the run."""

    seed: int = from_workflow(0)
    dataset: str = from_workflow("")
    method: str = from_workflow("mindvideo")
    simulated: bool = from_workflow(False)
    combination: tuple[str, ...] = from_workflow(())
    engine: str = from_workflow("")
    fmriprep: str = from_workflow("")
    atlas: str = from_workflow("–")
    cohort: str = from_workflow("–")
    repeats: int | str = from_workflow("average")
    without_other: tuple[str, ...] = from_workflow(
        ()
    )  # subjects whose control `other` cannot be had
    ignored: tuple[str, ...] = from_workflow(())  # lines about runs that are not used
    page_clips: int = setting(12, "Clips of a subject that play on the page.", minimum=1)
    level: float = setting(0.05, "Level of significance, after Holm.", minimum=0, maximum=1)


@dataclass(frozen=True)
class ReportSettings(PageSettings, FiguresSettings):
    """Figures and page."""


@dataclass(frozen=True)
class CompareSettings:
    """Comparison of two runs of the pipeline (`report.run_comparison`)."""

    level: float = setting(0.05, "Level of significance, after Holm.", minimum=0, maximum=1)


@dataclass(frozen=True)
class StandaloneSettings(EvaluateSettings):
    """Videos scored without brain data (`python -m boldreel.evaluate`)."""

    pixel_shifts: int | None = setting(
        40, "Largest number of pairings for metrics on pixels; null for all.", minimum=1
    )
    page_clips: int = setting(16, "Clips that play on the page.", minimum=0)
    level: float = setting(0.05, "Level of significance, after Holm.", minimum=0, maximum=1)
