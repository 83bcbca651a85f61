"""Step: clips from a folder of movies that were shown to no subject.

Reads the folder, the table of clips and the decoded test movies; writes `clips.npy` (uint8, clips of the
study's length one after the other, n x frames x side x side x 3) and `videos.tsv`: each movie's clips, and
how many were left out since they show what a test movie shows.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from boldreel.data import arrays, atomic, provenance, tables, video
from boldreel.data.frames import resize
from boldreel.errors import UserError
from boldreel.methods.selfsupervised.settings import Settings
from boldreel.settings import read
from boldreel.step import parser, run
from boldreel.training.progress import Progress

ALIKE = 0.95  # correlation of grey thumbnails, as in the leakage audit
_SIDE = 16


def thumbnails(frames: np.ndarray) -> np.ndarray:
    """Frames (n, h, w, 3) as centred grey thumbnails of unit norm, (n, 256); a flat one is 0."""
    grey = resize(frames, (_SIDE, _SIDE)).mean(axis=3, dtype=np.float32).reshape(len(frames), -1)
    grey = grey - grey.mean(axis=1, keepdims=True)
    return grey / np.maximum(np.linalg.norm(grey, axis=1, keepdims=True), 1e-3)


def unlike(clips: np.ndarray, test: np.ndarray) -> np.ndarray:
    """bool (n,): clips (n, F, h, w, 3) without a frame that resembles one of the test, (m, 256)."""
    if not len(test):
        return np.ones(len(clips), bool)
    found = thumbnails(clips.reshape(-1, *clips.shape[2:]))
    alike = np.concatenate(
        [(found[k : k + 4096] @ test.T).max(axis=1) for k in range(0, len(found), 4096)]
    )
    nearest: np.ndarray = alike.reshape(len(clips), -1).max(axis=1)
    return nearest < ALIKE


def cut(frames: np.ndarray, length: int) -> np.ndarray:
    """Frames as clips (n, length, h, w, 3) one after the other; what is left over at the end is not used."""
    count = len(frames) // length
    return frames[: count * length].reshape(count, length, *frames.shape[1:])


def main(argv: Sequence[str] | None = None) -> None:
    """Run the step."""
    arguments = parser(__doc__)
    arguments.add_argument("--videos", type=Path, nargs="+", required=True, help="movie files")
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument(
        "--test", type=Path, nargs="*", default=[], help="test movies' frames.npy"
    )
    arguments.add_argument("--frame-rate", type=float, required=True, help="frames per second")
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(Settings, args.config, "method_options.selfsupervised")

    import pandas as pd

    length = int(tables.read(args.clips, "clips")["n_frames"].mode().iloc[0])
    shown = [thumbnails(np.asarray(arrays.load(path, kind="frames")[0])) for path in args.test]
    test = np.concatenate(shown) if shown else np.empty((0, _SIDE**2), np.float32)
    parts, rows = [], []
    progress = Progress(len(args.videos), "further movies", unit="movies")
    for path in args.videos:
        clips = cut(video.read_frames(path, args.frame_rate, settings.size), length)
        kept = unlike(clips, test) if len(clips) else np.zeros(0, bool)
        parts.append(clips[kept])
        rows.append({"movie": path.name, "clips": int(kept.sum()), "like_test": int((~kept).sum())})
        progress.update(1)
    found = np.concatenate(parts)
    if not len(found):
        raise UserError(
            f"{args.videos[0].parent}: no clip of {length} frames that is unlike the test movies; name "
            "another folder in method_options.selfsupervised.videos, or none"
        )
    with atomic.folder(args.output) as aside:
        arrays.save(aside / "clips.npy", found, kind="unpaired_clips", frame_rate=args.frame_rate)
        tables.write(aside / "videos.tsv", pd.DataFrame(rows), "unpaired_videos")
        provenance.record(
            aside,
            inputs=[*args.videos, args.clips, *args.test],
            config={"size": settings.size},
            started=started,
        )
    left = sum(row["like_test"] for row in rows)
    print(f"{len(found)} clips of {len(rows)} movies; {left} left out that are like test movies")


if __name__ == "__main__":
    run(main)
