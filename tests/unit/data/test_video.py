"""Frames come at the exact times asked for; what is written plays in browsers."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from boldreel.data import video
from boldreel.errors import UserError

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "videos"


def numbered(n: int, height: int = 32, width: int = 48) -> np.ndarray:
    """Frames whose grey level is four times their number."""
    grey = (4 * np.arange(n)).astype(np.uint8)
    return np.broadcast_to(grey[:, None, None, None], (n, height, width, 3)).copy()


def numbers(frames: np.ndarray) -> list[int]:
    return np.round(frames.mean(axis=(1, 2, 3)) / 4).astype(int).tolist()


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 frames at 10 frames per second."""
    path = tmp_path_factory.mktemp("video") / "movie.mp4"
    video.write_mp4(path, numbered(60), 10)
    return path


def test_frame_shown_at_each_time(movie: Path) -> None:
    assert numbers(video.read_frames(movie, 10)) == list(range(60))
    assert numbers(video.read_frames(movie, 3)) == [10 * k // 3 for k in range(18)]
    assert numbers(video.read_frames(movie, 4)) == [10 * k // 4 for k in range(24)]


def test_faster_than_the_movie_repeats_frames(movie: Path) -> None:
    assert numbers(video.read_frames(movie, 20, duration=1)) == [k // 2 for k in range(20)]


@pytest.mark.parametrize("start", [0.0, 1.25, 5.0])
def test_part_of_a_movie(movie: Path, start: float) -> None:
    found = numbers(video.read_frames(movie, 4, start=start, duration=1))
    assert found == [int(10 * (start + k / 4) + 1e-9) for k in range(4)]


def test_square_is_the_centre(tmp_path: Path) -> None:
    frames = np.zeros((3, 32, 64, 3), np.uint8)
    frames[:, :, 16:48] = 200
    video.write_mp4(tmp_path / "m.mp4", frames, 5, crf=0)
    square = video.read_frames(tmp_path / "m.mp4", 5, size=16)
    assert square.shape == (3, 16, 16, 3)
    assert abs(square[:, :, 2:-2].astype(int) - 200).max() < 6


def test_written_file_is_for_browsers(tmp_path: Path) -> None:
    import av

    path = tmp_path / "odd.mp4"
    video.write_mp4(path, (frame for frame in numbered(9, 31, 45)), 7.5)
    content = path.read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
    facts = video.probe(path)
    assert (facts["width"], facts["height"], facts["frame_rate"]) == (46, 32, 7.5)
    assert facts["duration"] == pytest.approx(9 / 7.5, abs=0.01)
    assert numbers(video.read_frames(path, 7.5)) == list(range(9))


_ENCODE = """
import hashlib, sys
import numpy as np
from boldreel.data import video

rng = np.random.default_rng(0)
ground = np.kron(rng.uniform(40, 200, (24, 24, 3)), np.ones((4, 4, 1)))
frames = np.stack([ground[k % 32 : k % 32 + 64, k % 20 : k % 20 + 64] for k in range(120)])
frames = np.clip(frames + rng.normal(0, 8, frames.shape), 0, 255).astype(np.uint8)
video.write_mp4(sys.argv[1], frames, 10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="fresh memory is filled by glibc")
def test_same_frames_same_bytes(tmp_path: Path) -> None:
    """Whatever fresh memory holds (MALLOC_PERTURB_ fills it): an encoder that reads it shows here."""
    for filling in ("0", "85", "170"):
        words = [sys.executable, "-c", _ENCODE, str(tmp_path / f"{filling}.mp4")]
        subprocess.run(words, check=True, env={**os.environ, "MALLOC_PERTURB_": filling})
    assert len({path.read_bytes() for path in tmp_path.glob("*.mp4")}) == 1


def test_too_short(movie: Path) -> None:
    with pytest.raises(UserError, match=r"movie\.mp4: the movie is 6\.000 s long, but 8\.000 s"):
        video.read_frames(movie, 3, start=4, duration=4)


@pytest.mark.parametrize(("name", "codec"), [("m.mpg", "mpeg1video"), ("m.vob", "mpeg2video")])
def test_length_of_a_program_stream(tmp_path: Path, name: str, codec: str) -> None:
    """It has no index, and FFmpeg's guess of these 10 s is 9.6."""
    encode(tmp_path / name, codec, 250)
    assert video.probe(tmp_path / name)["duration"] == pytest.approx(10.0, abs=0.05)
    assert len(video.read_frames(tmp_path / name, 5.0)) == 50


def test_a_file_that_ends_midway(tmp_path: Path) -> None:
    """Matroska's pictures simply stop there; half a film is not taken for the whole."""
    whole = tmp_path / "m.mkv"
    encode(whole, "libx264", 250)
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(UserError, match=r"states 10\.000 s, but pictures end at \d.*whole movie"):
        video.read_frames(broken, 5.0)
    assert len(video.read_frames(broken, 5.0, duration=1.0)) == 5, "what is there can be had"
    assert len(video.read_frames(whole, 5.0)) == 50


def encode(path: Path, codec: str, pictures: int) -> None:
    """A film of noise, 25 pictures a second."""
    import av

    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(pictures):
            noise = rng.integers(256, size=(48, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode())


def test_unreadable(movie: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such movie"):
        video.probe(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("not a movie")
    with pytest.raises(UserError, match=r"text\.mp4: not a readable video"):
        video.read_frames(tmp_path / "text.mp4", 3)
    content = movie.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 3 // 4])
    with pytest.raises(UserError, match=r"cut\.mp4"):
        video.read_frames(tmp_path / "cut.mp4", 3, duration=6)


def test_nothing_is_left_of_a_failed_write(tmp_path: Path) -> None:
    def broken():  # type: ignore[no-untyped-def]
        yield numbered(1)[0]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        video.write_mp4(tmp_path / "m.mp4", broken(), 3)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not REAL.is_dir(), reason="no real clips next to this checkout")
@pytest.mark.parametrize("name", ["bikes.mp4", "carphone_pristine.mp4", "mmaction2_test.avi"])
def test_real_clips(name: str) -> None:
    facts = video.probe(REAL / name)
    frames = video.read_frames(REAL / name, 3, size=32)
    assert len(frames) == np.ceil(facts["duration"] * 3 - 1e-6)
    part = video.read_frames(REAL / name, 3, size=32, start=1, duration=2)
    assert np.array_equal(part, frames[3:9])
    assert frames.std() > 20
