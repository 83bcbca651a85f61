"""A preprocessed run on the output grid, without a scanner: known courses at all voxels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures_settings import section, words
from tests.fixtures_settings import settings as chosen

from boldreel.bold import template as bold_template
from boldreel.data import nifti
from boldreel.roi import template

COUNT, T_R = 60, 2.0


@pytest.fixture(scope="session")
def grid() -> bold_template.Grid:
    return bold_template.output_grid(chosen("bold"))


@pytest.fixture(scope="session")
def with_grid() -> str:
    """The section and the output grid, as the step that makes positions gets them."""
    bold = section("bold")
    return words("roi", resolution=bold["resolution"], output_box=bold["output_box"])


@pytest.fixture(scope="session")
def positions(tmp_path_factory: pytest.TempPathFactory, with_grid: str) -> Path:
    path = tmp_path_factory.mktemp("atlas") / "positions.parquet"
    template.main(["--output", str(path), "--config", with_grid])
    return path


@pytest.fixture
def preprocessed(tmp_path: Path, grid: bold_template.Grid) -> Callable[..., Path]:
    """Write a run, given as a change to made-up values, and return its path."""

    def write(change: Callable[[np.ndarray], None] | None = None, affine=None) -> Path:
        rng = np.random.default_rng(0)
        values = (1000 + rng.normal(0, 20, (*grid.shape, COUNT))).astype(np.float32)
        if change is not None:
            change(values)
        stem = "sub-01_task-train01_run-2"
        path = tmp_path / "func" / f"{stem}_space-{bold_template.SPACE}_desc-preproc_bold.nii"
        nifti.save(path, values, grid.affine if affine is None else affine, t_r=T_R)
        about = {"RepetitionTime": T_R, "StartTime": 1.0}
        path.with_suffix(".json").write_text(json.dumps(about))
        names = [f"trans_{axis}" for axis in "xyz"] + [f"rot_{axis}" for axis in "xyz"]
        rows = ["\t".join([*names, "framewise_displacement"])]
        for k in range(COUNT):
            moves = "\t".join(f"{value:.6f}" for value in rng.normal(size=6))
            rows.append(f"{moves}\t{'n/a' if k == 0 else 0.1}")
        confounds = path.with_name(f"{stem}_desc-confounds_timeseries.tsv")
        confounds.write_text("\n".join(rows) + "\n")
        return path

    return write
