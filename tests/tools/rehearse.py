"""Rehearsal at reduced width: every option of the configurations for own data, through Snakemake to the page.

Takes a folder to work in; leaves results, and reports what failed. The data set is the demo's, given as own
data, of which one movie has no annotations. Base models come offline from a hub's cache in the layout of the
real repositories, tiny and random. So the rehearsal shows that everything runs with everything on (bf16
autocast, gradient checkpointing, stills at high noise, moving averages, captions by the captioner), and
nothing about how well. Called again it goes on where it stopped.

    python tests/tools/rehearse.py FOLDER [CORES]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "workflow" / "lib")]

from tests.tools import tiny_hub  # noqa: E402

from boldreel import presets  # noqa: E402

TINY = "tests/pipeline/tiny.yaml"
RUNS = (
    ("01", "train01"),
    ("rest01", "rest"),
    ("rest02", "rest"),
)  # a run of each simulated subject
TRAININGS = ("pretrain", "align", "generator", "cotrain")
# What is as in the demo, not as `base` says: sizes, and preprocessing without fMRIPrep.
KEPT = ("bold", "roi", "memory_factor", *TRAININGS, "reconstruct", "ablate")


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both, the second on top."""
    out = dict(one)
    for key, value in other.items():
        known = out.get(key)
        out[key] = (
            merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
        )
    return out


def configuration(bids: Path) -> dict[str, Any]:
    """Own data at the demo's sizes, with every option on."""
    demo = presets.load("demo")
    tiny = yaml.safe_load((ROOT / TINY).read_text())
    chosen = {key: demo[key] for key in KEPT}
    for name in ("pretrain", "align", "generator", "cotrain", "evaluate", "roi", "segments"):
        chosen = merged(chosen, {name: tiny[name]})
    for name in TRAININGS:
        chosen[name] |= {"mixed_precision": "bf16", "gradient_checkpointing": True}
    chosen["generator"] |= {"ema": 0.9, "image_above": 400}
    chosen["cotrain"] |= {"ema": 0.9}
    chosen["reconstruct"] = demo["reconstruct"] | {"shards": 2, "steps": 2, "control_clips": 4}
    chosen["evaluate"] |= {"n_way": [2]}  # the tiny classifiers know three classes
    models = {role: f"{name}@{tiny_hub.COMMIT}" for role, (name, _) in tiny_hub.MODELS.items()}
    return chosen | {
        "dataset": "rehearsal",
        "preset": "base",
        "bids": str(bids),
        "subjects": str(ROOT / tiny["subjects"]),
        "stimuli": {"size": 32},
        "models": models,
    }


def snakemake(folder: Path, cores: str, *words: str) -> None:
    """Run the workflow in the folder; leave with its exit code if it fails."""
    environment = os.environ | {"HF_HOME": str(folder / "huggingface"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow/Snakefile")]
    command += ["--directory", str(folder), "--cores", cores, "--rerun-incomplete", *words]
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    folder, cores = Path(sys.argv[1]).resolve(), sys.argv[2] if len(sys.argv) > 2 else "all"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "huggingface").exists():
        with tempfile.TemporaryDirectory() as between:
            tiny_hub.build(folder / "huggingface", Path(between))
    bids = folder / "bids"
    if not bids.exists():
        runs = [f"sub-{name}/func/sub-{name}_task-{task}_run-1_bold.nii" for name, task in RUNS]
        made = [f"results/demo/bids/{path}" for path in ("participants.tsv", *runs)]
        snakemake(folder, cores, *made, "--configfile", str(ROOT / TINY))
        # The captioner describes one movie. It is random, and says the same of every clip: a data set of its
        # captions alone would have nothing to tell apart.
        left_out = shutil.ignore_patterns("train03.tsv")
        shutil.copytree(folder / "results/demo/bids", bids, ignore=left_out)
    path = folder / "rehearsal.yaml"
    path.write_text(yaml.safe_dump(configuration(bids)))
    snakemake(folder, cores, "--configfile", str(path))
    print(f"rehearsed: {folder / 'results/rehearsal/report.html'}")


if __name__ == "__main__":
    main()
