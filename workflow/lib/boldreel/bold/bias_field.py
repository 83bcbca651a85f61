"""Slow shading by the receiving coil, as polynomials of place.

Takes places in space; returns the terms that registrations fit along with the motion.
"""

from __future__ import annotations

import numpy as np


def quadratic(places: np.ndarray) -> np.ndarray:
    """Linear and quadratic terms (n, 9) of places (3, n), best given in units of about 100 mm."""
    x, y, z = places
    return np.stack([x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], axis=1)
