"""The noise model of a pretraining cohort on disk: `correlation.npy` and `noise.json` in a folder.

Written by `pretrain.noise`, read by the alignment of every subject.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from boldreel.data import arrays, atomic, json_documents
from boldreel.models.noise import DistanceCurve


@dataclass(frozen=True)
class CohortNoise:
    """Spatial noise of a cohort, over all positions of the atlas.

    correlation : float32 (V, V), the sample shrunk towards the curve; curve : correlation over distance
    weight : of the curve in `correlation`; volumes : how many were read; subjects : labels
    """

    correlation: np.ndarray
    curve: DistanceCurve
    weight: float
    volumes: int
    subjects: tuple[str, ...]


def write(folder: Path, noise: CohortNoise) -> None:
    """Write both files, or nothing."""
    about = {
        "weight": noise.weight,
        "volumes": noise.volumes,
        "subjects": list(noise.subjects),
        "curve": asdict(noise.curve),
    }
    with atomic.folder(folder) as aside:
        arrays.save(aside / "correlation.npy", noise.correlation, kind="correlation")
        json_documents.write(aside / "noise.json", about, "noise")


def read(folder: Path) -> CohortNoise:
    """Read both; the matrix is memory-mapped. UserError if a file is missing or damaged."""
    correlation, _ = arrays.load(folder / "correlation.npy", kind="correlation")
    about = json_documents.read(folder / "noise.json", "noise")
    parts = about["curve"]
    curve = DistanceCurve(
        tuple(parts["exponential"]), tuple(parts["gaussian"]), parts["common"], parts["own"]
    )
    return CohortNoise(
        correlation, curve, about["weight"], about["volumes"], tuple(about["subjects"])
    )
