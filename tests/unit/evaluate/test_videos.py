"""Finding, matching and reading clips of every format: the right picture at the right time."""

import struct

import numpy as np
import pytest
from PIL import Image

from boldreel.data.video import write_mp4
from boldreel.errors import UserError
from boldreel.evaluate import videos

# Eight colours: GIF holds them exactly.
PALETTE = np.array(
    [[0, 0, 0], [255, 255, 255], [200, 10, 10], [10, 200, 10], [10, 10, 200]]
    + [[220, 200, 0], [0, 180, 180], [120, 120, 120]],
    dtype=np.uint8,
)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def coloured(rng, frames=6, height=12, width=16):
    return PALETTE[rng.integers(0, 8, (frames, height, width))]


def save_gif(path, frames, duration):
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=rest, duration=duration, loop=0)


def write_patches(path, patches, width, height):
    """A GIF whose frames are patches (x, y, indices, hundredths of s, disposal, transparent index)."""

    def packed(indices):
        # A clear code before the code size would grow: every code keeps 4 bits.
        codes = []
        for k, value in enumerate(indices.ravel()):
            codes += [8, int(value)] if k % 6 == 0 else [int(value)]
        codes += [9] if len(codes) % 2 else [9, 0]
        pairs = zip(codes[::2], codes[1::2], strict=True)
        data = bytes(low | high << 4 for low, high in pairs)
        blocks = [data[k : k + 255] for k in range(0, len(data), 255)]
        return b"\x03" + b"".join(bytes([len(b)]) + b for b in blocks) + b"\x00"

    out = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF2, 0, 0) + PALETTE.tobytes()
    for x, y, indices, hold, disposal, clear in patches:
        flags = disposal << 2 | (clear is not None)
        out += b"\x21\xf9\x04" + struct.pack("<BHBB", flags, hold, clear or 0, 0)
        out += b"\x2c" + struct.pack("<HHHHB", x, y, indices.shape[1], indices.shape[0], 0)
        out += packed(indices)
    path.write_bytes(out + b";")


def composed(patches, width, height):
    """What a viewer sees: each patch painted on what the frames before it left."""
    canvas, out = np.zeros((height, width, 3), np.uint8), []
    for x, y, indices, _, disposal, clear in patches:
        before = canvas.copy()
        box = canvas[y : y + indices.shape[0], x : x + indices.shape[1]]
        painted = np.ones(indices.shape, bool) if clear is None else indices != clear
        box[painted] = PALETTE[indices[painted]]
        out.append(canvas.copy())
        canvas = before if disposal == 3 else canvas
    return np.stack(out)


@pytest.mark.parametrize("seed", range(6))
def test_gif_of_partial_frames(tmp_path, seed):
    rng = np.random.default_rng(seed)
    patches = [(0, 0, rng.integers(0, 8, (12, 16)), 10, 1, None)]
    for _ in range(5):
        height, width = rng.integers(3, 9, 2)
        x, y = rng.integers(0, 16 - width), rng.integers(0, 12 - height)
        disposal, clear = int(rng.choice([0, 1, 3])), [None, 4][int(rng.integers(2))]
        patches.append((x, y, rng.integers(0, 8, (height, width)), 10, disposal, clear))
    write_patches(tmp_path / "a.gif", patches, 16, 12)
    clip = videos.probe(tmp_path / "a.gif")
    assert clip.frames == 6 and clip.duration == pytest.approx(0.6)
    np.testing.assert_array_equal(clip.shown(6), composed(patches, 16, 12))


def test_gif_keeps_its_own_durations(tmp_path, rng):
    frames = coloured(rng, 4)
    save_gif(tmp_path / "a.gif", frames, [100, 300, 100, 100])
    clip = videos.probe(tmp_path / "a.gif")
    assert clip.frames == 6 and clip.duration == pytest.approx(0.6)
    np.testing.assert_array_equal(clip.shown(6), frames[[0, 1, 1, 1, 2, 3]])
    np.testing.assert_array_equal(clip.shown(2), frames[[0, 1]])


