"""Two runs against each other: the difference that was put in is found, and so are the options."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boldreel.data import provenance, tables
from boldreel.errors import UserError
from boldreel.report import run_comparison

CLIPS = 40


def results(root: Path, shift: float, seed: int, rate: float) -> Path:
    """One subject whose metric "ssim" is moved by `shift` and whose "psnr" is not."""
    rng = np.random.default_rng(0)
    base = {"ssim": rng.uniform(0.2, 0.4, CLIPS), "psnr": rng.uniform(9, 12, CLIPS)}
    noise = np.random.default_rng(seed)
    rows = [
        {
            "clip": f"test01-{k:04d}",
            "segment": "test01",
            "shot": f"s{k // 2}",
            "method": "mindvideo",
            "condition": condition,
            "metric": metric,
            "definition": "rgb",
            "value": values[k]
            + (shift if metric == "ssim" else 0)
            + noise.normal() * 0.01
            + (5 if condition == "gray" else 0),
        }
        for metric, values in base.items()
        for condition in ("model", "gray")
        for k in range(CLIPS)
    ]
    path = root / "sub-01" / "metrics.parquet"
    tables.write(path, pd.DataFrame(rows), "clip_metrics")
    provenance.record(path, inputs=[], config={"align": {"rate": rate}, "seed": 0})
    return root


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    return results(tmp_path / "a", 0.05, 1, 0.1), results(tmp_path / "b", 0.0, 2, 0.2)


def test_a_planted_difference_is_found(runs, tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    run_comparison.main(
        [*map(str, runs), "--output", str(out), "--config", json.dumps({"seed": 3})]
    )
    table = tables.read(out / "compare.tsv", "compare").set_index("metric")
    ssim, psnr = table.loc["ssim"], table.loc["psnr"]
    assert ssim["difference"] == pytest.approx(0.05, abs=0.01) and ssim["p_corrected"] < 0.01
    assert ssim["ci_low"] < 0.05 < ssim["ci_high"] and ssim["n"] == CLIPS
    assert ssim["first"] - ssim["second"] == pytest.approx(ssim["difference"])
    assert psnr["p"] > 0.05
    assert "1 of 2 scores differ; 1 options differ" in capsys.readouterr().out
    page = (out / "compare.html").read_text()
    assert "<code>align.rate</code>" in page and "<td>0.1</td><td>0.2</td>" in page
    assert page.count("<b>+0.05") == 1 and "http://" not in page.replace("www.w3.org", "")


def test_a_run_does_not_differ_from_itself(runs, tmp_path) -> None:  # type: ignore[no-untyped-def]
    table = run_comparison.paired(runs[0], runs[0])
    assert (table["difference"] == 0).all() and (table["p"] == 1).all()
    assert run_comparison.options(runs[0], runs[0]) == []
    assert "Nothing" in run_comparison.render(table, [], ("a", "a"), 0.05)


def test_mistakes_are_one_line(runs, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match="finished runs"):
        run_comparison.main(
            [str(runs[0]), str(tmp_path / "none"), "--output", str(tmp_path / "out")]
        )
    (runs[1] / "sub-01").rename(runs[1] / "sub-02")
    with pytest.raises(UserError, match="in common"):
        run_comparison.main([*map(str, runs), "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
