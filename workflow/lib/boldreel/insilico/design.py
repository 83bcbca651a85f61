"""What the embedded data set consists of: segments, repeats and runs of every subject.

Takes the `insilico` section of the configuration; leaves names and numbers. Standard library only:
the Snakefile imports it to know the DAG.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boldreel.errors import UserError

REST = "rest"
_DEFAULTS: dict[str, Any] = {
    "t_r": 2.0,
    "volumes": 120,
    "voxel_size": 4.0,
    "train_movies": 6,
    "test_movies": 2,
    "train_repeats": 2,
    "test_repeats": 10,
    "movie_onset": 0.0,
    "explainable_variance": {},
    "default_explainable_variance": 0.02,
}
_REST_DEFAULTS: dict[str, Any] = {
    "subjects": [],
    "runs": 2,
    "volumes": 240,
    "explainable_variance": 0.1,
}


def check(cfg: Mapping[str, Any]) -> None:
    """UserError for a key that the section does not know, or a value that cannot be."""
    for name, given, known in (
        ("insilico", cfg, {*_DEFAULTS, "rest", "seed"}),
        ("insilico.rest", cfg.get("rest") or {}, set(_REST_DEFAULTS)),
    ):
        unknown = sorted(set(given) - known)
        if unknown:
            raise UserError(
                f"config: {name}.{unknown[0]} is not a key (known: {', '.join(sorted(known))})"
            )
    for key in _DEFAULTS:
        setting(cfg, key)
    for subject in [*setting(cfg, "explainable_variance"), *rest_subjects(cfg)]:
        explainable_variance(cfg, str(subject))


def setting(cfg: Mapping[str, Any], key: str) -> Any:
    """A value of the section, or its default where the section does not name it."""
    value = cfg.get(key, _DEFAULTS[key])
    if key == "t_r" and not value > 0:
        raise UserError(f"config: insilico.t_r is {value}; give seconds above 0")
    if key == "volumes" and value < 10:
        raise UserError(f"config: insilico.volumes is {value}; give at least 10")
    if key == "movie_onset" and (value < 0 or (2 * value) % 1):
        raise UserError(
            f"config: insilico.movie_onset is {value}; give seconds from 0 on in steps of 0.5"
        )
    return value


def rest_setting(cfg: Mapping[str, Any], key: str) -> Any:
    """A value of ``insilico.rest``, or its default."""
    return (cfg.get("rest") or {}).get(key, _REST_DEFAULTS[key])


def train_segments(cfg: Mapping[str, Any]) -> list[str]:
    """Names of the training movies, each of which is the task of its runs."""
    return [f"train{k + 1:02d}" for k in range(setting(cfg, "train_movies"))]


def test_segments(cfg: Mapping[str, Any]) -> list[str]:
    """Names of the test movies."""
    return [f"test{k + 1:02d}" for k in range(setting(cfg, "test_movies"))]


def segments(cfg: Mapping[str, Any]) -> list[str]:
    """Names of all movies, training first."""
    return [*train_segments(cfg), *test_segments(cfg)]


def rest_subjects(cfg: Mapping[str, Any]) -> list[str]:
    """Labels of the subjects that only lie at rest."""
    return [str(label) for label in rest_setting(cfg, "subjects")]


def repeats(cfg: Mapping[str, Any], segment: str) -> int:
    """How often a segment is run; UserError for a segment that the section does not make."""
    if segment == REST:
        return int(rest_setting(cfg, "runs"))
    if segment in train_segments(cfg):
        return int(setting(cfg, "train_repeats"))
    if segment in test_segments(cfg):
        return int(setting(cfg, "test_repeats"))
    raise UserError(
        f"config: insilico makes no segment {segment!r} (it makes {', '.join(segments(cfg))})"
    )


def runs(cfg: Mapping[str, Any], subject: str) -> list[tuple[str, int]]:
    """(segment, repeat) of every run of a subject, repeats from 1."""
    names = [REST] if subject in rest_subjects(cfg) else segments(cfg)
    return [(name, k + 1) for name in names for k in range(repeats(cfg, name))]


def volumes(cfg: Mapping[str, Any], segment: str) -> int:
    """Number of volumes of a run of this segment."""
    return int(rest_setting(cfg, "volumes") if segment == REST else setting(cfg, "volumes"))


def movie_duration(cfg: Mapping[str, Any]) -> float:
    """Length of every movie in seconds: as long as a run."""
    return float(setting(cfg, "volumes") * setting(cfg, "t_r"))


def explainable_variance(cfg: Mapping[str, Any], subject: str) -> float:
    """Median share of single-trial variance that the stimulus explains, over visual voxels.

    For a subject at rest: the share of the spontaneous activity that the areas' codes explain.
    """
    if subject in rest_subjects(cfg):
        value = rest_setting(cfg, "explainable_variance")
    else:
        named = {str(key): share for key, share in setting(cfg, "explainable_variance").items()}
        value = named.get(subject, setting(cfg, "default_explainable_variance"))
    if not 0 <= value <= 0.5:
        raise UserError(
            f"config: insilico.explainable_variance of {subject} is {value}; give 0 to 0.5"
        )
    return float(value)
