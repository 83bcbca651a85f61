"""Studies of the size that the pipeline is for: how much there is of everything in them.

Takes the configurations that are shipped; leaves cc2017, the same with the HCP, and a hundred times both.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Study:
    """How much there is of everything; see `studies` for those that are told of.

    volumes : of one subject's runs; cohort_volumes : of one subject at rest
    trials : training windows of one subject, repeats counted; clips : test clips
    """

    name: str
    subjects: int
    volumes: int
    movie_seconds: float
    trials: int
    clips: int
    cohort: int
    cohort_volumes: int
    segments: int
    positions: int
    config: dict[str, Any]

    @property
    def frames(self) -> float:
        return self.movie_seconds * self.config["stimuli"]["frame_rate"]

    @property
    def all_volumes(self) -> float:
        """Volumes of all subjects' runs."""
        return self.subjects * self.volumes + self.cohort * self.cohort_volumes


def configuration(*names: str) -> dict[str, Any]:
    """The complete configuration from files of config/; later files override earlier ones."""
    from boldreel.configuration import complete

    merged: dict[str, Any] = {}
    for name in names:
        _lay(merged, yaml.safe_load((ROOT / "config" / name).read_text()))
    return complete(merged)


def _lay(under: dict[str, Any], over: dict[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(key), dict):
            _lay(under[key], value)
        else:
            under[key] = copy.deepcopy(value)


def studies() -> list[Study]:
    """cc2017 as distributed, the same with pretraining on the HCP's S1200, and a hundred times both.

    Counts: shared by Wen et al. (2018): 18 training segments twice, 5 test segments ten times, 480 s each, of
    which 240 volumes and 4,320 + 1,200 clips are used; 1,096 subjects of the HCP with four runs of 1,200
    volumes, about 600,000 segments (Chen et al. 2023). Positions: the early areas of both hemispheres up to
    6,016, the published count of subject 1.
    """
    alone = configuration("datasets/cc2017.yaml")
    with_hcp = configuration("datasets/cc2017.yaml", "hcp.yaml")
    own = {"subjects": 3, "volumes": 86 * 245, "movie_seconds": 23 * 480.0, "trials": 2 * 4320}
    own |= {"clips": 1200, "positions": 6016}
    hundred = own | {"subjects": 300, "movie_seconds": 100 * 23 * 480.0}
    return [
        Study("cc2017", cohort=0, cohort_volumes=0, segments=3 * 36 * 240, config=alone, **own),
        Study(
            "cc2017 + HCP",
            cohort=1096,
            cohort_volumes=4 * 1200,
            segments=600_000,
            config=with_hcp,
            **own,
        ),
        Study(
            "100 times both",
            cohort=109_600,
            cohort_volumes=4 * 1200,
            segments=60_000_000,
            config=with_hcp,
            **hundred,
        ),
    ]
