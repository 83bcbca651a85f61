"""Windows against a plain loop over runs and clips."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures_presentations import row

from boldreel.data import arrays, presentations, tables
from boldreel.data.responses import load_responses
from boldreel.errors import UserError
from boldreel.windows import build, runs


def run(study, out: Path, lag: float, window: int, **config) -> None:  # type: ignore[no-untyped-def]
    out.mkdir(exist_ok=True)
    (out / "choice.json").write_text(json.dumps({"lag": lag, "window": window}))
    cfg = json.dumps(config)
    build.main(
        ["--choice", str(out / "choice.json"), "--clips", study.clips, "--config", cfg]
        + ["--series", *study.series, "--presentations", study.presentations]
        + ["--output", str(out / "windows.parquet")]
    )


@pytest.mark.parametrize(
    ("t_r", "lag", "duration"),
    [
        *((2.0, 6.0, 2.0), (0.72, 4.3, 2.0), (1.0, 5.0, 2.0), (1.49, 4.0, 2.0), (1.75, 4.5, 2.0)),
        # clips shorter than a TR, several to a volume, and clips of several TRs
        *((2.0, 4.0, 0.5), (0.72, 4.0, 3.0)),
    ],
)
def test_against_a_loop(
    make_study: Callable, tmp_path: Path, t_r: float, lag: float, duration: float
) -> None:
    study = make_study(clips=15, positions=16, t_r=t_r, duration=duration)
    run(study, tmp_path / "out", lag, 3)
    table = tables.read(tmp_path / "out" / "windows.parquet", "windows")
    clips = tables.read(study.clips, "clips")
    expected = []
    for path in study.series:
        values, meta = arrays.load(path, kind="series")
        times = meta["start_time"] + meta["t_r"] * np.arange(len(values))
        for clip in clips[clips["movie"] == meta["segment"]].itertuples():
            wanted = clip.start + lag
            if wanted <= times[-1] + meta["t_r"] / 2 - 1e-9:
                # The last of the nearest: ties go to the later volume.
                away = abs(times - wanted)
                first = np.flatnonzero(away <= away.min() + 1e-9)[-1]
                expected.append((clip.clip, meta["run"], int(first), meta["repeat"], clip.shot))
    found = zip(*(table[c] for c in ("clip", "run", "first_volume", "repeat", "shot")), strict=True)
    assert sorted(found) == sorted(expected)
    assert set(table["window"]) == {3} and set(table["lag"]) == {lag}
    split = {"train1": "train", "train4": "validation", "test1": "test"}
    assert all(table.loc[table["segment"] == s, "split"].eq(v).all() for s, v in split.items())


def test_responses_follow(study, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run(study, tmp_path, 6.0, 2)
    found = load_responses(
        tmp_path / "windows.parquet", study.root / "series", ("train", "validation")
    )
    assert found.x.shape[1:] == (2, 400) and set(found.repeats) == {2}
    one, two = (np.load(study.root / "series" / f"task-train1_run-{r}.npy") for r in (1, 2))
    row = found.clips.index("train1-0010")
    np.testing.assert_allclose(found.x[row], (one + two)[13:15] / 2, rtol=1e-5, atol=1e-6)
    # The last clip whose response begins in the run: its second volume is the last one again.
    last = found.x[found.clips.index("train1-0086")]
    np.testing.assert_array_equal(last[0], last[1])
    assert "train1-0087" not in found.clips


def test_a_movie_in_two_splits_is_refused(make_study: Callable, tmp_path: Path) -> None:
    study = make_study(clips=10, positions=16)
    for label in study.shown:
        if "task-test1" in label:
            study.shown[label] = [row(0, 20, "train2.mp4")]
    with pytest.raises(UserError, match=r"train2-0000 is shown in test1 \(test\) and in train2"):
        run(study, tmp_path / "out", 4.0, 1)


def test_each_run_has_its_own_onsets(make_study: Callable, tmp_path: Path) -> None:
    """Repeats of one segment, one of which shows the film 4 s later."""
    study = make_study(clips=10, positions=16)
    study.shown["task-train1_run-2"] = [row(4, 20, "train1.mp4")]
    run(study, tmp_path / "out", 4.0, 1)
    table = tables.read(tmp_path / "out" / "windows.parquet", "windows")
    first = table[table["clip"] == "train1-0000"].set_index("repeat")["first_volume"]
    assert first[2] - first[1] == 2, "4 s later, at a TR of 2 s"


def test_a_run_that_shows_two_splits_gives_windows_of_both(
    make_study: Callable, tmp_path: Path
) -> None:
    study = make_study(clips=10, positions=16)
    label = "task-train2_run-1"
    study.shown.pop("task-train2_run-2")
    study.series = [name for name in study.series if "train2_run-2" not in name]
    study.shown[label] = [
        row(0, 8, "train2.mp4", 0, split="train"),
        row(8, 12, "train2.mp4", 8, split="test"),
    ]
    run(study, tmp_path / "out", 4.0, 1)
    table = tables.read(tmp_path / "out" / "windows.parquet", "windows")
    own = table[table["run"] == label].set_index("clip")["split"].to_dict()
    assert own == {f"train2-{k:04d}": "train" if k < 4 else "test" for k in range(len(own))}
    assert len(own) == 8, "the response to the last two clips is past the run's end"


def test_excluded_runs_and_rows_without_a_split_have_no_windows(
    make_study: Callable, tmp_path: Path
) -> None:
    study = make_study(clips=10, positions=16)
    table = Path(study.presentations)
    kept = presentations.read(table)
    changed = [
        one._replace(excluded="asleep")
        if one.label == "task-train1_run-2"
        else one._replace(rows=(one.rows[0]._replace(split=""),))
        if one.label == "task-train2_run-1"
        else one
        for one in kept
    ]
    presentations.write(table, "01", changed)
    clips = tables.read(study.clips, "clips")
    shown = runs.load_runs([Path(name) for name in study.series], table, clips)
    missing = {one.label for one in kept} - {one.label for one in shown}
    assert missing == {"task-train1_run-2", "task-train2_run-1"}


def test_errors(make_study: Callable, tmp_path: Path) -> None:
    study = make_study(clips=10, positions=16)
    with pytest.raises(UserError, match="no clip has its response inside a run"):
        run(study, tmp_path / "out", 400.0, 1)
    with pytest.raises(UserError, match="window is 0 volumes"):
        run(study, tmp_path / "out", 4.0, 0)
    (first, rows), *_ = study.shown.items()
    study.shown[first] = [row(0, 20, "unknown.mp4")]
    with pytest.raises(UserError, match=r"shows unknown\.mp4, but no whole clip"):
        run(study, tmp_path / "out", 4.0, 1)
    study.shown.pop(first)
    with pytest.raises(UserError, match=f"has no run {first}; make the table again"):
        run(study, tmp_path / "out", 4.0, 1)
    study.shown[first] = rows
    study.series.append(study.series[0])
    with pytest.raises(UserError, match=r"the same run as .*; give each run once"):
        run(study, tmp_path / "out", 4.0, 1)
    with pytest.raises(UserError, match=r"none\.json: not found"):
        build.read_choice(tmp_path / "none.json")
    assert not (tmp_path / "out" / "windows.parquet").exists()
