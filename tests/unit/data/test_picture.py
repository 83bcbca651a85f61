"""What films of other kinds than most look like when they are decoded."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boldreel.data import hdr, video

SD, HD = (64, 64), (1280, 720)
COUNT = 3


def encode(
    path: Path,
    planes: tuple[np.ndarray | int, ...],
    pixels: str = "yuv420p",
    codec: str = "ffv1",
    size: tuple[int, int] = SD,
    change: Any = lambda stream: None,
    **tags: int,
) -> Path:
    """A film whose pictures all have these planes (numbers, or a column of one number a line)."""
    import av

    kind = np.uint16 if "10" in pixels else np.uint8
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        change(stream)
        for k in range(COUNT):
            frame = av.VideoFrame(*size, pixels)
            for plane, value in zip(frame.planes, planes, strict=True):
                line = plane.line_size // kind().itemsize
                full = np.broadcast_to(np.asarray(value, kind), (plane.height, line))
                plane.update(np.ascontiguousarray(full).tobytes())
            frame.pts = k
            for name, value in tags.items():
                setattr(frame, name, value)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def colour(path: Path, size: int | None = 16) -> np.ndarray:
    frames = video.read_frames(path, 10, size)
    assert len(frames) == COUNT
    return frames[1, 8, 8]


def expected(y: int, u: int, v: int, red: float, blue: float, full: bool = False) -> np.ndarray:
    """RGB of Y'CbCr by BT.601's and BT.709's own formula: weights of red and blue in luma."""
    low, luma, chroma = (0, 255, 255) if full else (16, 219, 224)
    light, cb, cr = (y - low) / luma, (u - 128) / chroma, (v - 128) / chroma
    r, b = light + 2 * (1 - red) * cr, light + 2 * (1 - blue) * cb
    g = (light - red * r - blue * b) / (1 - red - blue)
    return 255 * np.array([r, g, b])


BT601, BT709 = (0.299, 0.114), (0.2126, 0.0722)


@pytest.mark.parametrize(
    ("size", "tags", "weights"),
    [
        (SD, {"colorspace": 6}, BT601),
        (SD, {"colorspace": 1}, BT709),
        (SD, {}, BT601),
        (HD, {"colorspace": 6}, BT601),
        (HD, {}, BT709),
    ],
)
@pytest.mark.parametrize("full", [False, True])
def test_matrix_and_range(tmp_path: Path, size: Any, tags: dict, weights: Any, full: bool) -> None:
    """As tagged; untagged by size, as players take it."""
    planes = (120, 100, 180)
    path = encode(tmp_path / "a.mkv", planes, size=size, color_range=2 if full else 1, **tags)
    np.testing.assert_allclose(colour(path), expected(*planes, *weights, full), atol=2)


@pytest.mark.parametrize("codec", ["ffv1", "libx265"])
@pytest.mark.parametrize("light", [1.0, 5.0, 20.0])
def test_pq_of_known_light(tmp_path: Path, capsys: Any, codec: str, light: float) -> None:
    """A grey of known luminance (cd/m2) decodes to the code value with that luminance on an SDR display."""
    luma = round(64 + 876 * float(hdr.pq_code(np.array(light))))
    path = encode(
        tmp_path / "a.mkv",
        (luma, 512, 512),
        "yuv420p10le",
        codec,
        **{"color_trc": 16, "color_primaries": 9, "colorspace": 9, "color_range": 1},
    )
    wanted = 255 * (light / 100) ** (1 / 2.4)
    np.testing.assert_allclose(colour(path), wanted, atol=1.5)
    np.testing.assert_allclose(colour(path, None), wanted, atol=1.5)
    assert "a.mkv: PQ colours mapped to a standard display" in capsys.readouterr().err