def test_gif_with_equal_frames_merged_is_the_array(tmp_path, rng):
    frames = coloured(rng)
    frames[3] = frames[2]
    save_gif(tmp_path / "a.gif", frames, 330)
    assert Image.open(tmp_path / "a.gif").n_frames == 5
    np.save(tmp_path / "b.npy", frames)
    for count in (1, 2, 3, 6, 12):
        shown = [videos.probe(tmp_path / name).shown(count) for name in ("a.gif", "b.npy")]
        np.testing.assert_array_equal(*shown)


def test_gif_times_rounded_to_its_clock(tmp_path, rng):
    """Three frames a second become 0.34, 0.33, 0.33 s: the second is not missed at 1/3 s."""
    frames = coloured(rng, 3)
    save_gif(tmp_path / "a.gif", frames, [340, 330, 330])
    np.testing.assert_array_equal(videos.probe(tmp_path / "a.gif").shown(3), frames)


def test_folder_of_pictures_in_natural_order(tmp_path, rng):
    frames = coloured(rng, 11)
    (tmp_path / "a").mkdir()
    for k, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "a" / f"frame{k}.png")
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    clip = videos.probe(tmp_path / "a")
    assert (clip.frames, clip.duration, clip.size) == (11, None, (12, 16))
    np.testing.assert_array_equal(clip.shown(11), frames)
    np.testing.assert_array_equal(clip.shown(4), frames[[0, 2, 5, 8]])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi"])
