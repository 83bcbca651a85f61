"""What the embedded data set consists of: segments, repeats and runs of every subject.

Takes the settings of the section `insilico`; returns names and numbers. Standard library only:
the Snakefile imports it to know the DAG.
"""

from __future__ import annotations

from boldreel.errors import UserError
from boldreel.insilico.settings import InsilicoSettings

REST = "rest"


def train_segments(settings: InsilicoSettings) -> list[str]:
    """Names of the training movies, each of which is the task of its runs."""
    return [f"train{k + 1:02d}" for k in range(settings.train_movies)]


def test_segments(settings: InsilicoSettings) -> list[str]:
    """Names of the test movies."""
    return [f"test{k + 1:02d}" for k in range(settings.test_movies)]


def segments(settings: InsilicoSettings) -> list[str]:
    """Names of all movies, training first."""
    return [*train_segments(settings), *test_segments(settings)]


def rest_subjects(settings: InsilicoSettings) -> list[str]:
    """Labels of the subjects who are scanned only at rest."""
    return [str(label) for label in settings.rest.subjects]


def repeats(settings: InsilicoSettings, segment: str) -> int:
    """How often a segment is run; UserError for a segment that the section does not make."""
    if segment == REST:
        return int(settings.rest.runs)
    if segment in train_segments(settings):
        return int(settings.train_repeats)
    if segment in test_segments(settings):
        return int(settings.test_repeats)
    raise UserError(
        f"configuration: insilico makes no segment {segment!r} (it makes {', '.join(segments(settings))})"
    )


def runs(settings: InsilicoSettings, subject: str) -> list[tuple[str, int]]:
    """(segment, repeat) of every run of a subject, repeats from 1."""
    names = [REST] if subject in rest_subjects(settings) else segments(settings)
    return [(name, k + 1) for name in names for k in range(repeats(settings, name))]


def volumes(settings: InsilicoSettings, segment: str) -> int:
    """Number of volumes of a run of this segment."""
    return int(settings.rest.volumes if segment == REST else settings.volumes)


def movie_duration(settings: InsilicoSettings) -> float:
    """Length of every movie in seconds: as long as a run."""
    return float(settings.volumes * settings.t_r)


def explainable_variance(settings: InsilicoSettings, subject: str) -> float:
    """Median share of single-trial variance that the stimulus explains, over visual voxels.

    For a subject at rest: the share of the spontaneous activity that the areas' codes explain.
    """
    if subject in rest_subjects(settings):
        value = settings.rest.explainable_variance
    else:
        named = {str(key): share for key, share in settings.explainable_variance.items()}
        value = named.get(subject, settings.default_explainable_variance)
    return float(value)
