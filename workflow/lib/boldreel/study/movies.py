"""Movies of a study: their files, which of them are decoded together, and what annotates them.

Takes what the runs show; returns paths and batches. Movies are looked up and not opened. Standard library
only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

from boldreel.data import files, movie_annotations, movie_files
from boldreel.data.splits import SPLITS
from boldreel.errors import UserError
from boldreel.names import natural
from boldreel.study import batches
from boldreel.study.batches import Batch
from boldreel.study.shown import StudyPresentations
from boldreel.study.simulated import SimulatedData


class StudyMovies:
    """The movies that subjects were shown.

    Parameters
    ----------
    folder : of the stimuli
    annotation_table : one table that annotates all movies; None if each has its own
    simulated : the demo's data, whose movies are none of the presentations'; None for own data
    """

    def __init__(
        self,
        folder: str,
        annotation_table: str | None,
        subjects: Sequence[str],
        presentations: StudyPresentations,
        simulated: SimulatedData | None,
    ) -> None:
        self.folder, self.annotation_table = folder, annotation_table
        self._subjects, self._presentations = subjects, presentations
        self._simulated = simulated
        # Rules ask often, and each call would read every events file.
        self._files = lru_cache(maxsize=None)(self._find_files)
        self._file_of = lru_cache(maxsize=None)(self._find_file)

    def files(self, *splits: str) -> dict[str, str]:
        """{movie: its file} of everything shown in these splits (default: all)."""
        return self._files(splits or SPLITS)

    def files_of(self, subject: str) -> list[str]:
        """Files of the movies that one subject's runs show."""
        if self._simulated is not None:
            return list(self.files().values())
        shown = {row.stimulus for run in self._presentations.used(subject) for row in run.rows}
        return sorted({self._file_of(each) for each in shown})

    def batches(self, *splits: str) -> dict[str, Batch]:
        """{name: movies that are decoded together} of everything shown in these splits (default: all).

        Movies of one batch are shown in the same splits. Where few are shown, each is a batch of its name.
        """
        wanted = set(splits or SPLITS)
        return {name: each for name, each in self._batches.items() if wanted & set(each.splits)}

    @property
    def batched(self) -> bool:
        """Whether movies share jobs and folders."""
        return any(each.subject for each in self._batches.values())

    def annotated(self, names: Iterable[str] | None = None) -> dict[str, str]:
        """{movie: the table that annotates it} of those movies (all, or those named) that have one."""
        if names is None:
            return self._annotated
        return {name: self._annotated[name] for name in names if name in self._annotated}

    def annotations(self, names: Iterable[str] | None = None) -> list[str]:
        """Existing annotation tables of the movies (all, or those named), each once."""
        return list(dict.fromkeys(self.annotated(names).values()))

    def _find_files(self, splits: tuple[str, ...]) -> dict[str, str]:
        if self._simulated is not None:
            return {
                name: path
                for name, path in self._simulated.movies().items()
                if any(split in splits for split in self._simulated.splits_of(name))
            }
        rows = {
            row.stimulus: row
            for subject in self._subjects
            for one in self._presentations.used(subject)
            for row in one.of(*splits)
        }
        names, _ = self._presentations.named_movies
        found = {}
        for stimulus in sorted(rows):
            path = self._file_of(stimulus)
            movie_files.check_film(path, rows[stimulus].origin)
            found[names[stimulus]] = path
        return dict(sorted(found.items()))

    def _find_file(self, stimulus: str) -> str:
        path = movie_files.file_of(self.folder, stimulus)
        files.check_source(path)
        return path

    @cached_property
    def _batches(self) -> dict[str, Batch]:
        if self._simulated is not None:
            return {name: Batch((name,), self._simulated.splits_of(name)) for name in self.files()}
        names, _ = self._presentations.named_movies
        return batches.of(
            {
                subject: batches.seen_in(self._presentations.used(subject), names)
                for subject in sorted(self._subjects, key=natural)
            }
        )

    @cached_property
    def _annotated(self) -> dict[str, str]:
        paths = self.files()
        if self.annotation_table is None:
            return {
                name: str(Path(path).with_suffix(".tsv"))
                for name, path in paths.items()
                if self._simulated is not None or movie_annotations.beside(path)
            }
        known = movie_annotations.movies_in(self.annotation_table)
        found = {
            name: self.annotation_table
            for name, path in paths.items()
            if movie_annotations.name_in(known, name, path, self.folder)
        }
        if not found:
            raise UserError(
                f"{self.annotation_table}: names none of the movies that were shown, such as "
                f"{next(iter(paths))}; its column movie must have their names, or their paths below "
                f"{self.folder}"
            )
        return found
