"""A decoded picture as it is meant to be seen: uint8 RGB, turned, cropped and scaled.

Takes an av.VideoFrame; returns an array. Colour follows the picture's tags: matrix, range, transfer and
primaries.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from boldreel.data import hdr

_UNTAGGED = 2  # FFmpeg's AVCOL_SPC_UNSPECIFIED
_BT709 = 1
_LARGEST_SD = 576  # lines; taller pictures without a tag are of BT.709, as players take them
_PAGE = 255  # what is transparent shows white, as on a page
_AREA = "AREA"
_WIDE_WHITE = 255 << 8  # what FFmpeg's conversion to 16 bits makes of white


def square(picture: Any, size: int | None, pixel_ratio: float) -> np.ndarray:
    """RGB pixels (h, w, 3): the largest centred square, scaled to (size, size, 3).

    Parameters
    ----------
    size : None keeps the picture's own pixels
    pixel_ratio : width of a stored pixel over its height
    """
    image = _rgb(picture, size)
    if picture.interlaced_frame:
        # Two moments in one picture: the lines of one of them, each twice.
        image = np.repeat(image[::2], 2, axis=0)[: len(image)]
    turns = round((picture.rotation or 0) / 90) % 4
    if turns:
        image = np.rot90(image, turns)
        pixel_ratio = 1 / pixel_ratio if turns % 2 else pixel_ratio
    if size is None or (image.shape[:2] == (size, size) and pixel_ratio == 1):
        return np.ascontiguousarray(image)
    from PIL import Image

    height, width = image.shape[:2]
    side = min(height, width * pixel_ratio)
    across = side / pixel_ratio
    left, top = (width - across) / 2, (height - side) / 2
    box = (left, top, left + across, top + side)
    scaled = Image.fromarray(np.ascontiguousarray(image)).resize(
        (size, size), Image.Resampling.BICUBIC, box=box
    )
    return np.asarray(scaled)


def changes(picture: Any) -> list[str]:
    """What `square` does to an av.VideoFrame beyond what plain films need, in words."""
    found = []
    kind = hdr.kind(picture)
    if kind is not None:
        found.append(f"{kind} colours mapped to a standard display (BT.709, {hdr.WHITE:g} cd/m2)")
    if picture.interlaced_frame:
        found.append("interlaced, one field of each picture kept")
    return found


def _rgb(picture: Any, size: int | None) -> np.ndarray:
    kind = hdr.kind(picture)
    if kind is not None:
        # Films of high range have four times the lines that are wanted, and each costs powers.
        times = max(1, min(picture.width, picture.height) // (2 * size)) if size else 1
        if picture.interlaced_frame:
            times = 1
        wide = _convert(
            picture,
            "rgb48le",
            width=picture.width // times,
            height=picture.height // times,
            interpolation=_AREA if times > 1 else None,
        )
        code = wide.astype(np.float32) / _WIDE_WHITE
        return hdr.to_standard(code, kind, hdr.has_wide_primaries(picture))
    if any(component.is_alpha for component in picture.format.components):
        layers = _convert(picture, "rgba").astype(np.float32)
        opaque = layers[..., 3:] / 255
        return np.round(layers[..., :3] * opaque + _PAGE * (1 - opaque)).astype(np.uint8)
    return _convert(picture, "rgb24")


def _convert(picture: Any, format: str, **options: Any) -> np.ndarray:
    if int(picture.colorspace) == _UNTAGGED and picture.height > _LARGEST_SD:
        options["src_colorspace"] = _BT709
    # With more than one thread a small picture waits far longer for threads than it takes to convert.
    return _converter().reformat(picture, format=format, threads=1, **options).to_ndarray()


@cache
def _converter() -> Any:
    """A shared converter of pixel formats: creating one takes longer than converting a picture."""
    from av.video.reformatter import VideoReformatter

    return VideoReformatter()
