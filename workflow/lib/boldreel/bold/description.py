"""The data set description of the embedded engine's derivatives.

Takes the derivatives' root; returns its dataset_description.json, which says plainly what they are.
"""

from __future__ import annotations

import json
from pathlib import Path

import boldreel
from boldreel.data import atomic

NOTICE = (
    "Made by boldreel's embedded engine. This is not fMRIPrep: files are named as fMRIPrep names "
    "them so that other tools find them, but normalisation is affine, there is no susceptibility "
    "distortion correction, no surface and no individual tissue segmentation."
)


def describe(root: Path) -> None:
    """Write dataset_description.json at the derivatives' root if its content would change."""
    content = {
        "Name": "boldreel embedded engine: preprocessed BOLD",
        "BIDSVersion": "1.9.0",
        "DatasetType": "derivative",
        "GeneratedBy": [
            {
                "Name": "boldreel embedded engine (not fMRIPrep)",
                "Version": boldreel.__version__,
                "Description": NOTICE,
            }
        ],
    }
    path = root / "dataset_description.json"
    text = json.dumps(content, indent=1) + "\n"
    # Jobs of several subjects come here at once: an unchanged file is left alone.
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        atomic.write_text(path, text)
