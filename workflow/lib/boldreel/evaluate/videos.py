"""Clips of any method in a folder: found, matched by name, read at evenly spaced times.

Takes folders of NAME.mp4 (gif, avi, mov, mkv, webm), NAME/ with png or jpg frames in natural order,
or NAME.npy (uint8, F x h x w x 3); returns uint8 frames. Animated GIFs go through FFmpeg too: it
composes frames that are only a part of the picture as browsers do, and keeps their own durations,
whereas PIL gets frames wrong that restore the previous picture (tests compare both).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boldreel.data import video
from boldreel.data.frames import frame_index
from boldreel.errors import UserError

MOVIES = (".mp4", ".gif", ".avi", ".mov", ".mkv", ".webm")
PICTURES = (".png", ".jpg", ".jpeg")
# Containers round times to their clock, GIF to 10 ms: a picture counts as shown from up to this
# many seconds before its time on, or half the shortest picture.
_CLOCK = 0.01
_ORIENTATION = 0x0112  # EXIF's tag; from 5 on width and height are exchanged


@dataclass(frozen=True)
class Clip:
    """A clip on disk.

    frames : number of pictures; of a GIF, whose writers merge equal pictures into one that is
        shown longer, its duration over that of its shortest picture.
    duration : s, None if the format has none. size : (height, width) as shown.
    early : s that pictures count as shown before their time.
    """

    path: Path
    frames: int
    duration: float | None
    size: tuple[int, int]
    early: float = 0.0

    def shown(self, count: int) -> np.ndarray:
        """The pictures shown at `count` evenly spaced times k / count of the clip.

        Returns
        -------
        uint8 (count, h, w, 3). Raises UserError if the file cannot be read.
        """
        if self.duration is not None:
            frames = video.read_frames(self.path, count / self.duration, start=self.early)[:count]
            # The header may promise more than there is: the last picture stays.
            return frames[np.minimum(np.arange(count), len(frames) - 1)]
        index = frame_index(self.frames, count)
        if self.path.is_dir():
            paths = _pictures(self.path)
            return np.stack([_picture(paths[int(k)]) for k in index])
        return np.asarray(_array(self.path)[index])


def natural(text: str) -> tuple[list[tuple[int, str]], str]:
    """A key that sorts clip2 before clip10; the text itself decides between equals (clip02, clip2)."""
    parts = re.split(r"(\d+)", text.casefold())
    return [(int(p), "") if k % 2 else (0, p) for k, p in enumerate(parts)], text


def find(folder: Path) -> dict[str, Path]:
    """{name: path} of the clips in a folder, in natural order of names.

    Raises UserError if the folder is not there, holds no clip, or has two clips of one name.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name a folder of videos")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        movie = path.is_file() and path.suffix.lower() in (*MOVIES, ".npy")
        _not_dangling(path)
        if path.name.startswith(".") or not (movie or (path.is_dir() and _pictures(path))):
            continue
        name = named(path.name if path.is_dir() else path.stem)
        if name in found:
            raise UserError(
                f"{folder}: clip {name} is there twice ({found[name].name} and {path.name}); "
                "keep one of them"
            )
        found[name] = path
    if not found:
        raise UserError(
            f"{folder}: no clip in it; expected NAME{', '.join(MOVIES)} or .npy, or folders NAME/ "
            "of png or jpg frames"
        )
    return {name: found[name] for name in sorted(found, key=natural)}


def named(text: str) -> str:
    """A clip's name in one spelling: macOS writes é as e and an accent, others as one letter."""
    return unicodedata.normalize("NFC", text)


