"""Pictures of high dynamic range or wide gamut, mapped to what a standard display shows.

Takes RGB code values of BT.2020 pictures with the transfer of BT.2100 (PQ, HLG) or of BT.1886; returns 8-bit
code values of BT.709 at gamma 2.4 (BT.1886), as in a version graded for a standard display. Light is in
cd/m2. Only the film's tags are read, not the metadata of scenes: a source peak of 1000 is assumed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

PEAK = 1000.0  # of the mastering display, the usual one
WHITE = 100.0  # of a standard display
_GAMMA = 2.4  # BT.1886
_TRANSFERS = {16: "PQ", 18: "HLG"}  # FFmpeg's AVCOL_TRC_SMPTE2084 and AVCOL_TRC_ARIB_STD_B67
_BT2020 = 9  # AVCOL_PRI_BT2020
_UNKNOWN = 2  # AVCOL_PRI_UNSPECIFIED

# BT.2100, table 4
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
# BT.2100, table 5
_A = 0.17883277
_B, _C = 1 - 4 * _A, 0.5 - _A * np.log(4 * _A)
_HLG_GAMMA = 1.2  # at a peak of 1000
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593])
# BT.2087: linear BT.2020 to linear BT.709
_TO_BT709 = np.array(
    [
        [1.6605, -0.5876, -0.0728],
        [-0.1246, 1.1329, -0.0083],
        [-0.0182, -0.1006, 1.1187],
    ]
)


def kind(picture: Any) -> str | None:
    """The tag of an av.VideoFrame: "PQ", "HLG" or "BT.2020" (standard range); None for others."""
    primaries = int(picture.color_primaries)
    return _TRANSFERS.get(int(picture.color_trc), "BT.2020" if primaries == _BT2020 else None)


def to_standard(code: np.ndarray, kind: str, wide: bool = True) -> np.ndarray:
    """Code values for a standard display.

    Parameters
    ----------
    code : (..., 3) RGB, 0 to 1
    kind : as the function `kind` returns it
    wide : whether the primaries are those of BT.2020

    Returns
    -------
    uint8 (..., 3), BT.709
    """
    code = np.asarray(code, np.float32)
    if kind == "BT.2020":
        share = code**_GAMMA
    else:
        light = pq_light(code) if kind == "PQ" else hlg_light(code)
        # The largest channel is mapped and the others follow in proportion, so that hues stay.
        largest = light.max(axis=-1, keepdims=True)
        share = light * (tone_map(largest) / np.maximum(largest, 1e-6)) / WHITE
    if wide:
        share = share @ _TO_BT709.T.astype(np.float32)
    return np.round(255 * np.clip(share, 0, 1) ** (1 / _GAMMA)).astype(np.uint8)


def has_wide_primaries(picture: Any) -> bool:
    """Whether an av.VideoFrame has BT.2020 primaries, which untagged HDR pictures have."""
    return int(picture.color_primaries) in (_BT2020, _UNKNOWN)


def pq_light(code: np.ndarray) -> np.ndarray:
    """Light from PQ code values (BT.2100, table 4: reference EOTF)."""
    power = np.clip(code, 0, 1) ** (1 / _M2)
    return 1e4 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)


def pq_code(light: np.ndarray) -> np.ndarray:
    """PQ code values from light."""
    power = (np.clip(light, 0, 1e4) / 1e4) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def hlg_light(code: np.ndarray) -> np.ndarray:
    """Light of HLG code values (..., 3) on a display that peaks at 1000 (BT.2100, table 5)."""
    code = np.clip(code, 0, 1)
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - _C) / _A) + _B) / 12)
    luminance = (scene @ _LUMINANCE.astype(scene.dtype))[..., None]
    return PEAK * np.maximum(luminance, 1e-9) ** (_HLG_GAMMA - 1) * scene


def tone_map(light: np.ndarray) -> np.ndarray:
    """Light of 0 to `PEAK` brought into 0 to `WHITE` (BT.2390-10, section 5.4.1: EETF, no lift of blacks).

    Darker than 30 it stays as it is; above, a Hermite spline in PQ code values bends it.
    """
    top = float(pq_code(np.array(PEAK)))
    white = float(pq_code(np.array(WHITE))) / top
    knee = 1.5 * white - 0.5
    code = np.minimum(pq_code(light) / top, 1)
    t = np.maximum((code - knee) / (1 - knee), 0)
    bent = (2 * t**3 - 3 * t**2 + 1) * knee
    bent += (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * white
    return pq_light(np.where(code < knee, code, bent) * top)
