"""Windows against a plain loop over runs and clips."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from boldreel.data import arrays, tables
from boldreel.data.responses import load_responses
from boldreel.errors import UserError
from boldreel.windows import build

SEGMENTS = {"train": ["train*"], "validation": ["train4"], "test": ["test*"]}


def run(study, out: Path, lag: float, window: int, **config) -> None:  # type: ignore[no-untyped-def]
    out.mkdir(exist_ok=True)
    (out / "choice.json").write_text(json.dumps({"lag": lag, "window": window}))
    cfg = json.dumps({"segments": SEGMENTS} | config)
    build.main(
        ["--choice", str(out / "choice.json"), "--clips", study.clips, "--config", cfg]
        + ["--series", *study.series, "--events", *study.events]
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


def test_events_of_two_sessions_with_the_same_run_index(
    make_study: Callable, tmp_path: Path
) -> None:
    """Events go with the series that they are given with, whatever their names."""
    study = make_study(clips=15, positions=16)
    run(study, tmp_path / "out", 6.0, 2)
    expected = tables.read(tmp_path / "out" / "windows.parquet", "windows")
    for place, name in enumerate(study.events):
        session = name.replace("sub-01_", f"sub-01_ses-{'b' if 'run-2' in name else 'a'}_")
        study.events[place] = session.replace("_run-2", "_run-1")
        Path(name).rename(study.events[place])
    run(study, tmp_path / "out", 6.0, 2)
    assert tables.read(tmp_path / "out" / "windows.parquet", "windows").equals(expected)


def test_a_movie_in_two_splits_is_refused(make_study: Callable, tmp_path: Path) -> None:
    study = make_study(clips=10, positions=16)
    for name in study.events:
        if "task-test1" in name:
            Path(name).write_text("onset\tduration\tstim_file\n0\t20\ttrain2.mp4\n")
    with pytest.raises(UserError, match=r"train2-0000 is shown in test1 \(test\) and in train2"):
        run(study, tmp_path / "out", 4.0, 1)


def test_events_of_two_sessions_go_with_their_series(make_study: Callable, tmp_path: Path) -> None:
    """A run's number counts through sessions; the names of its events state that of the session."""
    study = make_study(clips=10, positions=16)
    place = study.series.index(next(name for name in study.series if "train1_run-2" in name))
    events = Path(study.events[place])
    own = events.with_name("sub-01_ses-b_task-train1_run-1_events.tsv")
    own.write_text("onset\tduration\tstim_file\n4\t20\ttrain1.mp4\n")
    study.events[place] = str(own)
    run(study, tmp_path / "out", 4.0, 1)
    table = tables.read(tmp_path / "out" / "windows.parquet", "windows")
    first = table[table["clip"] == "train1-0000"].set_index("repeat")["first_volume"]
    assert first[2] - first[1] == 2, "4 s later, at a TR of 2 s"
    study.events[place] = next(name for name in study.events if "train2" in name)
    with pytest.raises(UserError, match="is of another task"):
        run(study, tmp_path / "out", 4.0, 1)


def test_errors(make_study: Callable, tmp_path: Path) -> None:
    study = make_study(clips=10, positions=16)
    with pytest.raises(UserError, match="no clip has its response inside a run"):
        run(study, tmp_path / "out", 400.0, 1)
    with pytest.raises(UserError, match="window is 0 volumes"):
        run(study, tmp_path / "out", 4.0, 0)
    with pytest.raises(UserError, match="segments is None"):
        run(study, tmp_path / "out", 4.0, 1, segments=None)
    Path(study.events[0]).write_text("onset\tduration\tstim_file\n0\t20\tunknown.mp4\n")
    with pytest.raises(UserError, match="shows unknown, but no whole clip"):
        run(study, tmp_path / "out", 4.0, 1)
    Path(study.events[0]).write_text("onset\tduration\tstim_file\n0\t20\tn/a\n")
    with pytest.raises(UserError, match="stim_file is n/a in every row"):
        run(study, tmp_path / "out", 4.0, 1)
    with pytest.raises(UserError, match=r"none\.json: not found"):
        build.read_choice(tmp_path / "none.json")
    assert not (tmp_path / "out" / "windows.parquet").exists()
