"""Each ablation takes out what it says, and the table pairs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fixtures_settings import section

from boldreel.data import tables
from boldreel.errors import UserError
from boldreel.probe import ablate, ablation_table
from boldreel.probe.ablations import ABLATIONS

CONFIG = section("align", seed=20230507, epochs=6, batch_size=40, depth=1, learning_rate=1e-3)
del CONFIG["linear_path"]  # the ablation's own


def run_ablation(study: Any, pretrained: Path, folder: Path, ablation: str, seed: int) -> Path:
    output = folder / f"{ablation}-{seed}.parquet"
    ablate.main(
        [
            *("--ablation", ablation, "--seed", str(seed), "--subject", "01"),
            *("--pretrained", str(pretrained), "--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--voxels", str(study.voxels)),
            *("--clips", str(study.clips), "--features", *map(str, study.features)),
            *("--output", str(output), "--state", str(folder / "state")),
            *("--config", json.dumps(CONFIG)),
        ]
    )
    return output


def test_ablations_change_what_they_say(study: Any, pretrained: Path, tmp_path: Path) -> None:
    """Each ablation differs from "full"; the ridge does not depend on the seed; the table pairs them."""
    names = [name for name in ABLATIONS if name != "window_2"]  # the study's own window
    made = [run_ablation(study, pretrained, tmp_path, name, seed=1) for name in names]
    made += [run_ablation(study, pretrained, tmp_path, name, seed=2) for name in ("full", "ridge")]
    every = {path.stem: tables.read(path, "ablation_clips") for path in made}
    full = every["full-1"]
    for name in names:
        if name != "full":
            assert not np.array_equal(every[f"{name}-1"]["value"], full["value"]), name
    assert np.array_equal(every["ridge-1"]["value"], every["ridge-2"]["value"])
    assert not np.array_equal(full["value"], every["full-2"]["value"])
    ablation_table.main(
        ["--clips", *map(str, made), "--output", str(tmp_path / "ablation.tsv"), "--config", "{}"]
    )
    table = tables.read(tmp_path / "ablation.tsv", "ablation")
    rows = table[table["metric"] == "two_way_text"].set_index("ablation")
    assert rows.loc["full", "difference"] == 0 and rows.loc["full", "seeds"] == 2
    assert rows.loc["ridge", "difference"] == pytest.approx(
        rows.loc["ridge", "value"] - rows.loc["full", "value"]
    )
    assert (rows["ci_low"] <= rows["value"]).all() and (rows["value"] <= rows["ci_high"]).all()
    with pytest.raises(UserError, match="it must be one of full, no_pretraining"):
        run_ablation(study, pretrained, tmp_path, "nonsense", 1)