def test_movies(tmp_path, rng, suffix):
    import av

    levels = np.array([20, 90, 160, 230, 60, 130])
    frames = np.broadcast_to(levels[:, None, None, None], (6, 16, 16, 3)).astype(np.uint8)
    write_mp4(tmp_path / "a.mp4", frames, 3.0)
    path = tmp_path / f"b{suffix}"
    with av.open(str(tmp_path / "a.mp4")) as source, av.open(str(path), "w") as target:
        kind = "mpeg4" if suffix == ".avi" else "libx264"
        stream = target.add_stream(kind, rate=3)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        for picture in source.decode(video=0):
            target.mux(stream.encode(picture.reformat(format="yuv420p")))
        target.mux(stream.encode())
    clip = videos.probe(path)
    assert clip.frames == 6 and clip.duration == pytest.approx(2.0, abs=0.01)
    for count in (3, 6, 12):
        seen = clip.shown(count).mean(axis=(1, 2, 3))
        np.testing.assert_allclose(seen, levels[(np.arange(count) * 6) // count], atol=6)


def test_transparent_pixels_show_white(tmp_path):
    (tmp_path / "a").mkdir()
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[0, 0] = (200, 10, 10, 255)
    Image.fromarray(pixels).save(tmp_path / "a" / "0.png")
    shown = videos.probe(tmp_path / "a").shown(1)[0]
    assert shown[0, 0].tolist() == [200, 10, 10] and (shown[1:] == 255).all()


def test_names_in_natural_order_and_other_files(tmp_path):
    for name in ("clip10", "clip2", "Clip1"):
        np.save(tmp_path / f"{name}.npy", np.zeros((1, 2, 2, 3), np.uint8))
    (tmp_path / "scores.json").write_text("{}")
    (tmp_path / ".hidden.mp4").write_text("")
    (tmp_path / "empty").mkdir()
    assert list(videos.find(tmp_path)) == ["Clip1", "clip2", "clip10"]


def test_matching(tmp_path):
    a = {name: tmp_path for name in ("1", "2", "3")}
    b = {name: tmp_path for name in ("3", "2", "4")}
    folders = (tmp_path / "t", tmp_path / "r")
    assert videos.matched(a, b, folders) == (["2", "3"], ["1"], ["4"])
    with pytest.raises(UserError, match=r"no clip of .* has a partner"):
        videos.matched({"1": tmp_path}, {"2": tmp_path}, folders)


def test_frames_to_compare(tmp_path):
    def clips(*counts):
        return [videos.Clip(tmp_path, count, None, (4, 4)) for count in counts]

    assert videos.compared_frames(clips(8, 6, 9), clips(24, 7)) == 6
    assert videos.compared_frames(clips(8, 8), clips(4, 1)) == 4, "a still holds no one back"
    assert videos.compared_frames(clips(8, 8), clips(1, 1)) == 1


def test_bad_input(tmp_path):
    def refused(match, call, *arguments):
        with pytest.raises(UserError, match=match) as caught:
            call(*arguments)
        assert "\n" not in str(caught.value)

    refused("no such folder", videos.find, tmp_path / "x")
    refused("no clip in it", videos.find, tmp_path)
    np.save(tmp_path / "a.npy", np.zeros((3, 4, 4), np.uint8))
    refused("expected uint8", videos.probe, tmp_path / "a.npy")
    np.save(tmp_path / "f.npy", np.zeros((1, 4, 4, 3)))
    refused("expected uint8", videos.probe, tmp_path / "f.npy")
    (tmp_path / "e.npy").write_bytes(b"")
    refused("not a readable array", videos.probe, tmp_path / "e.npy")
    (tmp_path / "b.mp4").write_bytes(b"not a movie")
    refused("not a readable video", videos.probe, tmp_path / "b.mp4")
    (tmp_path / "b.gif").write_bytes(b"GIF89a")
    refused("video", videos.probe, tmp_path / "b.gif")
    refused("clip b is there twice", videos.find, tmp_path)
    (tmp_path / "c").mkdir()
    for k in (1, 2):
        Image.new("RGB", (4, 4 * k)).save(tmp_path / "c" / f"{k}.png")
    refused("must be of one size", videos.probe, tmp_path / "c")
    (tmp_path / "c" / "2.png").write_bytes(b"x")
    refused("not a readable picture", videos.probe, tmp_path / "c")


def test_gray_of_16_bits_and_orientation_are_read_as_they_are_shown(tmp_path):
    """PIL alone would cut 16 bits off at 255, and leave a turned photo lying."""
    (tmp_path / "gray").mkdir()
    levels = np.array([[0, 257, 32896, 65535]], dtype=np.uint16).repeat(3, axis=0)
    Image.fromarray(levels).save(tmp_path / "gray" / "0.png")
    clip = videos.probe(tmp_path / "gray")
    np.testing.assert_array_equal(clip.shown(1)[0, 0, :, 0], [0, 1, 128, 255])
    (tmp_path / "turned").mkdir()
    picture = Image.new("RGB", (16, 8), "black")
    picture.paste("white", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    picture.save(tmp_path / "turned" / "0.jpg", exif=exif, quality=95)
    clip = videos.probe(tmp_path / "turned")
    assert clip.size == (16, 8) and clip.shown(1).shape == (1, 16, 8, 3)
    assert clip.shown(1)[0, 2].mean() > 240 and clip.shown(1)[0, 13].mean() < 15


def test_a_turned_movie_has_the_size_at_which_it_is_shown(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as target:
        stream = target.add_stream("libx264", rate=3)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((16, 32, 3), np.uint8))
        target.mux(stream.encode(picture))
        target.mux(stream.encode())
    content = (tmp_path / "a.mp4").read_bytes()
    at = content.index(b"tkhd") + 4 + 40  # the track's matrix: turned by 90 degrees
    one = 1 << 16
    matrix = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    (tmp_path / "b.mp4").write_bytes(content[:at] + matrix + content[at + 36 :])
    for name, size in (("a.mp4", (16, 32)), ("b.mp4", (32, 16))):
        clip = videos.probe(tmp_path / name)
        assert clip.size == size and clip.shown(1).shape[1:3] == size


def test_names_in_either_spelling_match_and_links_that_lead_nowhere_are_told(tmp_path):
    one, other = "caf\u00e9", "cafe\u0301"
    for folder, name in (("a", one), ("b", other)):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / f"{name}.npy", np.zeros((1, 8, 8, 3), np.uint8))
    assert list(videos.find(tmp_path / "a")) == list(videos.find(tmp_path / "b")) == [one]
    (tmp_path / "b" / "next.mp4").symlink_to("../.git/annex/objects/x")
    with pytest.raises(UserError, match=r"leads nowhere.*datalad get"):
        videos.find(tmp_path / "b")
