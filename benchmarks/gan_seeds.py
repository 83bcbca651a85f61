"""Whether the video GAN trains stably: the demo's, from three seeds.

Takes the results of the demo; trains `cvgan` anew for a subject from each seed, draws the test clips, and
prints a row for each seed in Markdown: the least loss on held-out clips and its epoch, the two adversarial
losses in the last epoch (of the generator: "fooled", and of the discriminators), and CLIP identification of
the test clips (two-way, chance .5) with p against the same clips shifted.

    .venv/bin/python benchmarks/gan_seeds.py
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]


def words(name: str, values: list[Path]) -> list[str]:
    """An option of a step and its values."""
    return [f"--{name}", *(str(value) for value in values)]


def draw(results: Path, subject: str, options: dict, seed: int, work: Path) -> dict[str, float]:
    """Train and draw from one seed; leaves the videos in `work`/drawn, returns the training's figures."""
    from boldreel.data import tables
    from boldreel.methods import reconstruct
    from boldreel.methods.cvgan import train

    config = ["--config", json.dumps({**options, "seed": seed})]
    of = results / f"sub-{subject}"
    data = words("windows", [of / "windows.parquet"]) + words("series-dir", [of / "series"])
    fit = work / "fit"
    clips = words("clips", [results / "clips.parquet"]) + words("stimuli", [results / "stimuli"])
    train.main(data + clips + words("output", [fit]) + words("state", [work / "state"]) + config)
    reconstruct.main(data + words("model", [fit]) + words("output", [work / "drawn"]) + config)
    history = tables.read(fit / "history.tsv", "history")
    least = history.loc[history["val_loss"].idxmin()]
    last = history.iloc[-1]
    return {
        "held-out loss": float(least["val_loss"]),
        "epoch": int(least["epoch"]),
        "of": int(last["epoch"]),
        "fooled": float(last["fooled"]),
        "discriminators": float(last["discriminators"]),
    }


def identification(results: Path, work: Path) -> dict[str, float]:
    """CLIP identification of the videos in `work`/drawn and its p."""
    from boldreel.data import tables
    from boldreel.data.frames import cut_clips
    from boldreel.evaluate import __main__ as evaluate

    table = tables.read(results / "clips.parquet", "clips")
    test = table[table["movie"].str.startswith("test")].sort_values("clip")
    frames = int(test["n_frames"].mode()[0])
    truth = work / "truth"
    truth.mkdir()
    shown = cut_clips(test, [results / "stimuli"], frames, (64, 64))
    for name, clip in zip(test["clip"], shown, strict=True):
        np.save(truth / f"{name}.npy", clip)
    listing = work / "clips.tsv"
    test[["clip", "shot"]].assign(run=test["movie"]).to_csv(listing, sep="\t", index=False)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluate.main(
            words("truth", [truth])
            + words("reconstruction", [work / "drawn" / "video"])
            + words("clip-model", [ROOT / "resources" / "insilico" / "clip"])
            + words("clips", [listing])
            + words("out", [work / "scores"])
        )
    found = tables.read(work / "scores" / "metrics.tsv", "metrics")
    row = found[
        (found["metric"] == "clip_identification")
        & (found["condition"] == "model")
        & (found["segment"] == "all")
    ].iloc[0]
    return {"identification": float(row["value"]), "p": float(row["p"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results/demo"))
    parser.add_argument("--subject", default="01")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--options", type=Path, default=ROOT / "config" / "methods.yaml")
    args = parser.parse_args()
    import yaml

    options = yaml.safe_load(args.options.read_text())["method_options"]["cvgan"]
    for place, seed in enumerate(args.seeds):
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            row = {"seed": seed, **draw(args.results, args.subject, options, seed, work)}
            row |= identification(args.results, work)
        if place == 0:
            print("| " + " | ".join(row) + " |")
            print("|" + "---|" * len(row))
        cells = [f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
