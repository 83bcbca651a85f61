"""Sample sheets: truth over reconstruction, clip by clip, drawn by seed and never picked.

Takes uint8 clips; returns pictures (PIL). The clips themselves are chosen by `results.draw_sample`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

PAPER, INK, FAINT = (255, 255, 255), (33, 32, 30), (120, 115, 106)
GAP, ROW_GAP = 2, 12


def filmstrip(clip: np.ndarray, side: int, frames: Sequence[int] | None = None) -> np.ndarray:
    """Frames of a clip (F, h, w, 3) side by side: uint8 (side, width, 3)."""
    from PIL import Image

    kept = clip if frames is None else clip[list(frames)]
    parts = []
    for frame in kept:
        scaled = Image.fromarray(np.asarray(frame)).resize((side, side), Image.Resampling.LANCZOS)
        parts += [np.asarray(scaled), np.full((side, GAP, 3), 255, np.uint8)]
    return np.concatenate(parts[:-1], axis=1)


def _font(size: int):  # type: ignore[no-untyped-def]
    from PIL import ImageFont

    return ImageFont.load_default(size)


def sheet(
    rows: Sequence[tuple[str, Mapping[str, np.ndarray]]], side: int = 56, captions: bool = True
) -> Image:
    """One row per clip, one column per kind (truth, subjects, upper bound), all frames of each.

    Parameters
    ----------
    rows : (caption, {kind: clip (F, h, w, 3)}); every row has the same kinds.
    """
    from PIL import Image, ImageDraw

    kinds = list(rows[0][1])
    strip = filmstrip(rows[0][1][kinds[0]], side).shape[1]
    line = side + (18 if captions else 0) + ROW_GAP
    width, top = len(kinds) * (strip + 16) + 16, 34
    picture = Image.new("RGB", (width, top + line * len(rows) + 4), PAPER)
    pen = ImageDraw.Draw(picture)
    for column, kind in enumerate(kinds):
        pen.text((16 + column * (strip + 16), 10), kind, fill=INK, font=_font(15))
    for number, (caption, clips) in enumerate(rows):
        y = top + number * line
        if captions:
            pen.text((16, y), caption[: max(20, width // 7)], fill=FAINT, font=_font(12))
            y += 18
        for column, kind in enumerate(kinds):
            strip_image = Image.fromarray(filmstrip(clips[kind], side))
            picture.paste(strip_image, (16 + column * (strip + 16), y))
    return picture


def pairs(
    rows: Sequence[tuple[np.ndarray, np.ndarray]],
    side: int,
    columns: int = 3,
    frames: Sequence[int] = (0, 2, 4, 5),
) -> Image:
    """Compact strip: each clip's truth over its reconstruction, several clips in a line.

    Parameters
    ----------
    rows : (truth, reconstruction) clips (F, h, w, 3). frames : which frames to show.
    """
    from PIL import Image

    shown = [k for k in frames if k < len(rows[0][0])]
    tiles = []
    for truth, reconstruction in rows:
        upper, lower = filmstrip(truth, side, shown), filmstrip(reconstruction, side, shown)
        between = np.full((GAP, upper.shape[1], 3), 255, np.uint8)
        tiles.append(np.concatenate([upper, between, lower], axis=0))
    height, width = tiles[0].shape[:2]
    lines = -(-len(tiles) // columns)
    canvas = np.full(
        (lines * (height + 10) - 10, columns * (width + 14) - 14, 3), 255, dtype=np.uint8
    )
    for number, tile in enumerate(tiles):
        y, x = (number // columns) * (height + 10), (number % columns) * (width + 14)
        canvas[y : y + height, x : x + width] = tile
    return Image.fromarray(canvas)


def save_small(picture: Image, path: str, most_bytes: int) -> None:
    """Write a PNG of at most `most_bytes`: true colour where it fits, else a palette, then smaller."""
    import io

    from PIL import Image

    tried = picture
    for attempt in range(8):
        versions = [tried, tried.quantize(256, dither=Image.Dither.FLOYDSTEINBERG)]
        for version in versions[attempt > 0 :]:
            buffer = io.BytesIO()
            version.save(buffer, "PNG", optimize=True)
            if buffer.tell() <= most_bytes:
                with open(path, "wb") as target:
                    target.write(buffer.getvalue())
                return
        size = (round(tried.width * 0.85), round(tried.height * 0.85))
        tried = tried.resize(size, Image.Resampling.LANCZOS)
    raise ValueError(
        f"{path}: a picture of {picture.size} cannot be made smaller than {most_bytes} bytes"
    )
