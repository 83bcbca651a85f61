"""Controls of the reconstruction: which of them a study's test clips allow.

Takes the whole test clips that each subject saw; returns names of controls, and whose responses serve as
another subject's control. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boldreel.study import designs


class Controls:
    """What is drawn in addition to the reconstructions.

    Parameters
    ----------
    section : `reconstruct` of the configuration
    test_clips : {subject: whole test clips}, in the order of the subjects
    """

    def __init__(
        self, section: Mapping[str, Any], test_clips: dict[str, set[designs.Clip]]
    ) -> None:
        self._section, self._test_clips = section, test_clips
        self._others: dict[str, str | None] = {}

    def names(self, *subjects: str) -> list[str]:
        """Controls and further seeds of the noise.

        Those that all these subjects can have; without any named, those that somebody can have.
        """
        seeds = 1 if self._section["continuous"] else int(self._section["seeds"])
        had = [self.other_of(subject) is not None for subject in subjects or self._test_clips]
        other = all(had) if subjects else any(had)
        kept = [name for name in self._section["controls"] if name != "other" or other]
        return [*kept, *(f"seed-{number}" for number in range(1, seeds))]

    def own(self) -> list[str]:
        """The controls that need no other subject."""
        return [name for name in self.names() if name != "other"]

    def other_of(self, subject: str) -> str | None:
        """The subject whose responses are this subject's control: the first who saw one of its test clips.

        None if nobody did.
        """
        if subject not in self._others:
            self._others[subject] = designs.first_sharing(subject, self._test_clips)
        return self._others[subject]

    def without_other(self) -> list[str]:
        """Subjects whose control `other` is asked for and cannot be had."""
        if "other" not in self._section["controls"] or len(self._test_clips) < 2:
            return []
        return [subject for subject in self._test_clips if self.other_of(subject) is None]
