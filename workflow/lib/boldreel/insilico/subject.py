"""A subject of the embedded data set, ready to be scanned.

Takes the truth folder that boldreel.insilico.anatomy wrote; returns the head, the field of view, the
haemodynamic lag and the encoding model in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boldreel.insilico import anatomy, encoding, head, template


@dataclass(frozen=True)
class Subject:
    """What the truth folder says about a subject.

    Attributes
    ----------
    to_mni : (4, 4) from the T1w image's world to MNI
    view : the scanner's field of view
    time_to_peak : s, of the response to an impulse
    model : the encoding model, on a grid that is fixed to the brain
    still : what the scanner sees of the head when nothing moves or changes
    """

    to_mni: np.ndarray
    view: head.FieldOfView
    time_to_peak: float
    model: encoding.Encoding
    still: template.Volume

    @classmethod
    def load(cls, folder: Path) -> Subject:
        """Read anatomy.json, encoding.npz and epi.npz of a subject's truth folder."""
        facts = anatomy.read_truth(folder)
        view = facts["field_of_view"]
        x, y, z = view["shape"]
        return cls(
            np.array(facts["t1w_to_mni"]),
            head.FieldOfView(np.array(view["affine"]), (x, y, z)),
            facts["hrf"]["time_to_peak"],
            encoding.Encoding.load(folder / "encoding.npz"),
            anatomy.read_still_image(folder / "epi.npz"),
        )
