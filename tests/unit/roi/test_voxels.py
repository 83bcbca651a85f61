"""Reliability follows the shared signal; selection is a mask and sees what it is given, no more."""

import numpy as np
import pytest
from tests.fixtures_presentations import row, write_table
from tests.fixtures_settings import settings as chosen
from tests.fixtures_settings import words

from boldreel.data import arrays, tables
from boldreel.errors import UserError
from boldreel.roi import reliability, voxels
from boldreel.roi import repeats as repetition

COUNT = 100


def repeats(rng, share, number=2, count=COUNT):
    """Series with this shared variance (V,) between repeats."""
    common = rng.normal(size=(count, len(share)))
    return [
        (np.sqrt(share) * common + np.sqrt(1 - share) * rng.normal(size=common.shape)).astype("f4")
        for _ in range(number)
    ]


def groups_of(given):
    """Runs of a segment as repeats, whole."""
    by_segment = {}
    for run, (_, meta) in enumerate(given):
        by_segment.setdefault(meta["segment"], []).append(run)
    whole = np.ones(COUNT, bool)
    return [repetition.Group(of, whole) for of in by_segment.values() if len(of) > 1]


def build(frame, given, settings):
    return voxels.build(frame, given, groups_of(given), settings)


def runs(positions, share, segments=("train01", "train02", "train03"), number=2):
    rng = np.random.default_rng(0)
    real = (positions["i"] >= 0).to_numpy()
    found = []
    for segment in segments:
        for repeat, values in enumerate(repeats(rng, share, number), start=1):
            meta = {"segment": segment, "repeat": repeat, "run": f"task-{segment}_run-{repeat}"}
            found.append((values * real, meta))
    return found


@pytest.fixture
def frame(positions):
    return tables.read(positions, "positions")


def test_split_correlation_is_the_shared_variance():
    share = np.array([0.0, 0.3, 0.8])
    rng = np.random.default_rng(1)
    two = reliability.split_correlation(repeats(rng, share, count=4000))
    np.testing.assert_allclose(two, share, atol=0.05)
    four = reliability.split_correlation(repeats(rng, share, 4, count=4000))
    np.testing.assert_allclose(four, 2 * share / (1 + share), atol=0.05)


def test_p_values_are_uniform_without_signal_and_small_with_it():
    rng = np.random.default_rng(2)
    share = np.r_[np.zeros(900), np.full(100, 0.5)]
    correlation, p = reliability.reliability(repeats(rng, share) for _ in range(6))
    assert abs((p[:900] < 0.05).mean() - 0.05) < 0.025
    assert p[900:].max() < 0.01
    assert abs(np.median(correlation[900:]) - 0.5) < 0.05


def test_reliability_of_repeated_runs(frame):
    share = np.where(np.arange(len(frame)) % 2, 0.5, 0.0)
    table = build(frame, runs(frame, share), chosen("roi"))
    real = (frame["i"] >= 0).to_numpy()
    assert (table["present"] == real).all() and (table["selected"] == real).all()
    assert table["reliability"][~real].isna().all()
    odd = np.arange(len(frame)) % 2 == 1
    assert abs(table["reliability"][real & odd].median() - 0.5) < 0.05
    assert abs(table["reliability"][real & ~odd].median()) < 0.05


def test_selection_by_reliability_keeps_the_best(frame):
    share = np.where(np.arange(len(frame)) < 320, 0.7, 0.0)
    many = tuple(f"train{k:02d}" for k in range(8))
    settings = chosen("roi", selection="reliability", threshold=0.05, fraction=0.5)
    table = build(frame, runs(frame, share, many), settings)
    assert set(np.flatnonzero(table["selected"])) <= set(range(320))
    everything = build(
        frame, runs(frame, share, many), chosen("roi", selection="reliability", threshold=0.05)
    )
    assert table["selected"].sum() == np.ceil(everything["selected"].sum() / 2)
    assert table["position"].tolist() == frame["position"].tolist()


def test_absent_in_one_run_is_absent(frame):
    given = runs(frame, np.zeros(len(frame)))
    given[3][0][:, 5] = 0.0
    table = build(frame, given, chosen("roi"))
    assert not table["present"][5] and not table["selected"][5]
    assert np.isnan(table["reliability"][5])


