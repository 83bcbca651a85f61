"""What sampling steps and attention modes are worth, on the demo.

Takes the results of `make demo`; prints a table in Markdown. `steps` draws the test clips from true
captions and from a subject's brain with 10, 25, 50 and 200 steps; `attention` tunes the generator anew
with each choice of the frames that self-attention reads, then draws the test clips from true captions.
Scores are those of `python -m boldreel.evaluate`. Change and flicker are of neighbouring frames: the
mean absolute first and second difference, divided by the truth's.

    .venv/bin/python benchmarks/generator_quality.py steps
    .venv/bin/python benchmarks/generator_quality.py attention
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from boldreel import presets

MODES = ("previous-two", "first-previous", "own-previous", "full")
RESOURCES = Path(__file__).parents[1] / "resources" / "insilico"
SCORES = {  # column: (metric, part of its definition)
    "50-way": ("nway_frame", "top3_n50"),
    "object": ("judge_object", "image"),
    "colour": ("judge_colour", "image"),
    "background": ("judge_background", ""),
    "motion": ("judge_motion", ""),
    "SSIM": ("ssim", "rgb_uniform"),
}


class Demo:
    """The demo's files, and a folder of its true test clips."""

    def __init__(self, results: Path, work: Path, every: int) -> None:
        """every : so many clips are passed over, less one, for each that is drawn."""
        from boldreel.data import tables
        from boldreel.data.frames import cut_clips

        self.results, self.work, self.every = results, work, every
        table = tables.read(results / "clips.parquet", "clips")
        self.test = table[table["movie"].str.startswith("test")].sort_values("clip")
        self.movies = sorted(set(table["movie"]) - set(self.test["movie"]))
        frames = int(self.test["n_frames"].mode()[0])
        self.truth = cut_clips(self.test, [results / "stimuli"], frames, (64, 64))
        self.names = self.test["clip"].tolist()
        self._write(work / "truth", self.names, self.truth)
        listing = self.test[["clip", "shot"]].assign(run=self.test["movie"])
        labels = [json.loads(text) for text in self.test["attributes"]]
        for name in sorted({key for label in labels for key in label}):
            listing[name] = [label.get(name, "") for label in labels]
        listing.to_csv(work / "clips.tsv", sep="\t", index=False)

    @staticmethod
    def _write(folder: Path, names: list[str], clips: np.ndarray) -> None:
        folder.mkdir(parents=True)
        for name, clip in zip(names, clips, strict=True):
            np.save(folder / f"{name}.npy", clip)

    def draw(self, generator: Path, config: dict, subject: str | None = None) -> tuple[str, float]:
        """(name of the folder of clips, seconds for each)."""
        from boldreel.data import arrays
        from boldreel.reconstruct import sample

        name = f"drawn-{len(list(self.work.iterdir()))}"
        arguments = [
            "--generator",
            str(generator),
            "--diffusion-model",
            str(RESOURCES / "diffusion"),
        ]
        arguments += [
            "--clips",
            str(self.results / "clips.parquet"),
            "--config",
            json.dumps(presets.load("demo")["reconstruct"] | config),
        ]
        if subject is None:
            movies = sorted(set(self.test["movie"]))
            folders = [str(self.results / "stimuli" / movie / "features") for movie in movies]
            arguments += ["--true-features", *folders]
        else:
            of = self.results / f"sub-{subject}"
            arguments += ["--conditions", str(of / "conditions")]
            arguments += ["--windows", str(of / "windows.parquet")]
        started = time.perf_counter()
        arguments += ["--shard", "0", "--shards", str(self.every)]
        sample.main([*arguments, "--output", str(self.work / f"{name}-shard")])
        seconds = time.perf_counter() - started
        frames, meta = arrays.load(
            self.work / f"{name}-shard" / "frames.npy", kind="reconstruction"
        )
        self._write(self.work / name, meta["clips"], frames)
        return name, seconds / len(frames)

    def has(self, name: str, clip: str) -> bool:
        """Whether a clip is in a folder of clips."""
        return (self.work / name / f"{clip}.npy").exists()

    def judge(self, name: str) -> dict[str, float]:
        """Scores, change and flicker of a folder of clips."""
        from boldreel.data import tables
        from boldreel.evaluate import __main__ as evaluate

        out = self.work / f"{name}-scores"
        arguments = ["--truth", str(self.work / "truth"), "--reconstruction", str(self.work / name)]
        arguments += ["--clips", str(self.work / "clips.tsv"), "--out", str(out)]
        for flag in ("image-classifier", "video-classifier"):
            arguments += [f"--{flag}", str(RESOURCES / flag.replace("-", "_"))]
        with contextlib.redirect_stdout(io.StringIO()):
            evaluate.main(arguments)
        table = tables.read(out / "metrics.tsv", "metrics")
        table = table[(table["condition"] == "model") & (table["segment"] == "all")]
        row = {}
        for column, (metric, part) in SCORES.items():
            known = table[(table["metric"] == metric) & table["definition"].str.contains(part)]
            row[column] = float(known["value"].iloc[0]) if len(known) else float("nan")
        drawn = [place for place, clip in enumerate(self.names) if self.has(name, clip)]
        made = np.stack([np.load(self.work / name / f"{self.names[k]}.npy") for k in drawn])
        for column, order in (("change", 1), ("flicker", 2)):
            of_made, of_truth = (
                np.abs(np.diff(clips.astype(np.float32), order, axis=1)).mean()
                for clips in (made, self.truth[drawn])
            )
            row[column] = float(of_made / of_truth)
        return row


