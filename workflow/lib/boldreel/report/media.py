"""Clips as the report shows them: small videos and stills on the page, and sample sheets.

Takes clips that were read; returns H.264 videos and frames as data URIs, or pictures (PIL).
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel.data.video import write_mp4
from boldreel.report import clips, markup
from boldreel.report.clips import Pick, ShownClip

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

    from boldreel.report.results import Results

PAPER, INK, FAINT = (255, 255, 255), (33, 32, 30), (120, 115, 106)
GAP, ROW_GAP = 2, 12


@dataclass(frozen=True)
class EncodedContext:
    """`ClipContext` with encoded stills: (label, data URI)."""

    windows: str
    stills: list[tuple[str, str]]


@dataclass(frozen=True)
class Reel:
    """One clip on the page.

    seen : whether its combination of attributes occurs in training; None if that is unknown.
    shape : width/height of the reconstruction. videos : {kind: (mp4 URI, first frame URI)}, "truth" first.
    context : {subject: EncodedContext}.
    """

    clip: str
    segment: str
    caption: str
    attributes: dict[str, str]
    seen: bool | None
    shape: str
    videos: dict[str, tuple[str, str]]
    context: Mapping[str, EncodedContext] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """What the page shows: clips drawn by seed, and those picked by a score, each with its place."""

    drawn: list[Reel]
    picked: list[tuple[Pick, Reel]]


def encode(clip: np.ndarray, frame_rate: float, folder: Path) -> tuple[str, str]:
    """(mp4, first frame) data URIs of a clip (F, h, w, 3)."""
    path = folder / "clip.mp4"
    write_mp4(path, clip, frame_rate, crf=18)
    return markup.movie(path), markup.picture(clip[0])


def reels(read: Iterable[ShownClip]) -> list[Reel]:
    """The clips, encoded one by one as they are read."""
    out = []
    with tempfile.TemporaryDirectory() as folder:
        for clip in read:
            _, reconstructed, *_ = clip.frames.values()
            _, height, width, _ = reconstructed.shape
            rate, where = clip.frame_rate, Path(folder)
            context = {
                subject: EncodedContext(
                    found.windows, [(label, markup.picture(still)) for label, still in found.stills]
                )
                for subject, found in clip.context.items()
            }
            out.append(
                Reel(
                    clip=clip.clip,
                    segment=clip.segment,
                    caption=clip.caption,
                    attributes=clip.attributes,
                    seen=clip.seen,
                    shape=f"{width}/{height}",
                    videos={k: encode(frames, rate, where) for k, frames in clip.frames.items()},
                    context=context,
                )
            )
    return out


def shown(
    results: Results,
    per_clip: Mapping[str, pd.DataFrame],
    count: int,
    seed: int,
    combination: Sequence[str],
) -> Shown:
    """`count` clips drawn by seed from those that all subjects have, and each subject's picks."""
    names = clips.shared(results.reconstruction(subject) for subject in results.subjects)
    drawn = list(clips.draw_sample(results.clips(), names, count, seed)["clip"])
    return arrange(
        drawn, clips.picks(per_clip), lambda names: clips.read(results, names, combination)
    )


def arrange(
    drawn: Sequence[str],
    picked: Sequence[Pick],
    read: Callable[[Sequence[str]], Iterable[ShownClip]],
) -> Shown:
    """Read and encode each clip once, whether it was drawn, picked or both."""
    names = list(dict.fromkeys([*drawn, *(pick.clip for pick in picked)]))
    found = {reel.clip: reel for reel in reels(read(names))}
    return Shown([found[name] for name in drawn], [(pick, found[pick.clip]) for pick in picked])


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
    rows: Sequence[tuple[str, Mapping[str, np.ndarray | None]]],
    side: int = 56,
    captions: bool = True,
) -> Image:
    """One row per clip, one column per kind (truth, subjects, upper bound), all frames of each.

    Parameters
    ----------
    rows : (caption, {kind: clip (F, h, w, 3)}); every row has the same kinds, None for a clip that
        there is not.
    """
    from PIL import Image, ImageDraw

    kinds = list(rows[0][1])
    known = [clip for clip in rows[0][1].values() if clip is not None]
    strip = filmstrip(known[0], side).shape[1]
    line = side + (18 if captions else 0) + ROW_GAP
    width, top = len(kinds) * (strip + 16) + 16, 34
    picture = Image.new("RGB", (width, top + line * len(rows) + 4), PAPER)
    pen = ImageDraw.Draw(picture)
    for column, kind in enumerate(kinds):
        pen.text((16 + column * (strip + 16), 10), kind, fill=INK, font=_font(15))
    for number, (caption, of_kind) in enumerate(rows):
        y = top + number * line
        if captions:
            pen.text((16, y), caption[: max(20, width // 7)], fill=FAINT, font=_font(12))
            y += 18
        for column, kind in enumerate(kinds):
            if (clip := of_kind[kind]) is None:
                continue
            strip_image = Image.fromarray(filmstrip(clip, side))
            picture.paste(strip_image, (16 + column * (strip + 16), y))
    return picture


def animation(
    rows: Sequence[tuple[np.ndarray, np.ndarray]], side: int, path: str, frame_rate: float
) -> None:
    """Looping WebP: each clip's truth over its reconstruction, all clips in a line.

    rows : (truth, reconstruction) clips (F, h, w, 3).
    """
    frames = [pairs(rows, side, len(rows), [k]) for k in range(len(rows[0][0]))]
    duration = round(1000 / frame_rate)
    frames[0].save(
        path, "WEBP", save_all=True, append_images=frames[1:], duration=duration, loop=0, quality=85
    )


def pairs(
    rows: Sequence[tuple[np.ndarray, np.ndarray]],
    side: int,
    columns: int = 3,
    frames: Sequence[int] | None = None,
) -> Image:
    """Compact strip: each clip's truth over its reconstruction, several clips in a line.

    Parameters
    ----------
    rows : (truth, reconstruction) clips (F, h, w, 3). frames : which frames to show; by default four over the
        whole clip.
    """
    from PIL import Image

    count = len(rows[0][0])
    if frames is None:
        frames = sorted(set(np.linspace(0, count - 1, 4).round().astype(int).tolist()))
    shown = list(frames)
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
