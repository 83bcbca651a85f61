"""What the design of a study can give: clips that are repeated, clips that subjects share, clips that fit.

Takes presentations; returns facts that the plan decides by, and sentences on what is left out. Standard
library only and no image: durations are those of the presentations.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from boldreel.data.presentations import Presentation, ShownRun
from boldreel.errors import UserError

Clip = tuple[str, int]  # a movie and the number of a clip in it

# A movie may end between two frames, as in windows.clock.
_SLACK = 0.02
# s by which runs may differ that are repeats: half a repetition, of no acquisition more than this.
_SAME_TIME = 2.0
_MOST_LABELS = 5


def clips_of(row: Presentation, duration: float) -> set[Clip]:
    """The clips of `duration` s that a presentation shows whole."""
    first = math.ceil((row.stimulus_onset - _SLACK) / duration)
    end = math.floor((row.stimulus_end + _SLACK) / duration)
    return {(row.stimulus, number) for number in range(max(first, 0), end)}


def clips_in(rows: Iterable[Presentation], duration: float) -> set[Clip]:
    """The clips that presentations show whole."""
    return set().union(*(clips_of(row, duration) for row in rows))


def repeated(runs: Iterable[ShownRun], duration: float, *splits: str) -> bool:
    """Whether a clip of these splits is shown in two runs."""
    counted: Counter[Clip] = Counter()
    for run in runs:
        counted.update(clips_in(run.of(*splits), duration))
    return any(number > 1 for number in counted.values())


def first_sharing(subject: str, clips: dict[str, set[Clip]]) -> str | None:
    """The first other subject, by label, who saw one of a subject's clips; None if nobody did.

    A new subject with a later label then changes nobody's, unless there was none.
    """
    for other in sorted(clips):
        if other != subject and clips[other] & clips[subject]:
            return other
    return None


def shared_by(clips: Iterable[set[Clip]], subjects: int) -> bool:
    """Whether at least this many subjects saw one clip."""
    counted: Counter[Clip] = Counter()
    for each in clips:
        counted.update(each)
    return any(number >= subjects for number in counted.values())


def same_time(first: ShownRun, second: ShownRun, *splits: str) -> bool:
    """Whether two runs show a second of a film at the same time, or nearly."""
    return any(
        one.stimulus == other.stimulus
        and abs((one.stimulus_onset - one.onset) - (other.stimulus_onset - other.onset))
        <= _SAME_TIME
        and min(one.end, other.end) > max(one.onset, other.onset)
        for one in first.of(*splits)
        for other in second.of(*splits)
    )


def check_reliability(whose: str, runs: Sequence[ShownRun]) -> None:
    """UserError if no two films can be in two training runs each at the same time (roi.repeats)."""
    fitted = "train", "validation"
    repeats = sum(
        any(same_time(run, other, *fitted) for other in runs if other is not run) for run in runs
    )
    if repeats < 4:
        raise UserError(
            f"configuration: roi.selection is reliability, but {whose} did not see two films in several "
            "training runs each, at the same time; choose roi.selection: all"
        )


def check_clips(
    whose: str, runs: Sequence[ShownRun], duration: float, splits: Iterable[str]
) -> None:
    """UserError if all that a split shows is too short for one clip."""
    for split in splits:
        rows = [row for run in runs for row in run.of(split)]
        if rows and not any(clips_of(row, duration) for row in rows):
            longest = max(rows, key=lambda row: row.stimulus_end - row.stimulus_onset)
            lasts = longest.stimulus_end - longest.stimulus_onset
            raise UserError(
                f"{longest.origin}: {whose} is shown no whole clip of {duration:g} s in {split}: at most "
                f"{lasts:g} s of a movie without a break; set stimuli.clip_duration to that or less"
            )


def too_short(runs: Iterable[ShownRun], duration: float) -> tuple[int, int]:
    """(presentations that show no whole clip, all presentations)."""
    rows = [row for run in runs for row in run.rows if row.split]
    return sum(not clips_of(row, duration) for row in rows), len(rows)


def listed(subjects: Collection[str]) -> str:
    """`sub-01, sub-02 and 3 more`."""
    names = [f"sub-{subject}" for subject in subjects][:_MOST_LABELS]
    more = len(subjects) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
