"""The method `selfsupervised`: finds a planted relation, uses what has no pair, sees no test run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from boldreel.data import arrays, tables, video
from boldreel.errors import UserError
from boldreel.methods import material, reconstruct
from boldreel.methods.selfsupervised import loss, train, unpaired, videos
from boldreel.methods.selfsupervised.model import Reader, VideoEncoder
from boldreel.methods.video_decoder import Generator, Shape, two_way

CONFIG = {
    "seed": 1,
    "code": 12,
    "thumbnail": 8,
    "size": 16,
    "latent": 24,
    "width": 4,
    "batch_size": 8,
}
CONFIG |= {"encoder_epochs": 8, "epochs": 16, "rate": 3e-3, "encoder_rate": 3e-3}
BRIEF = {
    "encoder_epochs": 5,
    "epochs": 5,
}  # for what holds byte for byte, however long the training
SHAPE = Shape(code=5, frames=3, side=16, latent=8, width=4)


def fitted(study, classifier: str, folder: Path, *more: str, **config) -> Path:  # type: ignore[no-untyped-def]
    options = ["--output", str(folder / "fit"), "--state", str(folder / "state"), *more]
    words = [*study.words(), "--image-classifier", classifier, *options]
    train.main([*words, "--config", json.dumps({**CONFIG, **config})])
    return folder / "fit"


def identified(study, model: Path, folder: Path) -> float:  # type: ignore[no-untyped-def]
    reconstruct.main(
        [
            *("--model", str(model), "--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--output", str(folder)),
        ]
    )
    frames, meta = arrays.load(folder / "frames.npy", kind="reconstruction")
    truth = study.truth()
    return two_way(np.asarray(frames), np.stack([truth[n] for n in meta["clips"]]))


def equal(one: Path, other: Path) -> bool:
    return all(
        np.array_equal(value, load_file(other / part / "model.safetensors")[name])
        for part in ("model", "encoder")
        for name, value in load_file(one / part / "model.safetensors").items()
    )


@pytest.fixture(scope="module")
def model(study, classifier, tmp_path_factory) -> Path:  # type: ignore[no-untyped-def]
    return fitted(study, classifier, tmp_path_factory.mktemp("selfsupervised"))


@pytest.fixture(scope="module")
def brief(study, classifier, tmp_path_factory) -> Path:  # type: ignore[no-untyped-def]
    return fitted(study, classifier, tmp_path_factory.mktemp("brief"), **BRIEF)


def test_a_planted_relation_is_found(study, model, tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert identified(study, model, tmp_path / "out") > 0.65
    encoder = tables.read(model / "encoder_history.tsv", "history")
    assert encoder["val_correlation"].max() > 0.2
    history = tables.read(model / "history.tsv", "history")
    assert {"pixels", "perceptual", "cycle_pixels", "cycle_bold"} <= set(history.columns)
    # BOLD of what was drawn comes nearer to the BOLD that it was drawn from
    assert history["cycle_bold"].iloc[-1] < history["cycle_bold"].iloc[1] - 0.05


def test_without_signal_it_is_at_chance(silent, classifier, tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = fitted(silent, classifier, tmp_path, encoder_epochs=2, epochs=3)
    assert 0.38 < identified(silent, model, tmp_path / "out") < 0.62


def test_nothing_fitted_sees_a_test_run(make_study, brief, classifier, tmp_path) -> None:  # type: ignore[no-untyped-def]
    other = make_study()
    other.disturb()
    frames, meta = arrays.load(other.stimuli / "test01" / "frames.npy", kind="frames", mmap=False)
    arrays.save(
        other.stimuli / "test01" / "frames.npy",
        255 - frames,
        kind="frames",
        frame_rate=meta["frame_rate"],
    )
    assert equal(brief, fitted(other, classifier, tmp_path, **BRIEF))


@pytest.mark.parametrize("where", ["encoder", "decoder"])
def test_a_stopped_training_ends_as_if_it_had_not_been(
    study, brief, classifier, tmp_path, monkeypatch, where
) -> None:  # type: ignore[no-untyped-def]
    seen: list[int] = []

    def stopping(real):  # type: ignore[no-untyped-def]
        def called(*arguments, **options):  # type: ignore[no-untyped-def]
            seen.append(1)
            if len(seen) == 40:
                raise KeyboardInterrupt
            return real(*arguments, **options)

        return called

    with monkeypatch.context() as patch:
        if where == "encoder":
            patch.setattr(train, "bold", stopping(train.bold))
        else:
            patch.setattr(train.Cycle, "loss", stopping(train.Cycle.loss))
        with pytest.raises(KeyboardInterrupt):
            fitted(study, classifier, tmp_path, **BRIEF)
    assert not (tmp_path / "fit").exists()
    assert equal(brief, fitted(study, classifier, tmp_path, **BRIEF))


def test_unpaired_video_is_every_frame_of_the_training_clips(study) -> None:  # type: ignore[no-untyped-def]
    found = unpaired.every_frame(study.windows, study.clips, study.stimuli, 3, 32)
    # two training movies without a gap; the validation movie and the test movie are not among them
    movies = [study.stimuli / name / "frames.npy" for name in ("train01", "train02")]
    frames = [arrays.load(path, kind="frames")[0] for path in movies]
    assert len(found) == sum(len(f) - 2 for f in frames)
    taken = found.take(np.array([1, len(found) - 1]))
    assert np.array_equal(taken[0], frames[0][1:4])
    assert np.array_equal(taken[1], frames[1][-3:])


def test_unpaired_bold_is_every_window_of_the_training_runs(study) -> None:  # type: ignore[no-untyped-def]
    pairs = material.training_pairs(study.windows, study.series, study.clips, study.stimuli)
    runs = unpaired.every_volume(study.windows, study.series, pairs.used)
    names = [f"task-{movie}_run-{k}" for movie in ("train01", "train02") for k in (1, 2)]
    each = [arrays.load(study.series / f"{name}.npy", kind="series")[0] for name in names]
    assert len(runs) == sum(len(series) for series in each)
    row = len(each[0]) + 7
    assert np.array_equal(runs.take(np.array([row]))[0], each[1][7:9][:, pairs.used].ravel())


def test_simulated_codes_have_the_errors_of_measured_ones() -> None:
    """They are the regression of predicted BOLD plus a row of the errors, each drawn about as often."""
    torch.manual_seed(0)
    encoder, reader = VideoEncoder(SHAPE, 7), Reader(torch.randn(7, 5), torch.randn(5))
    noise = torch.randn(3, 5)
    cycle = loss.Cycle(encoder, reader, noise, lambda *_: torch.zeros(()), 1.0, 0.0, 0.0, 1.0)
    clips = torch.rand(300, 3, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        errors = cycle.codes(clips, torch.Generator().manual_seed(0)) - reader(encoder(clips))
    nearest = torch.cdist(errors, noise)
    assert nearest.min(dim=1).values.max() < 0.01
    assert nearest.argmin(dim=1).bincount().min() > 70


def test_the_loss_is_that_of_its_parts_and_leaves_the_encoder_alone() -> None:
    torch.manual_seed(0)
    encoder, decoder = VideoEncoder(SHAPE, 7).requires_grad_(False), Generator(SHAPE)
    reader = Reader(torch.randn(7, 5), torch.randn(5))
    cycle = loss.Cycle(
        encoder, reader, torch.zeros(1, 5), lambda *_: torch.zeros(()), 2.0, 0.0, 0.5, 0.3
    )
    code, true = torch.randn(4, 5), torch.rand(4, 3, 3, 16, 16) * 2 - 1
    video, measured = torch.rand(8, 3, 3, 16, 16) * 2 - 1, torch.randn(6, 7)
    total, _ = cycle.loss(decoder, (code, true), video, measured, torch.Generator())
    total.backward()
    assert all(p.grad is not None for p in decoder.parameters())
    assert all(p.grad is None for p in encoder.parameters())

    def naive(drawn: torch.Tensor, clips: torch.Tensor) -> torch.Tensor:
        change = (drawn.diff(dim=2) - clips.diff(dim=2)).abs().mean()
        return 2 * (drawn - clips).abs().mean() + 0.5 * change

    with torch.no_grad():
        back = encoder(decoder(reader(measured)))
        error = ((back - measured) ** 2).mean() / (measured**2).mean()
        angle = 1 - torch.nn.functional.cosine_similarity(back, measured).mean()
        expected = naive(decoder(code), true) + 2 * naive(decoder(reader(encoder(video))), video)
        torch.testing.assert_close(total.detach(), expected + 0.3 * (error + angle))
        # nothing unpaired: pairs alone
        alone, _ = cycle.loss(decoder, (code, true), video[:0], measured[:0], torch.Generator())
        torch.testing.assert_close(alone, naive(decoder(code), true))


def test_perceptual_distance_grows_with_the_change(classifier) -> None:  # type: ignore[no-untyped-def]
    distance = train.load_network(classifier, torch.device("cpu"))
    torch.manual_seed(0)
    true = torch.rand(2, 3, 2, 16, 16) * 2 - 1
    frame = torch.tensor([0, 1])
    steps = [
        distance(true + size * torch.randn_like(true), true, frame) for size in (0.0, 0.1, 1.0)
    ]
    assert float(steps[0]) == pytest.approx(0, abs=1e-6) and steps[0] < steps[1] < steps[2]
    # only the frame that was picked counts
    other = true.clone()
    other[0, :, 1] = 0
    assert float(distance(other, true, frame)) == pytest.approx(0, abs=1e-6)
    drawn = true.clone().requires_grad_(True)
    distance(drawn + 0.1, true, frame).backward()
    assert drawn.grad is not None and drawn.grad.abs().sum() > 0


def test_further_movies_are_used_but_for_what_the_test_shows(
    study, brief, classifier, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "movies"
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 255, (24, 4, 4, 3), np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    video.write_mp4(folder / "new.mp4", blocks, 1.5)
    shown, _ = arrays.load(study.stimuli / "test01" / "frames.npy", kind="frames")
    video.write_mp4(folder / "copied.mp4", np.asarray(shown[:24]), 1.5)
    words = [
        *("--videos", str(folder / "copied.mp4"), str(folder / "new.mp4")),
        *("--clips", str(study.clips), "--frame-rate", "1.5"),
        *("--test", str(study.stimuli / "test01" / "frames.npy")),
        *("--config", json.dumps(CONFIG)),
    ]
    videos.main([*words, "--output", str(tmp_path / "videos")])
    listed = tables.read(tmp_path / "videos" / "videos.tsv", "unpaired_videos").set_index("movie")
    assert tuple(listed.loc["new.mp4"]) == (8, 0) and tuple(listed.loc["copied.mp4"]) == (0, 8)
    found = unpaired.every_frame(study.windows, study.clips, study.stimuli, 3, 16)
    more = unpaired.more(found, tmp_path / "videos")
    assert len(more) == len(found) + 8
    clips, _ = arrays.load(tmp_path / "videos" / "clips.npy", kind="unpaired_clips")
    assert np.array_equal(more.take(np.array([len(more) - 1]))[0], clips[-1])
    assert np.array_equal(more.take(np.arange(5)), found.take(np.arange(5)))
    again = fitted(study, classifier, tmp_path, "--videos", str(tmp_path / "videos"), **BRIEF)
    assert not equal(brief, again)
    (folder / "new.mp4").unlink()
    only = [word for word in words if word != str(folder / "new.mp4")]
    with pytest.raises(UserError, match="unlike the test movies"):
        videos.main([*only, "--output", str(tmp_path / "none")])


def test_mistakes_are_one_line(study, classifier, tmp_path) -> None:  # type: ignore[no-untyped-def]
    for config, text in (
        ({"videos": str(tmp_path / "none")}, "is no folder"),
        ({"size": 20}, "power of two"),
        ({"perceptual": -1}, "at least 0"),
        ({"mixed_precision": "int4"}, "mixed_precision"),
        ({"depth": 3}, "not a key"),
    ):
        with pytest.raises(UserError, match=text):
            fitted(study, classifier, tmp_path, **config)
    with pytest.raises(UserError, match="image_classifier"):
        fitted(study, str(tmp_path), tmp_path)
