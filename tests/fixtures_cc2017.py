"""The archives of cc2017 with the right names and counts; sparse files that take no room."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from tests.fixtures_cifti import N_VERTICES, write_dense

from boldreel.bold import cc2017


def grayordinates() -> nib.cifti2.BrainModelAxis:
    """91,282 grayordinates: 59,412 of cortex, the rest in one block of voxels."""
    left, right = (
        nib.cifti2.BrainModelAxis.from_surface(
            np.arange(count), N_VERTICES, name=f"CIFTI_STRUCTURE_{name}"
        )
        for count, name in ((29696, "CORTEX_LEFT"), (29716, "CORTEX_RIGHT"))
    )
    voxels = np.zeros((91, 109, 91), bool)
    voxels.ravel()[: 91282 - 59412] = True
    name = "CIFTI_STRUCTURE_CEREBELLUM_LEFT"
    return left + right + nib.cifti2.BrainModelAxis.from_mask(voxels, name, np.eye(4))


def headers(folder: Path) -> dict[int, tuple[bytes, int]]:
    """{volumes: (what a file begins with, its size)}: whole files are sparse beyond that."""
    out = {}
    for volumes in (200, 245, 246):
        values = np.broadcast_to(np.float32(0), (volumes, 91282))
        path = write_dense(folder / "x.dtseries.nii", values, axis=grayordinates())
        offset = int(nib.load(path).dataobj.offset)
        with open(path, "rb") as stream:
            out[volumes] = (stream.read(offset), path.stat().st_size)
        path.unlink()
    return out


def write_run(path: Path, header: tuple[bytes, int]) -> None:
    """A file of the right header and size; a few values of its own in the middle, zeros elsewhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    begin, size = header
    with open(path, "wb") as stream:
        stream.write(begin)
        stream.truncate(size)
        stream.seek(len(begin) + (size - len(begin)) // 2)
        stream.write(np.random.default_rng(list(path.name.encode())).bytes(64))


def archive(root: Path, headers: dict[int, tuple[bytes, int]]) -> Path:
    """Subjects 1 and 3 as distributed, as CIFTI alone."""
    for segment in (*cc2017.TRAIN, *cc2017.TEST):
        (root / "stimuli").mkdir(parents=True, exist_ok=True)
        (root / "stimuli" / f"{segment}.mp4").write_bytes(b"movie")
        count = 246 if segment in ("test2", "test3", "test4", "test5") else 245
        for subject in ("1", "3"):
            for repeat in range(1, (2 if segment.startswith("seg") else 10) + 1):
                folder = root / f"subject{subject}/fmri/{segment}/cifti"
                write_run(folder / f"{segment}_{repeat}_Atlas.dtseries.nii", headers[count])
    return root


def _shots(
    rng: np.random.Generator, total: float = cc2017.DURATION
) -> list[tuple[float, float, int]]:
    """(onset, duration, picture 0 to 7) of shots of 4 to 10 s that fill a movie; neighbours differ."""
    shots: list[tuple[float, float, int]] = []
    onset, last = 0.0, -1
    while onset < total:
        duration = min(2.0 * rng.integers(2, 6), total - onset)
        picture = int(rng.choice([k for k in range(8) if k != last]))
        shots.append((onset, duration, picture))
        onset, last = onset + duration, picture
    return shots


def show(root: Path, bids: Path, segments: list[str], header: tuple[bytes, int]) -> None:
    """Give segments of subject 1 a movie of eight pictures, and all of its runs BOLD that follows it.

    Every vertex answers each picture by an amount of its own, through the canonical response, counted from
    when the picture came on by the clock that the data set is documented to have: the first of 245 volumes
    was acquired 2 s after the movie began.

    Parameters
    ----------
    root : the archive; its movies and runs are replaced. bids : laid-out data set, for the captions
    segments : of 245 volumes; the movies of all others become copies of the last one's
    header : of files of 245 volumes
    """
    from boldreel.data import video
    from boldreel.windows import response

    rng = np.random.default_rng(8)
    answers = rng.normal(size=(8, 59412)).astype(np.float32)
    # Each picture is a pattern in two colours.
    pictures = rng.integers(0, 256, (8, 2, 3))[
        np.arange(8)[:, None, None], rng.integers(0, 2, (8, 4, 4))
    ]
    pictures = pictures.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)
    for segment in segments:
        shots = _shots(rng)
        frames = np.zeros((round(3 * cc2017.DURATION), 32, 32, 3), np.uint8)
        since = 2.0 + cc2017.T_R * np.arange(245)
        drive = np.zeros((245, 8), np.float32)
        lines = ["onset\tduration\tshot\tcaption"]
        for number, (onset, duration, picture) in enumerate(shots):
            frames[round(3 * onset) : round(3 * (onset + duration))] = pictures[picture]
            drive[:, picture] += response.clip_response(since - onset, duration)
            lines.append(f"{onset}\t{duration}\t{number}\tpicture {picture}")
        movie = root / "stimuli" / f"{segment}.mp4"
        movie.unlink()
        video.write_mp4(movie, frames, 3.0)
        (bids / "stimuli" / f"{segment}.tsv").write_text("\n".join(lines) + "\n")
        signal = (drive - drive.mean(0)) @ answers
        for repeat in range(1, (2 if segment.startswith("seg") else 10) + 1):
            name = f"{segment}_{repeat}_Atlas.dtseries.nii"
            path = root / "subject1" / "fmri" / segment / "cifti" / name
            values = np.zeros((245, 91282), np.float32)
            noise = rng.standard_normal((245, 59412), dtype=np.float32)
            values[:, :59412] = 1000 + 10 * (0.3 * signal + noise)
            with open(path, "wb") as stream:
                stream.write(header[0])
                stream.write(values.T.tobytes())  # a grayordinate's volumes lie together
            assert path.stat().st_size == header[1]
    last = (root / "stimuli" / f"{segments[-1]}.mp4").read_bytes()
    for segment in (*cc2017.TRAIN, *cc2017.TEST):
        if segment not in segments:
            (root / "stimuli" / f"{segment}.mp4").write_bytes(last)


def resting(folder: Path, seed: int) -> None:
    """A resting run of the HCP: 1,200 volumes of 91,282 grayordinates."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(40, 59412)).astype(np.float32)
    values = np.zeros((1200, 91282), np.float32)
    for start in range(0, 1200, 40):
        values[start : start + 40, :59412] = 1000 + 10 * np.roll(noise, 37 * start, axis=1)
    name = f"{folder.name}_Atlas_MSMAll_hp2000_clean.dtseries.nii"
    write_dense(folder / name, values, t_r=0.72, axis=grayordinates())