def _not_dangling(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise UserError(
            f"{path}: a link that leads nowhere ({path.readlink()}); fetch its content (datalad get, git "
            f"annex "
            "get), or delete it"
        )


def matched(
    truth: Mapping[str, Path], reconstruction: Mapping[str, Path], folders: tuple[Path, Path]
) -> tuple[list[str], list[str], list[str]]:
    """(names on both sides, names of the truth alone, names of the reconstruction alone).

    Raises UserError if no name is on both sides.
    """
    both = [name for name in truth if name in reconstruction]
    if not both:
        raise UserError(
            f"no clip of {folders[0]} has a partner of the same name in {folders[1]} (for example "
            f"{next(iter(truth))} and {next(iter(reconstruction))}); rename them alike"
        )
    only = [name for name in truth if name not in reconstruction]
    return both, only, [name for name in reconstruction if name not in truth]


def probe(path: Path) -> Clip:
    """What a clip is, without decoding it.

    Raises UserError if it is unreadable, empty, or of another shape than expected.
    """
    if path.is_dir():
        paths = _pictures(path)
        sizes = [_size(picture) for picture in paths]
        for picture, size in zip(paths, sizes, strict=True):
            if size != sizes[0]:
                raise UserError(
                    f"{picture}: {size[1]} x {size[0]} pixels, {paths[0].name} has {sizes[0][1]} x "
                    f"{sizes[0][0]}; all frames of a clip must be of one size"
                )
        return Clip(path, len(paths), None, sizes[0])
    if path.suffix.lower() == ".npy":
        array = _array(path)
        return Clip(path, len(array), None, (array.shape[1], array.shape[2]))
    return _movie(path)


def compared_frames(truth: Iterable[Clip], reconstruction: Iterable[Clip]) -> int:
    """Frames at which all clips are compared: as many as every clip has.

    A clip of a single picture is shown as a still and does not count, unless one side has no others.
    """

    def fewest(clips: Iterable[Clip]) -> int:
        return min((clip.frames for clip in clips if clip.frames > 1), default=1)

    return min(fewest(truth), fewest(reconstruction))


def _movie(path: Path) -> Clip:
    header = video.probe(path)
    times, holds, turned = _packets(path)
    size = (int(header["height"]), int(header["width"]))
    size = size[::-1] if turned else size
    if len(times) == 0:
        raise UserError(f"{path}: no picture in it; write the clip again")
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else 1 / (header["frame_rate"] or 1)
    hold = holds[-1] if holds[-1] > 0 else usual
    duration = float(times[-1] - times[0] + hold)
    shortest = float(min([*steps[steps > 0], hold]))
    merged = path.suffix.lower() == ".gif"
    frames = max(1, round(duration / shortest)) if merged else len(times)
    return Clip(path, frames, duration, size, min(_CLOCK, shortest / 2))


def _packets(path: Path) -> tuple[np.ndarray, np.ndarray, bool]:
    """(times, durations) in s of a movie's pictures, in order of presentation, and whether it is shown turned
    by a quarter; only its first picture is decoded."""
    import av

    try:
        with av.open(str(path)) as container:
            stream = video.film(container)
            clock = float(stream.time_base or 0)
            found = []
            for packet in container.demux(stream):
                time = packet.pts if packet.pts is not None else packet.dts
                if time is not None and packet.size:
                    found.append((time * clock, (packet.duration or 0) * clock))
        turned = bool(found) and _is_turned(path)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: damaged video ({reason}); write the clip again") from None
    table = np.array(sorted(found)).reshape(-1, 2)
    return table[:, 0], table[:, 1], turned


def _is_turned(path: Path) -> bool:
    """Whether a movie is shown turned by 90 degrees, which its pictures say."""
    import av

    with av.open(str(path)) as container:
        first = next(container.decode(video.film(container)), None)
        return first is not None and round((first.rotation or 0) / 90) % 2 == 1


def _pictures(folder: Path) -> Sequence[Path]:
    kept = [p for p in folder.iterdir() if p.suffix.lower() in PICTURES and p.name[0] != "."]
    return sorted(kept, key=lambda path: natural(path.name))


def _size(path: Path) -> tuple[int, int]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            return (image.width, image.height) if turned else (image.height, image.width)
    except OSError as error:
        raise UserError(f"{path}: not a readable picture ({error}); write it again") from None


def _picture(path: Path) -> np.ndarray:
    """uint8 (h, w, 3), turned as it is meant to be seen; what is transparent shows white, as on a page."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as stored:
            image = ImageOps.exif_transpose(stored)
            if image.mode.startswith("I"):  # gray of 16 bits, which PIL would cut off at 255
                levels = np.round(np.asarray(image, dtype=np.float64) / 257)
                return np.repeat(levels.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
            if not image.has_transparency_data:
                return np.asarray(image.convert("RGB"))
            page = Image.new("RGBA", image.size, "white")
            page.alpha_composite(image.convert("RGBA"))
            return np.asarray(page.convert("RGB"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable picture ({error}); write it again") from None


def _array(path: Path) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else "empty file"
        raise UserError(
            f"{path}: not a readable array ({reason}); save it with numpy.save"
        ) from None
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3 or 0 in array.shape:
        raise UserError(
            f"{path}: {array.dtype} of shape {array.shape}; expected uint8 (frames, height, width, 3)"
        )
    return array
