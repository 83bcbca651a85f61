"""Section `presentations`: keys, units and bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from boldreel.errors import UserError
from boldreel.settings import setting

Number = str | float | None


@dataclass(frozen=True)
class Rule:
    """What some runs showed, if their events do not say it as BIDS does; the first that fits a run holds."""

    where: dict[str, Any] = setting(
        {}, "Entities of the runs, such as `{task: movie, run: [1, 2]}`; none means all runs."
    )
    events: bool = setting(
        True, "Whether events files are read; false for runs whose events are not about the movie."
    )
    stimulus: str | None = setting(
        None,
        "The movie's path below the folder of stimuli: a constant or a template with columns and entities, "
        "such as `{stim_file}`, `part{run}.mp4`, `seg{run-1}.mkv` or `{run:02d}.mp4`; `*` stands for a "
        "part of "
        "the path that is not known. Null means the column `stim_file`.",
    )
    onset: Number = setting(
        None, "Column or constant (s from the run's start); null means the column `onset`."
    )
    duration: Number = setting(
        None,
        "Column or constant (s), or `run` for the rest of the run; null means the column `duration`.",
    )
    stimulus_onset: Number = setting(
        None, "Column or constant (s into the movie); null means the column `stim_onset`, else 0."
    )
    speed: Number = setting(
        None,
        "Column or constant (s of the movie in 1 s of the run); null means the column `speed`, else 1.",
    )
    rows: dict[str, Any] = setting(
        {},
        "Which rows show the movie, by column, such as `{trial_type: movie}`; none means every row that "
        "names "
        "one.",
    )
    parts: Any = setting(
        None,
        "The runs show one movie in parts, in the order of their numbers: the length of each part (a "
        "list, s), "
        "or `runs` for as long as each run lasts.",
    )
    begin: float | None = setting(None, "Volumes before this time are not used, s of the run.")
    end: float | None = setting(None, "Volumes from this time on are not used, s of the run.")

    def __post_init__(self) -> None:
        parts = self.parts
        lengths = isinstance(parts, list | tuple) and all(
            isinstance(one, int | float) for one in parts
        )
        if parts is not None and parts != "runs" and not (lengths and parts):
            raise UserError(
                f"configuration: presentations.rules: parts is {parts!r}; give the parts' lengths in s, "
                "or runs"
            )
        if self.begin is not None and self.end is not None and self.end <= self.begin:
            raise UserError(
                f"configuration: presentations.rules: end ({self.end:g} s) is not after begin "
                f"({self.begin:g} s)"
            )


@dataclass(frozen=True)
class PresentationsSettings:
    """What was shown when, and which runs count."""

    table: str | None = setting(
        None,
        "Your own table of presentations, as `boldreel init` writes it; null means events files and `rules`.",
    )
    rules: tuple[Rule, ...] = setting(
        (), "What runs showed, where their events do not say it in BIDS' columns."
    )
    filter: dict[str, Any] = setting(
        {},
        "Entities of the runs that are used, such as `{acquisition: dico}`; also given to fMRIPrep.",
    )
    exclude: tuple[dict[str, Any], ...] = setting(
        (),
        "Runs that are not used, each by its entities and with a reason, such as `{subject: '03', run: 9, "
        "reason: starts late}`; the report lists them.",
    )
    overlap: str = setting(
        "error",
        "What happens to a stretch of film that is shown in two splits: an error, or "
        "`drop-from-train`, which removes it from training (and from validation, if the test shows it).",
        choices=("error", "drop-from-train"),
    )
    guard: float = setting(
        20.0,
        "Where a run is cut into stretches of several splits: how much on each side of a border is not used, "
        "since the haemodynamic response goes on.",
        unit="s",
        minimum=20.0,
    )

    def __post_init__(self) -> None:
        for each in self.exclude:
            if not str(each.get("reason", "")).strip():
                raise UserError(
                    f"configuration: presentations.exclude: {each} has no reason; say why it is not used"
                )