def show(rows: list[dict]) -> None:
    """A table in Markdown."""
    columns = list(rows[0])
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        cells = [f"{row[c]:.3f}" if isinstance(row[c], float) else str(row[c]) for c in columns]
        print("| " + " | ".join(cells) + " |", flush=True)


def steps(demo: Demo, args: argparse.Namespace) -> list[dict]:
    """A row for each source and number of steps."""
    rows = []
    for subject in (None, *args.subjects):
        of = demo.results / "generator" / "model"
        if subject is not None:
            of = demo.results / f"sub-{subject}" / "cotrain" / "generator"
        for count in args.steps:
            name, seconds = demo.draw(of, {"steps": count}, subject)
            source = "true captions" if subject is None else f"sub-{subject}"
            rows.append({"from": source, "steps": count, "s/clip": seconds} | demo.judge(name))
    return rows


def attention(demo: Demo, args: argparse.Namespace) -> list[dict]:
    """A row for each recipe and attention mode."""
    from boldreel.generator import tune

    published = {"noise_correlation": 0.0, "image_above": None, "still_share": 0.0}
    rows = []
    for recipe, options in (("default", {}), ("noise of its own", published)):
        for mode in args.modes:
            config = presets.load("demo")["generator"]
            config = {**config, "seed": args.seed, "attention": mode, **options}
            output = demo.work / f"tuned-{len(rows)}"
            tune.main(
                ["--diffusion-model", str(RESOURCES / "diffusion")]
                + ["--clips", str(demo.results / "clips.parquet")]
                + ["--latents"]
                + [str(demo.results / "generator" / "latents" / f"{m}.npy") for m in demo.movies]
                + ["--features"]
                + [str(demo.results / "stimuli" / m / "features") for m in demo.movies]
                + ["--train", *demo.movies[:-1], "--validation", demo.movies[-1]]
                + [
                    "--output",
                    str(output),
                    "--state",
                    str(output.with_name(f"{output.name}-state")),
                ]
                + ["--config", json.dumps(config)]
            )
            name, _ = demo.draw(output / "model", {"steps": 25})
            rows.append({"recipe": recipe, "frames read": mode} | demo.judge(name))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["steps", "attention"])
    parser.add_argument("--results", type=Path, default=Path("results/demo"))
    parser.add_argument("--subjects", nargs="*", default=["01"])
    parser.add_argument("--steps", type=int, nargs="+", default=[10, 25, 50, 200])
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=MODES)
    parser.add_argument("--every", type=int, default=4, help="draw each n-th test clip")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        demo = Demo(args.results, Path(work), args.every)
        show((steps if args.what == "steps" else attention)(demo, args))


if __name__ == "__main__":
    main()
