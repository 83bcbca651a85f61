"""The reconstruction step: shards, resumption, and independence of both."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.fixtures_settings import section

from boldreel.data import arrays, tables, video
from boldreel.errors import UserError
from boldreel.reconstruct import sample

CONFIG = section(
    "reconstruct",
    seed=5,
    steps=3,
    guidance=2.0,
    guided_share=0.6,
    batch_size=4,
    mixed_precision="no",
)


@pytest.fixture
def run(dataset, base_folder: Path, generator_folder: Path, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Runs the step from captions into a folder of the given name."""

    def call(name: str, *more: str, **config) -> Path:  # type: ignore[no-untyped-def]
        output = tmp_path / "out" / name
        sample.main(
            ["--generator", str(generator_folder), "--diffusion-model", str(base_folder)]
            + ["--clips", str(dataset.clips), "--true-features", str(dataset.features("test01"))]
            + ["--output", str(output), "--config", json.dumps({**CONFIG, **config}), *more]
        )
        return output

    return call


def _frames(folder: Path) -> dict[str, np.ndarray]:
    frames, meta = arrays.load(folder / "frames.npy", kind="reconstruction")
    return dict(zip(meta["clips"], frames.astype(int), strict=True))


def test_leaves_frames_sidecar_and_videos(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = run("whole")
    frames, meta = arrays.load(folder / "frames.npy", kind="reconstruction")
    assert frames.shape == (6, 3, 8, 8, 3) and meta["seed"] == 5 and meta["frame_rate"] == 1.5
    for clip in meta["clips"]:
        assert video.read_frames(folder / "video" / f"{clip}.mp4", 1.5).shape == (3, 8, 8, 3)
    assert (folder / "provenance.json").exists()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["whole"]


def test_result_depends_on_no_shard_batch_or_order(run) -> None:  # type: ignore[no-untyped-def]
    whole = _frames(run("whole"))
    shards = [
        run(f"shard-{k}", "--shard", str(k), "--shards", "2", batch_size=2 + k) for k in range(2)
    ]
    parts = [_frames(folder) for folder in shards]
    joined = {clip: frames for part in parts for clip, frames in part.items()}
    assert set(joined) == set(whole) and not set(parts[0]) & set(parts[1])
    for clip, frames in whole.items():
        assert np.abs(joined[clip] - frames).max() <= 1
    other = _frames(run("other", seed=6))
    assert any(np.abs(other[clip] - whole[clip]).max() > 1 for clip in whole)


def test_bfloat16_changes_pixels_by_less_than_a_seed_does(run) -> None:  # type: ignore[no-untyped-def]
    exact, rounded = (_frames(run(kind, mixed_precision=kind)) for kind in ("no", "bf16"))
    other = _frames(run("other", mixed_precision="no", seed=6))
    apart = [np.abs(rounded[clip] - exact[clip]).mean() for clip in exact]
    assert 0 < np.mean(apart) < 0.1 * np.mean([np.abs(other[c] - exact[c]).mean() for c in exact])


def test_goes_on_by_clip_after_a_stop(run, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    whole = _frames(run("whole", batch_size=2))
    state = tmp_path / "state"
    real, drawn = sample.sampling.sample, []

    def stopping(network, scheduler, condition, *rest, **options):  # type: ignore[no-untyped-def]
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(len(condition))
        return real(network, scheduler, condition, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(sample.sampling, "sample", stopping)
        with pytest.raises(KeyboardInterrupt):
            run("cut", "--state", str(state), batch_size=2)
    assert not (tmp_path / "out" / "cut").exists()
    assert len(list(state.rglob("*.npz"))) == 4
    monkeypatch.setattr(
        sample.sampling,
        "sample",
        lambda *a, **k: drawn.append(-len(a[2])) or real(*a, **k),  # type: ignore[func-returns-value]
    )
    resumed = _frames(run("cut", "--state", str(state), batch_size=2))
    assert drawn == [2, 2, -2]
    for clip, frames in whole.items():
        assert np.array_equal(resumed[clip], frames)
    assert not state.exists()


def test_finished_clips_of_other_settings_are_not_taken(run, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def no_writing(*_, **__):  # type: ignore[no-untyped-def]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sample, "write_shard", no_writing)
        with pytest.raises(KeyboardInterrupt):
            run("a", "--state", str(tmp_path / "state"), guidance=5.0)
    after = _frames(run("a", "--state", str(tmp_path / "state")))
    fresh = _frames(run("b"))
    assert all(np.array_equal(after[clip], fresh[clip]) for clip in fresh)


def test_from_brain(  # type: ignore[no-untyped-def]
    dataset,
    base_folder: Path,
    generator_folder: Path,
    encoder_folder: Path,
    encoded,
    tmp_path: Path,
) -> None:
    paths = {"conditions": encoded(), "windows": dataset.windows}
    common = ["--generator", str(generator_folder), "--diffusion-model", str(base_folder)]
    common += ["--clips", str(dataset.clips), "--config", json.dumps(CONFIG)]
    brain = [text for name, path in paths.items() for text in (f"--{name}", str(path))]
    out = ["--output", str(tmp_path / "out")]
    sample.main([*common, *brain, *out])
    assert sorted(_frames(tmp_path / "out")) == [f"test01-{i:04d}" for i in range(6)]
    other = ["--other-windows", str(dataset.windows), "--other-series", str(dataset.series)]
    other += ["--encoder", str(encoder_folder)]
    captions = ["--training-features", *(str(dataset.features(m)) for m in ("train01", "train02"))]
    names = ("mean", "noise", "other", "caption", "seed-1")
    folders = {name: tmp_path / f"control-{name}" for name in names}
    options = ["--controls", *map(str, folders.values())]
    config = json.dumps({**CONFIG, "control_clips": 4, "samples": 2, "continuous": {}})
    sample.main([*common, *brain, *options, *other, *captions, "--config", config])
    found = {name: _frames(folder) for name, folder in folders.items()}
    for name, folder in folders.items():
        assert list(found[name]) == [f"test01-{i:04d}" for i in (0, 2, 3, 5)]
        assert not (folder / "samples.npy").exists()
        inputs = json.loads((folder / "provenance.json").read_text())["inputs"]
        assert (str(dataset.features("train01")) in inputs) == (name == "caption")
    # each as if it had been asked for alone
    alone = ["--controls", str(tmp_path / "alone" / "control-noise")]
    sample.main([*common, *brain, *alone, "--config", config])
    for clip, frames in _frames(tmp_path / "alone" / "control-noise").items():
        assert np.array_equal(frames, found["noise"][clip])
    # This subject's own responses given as another's are what it was reconstructed from, so are other seeds'
    # conditions; a further seed is the further sample of a clip.
    own = _frames(tmp_path / "out")
    assert all(np.array_equal(frames, own[clip]) for clip, frames in found["other"].items())
    twice = json.dumps({**CONFIG, "samples": 2})
    sample.main([*common, *brain, "--output", str(tmp_path / "twice"), "--config", twice])
    samples, meta = arrays.load(tmp_path / "twice" / "samples.npy", kind="samples")
    for clip, frames in found["seed-1"].items():
        assert np.array_equal(frames, samples[meta["clips"].index(clip), 1])
        assert not np.array_equal(frames, own[clip])
    for asked, word in (
        ("control-other", "--other-windows"),
        ("control-caption", "--training-features"),
        ("control-seed-0", "no such control"),
        ("mean", "no such control"),
    ):
        with pytest.raises(UserError, match=word):
            sample.main([*common, *brain, "--controls", str(tmp_path / "new" / asked)])
    truth = ["--true-features", str(dataset.features("test01"))]
    for options in ([*brain, *out, *truth], [*brain[:2], *out], brain, [*brain, *out, *alone]):
        with pytest.raises(UserError, match="either"):
            sample.main([*common, *options])
    assert not (tmp_path / "new").exists()


def test_out_of_memory_halves_the_batch(run, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    whole = _frames(run("whole"))
    real, sizes = sample.sampling.sample, []

    def scarce(network, scheduler, condition, *rest, **options):  # type: ignore[no-untyped-def]
        sizes.append(len(condition))
        if len(condition) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return real(network, scheduler, condition, *rest, **options)

    monkeypatch.setattr(sample.sampling, "sample", scarce)
    halved = _frames(run("halved"))
    assert sizes == [4, 2, 2, 2] and "warning" in capsys.readouterr().err
    assert all(np.abs(halved[clip] - whole[clip]).max() <= 1 for clip in whole)


def test_samples_that_are_not_finite_stop(run, monkeypatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    real = sample.sampling.sample
    monkeypatch.setattr(sample.sampling, "sample", lambda *a, **k: real(*a, **k) * float("nan"))
    with pytest.raises(UserError, match="not finite"):
        run("nan")
    assert not (tmp_path / "out" / "nan").exists()


def test_samples_of_a_clip_differ_and_the_first_is_the_reconstruction(run) -> None:  # type: ignore[no-untyped-def]
    one, folder = _frames(run("one")), run("three", samples=3)
    every, meta = arrays.load(folder / "samples.npy", kind="samples")
    assert every.shape == (6, 3, 3, 8, 8, 3)
    first = _frames(folder)
    for clip, samples in zip(meta["clips"], every.astype(int), strict=True):
        assert np.array_equal(samples[0], first[clip])
        assert np.abs(samples[0] - one[clip]).max() <= 1  # the batches are others
        assert (
            np.abs(samples[1] - samples[0]).max() > 1 and np.abs(samples[2] - samples[1]).max() > 1
        )
    videos = {path.name for path in (folder / "video").iterdir()}
    assert {"test01-0000.mp4", "test01-0000_sample-1.mp4", "test01-0000_sample-2.mp4"} <= videos
    assert len(videos) == 18


def test_a_continuous_movie_goes_on_clip_by_clip(run, dataset) -> None:  # type: ignore[no-untyped-def]
    alone, folder = _frames(run("alone")), run("movie", continuous={"frames": 2, "strength": 0.7})
    together = _frames(folder)
    assert list(together) == [f"test01-{i:04d}" for i in range(6)]
    assert np.abs(together["test01-0000"] - alone["test01-0000"]).max() <= 1
    assert all(np.abs(together[clip] - alone[clip]).max() > 1 for clip in list(alone)[1:])
    movie = video.read_frames(folder / "movie" / "test01-0000.mp4", 1.5)
    assert movie.shape == (18, 8, 8, 3)
    tables.read(folder / "movie" / "cuts.tsv", "movie_cuts")
    # a clip depends on all clips before it and on none after it
    path = dataset.features("test01") / "condition.npy"
    condition, _ = arrays.load(path, kind="condition", mmap=False)
    condition[3] += 1
    arrays.save(path, condition, kind="condition")
    changed = _frames(run("changed", continuous={"frames": 2, "strength": 0.7}))
    same = [np.array_equal(changed[clip], together[clip]) for clip in together]
    assert same == [True, True, True, False, False, False]


def test_a_continuous_movie_goes_on_after_a_stop(run, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    options = {"continuous": {"frames": 1}, "samples": 2}
    whole = _frames(run("whole", **options))
    real, drawn = sample.sampling.sample, []

    def stopping(network, scheduler, condition, *rest, **more):  # type: ignore[no-untyped-def]
        if len(drawn) == 3:
            raise KeyboardInterrupt
        drawn.append(len(condition))
        return real(network, scheduler, condition, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(sample.sampling, "sample", stopping)
        with pytest.raises(KeyboardInterrupt):
            run("cut", "--state", str(tmp_path / "state"), **options)
    assert drawn == [2, 2, 2]  # both samples of a clip at once, clip after clip
    resumed = _frames(run("cut", "--state", str(tmp_path / "state"), **options))
    assert all(np.array_equal(resumed[clip], frames) for clip, frames in whole.items())


def test_unknown_key_and_wrong_values(run) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=r"reconstruct\.step is not a key"):
        run("x", step=3)
    with pytest.raises(UserError, match="at least 1"):
        run("x", steps=0)
    with pytest.raises(UserError, match=r"reconstruct\.continuous\.frame is not a key"):
        run("x", continuous={"frame": 2})
    with pytest.raises(UserError, match="strength"):
        run("x", continuous={"strength": 0})
    with pytest.raises(UserError, match="a clip has 3 frames"):
        run("x", continuous={"frames": 4})
    with pytest.raises(UserError, match="only 1 continuous"):
        run("x", "--shards", "2", continuous={})
