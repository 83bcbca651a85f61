"""Short clips, one movie each: shifts run through the run, across movies, and no p comes from no shift."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from boldreel.windows import clock, sweep
from boldreel.windows.runs import ShownRun
from boldreel.windows.settings import WindowsSettings

LAGS = [2.0, 4.0, 6.0]
SETTINGS = WindowsSettings(default_lag=6.0, default_window=2)


def problem(
    rng: np.random.Generator,
    movies: int,
    per_movie: int,
    every: float,
    signal: float = 1.0,
    drift: float = 0.0,
    runs: int = 4,
) -> sweep.Problem:
    """Clips of some movies in random order in four runs; responses at a lag of 4 s carry them.

    Parameters
    ----------
    every : s from one clip to the next. drift : share of noise that lasts over clips of a run.
    """
    n = movies * per_movie
    movie = np.repeat(rng.permutation(movies), per_movie)
    index = np.tile(np.arange(per_movie), movies)
    run = np.arange(n) * runs // n
    onsets = np.concatenate([np.arange((run == k).sum()) * every for k in range(runs)])
    features = rng.standard_normal((n, 16))
    features = (features - features.mean(0)) / features.std(0)
    tail = np.exp(-np.arange(12) / 4)

    def noise() -> np.ndarray:
        white = rng.standard_normal((n, 200))
        slow = np.apply_along_axis(lambda x: np.convolve(x, tail)[:n], 0, white)
        return white + drift * slow

    right = signal * features @ rng.standard_normal((16, 200)) / 4 + noise()
    grams = {
        lag: (x @ x.T).astype(np.float32)
        for lag, x in zip(LAGS, (noise(), right, noise()), strict=True)
    }
    # Rows are in the order of the clips table, which is not the order of the run.
    order = np.lexsort((index, movie))
    order = np.concatenate([order[run[order] < runs - 1], order[run[order] == runs - 1]])
    held = int((run == runs - 1).sum())
    return sweep.Problem(
        rows=np.arange(n),
        groups=np.array([f"t{k}" for k in run[order]]),
        movies=movie[order],
        shots=np.array([f"s{k}" for k in order]),
        index=index[order],
        runs=np.array([f"task-t{k}_run-1" for k in run[order]]),
        onsets=onsets[order],
        features=features[order],
        fit=np.arange(n - held),
        held_out=np.arange(n - held, n),
        kernel=lambda lag, window: grams[lag][np.ix_(order, order)],
        offset=lambda lag: lag,
    )


def choose(made: sweep.Problem, duration: float, **settings: float) -> dict:
    used = replace(SETTINGS, **settings)
    alphas = [1.0, 100.0]
    table, found = sweep.sweep(
        made, LAGS, [1], alphas, duration, used.permutations, min_shift=used.min_shift
    )
    return sweep.choose(table, found, used)


@pytest.mark.parametrize(
    ("movies", "per_movie", "every"),
    [(4, 60, 2.0), (240, 1, 3.0), (240, 1, 4.0), (60, 4, 2.0), (27, 9, 2.0), (120, 2, 2.5)],
)
def test_the_lag_is_found_whatever_the_length_of_movies(
    movies: int, per_movie: int, every: float
) -> None:
    choice = choose(problem(np.random.default_rng(0), movies, per_movie, every), min(every, 3.0))
    assert (choice["source"], choice["lag"], choice["window"]) == ("sweep", 4.0, 1)
    assert choice["permutations"] == 200 and choice["p"] == pytest.approx(1 / 201)
    assert choice["p_score"] < 0.1 and choice["best"]["score"] > 0.9


@pytest.mark.parametrize("drift", [0.0, 1.0])
def test_noise_is_above_chance_as_often_as_p_says(drift: float) -> None:
    """Responses without signal, white and slowly varying: p is uniform, and the default is taken."""
    found = [
        choose(problem(np.random.default_rng(k), 120, 1, 3.0, 0.0, drift), 3.0, permutations=99)
        for k in range(60)
    ]
    p = np.array([choice["p"] for choice in found])
    assert (p <= 0.1).mean() < 0.22 and 0.35 < p.mean() < 0.65 and p.min() > 0
    default = [choice["source"] == "default" for choice in found]
    assert np.mean(default) > 0.94
    assert all(choice["lag"] == 6.0 for choice, taken in zip(found, default, strict=True) if taken)


def test_without_a_shift_there_is_no_p_and_the_score_decides() -> None:
    made = problem(np.random.default_rng(1), 16, 1, 3.0, signal=4.0)
    choice = choose(made, 3.0)
    assert choice["p"] is None and choice["p_score"] is None and choice["null_95"] is None
    assert choice["permutations"] == 0 and choice["lag_estimate"] is None
    assert choice["source"] == "sweep" and choice["lag"] == choice["best"]["lag"]
    assert choice["note"].endswith(
        "without a p, since no run is long enough for a circular shift by 10 s or by its longest shot"
    )
    # a run of one shot cannot be shifted however long it lasts
    one = replace(problem(np.random.default_rng(1), 80, 1, 3.0), shots=np.repeat("s", 80))
    assert choose(one, 3.0)["p"] is None


@pytest.mark.parametrize(("signal", "source"), [(4.0, "sweep"), (0.0, "default")])
def test_few_shifts_must_all_be_worse(signal: float, source: str) -> None:
    """Four runs of two shifts each have 15 others, too few for a p below 0.01."""
    made = problem(np.random.default_rng(3), 36, 1, 3.0, signal)
    choice = choose(made, 3.0)
    assert choice["permutations"] == 15 and choice["p"] >= 1 / 16
    assert choice["source"] == source
    assert ("too few for a p below 0.01" in choice["note"]) == (source == "sweep")


def test_shifts_follow_the_run_and_its_clock() -> None:
    """No clip is given one that was shown less than 10 s before or after it."""
    made = problem(np.random.default_rng(4), 240, 1, 3.0)
    found = sweep.orders(made, np.arange(240), 10.0, 50, 0)
    assert found.shape == (50, 240)
    for order in found:
        assert (made.runs[order] == made.runs).all() and (np.sort(order) == np.arange(240)).all()
        apart = (made.onsets[order] - made.onsets) % 180.0
        moved = apart[apart > 0]
        assert (np.minimum(moved, 180 - moved) >= 10).all()
        for name in np.unique(made.runs):
            assert len(np.unique(apart[made.runs == name])) == 1


def test_prepare_keeps_the_order_in_which_clips_were_shown() -> None:
    clips = pd.DataFrame({"clip": list("abcd"), "movie": list("abcd"), "shot": list("abcd")})
    clips["index"] = 0
    rng = np.random.default_rng(5)

    def run(segment: str, repeat: int, split: str, rows: list[int]) -> ShownRun:
        shown = clock.Shown(np.array(rows), np.array([4.0, 9.0]))
        values = rng.standard_normal((20, 3)).astype(np.float32)
        about = SimpleNamespace(label=f"task-{segment}_run-{repeat}", path=None)
        return ShownRun(
            about.label,
            segment,
            repeat,
            split,
            values,
            2.0,
            0.0,
            shown,
            frozenset("ab"),
            about.path,
        )

    shown = [
        run("one", 1, "train", [1, 0]),
        run("one", 2, "train", [0, 1]),
        run("two", 1, "validation", [3, 2]),
    ]
    made = sweep.prepare(clips, rng.standard_normal((4, 5)), shown, np.arange(3), [4.0], 100)
    assert made.rows.tolist() == [0, 1, 2, 3]
    assert made.onsets.tolist() == [9.0, 4.0, 9.0, 4.0]
    assert made.runs.tolist() == ["task-one_run-1"] * 2 + ["task-two_run-1"] * 2
