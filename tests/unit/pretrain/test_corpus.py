"""The corpus: shards, manifest, presence, reading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from boldreel.data import arrays, tables
from boldreel.errors import UserError
from boldreel.pretrain import corpus as module
from boldreel.pretrain.corpus import Corpus, average_segments, build, main

Cohort = tuple[list[Path], Path]


def test_rows_come_back_across_shards(cohort: Cohort, tmp_path: Path) -> None:
    series, positions = cohort
    build(series, positions, tmp_path / "corpus", shard_volumes=70)
    manifest = tables.read(tmp_path / "corpus" / "manifest.parquet", "corpus")
    assert manifest["n"].sum() == 360 and manifest["shard"].nunique() == 6
    corpus = Corpus.open(tmp_path / "corpus")
    everything = np.concatenate([np.load(path) for path in series])
    rows = np.array([359, 0, 69, 70, 71, 140, 3])
    volumes, present = corpus.read(rows)
    np.testing.assert_array_equal(volumes, everything[rows])
    np.testing.assert_array_equal(present, everything[rows] != 0)
    assert isinstance(corpus.shards[0], np.memmap)
    assert list(dict.fromkeys(corpus.subjects)) == ["rest01", "rest02", "rest03"]


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux counts pages")
def test_an_epoch_does_not_keep_the_corpus_in_memory(
    cohort_writer: Callable[..., Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of mapped shards are given back, and what is read afterwards is the same."""
    series, positions = cohort_writer(tmp_path, volumes=4000)
    build(series, positions, tmp_path / "corpus")
    corpus = Corpus.open(tmp_path / "corpus")
    size = sum(shard.nbytes for shard in corpus.shards)
    rows = np.random.default_rng(0).permutation(len(corpus))

    def mapped() -> int:
        """Bytes of the shards that are in this process's memory."""
        inside, total = False, 0
        for line in Path("/proc/self/smaps").read_text().splitlines():
            if "-" in line.split(" ")[0]:
                inside = "shard-" in line
            elif inside and line.startswith("Rss:"):
                total += 1024 * int(line.split()[1])
        return total

    monkeypatch.setattr(module, "_RESIDENT_ROWS", len(corpus))
    for part in np.array_split(rows, 50):
        corpus.read(part)
    assert mapped() > 0.9 * size
    before = corpus.read(rows[:5])[0]  # one row more than the limit
    assert mapped() < 0.1 * size
    np.testing.assert_array_equal(corpus.read(rows[:5])[0], before)


def test_empty_patch_is_absent_in_one_subject_only(cohort: Cohort, tmp_path: Path) -> None:
    build(*cohort, tmp_path / "corpus")
    corpus = Corpus.open(tmp_path / "corpus")
    _, present = corpus.read(np.array([0, 359]))
    assert not present[0, -16:].any() and present[1, -16:-1].all()
    assert not present[:, 15::16].any()


def test_holdout(cohort: Cohort, tmp_path: Path) -> None:
    build(*cohort, tmp_path / "corpus")
    corpus = Corpus.open(tmp_path / "corpus")
    rows, held = corpus.split(None)
    assert len(rows) == 240 and set(corpus.subjects[held]) == {"rest03"}
    assert set(corpus.subjects[corpus.split(["rest01"])[1]]) == {"rest01"}
    with pytest.raises(UserError, match="no subject 'rest09' in the corpus"):
        corpus.split(["rest09"])
    with pytest.raises(UserError, match="name more subjects"):
        corpus.split(["rest01", "rest02", "rest03"])


def test_halves_share_no_subject_and_no_run_where_they_need_not(
    cohort: Cohort, tmp_path: Path
) -> None:
    build(*cohort, tmp_path / "corpus")
    corpus = Corpus.open(tmp_path / "corpus")
    for holdout, labels in ((["rest02", "rest03"], corpus.subjects), (["rest03"], corpus.runs)):
        held = corpus.split(holdout)[1]
        first, second = module.halves(corpus, held)
        np.testing.assert_array_equal(np.concatenate([first, second]), held)
        assert len(first) == len(second)
        assert not set(labels[first]) & set(labels[second])
    one_run = held[corpus.runs[held] == corpus.runs[held[0]]]
    first, second = module.halves(corpus, one_run)
    assert len(first) == len(second) == 30
    with pytest.raises(UserError, match="at least 2 needed"):
        module.halves(corpus, one_run[:1])


def test_segments_are_means_of_whole_stretches() -> None:
    series = np.arange(22, dtype=np.float32).reshape(11, 2)
    averaged = average_segments(series, t_r=0.72, duration=2.9)
    np.testing.assert_array_equal(averaged, [series[:4].mean(0), series[4:8].mean(0)])
    np.testing.assert_array_equal(average_segments(series, 2.0, 0.0), series)


def test_runs_that_do_not_belong(cohort_writer: Callable[..., Cohort], tmp_path: Path) -> None:
    series, positions = cohort_writer(tmp_path, ("a", "b"))
    values, meta = arrays.load(series[0], kind="series", mmap=False)
    meta = {key: meta[key] for key in ("t_r", "start_time", "run", "segment", "repeat")}
    arrays.save(series[1], values, kind="series", **meta)
    with pytest.raises(UserError, match="same content as"):
        build(series, positions, tmp_path / "corpus")
    broken = values.copy()
    broken[7, 3] = np.nan
    arrays.save(series[1], broken, kind="series", **meta)
    with pytest.raises(UserError, match="row 7 holds values that are not finite"):
        build(series, positions, tmp_path / "corpus")
    arrays.save(series[1], values[:, :32], kind="series", **meta)
    with pytest.raises(UserError, match="32 positions, the positions table has 192"):
        build(series, positions, tmp_path / "corpus")
    with pytest.raises(UserError, match=r"lower pretrain\.segment_duration"):
        build(series[:1], positions, tmp_path / "corpus", segment_duration=500)
    assert not (tmp_path / "corpus").exists()


def test_step(cohort: Cohort, tmp_path: Path) -> None:
    series, positions = cohort
    main(
        [
            *("--series", *map(str, series), "--positions", str(positions)),
            *("--output", str(tmp_path / "corpus"), "--config", '{"shard_volumes": 20000}'),
        ]
    )
    assert len(Corpus.open(tmp_path / "corpus")) == 360
    assert (tmp_path / "corpus" / "provenance.json").exists()


def test_subject_is_read_from_the_path(cohort: Cohort, tmp_path: Path) -> None:
    series, positions = cohort
    stray = tmp_path / "elsewhere" / series[0].name
    stray.parent.mkdir()
    stray.write_bytes(series[0].read_bytes())
    stray.with_suffix(".json").write_bytes(series[0].with_suffix(".json").read_bytes())
    with pytest.raises(UserError, match="no folder sub-XX"):
        build([stray], positions, tmp_path / "corpus")