def test_without_repeats_of_a_movie_nothing_is_known(frame):
    given = runs(frame, np.zeros(len(frame)), ("train01",), 1)
    table = build(frame, given, chosen("roi"))
    assert table["reliability"].isna().all()
    assert (table["selected"] == table["present"]).all() and table["present"].any()
    with pytest.raises(UserError, match="fewer than two films"):
        build(frame, given, chosen("roi", selection="reliability"))


def test_nothing_reliable_and_another_atlas_are_refused(frame):
    given = runs(frame, np.zeros(len(frame)))
    with pytest.raises(UserError, match="no position is reliable"):
        build(frame, given, chosen("roi", selection="reliability", threshold=1e-9))
    with pytest.raises(UserError, match="run the series step again"):
        build(frame.iloc[:32], given, chosen("roi"))


def step(folder, positions, given, shown):
    """The table that the step leaves, of runs that show (film, stimulus_onset) from 0 s on."""
    paths, table = [], {}
    for (values, meta), (film, since) in zip(given, shown, strict=True):
        path = folder / f"{meta['run']}.npy"
        arrays.save(path, values.astype("f4"), kind="series", t_r=2.0, start_time=1.0, **meta)
        paths.append(str(path))
        table[meta["run"]] = [row(0, 2 * COUNT, film, since, split="train")]
    presentations = write_table(folder / "presentations.tsv", table)
    output = folder / "voxels.parquet"
    arguments = ["--positions", str(positions), "--series", *paths]
    arguments += ["--presentations", str(presentations)]
    voxels.main([*arguments, "--output", str(output), "--config", words("roi")])
    return tables.read(output, "voxels")


def test_step_reads_and_writes(frame, positions, tmp_path, capsys):
    given = runs(frame, np.full(len(frame), 0.3))
    table = step(tmp_path, positions, given, [(meta["segment"], 0) for _, meta in given])
    assert table["present"].sum() == (frame["i"] >= 0).sum()
    assert table["reliability"].median() > 0.2
    assert "6 of 6 runs repeat a film" in capsys.readouterr().out


def test_runs_of_one_task_that_show_other_films_are_no_repeats(frame, positions, tmp_path, capsys):
    """Four runs of a task, of which two show one film and two another: the films count."""
    share = np.full(len(frame), 0.5)
    given = [*runs(frame, share, ("a",)), *runs(frame, share[::-1], ("b",))]
    order = [0, 2, 1, 3]  # a, b, a, b
    given = [
        (given[k][0], {"segment": "movie", "repeat": n, "run": f"task-movie_run-{n}"})
        for n, k in enumerate(order, start=1)
    ]
    films = [("a.mp4", 0), ("b.mp4", 0), ("a.mp4", 0), ("b.mp4", 0)]
    table = step(tmp_path, positions, given, films)
    assert abs(table["reliability"].median() - 0.5) < 0.05
    parts = [(f"part{n}.mp4", 0) for n in range(4)]
    assert step(tmp_path, positions, given, parts)["reliability"].isna().all()
    assert "0 of 4 runs repeat a film" in capsys.readouterr().out


def test_what_the_test_shows_between_is_not_looked_at(frame, positions, tmp_path):
    """Two runs that show training, then the test, then training: other test volumes, same table."""
    given = runs(frame, np.full(len(frame), 0.3), ("a",))
    rows = [
        row(0, 60, "a.mp4", 0, split="train"),
        row(60, 60, "t.mp4", 0, split="test"),
        row(120, 80, "a.mp4", 60, split="train"),
    ]

    def table(name):
        folder = tmp_path / name
        paths = []
        for values, meta in given:
            path = folder / f"{meta['run']}.npy"
            arrays.save(path, values.astype("f4"), kind="series", t_r=2.0, start_time=1.0, **meta)
            paths.append(str(path))
        shown = write_table(folder / "p.tsv", {meta["run"]: rows for _, meta in given})
        words_given = ["--positions", str(positions), "--series", *paths]
        words_given += ["--presentations", str(shown), "--config", words("roi")]
        voxels.main([*words_given, "--output", str(folder / "voxels.parquet")])
        return tables.read(folder / "voxels.parquet", "voxels")

    before = table("before")
    times = 1.0 + 2.0 * np.arange(COUNT) - 5
    test = (times >= 60) & (times < 120)
    rng = np.random.default_rng(9)
    real = (frame["i"] >= 0).to_numpy()
    for values, _ in given:
        values[test] = rng.normal(0, 30, values[test].shape) * real
    assert before["reliability"].notna().any()
    assert table("after").equals(before)