def test_hlg_diffuse_white_is_light(tmp_path: Path, capsys: Any) -> None:
    tags = {"color_trc": 18, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    path = encode(tmp_path / "a.mkv", (64 + 657, 512, 512), "yuv420p10le", **tags)
    assert (abs(colour(path).astype(int) - 242) <= 2).all()
    assert "HLG" in capsys.readouterr().err


def test_large_hdr_pictures_are_made_small_first(tmp_path: Path) -> None:
    luma = round(64 + 876 * float(hdr.pq_code(np.array(20.0))))
    tags = {"color_trc": 16, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    path = encode(tmp_path / "a.mkv", (luma, 512, 512), "yuv420p10le", size=HD, **tags)
    frames = video.read_frames(path, 10, 32)
    assert frames.shape == (COUNT, 32, 32, 3)
    np.testing.assert_allclose(frames, 130, atol=2)


def test_anamorphic_pixels_are_stretched(tmp_path: Path) -> None:
    """Stored 64 x 64, seen 128 x 64: the middle half of the columns is the square."""
    across = np.zeros(64, np.uint8)
    across[16:48] = 200

    def stretch(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)

    path = tmp_path / "a.mp4"
    encode(path, (across, 128, 128), codec="libx264", change=stretch)
    square = video.read_frames(path, 10, 16)[1]
    assert square[:, 2:-2].min() > 180


def test_turned_films_stand_upright(tmp_path: Path) -> None:
    """A telephone's film: stored lying, with a note that it is to be turned."""
    import av

    stored = tmp_path / "stored.mp4"
    down = np.where(np.arange(64)[:, None] < 32, 200, 20).astype(np.uint8)
    encode(stored, (down, np.full((32, 1), 128), np.full((32, 1), 128)), codec="libx264")
    for degrees, bright in ((90, np.s_[:, :6]), (180, np.s_[10:, :]), (-90, np.s_[:, 10:])):
        turned = tmp_path / "turned.mp4"
        with av.open(str(stored)) as source, av.open(str(turned), "w") as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            stream.set_display_rotation(degrees)
            for packet in source.demux(source.streams.video[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
        square = video.read_frames(turned, 10, 16)[1]
        assert square[bright].min() > 180, degrees


def test_interlaced_pictures_show_one_moment(tmp_path: Path, capsys: Any) -> None:
    """Lines of two moments, light and dark: one of them, no comb and no mean of both."""
    lines = np.where(np.arange(64)[:, None] % 2, 40, 200).astype(np.uint8)

    def fields(stream: Any) -> None:
        stream.options = {"x264-params": "tff=1:qp=1"}

    grey = np.full((32, 1), 128)
    path = encode(tmp_path / "a.mp4", (lines, grey, grey), codec="libx264", change=fields)
    np.testing.assert_allclose(video.read_frames(path, 10, 16)[1], 214, atol=6)
    assert "interlaced" in capsys.readouterr().err


def test_what_is_transparent_shows_white(tmp_path: Path) -> None:
    pixel = np.tile(np.array([100, 0, 0, 51], np.uint8), 64)
    path = encode(tmp_path / "a.mov", (pixel,), "rgba", codec="png")
    np.testing.assert_allclose(colour(path), [224, 204, 204], atol=1)


def with_cover(path: Path, film: Path, marked: bool) -> None:
    """The film behind a cover: a still as the file's first stream, marked as such or not."""
    import av
    from av.stream import Disposition

    with av.open(str(film)) as source, av.open(str(path), "w") as target:
        cover: Any = target.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 128
        cover.pix_fmt = "yuvj420p"
        if marked:
            cover.disposition = Disposition.attached_pic
        stream = target.add_stream_from_template(source.streams.video[0])
        white = av.VideoFrame.from_ndarray(np.full((128, 128, 3), 255, np.uint8), format="rgb24")
        white.pts = 0
        target.mux(cover.encode(white))
        target.mux(cover.encode())
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)


@pytest.mark.parametrize(("name", "marked"), [("a.mkv", False), ("a.mp4", True), ("a.mp4", False)])
def test_cover_art_is_not_the_film(tmp_path: Path, name: str, marked: bool) -> None:
    import av

    film = encode(tmp_path / "film.mp4", (90, 128, 128), codec="libx264")
    with_cover(tmp_path / name, film, marked)
    with av.open(str(tmp_path / name)) as container:
        assert len(container.streams.video) == 2
    facts = video.probe(tmp_path / name)
    assert (facts["width"], facts["frame_rate"]) == (64, 10)
    assert facts["duration"] == pytest.approx(0.3, abs=0.05)
    np.testing.assert_array_equal(
        video.read_frames(tmp_path / name, 10), video.read_frames(film, 10)
    )
