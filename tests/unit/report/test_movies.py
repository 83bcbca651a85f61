"""Where cuts fall is told as it is."""

from __future__ import annotations

import pandas as pd

from boldreel.report import movies


def _clips() -> pd.DataFrame:
    shots = ["a", "a", "b", "c", "c", "c"]
    rows = [
        {"clip": f"m-{k}", "movie": "m", "start": 2.0 * k, "duration": 2.0, "shot": shot}
        for k, shot in enumerate(shots)
    ]
    rows.append({"clip": "n-0", "movie": "n", "start": 12.0, "duration": 2.0, "shot": "d"})
    return pd.DataFrame(rows)


def _cuts() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "movie": "m-0",
            "seconds": [4.0, 8.0, 9.0],
            "clip": ["m-2", "m-4", "m-4"],
            "between_clips": [True, True, False],
        }
    )


def test_cuts_are_counted_against_the_truth() -> None:
    counts = movies.count(_cuts(), _clips().sample(frac=1, random_state=0))
    assert counts == movies.Cuts(places=5, made=2, true=2, both=1, within=1)
    # without m-2 neither of its places is one
    fewer = movies.count(_cuts(), _clips().query("clip != 'm-2'"))
    assert (fewer.places, fewer.true) == (3, 0)


def test_the_paragraph_names_each_subject() -> None:
    counts = movies.count(_cuts(), _clips())
    text = movies.told([("01", counts)])
    assert "sub-01: 2 (with the truth: 1), and 1 within clips" in text and "5 places" in text
    assert movies.told([]) == ""
