"""Methods against each other on the same clips."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from boldreel.data import tables
from boldreel.errors import UserError
from boldreel.evaluate import method_differences


def values(method: str, level: float, seed: int, clips: int = 60) -> pd.DataFrame:
    """Clips of shots of three; a clip's difficulty is shared by all methods."""
    rng = np.random.default_rng(seed)
    shared = np.random.default_rng(0).normal(size=clips)
    frame = pd.DataFrame(
        {
            "clip": [f"c{k:03d}" for k in range(clips)],
            "segment": "run",
            "shot": [f"s{k // 3}" for k in range(clips)],
            "method": method,
            "condition": "model",
            "metric": "ssim",
            "definition": "rgb_uniform",
            "value": level + shared + 0.2 * rng.normal(size=clips),
        }
    )
    return pd.concat([frame, frame.assign(condition="gray", value=9.0)], ignore_index=True)


def test_a_difference_is_found_in_pairs_and_none_where_there_is_none(tmp_path):
    paths = []
    for k, (method, level) in enumerate((("a", 0.3), ("b", 0.0), ("c", 0.0))):
        paths.append(tmp_path / f"{method}.parquet")
        tables.write(paths[-1], values(method, level, k + 1), "clip_metrics")
    out = tmp_path / "between.tsv"
    line = ["--clips", *map(str, paths), "--subject", "01", "--output", str(out)]
    method_differences.main(line)
    table = tables.read(out, "between").set_index(["method", "other"])
    assert list(table.index) == [("a", "b"), ("a", "c"), ("b", "c")]
    # far below the spread between clips (1), which the pairing takes out
    assert table.loc[("a", "b"), "difference"] == pytest.approx(0.3, abs=0.1)
    assert 0 < table.loc[("a", "b"), "p"] < 0.001
    assert table.loc[("b", "c"), "p"] > 0.05
    assert (table["ci_low"] < table["difference"]).all() and (table["n"] == 60).all()
    with pytest.raises(UserError, match="another table"):
        method_differences.main([*line[:3], str(paths[0]), *line[3:]])


def test_clips_that_one_method_lacks_are_left_out():
    one, other = values("a", 1.0, 1), values("b", 0.0, 2)
    own = {"a": one[one["condition"] == "model"], "b": other[other["condition"] == "model"]}
    own["b"] = own["b"].iloc[10:]
    assert method_differences.between(own)["n"].tolist() == [50]
    own["b"] = own["b"].assign(metric="psnr")
    with pytest.raises(UserError, match="in common"):
        method_differences.between(own)
