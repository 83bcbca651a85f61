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
        stream.write(np.random.default_rng(sum(path.name.encode())).bytes(64))


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
