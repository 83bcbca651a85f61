"""Inter-subject correlation: known where the shared variance is known, and its p calibrated without any."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boldreel.data import arrays, tables
from boldreel.data.responses import Responses
from boldreel.stats.settings import InferenceSettings
from boldreel.windows import intersubject

SETTINGS = InferenceSettings(permutations=99, min_shift=10.0)


def responses(values: np.ndarray, first: int = 0) -> Responses:
    """One window of one volume for each clip of a run; values (clips, positions)."""
    names = [f"c{first + k:03d}" for k in range(len(values))]
    return Responses(
        values.astype(np.float32)[:, None],
        names,
        np.ones(len(names)),
        names,
        ["test"] * len(names),
        2.0 * np.arange(len(names)),
        ["run"] * len(names),
        2.0 * np.arange(len(names))[:, None],
    )


def subjects(shares: list[float], clips: int = 400, positions: int = 100, seed: int = 0):
    """Subjects of whose variance these shares are common to all."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((clips, positions))
    return [
        responses(np.sqrt(s) * common + np.sqrt(1 - s) * rng.standard_normal(common.shape))
        for s in shares
    ]


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_known_shared_variance(share: float) -> None:
    """Two others: their mean has the common part and half of their own variance."""
    one, *others = subjects([share] * 3)
    found, p, clips, permutations = intersubject.intersubject(one, others, SETTINGS)
    expected = share / np.sqrt(share + (1 - share) / 2)
    assert found.mean() == pytest.approx(expected, abs=0.02)
    assert clips == 400 and permutations >= 39
    assert (p == 1 / (1 + permutations)).mean() > (0.9 if share > 0.2 else 0.3)


def test_without_anything_shared_p_is_uniform() -> None:
    one, *others = subjects([0.0] + [0.5] * 2, positions=400)
    found, p, _, _ = intersubject.intersubject(one, others, SETTINGS)
    assert abs(found.mean()) < 0.01
    assert (p <= 0.1).mean() == pytest.approx(0.1, abs=0.06) and p.min() > 0


def test_absent_positions_and_too_few_others_have_none() -> None:
    one, two, three = subjects([0.5] * 3, clips=60, positions=6)
    one.x[..., 0] = 0
    two.x[..., 1] = 0
    found, p, _, _ = intersubject.intersubject(one, [two, three], SETTINGS)
    assert np.isnan(found).tolist() == [True, True, False, False, False, False]
    assert np.isnan(p).tolist() == np.isnan(found).tolist()
    # of three others two are enough, and the third does not dilute them
    four = subjects([0.5] * 4, clips=60, positions=6)[3]
    found, _, _, _ = intersubject.intersubject(one, [two, three, four], SETTINGS)
    assert np.isfinite(found[1])


def test_only_common_clips_count() -> None:
    one, two, three = subjects([0.9] * 3, clips=60, positions=50)
    part = Responses(
        three.x[20:],
        three.clips[20:],
        three.repeats[20:],
        three.shots[20:],
        ["x"] * 40,
        three.onsets[20:],
        three.runs[20:],
        three.times[20:],
    )
    found, _, clips, _ = intersubject.intersubject(one, [two, part], SETTINGS)
    assert clips == 40 and found.mean() > 0.85
    _, _, clips, _ = intersubject.intersubject(one, [two, responses(three.x[:, 0], 500)], SETTINGS)
    assert clips == 0


def test_step(tmp_path: Path) -> None:
    every = subjects([0.5, 0.5, 0.5], clips=80, positions=20)
    for number, one in enumerate(every, start=1):
        folder = tmp_path / f"sub-0{number}"
        meta = {"run": "task-t_run-1", "segment": "t", "repeat": 1, "t_r": 2.0, "start_time": 0.0}
        path = folder / "series" / "task-t_run-1.npy"
        arrays.save(path, one.x[:, 0], kind="series", **meta)
        rows = [
            {"clip": clip, "segment": "t", "run": "task-t_run-1", "repeat": 1, "onset": 2.0 * k}
            | {"first_volume": k, "window": 1, "lag": 0.0, "split": "test", "shot": clip}
            for k, clip in enumerate(one.clips)
        ]
        tables.write(folder / "windows.parquet", pd.DataFrame(rows), "windows")
    folders = [tmp_path / f"sub-0{number}" for number in (1, 2, 3)]
    intersubject.main(
        ["--subjects", "01", "02", "03", "--output", str(tmp_path / "out.parquet")]
        + ["--windows", *(str(folder / "windows.parquet") for folder in folders)]
        + ["--series-dir", *(str(folder / "series") for folder in folders)]
        + ["--config", json.dumps({"permutations": 50})]
    )
    table = tables.read(tmp_path / "out.parquet", "intersubject")
    assert table.groupby("subject")["position"].count().to_dict() == {"01": 20, "02": 20, "03": 20}
    assert table["correlation"].mean() == pytest.approx(0.5 / np.sqrt(0.75), abs=0.05)
    assert (tmp_path / "out.parquet.provenance.json").exists()
