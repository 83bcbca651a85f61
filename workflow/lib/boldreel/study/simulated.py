"""The demo's data before they are simulated: runs, movies and splits, by their design alone.

Takes the settings of the simulated data set; returns runs, movies and what is shown, as they are found in own
data. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable

from boldreel.data.presentations import Presentation, ShownRun
from boldreel.insilico import design
from boldreel.insilico.settings import InsilicoSettings
from boldreel.study import selectors
from boldreel.study.runs import Run
from boldreel.study.shown import StudyPresentations


class SimulatedData:
    """What will be simulated; movies are named like their segments.

    Parameters
    ----------
    root : where the simulated BIDS data set will be
    presentations : says which segment is for which split
    """

    def __init__(
        self, settings: InsilicoSettings, root: str, presentations: StudyPresentations
    ) -> None:
        self.settings, self.root, self._presentations = settings, root, presentations

    def runs(self, subject: str) -> list[Run]:
        """A subject's runs, of movies or at rest."""
        return [
            Run(
                segment,
                repeat,
                f"{self.root}/sub-{subject}/func/sub-{subject}_task-{segment}_run-{repeat}_bold.nii",
                self.splits_of(segment),
                (segment, repeat),
            )
            for segment, repeat in design.runs(self.settings, subject)
        ]

    def numbers(self, rest: bool = False) -> list[tuple[str, int]]:
        """(segment, repeat) of the runs of each subject, of the movies or at rest."""
        return [
            (segment, repeat + 1)
            for segment in ([design.REST] if rest else design.segments(self.settings))
            for repeat in range(design.repeats(self.settings, segment))
        ]

    def movies(self) -> dict[str, str]:
        """{movie: its file}."""
        return {name: f"{self.root}/stimuli/{name}.mp4" for name in design.segments(self.settings)}

    def splits_of(self, segment: str) -> tuple[str, ...]:
        """The split of a segment; none for one at rest."""
        movie = Presentation(0.0, 1.0, f"{segment}.mp4")
        entities = {"task": segment}
        _, (stretch,) = selectors.assign(
            self._presentations.chosen, [segment], entities, [movie], 0.0
        )
        return tuple(row.split for row in stretch.rows if row.split)

    def shown(self, runs: Iterable[Run]) -> list[ShownRun]:
        """What these runs show: each the movie of its segment."""
        length = self.settings.volumes * self.settings.t_r - self.settings.movie_onset
        return [
            ShownRun(
                *(run.label, run.label, {}, None, None),
                tuple(
                    Presentation(0.0, length, run.segment, movie=run.segment, split=split)
                    for split in run.splits
                ),
            )
            for run in runs
        ]
