"""N-way identification in closed form beside the published loop, and memory of all metrics over 1,200 clips.

Takes nothing; prints times and ratios of one run. The loop draws distractors 100 times for each sample, as
published; the closed form is their expectation, and both are compared before anything is reported. Then as
many invented clips as cc2017 has in its test movies (6 frames of 256 x 256, mp4) are scored from two folders
as `python -m boldreel.evaluate` scores anybody's, by every metric that the demo's models and AlexNet with
random weights allow, and the peak of the resident memory is read:

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/evaluation.py
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from boldreel.data.video import write_mp4
from boldreel.evaluate import nway
from boldreel.training.progress import Progress

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "resources" / "insilico"
FRAMES, CLASSES, SIDE, RATE = 6, 1000, 256, 3.0


def loop(scores: np.ndarray, right: np.ndarray, n_way: int, trials: int, seed: int) -> np.ndarray:
    """Share of trials won, each sample and trial for itself: the published way, written plainly."""
    rng = np.random.default_rng(seed)
    out = np.empty(len(scores))
    for sample, (row, own) in enumerate(zip(scores, right, strict=True)):
        others = [k for k in range(len(row)) if k not in own]
        won = 0
        for _ in range(trials):
            drawn = rng.choice(others, n_way - 1, replace=False)
            won += max(row[own]) > max(row[drawn])
        out[sample] = won / trials
    return out


def identification(clips: int) -> None:
    """Prints the table of n-way identification."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(clips, FRAMES, CLASSES)).astype(np.float32)
    scores = (truth + rng.normal(size=truth.shape)).astype(np.float32)
    right = nway.right_classes(truth, 3)
    flat, own = scores.reshape(-1, CLASSES), right.reshape(-1, 3)
    part = slice(0, 60 * FRAMES)
    print("| n | closed form (s) | published loop (s) | samples of the loop | times | difference |")
    print("|---|---|---|---|---|---|")
    for n_way in (2, 50):
        began = time.perf_counter()
        exact = nway.exact(scores, right, n_way, 1)
        seconds = time.perf_counter() - began
        began = time.perf_counter()
        drawn = loop(flat[part], own[part], n_way, 100, 1)
        slow = time.perf_counter() - began
        expected = exact.reshape(-1)[part]
        error = np.sqrt((expected * (1 - expected) / 100).mean() / len(drawn))
        apart = abs(drawn.mean() - expected.mean())
        assert apart < 4 * error, (apart, error)
        times = slow / len(drawn) * len(flat) / seconds
        print(
            f"| {n_way} | {seconds:.3f} | {slow:.2f} | {len(drawn)} | {times:.0f} | {apart:.4f} |"
        )


def write_clips(folder: Path, clips: int) -> None:
    """Two folders of clips: drifting textures, and the same under other noise."""
    rng = np.random.default_rng(1)
    progress = Progress(clips, "write clips", unit="clips")
    (folder / "truth").mkdir()
    (folder / "made").mkdir()
    for clip in range(clips):
        small = rng.integers(0, 256, (2, SIDE // 16, SIDE // 16 + FRAMES, 3), dtype=np.uint8)
        for name, texture in zip(("truth", "made"), small, strict=True):
            wide = texture.repeat(16, axis=0).repeat(16, axis=1)
            frames = np.stack([wide[:, 16 * k : 16 * k + SIDE] for k in range(FRAMES)])
            write_mp4(folder / name / f"clip-{clip:04d}.mp4", frames, RATE)
        progress.update()


def everything(clips: int) -> None:
    """Prints time and peak memory of all metrics over folders of clips."""
    import torch

    from boldreel.evaluate.alexnet import AlexNet

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_clips(folder, clips)
        torch.manual_seed(0)
        torch.save(AlexNet().state_dict(), folder / "alexnet.pth")
        line = [sys.executable, "-m", "boldreel.evaluate", "--name", "noise"]
        line += ["--truth", str(folder / "truth"), "--reconstruction", str(folder / "made")]
        line += ["--out", str(folder / "out"), "--alexnet", str(folder / "alexnet.pth")]
        # What more pairings of pixels take is time alone.
        line += ["--config", '{"pixel_shifts": 2}']
        for option, name in (
            ("--image-classifier", "image_classifier"),
            ("--video-classifier", "video_classifier"),
            ("--clip-model", "clip"),
        ):
            line += [option, str(MODELS / name)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        began = time.perf_counter()
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        assert peak > before
        metrics = len((folder / "out" / "metrics.tsv").read_text().splitlines()) - 1
    print("| clips | rows of scores | seconds | peak resident (MB) |")
    print("|---|---|---|---|")
    print(f"| {clips} | {metrics} | {seconds:.0f} | {peak / 1024:.0f} |")


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--clips", type=int, default=1200)
    args = arguments.parse_args()
    print(f"threads {os.environ.get('OMP_NUM_THREADS', 'not limited')}")
    identification(args.clips)
    everything(args.clips)


if __name__ == "__main__":
    main()
