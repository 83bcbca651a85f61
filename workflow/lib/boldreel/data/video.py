"""Movies on disk: decode at an exact frame rate, encode for browsers.

Takes a movie in any container that FFmpeg reads; returns uint8 RGB frames (n, h, w, 3), one for each
time k / frame_rate, namely the picture that a viewer sees at that time: the last one whose
presentation time is not later. Movie time 0 is the presentation time of the first picture.
Writes H.264 mp4 (yuv420p, even sizes, index at the front) that every browser plays.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from boldreel.data import atomic, files
from boldreel.data.picture import changes, square
from boldreel.errors import UserError

# Presentation times are rounded to the container's clock (GIF: 10 ms; mp4: under 0.1 ms), so a
# picture counts as shown from this many seconds before its time on.
_TOLERANCE = 1e-3
# Starting later than this many seconds into a movie is worth a seek.
_SEEK_AFTER = 4.0
_STILLS = ("mjpeg", "png", "bmp", "webp", "gif")
# Formats without an index, whose length FFmpeg guesses, by a second or more too short.
_GUESSED = ("mpeg",)
# How much shorter than its header states a movie may be: as a share of it, and in s.
_SHORTER_SHARE, _SHORTER = 0.02, 1.0
_BT601 = 6  # FFmpeg's AVCOL_SPC_SMPTE170M
_MEND = "re-encode it, for example to H.264 mp4, or name another file"


def probe(path: Path | str) -> dict[str, Any]:
    """Length, rate and size of a movie, from its header if that states them.

    Returns
    -------
    dict with duration (s), frame_rate (frames per second), width, height (pixels as stored).

    Raises
    ------
    UserError : no such file, unreadable, or no video in it.
    """
    path = Path(path)
    with _open(path) as container:
        stream = film(container)
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        length = _length(stream)
        if length is not None:
            duration = length
        elif container.duration is not None and container.format.name not in _GUESSED:
            duration = container.duration / 1e6
        else:
            times = [time for time, _ in _pictures(container, path)]
            duration = _end(times, rate)
        return {
            "duration": duration,
            "frame_rate": rate,
            "width": stream.codec_context.width,
            "height": stream.codec_context.height,
        }


def read_frames(
    path: Path | str,
    frame_rate: float,
    size: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
) -> np.ndarray:
    """The pictures shown at the times start + k / frame_rate, all at once: uint8 (n, h, w, 3), RGB.

    Takes and raises the same as `frames`.
    """
    return np.stack(list(frames(path, frame_rate, size, start, duration)))


def frames(
    path: Path | str,
    frame_rate: float,
    size: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
) -> Iterator[np.ndarray]:
    """Decode the pictures shown at the times start + k / frame_rate, one after the other.

    Parameters
    ----------
    frame_rate : frames per second to leave; the movie's own rate may be any.
    size : side in pixels of the largest centred square, scaled; None keeps the movie's pictures.
    start, duration : part of the movie in s; duration None reads to the end. A part of d s has
        round(d * frame_rate) frames.

    Yields
    ------
    frame : uint8 (h, w, 3), RGB; at least one

    Raises
    ------
    UserError : no such file, unreadable, broken midway, or shorter than the part asked for. Of a film that
        breaks midway, what could be decoded is yielded before.
    """
    path = Path(path)
    if frame_rate <= 0:
        raise UserError(f"{path}: frame rate is {frame_rate}; give a positive number per second")
    wanted = None if duration is None else round(duration * frame_rate)
    made = 0
    shown: Any = None
    last = 0.0
    with _open(path) as container:
        stream = film(container)
        rate = float(stream.average_rate or 0)
        told = _length(stream)
        pixel_ratio = float(stream.sample_aspect_ratio or 1)
        pictures = _pictures(container, path, start)
        for time, picture in pictures:
            # Every wanted time before this picture still shows the one before it.
            while (
                shown is not None
                and (wanted is None or made < wanted)
                and start + made / frame_rate < time - _TOLERANCE
            ):
                yield square(shown, size, pixel_ratio)
                made += 1
            if shown is None and (changed := changes(picture)):
                print(f"{path}: {', '.join(changed)}", file=sys.stderr)
            shown, last = picture, time
            if wanted is not None and made >= wanted:
                break
        if shown is None:
            raise UserError(f"{path}: no picture could be decoded; {_MEND}")
        end = last + _hold(shown, rate)
        while (wanted is None or made < wanted) and (start + made / frame_rate < end - _TOLERANCE):
            yield square(shown, size, pixel_ratio)
            made += 1
    if wanted is not None and made < wanted:
        raise UserError(
            f"{path}: the movie is {end:.3f} s long, but {start + (duration or 0):.3f} s are needed; "
            "check that it is the movie that was shown and that it is complete"
        )
    if not made:
        raise UserError(f"{path}: the movie is {end:.3f} s long and has nothing from {start} s on")
    # Some containers end anywhere without an error.
    if wanted is None and told is not None and told - end > max(_SHORTER, _SHORTER_SHARE * told):
        raise UserError(
            f"{path}: its header states {told:.3f} s, but pictures end at {end:.3f} s; fetch the whole "
            f"movie, or {_MEND}"
        )


def write_mp4(
    path: Path | str,
    frames: np.ndarray | Iterable[np.ndarray],
    frame_rate: float,
    crf: int = 14,
) -> None:
    """Encode frames as H.264 mp4, written aside and renamed.

    An odd height or width is made even by repeating the last row or column, which 4:2:0 colour
    needs. One encoder thread and no macroblock tree: the same frames give the
    same bytes.

    Parameters
    ----------
    frames : uint8 (n, h, w, 3), or an iterable of uint8 (h, w, 3), at least one
    frame_rate : frames per second
    crf : x264's constant quality, 0 (lossless) to 51
    """
    import av

    path = Path(path)
    written = 0
    with (
        atomic.file(path) as tmp,
        av.open(str(tmp), "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        stream: Any = None
        for image in frames:
            image = np.asarray(image)
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                raise ValueError(
                    f"a frame is {image.dtype} {image.shape}; expected uint8 (height, width, 3)"
                )
            height, width = image.shape[:2]
            if height % 2 or width % 2:
                image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            if stream is None:
                stream = container.add_stream(
                    "libx264", rate=Fraction(frame_rate).limit_denominator(1001)
                )
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                # x264's macroblock tree reads memory that nobody has written: the same frames would
                # give other bytes, and other pictures, from one time to the next.
                params = "mbtree=0"
                stream.options = {"crf": str(crf), "preset": "medium", "x264-params": params}
                stream.codec_context.thread_count = 1
                # What the conversion from RGB used; untagged, players guess by picture size.
                stream.codec_context.colorspace = _BT601
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            written += 1
        if not written:
            raise ValueError(f"{path}: no frames to write")
        container.mux(stream.encode())


def _open(path: Path) -> Any:
    import av

    files.check_fetched(path)
    if not path.is_file():
        raise UserError(f"{path}: no such movie; check the path")
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable video ({_reason(error)}); {_MEND}") from None
    if film(container) is None:
        container.close()
        raise UserError(f"{path}: no video in it (sound only?); name a movie with pictures")
    return container


def film(container: Any) -> Any:
    """The longest video stream of an open container that is not cover art; None if there is none."""
    from av.stream import Disposition

    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    # Cover art without its mark is a stream of one still; a film may be coded in stills, but then all are.
    moving = [s for s in streams if s.codec_context.name not in _STILLS] or streams
    return max(moving, key=lambda stream: _length(stream) or 0.0, default=None)


def _length(stream: Any) -> float | None:
    """Duration of a stream in s from the header; None if it is not there."""
    # Of Matroska's streams FFmpeg knows the whole file's duration alone; their own stands in a tag.
    told = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if told:
        return sum(float(part) * 60**k for k, part in enumerate(told.groups()[::-1]))
    if stream.duration is None or stream.time_base is None:
        return None
    if stream.container.format.name in _GUESSED:
        return None
    return float(stream.duration * stream.time_base)


def _pictures(container: Any, path: Path, start: float = 0.0) -> Iterator[tuple[float, Any]]:
    """(time in s from the first picture, av.VideoFrame) in order of presentation.

    With a later start, decoding begins at a key picture that is shown not later than start.
    """
    import av

    stream = film(container)
    origin = None if stream.start_time is None else float(stream.start_time * stream.time_base)
    try:
        if start > _SEEK_AFTER and origin is not None:
            _seek(container, stream, origin + start)
        for number, picture in enumerate(container.decode(stream)):
            time = picture.time
            if time is None:
                time = number / float(stream.average_rate or 25)
            if origin is None:
                origin = time
            yield time - origin, picture
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UserError(f"{path}: damaged or truncated video ({_reason(error)}); {_MEND}") from None


def _seek(container: Any, stream: Any, time: float) -> None:
    """Go to the key picture before a time; back to the beginning where that lands too late."""
    import av

    try:
        container.seek(int(time / stream.time_base), stream=stream)
        first = next(iter(container.decode(stream)), None)
        if first is not None and first.time is not None and first.time <= time:
            container.seek(int(time / stream.time_base), stream=stream)
            return
    except (av.FFmpegError, OSError):
        pass  # not every container can seek; reading from the beginning always works
    container.seek(stream.start_time or 0, stream=stream)


def _hold(picture: Any, rate: float) -> float:
    """How long the last picture stays, in s."""
    if picture.duration and picture.time_base:
        return float(picture.duration * picture.time_base)
    return 1 / rate if rate else 0.0


def _end(times: list[float], rate: float) -> float:
    return (times[-1] if times else 0.0) + (1 / rate if rate else 0.0)


def _reason(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
