"""Arrays and tables: whole or not at all, checked at both ends."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boldreel.data import arrays, atomic, provenance, tables
from boldreel.errors import UserError

META = {"t_r": 2.0, "start_time": 1.0, "run": "task-a_run-1", "segment": "a", "repeat": 1}


def test_array_round_trip_is_memory_mapped(tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    arrays.save(tmp_path / "x.npy", values, kind="series", **META)
    loaded, meta = arrays.load(tmp_path / "x.npy", kind="series")
    assert isinstance(loaded, np.memmap)
    np.testing.assert_array_equal(loaded, values)
    assert meta["t_r"] == 2.0
    assert meta["shape"] == [5, 7]


@pytest.mark.parametrize(
    ("array", "meta", "word"),
    [
        (np.zeros((2, 2, 2), np.float32), META, "dimensions"),
        (np.zeros((2, 2)), META, "float64"),
        (np.zeros((2, 2), np.float32), {}, "t_r"),
    ],
)
def test_array_that_is_not_of_its_kind_is_refused(tmp_path, array, meta, word):
    with pytest.raises(UserError, match=word):
        arrays.save(tmp_path / "x.npy", array, kind="series", **meta)
    assert not list(tmp_path.iterdir())


def test_damaged_array_is_refused(tmp_path):
    path = tmp_path / "x.npy"
    arrays.save(path, np.zeros((4, 4), np.float32), kind="series", **META)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UserError, match="unreadable array"):
        arrays.load(path, kind="series")
    path.with_suffix(".json").unlink()
    with pytest.raises(UserError, match="not found"):
        arrays.load(path, kind="series")


def test_array_with_another_shape_than_its_sidecar(tmp_path):
    path = tmp_path / "x.npy"
    arrays.save(path, np.zeros((4, 4), np.float32), kind="series", **META)
    np.save(path, np.zeros((5, 4), np.float32))
    with pytest.raises(UserError, match="sidecar"):
        arrays.load(path, kind="series")


@given(
    lag=st.lists(st.floats(-10, 10), min_size=1, max_size=8),
    suffix=st.sampled_from([".tsv", ".parquet"]),
)
def test_table_round_trip(tmp_path_factory, lag, suffix):
    path = tmp_path_factory.mktemp("t") / f"sweep{suffix}"
    frame = pd.DataFrame({"chosen": True, "score": 0.5, "lag": lag, "window": 2})
    tables.write(path, frame, "sweep")
    back = tables.read(path, "sweep")
    assert list(back.columns) == ["lag", "window", "score", "chosen"]
    np.testing.assert_allclose(back["lag"], lag)
    assert back["chosen"].dtype == bool


def test_labels_keep_their_zeros(tmp_path):
    frame = pd.DataFrame({"subject": ["01"], "x": [1.0]})
    columns = ["dataset", "segment", "method", "condition", "metric", "definition"]
    for name in columns:
        frame[name] = "a"
    for name in ["value", "ci_low", "ci_high", "chance", "p"]:
        frame[name] = np.nan
    frame["n"] = 3
    tables.write(tmp_path / "m.tsv", frame, "metrics")
    back = tables.read(tmp_path / "m.tsv", "metrics")
    assert back["subject"].tolist() == ["01"]
    assert back["p"].isna().all()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda f: f.drop(columns="lag"), "'lag' is missing"),
        (lambda f: f.assign(lag="long"), "'lag' is not of kind float"),
        (lambda f: f.assign(window=1.5), "'window' is not of kind int"),
        (lambda f: f.assign(score=[0.5, None]), "row 1, column 'score'"),
    ],
)
def test_table_that_does_not_fit_is_refused(tmp_path, change, word):
    frame = pd.DataFrame({"lag": [1.0, 2.0], "window": 1, "score": 0.5, "chosen": False})
    with pytest.raises(UserError, match=word):
        tables.write(tmp_path / "x.tsv", change(frame), "sweep")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic.file(path) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    folder = tmp_path / "folder"
    with pytest.raises(RuntimeError), atomic.folder(folder) as aside:
        (aside / "half").write_text("x")
        raise RuntimeError
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.txt"]


def test_provenance_names_inputs_by_content(tmp_path):
    source, target = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_text("a")
    target.write_text("b")
    provenance.record(target, inputs=[source], config={"k": 1}, seed=3)
    entry = json.loads((tmp_path / "out.txt.provenance.json").read_text())
    assert entry["inputs"][str(source)] == provenance.digest(source)
    assert entry["seed"] == 3
    before = provenance.digest(source)
    source.write_text("c")
    assert provenance.digest(source) != before


def test_numbers_equal_those_read_as_a_table(tmp_path):
    path = tmp_path / "positions.parquet"
    frame = pd.DataFrame(
        {
            "position": [0, 1, 2],
            "patch": [0, 0, 1],
            "area": ["V1", "V1", None],
            "group": ["a", "a", "a"],
            "hemisphere": ["L", "R", "L"],
            "x": [1.5, -2.0, None],
            "y": [0.0, 1.0, None],
            "z": [3.0, 4.0, None],
            "i": [1, 2, -1],
            "j": [1, 2, -1],
            "k": [1, 2, -1],
        }
    )
    frame.to_parquet(path)
    names = ["x", "z", "i", "position"]
    found = tables.numbers(path, "positions", names)
    assert found["i"].dtype == np.int64
    for name in names:
        np.testing.assert_array_equal(found[name], frame[name].to_numpy())
    frame.drop(columns="j").to_parquet(path)
    with pytest.raises(UserError, match="'j' is missing"):
        tables.numbers(path, "positions", ["i", "j"])
    frame.assign(i=[1.0, None, 2.0]).to_parquet(path)
    with pytest.raises(UserError, match="'i': a value is missing"):
        tables.numbers(path, "positions", ["i"])
    frame.assign(i=[1.5, 1.0, 2.0]).to_parquet(path)
    with pytest.raises(UserError, match="'i' is not of kind int"):
        tables.numbers(path, "positions", ["i"])
    path.write_bytes(b"PAR1")
    with pytest.raises(UserError, match="unreadable"):
        tables.numbers(path, "positions", ["i"])
