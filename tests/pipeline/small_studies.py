"""Runs on data sets other than the demo, with the smallest sizes and the demo's models by another path."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from boldreel import presets
from boldreel.data import tables

from .workflow import Workspace

TINY = "tests/pipeline/tiny.yaml"
SIZES = ("pretrain", "align", "generator", "cotrain", "reconstruct", "evaluate")
COMMON = {
    "bold": {"engine": "derivatives"},
    "roi": {"atlas": "whole-cortex", "groups": ["cortex"], "confounds": "none"},
    "pretrain": {"cohort": "own", "subjects": ["01", "02"]},
    "windows": {"permutations": 100},
    "evaluate": {"shifts": 40},
}


@dataclass
class Done:
    """A finished run: its results, what it printed, and its page."""

    results: Path
    log: str

    @property
    def page(self) -> str:
        return (self.results / "report.html").read_text()

    def choice(self, subject: str) -> dict:
        return json.loads((self.results / f"sub-{subject}" / "choice.json").read_text())

    def retrieval(self, subject: str) -> pd.Series:
        path = self.results / f"sub-{subject}" / "align" / "retrieval.tsv"
        table = tables.read(path, "metrics")
        rows = table[(table["segment"] == "all") & (table["condition"] == "model")]
        return rows.set_index("metric").loc["two_way_text"]


def finished(workspace: Workspace, data: Any, name: str, asked: dict, *targets: str) -> Done:
    """The workflow to `targets` (default: all) on a data set, which says where its `bids` and `tree` are."""
    sizes = presets.load("demo")
    tiny = yaml.safe_load((workspace.root / TINY).read_text())
    shutil.copytree(workspace.root / "resources" / "insilico", workspace.root / "base_models")
    models = {k: v and f"base_models/{Path(v).name}" for k, v in sizes["models"].items()}
    chosen = {**sizes, "models": models, "preset": "base", "dataset": name, "bids": str(data.bids)}
    for part in ({key: tiny[key] for key in SIZES}, COMMON, asked):
        for key, value in part.items():
            known = chosen.get(key)
            chosen[key] = {**known, **value} if isinstance(known, dict) else value
    chosen["bold"] = {"engine": "derivatives", "derivatives": str(data.tree)} | asked.get(
        "bold", {}
    )
    (workspace.root / "own.yaml").write_text(yaml.safe_dump(chosen))
    workspace.configuration = "own.yaml"
    done = workspace.run(*targets)
    log = done.stdout + done.stderr
    assert done.returncode == 0, log[-5000:]
    return Done(workspace.root / "results" / name, log)
