"""What clips are reconstructed from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from boldreel.data import arrays
from boldreel.data.responses import load_responses
from boldreel.generator import saving
from boldreel.models import encoder
from boldreel.reconstruct.conditions import (
    from_brain,
    from_mean,
    from_nearest_caption,
    from_noise,
    some_test_clips,
)
from boldreel.reconstruct.readers import TokenReader


def test_captions(dataset) -> None:  # type: ignore[no-untyped-def]
    conditions = TokenReader(dataset.clips).of_movies(dataset.clips, [dataset.features("test01")])
    stored, _ = arrays.load(dataset.features("test01") / "condition.npy", kind="condition")
    assert list(conditions) == [f"test01-{i:04d}" for i in range(6)]
    assert np.array_equal(list(conditions.values()), stored)


@pytest.mark.parametrize("repeats", ["average", 1])
def test_brain_averages_test_repeats(dataset, encoder_folder, encoded, repeats) -> None:  # type: ignore[no-untyped-def]
    conditions = from_brain(encoded(repeats=repeats))
    responses = load_responses(dataset.windows, dataset.series, "test", repeats)
    assert list(conditions) == responses.clips
    model = encoder.SpatioTemporalEncoder.from_pretrained(encoder_folder)
    expected = model(torch.from_numpy(responses.x)).condition.detach().numpy()
    assert np.allclose(list(conditions.values()), expected, atol=1e-5)


def test_some_test_clips_are_spread_evenly(dataset) -> None:  # type: ignore[no-untyped-def]
    clips = [f"test01-{i:04d}" for i in range(6)]
    assert some_test_clips(dataset.windows, 3) == [clips[0], clips[2], clips[5]]
    assert some_test_clips(dataset.windows, 50) == clips


def test_the_mean_control_is_the_negative_condition(dataset, encoded, generator_folder) -> None:  # type: ignore[no-untyped-def]
    conditions = from_mean(encoded(), dataset.windows, 4)
    assert len(conditions) == 4
    negative = saving.load_negative(generator_folder)
    assert all(np.array_equal(condition, negative) for condition in conditions.values())


def test_the_nearest_caption_is_a_training_one(dataset, encoder_folder, encoded) -> None:  # type: ignore[no-untyped-def]
    folders = [dataset.features("train01"), dataset.features("train02")]
    found = from_nearest_caption(
        TokenReader(encoder_folder), encoded(), dataset.windows, dataset.clips, folders, 4
    )
    stored, texts = (
        np.concatenate([arrays.load(f / f"{name}.npy", kind=kind)[0] for f in folders])
        for name, kind in (("condition", "condition"), ("text", "text_features"))
    )
    responses = load_responses(dataset.windows, dataset.series, "test")
    model = encoder.SpatioTemporalEncoder.from_pretrained(encoder_folder)
    assert len(found) == 4
    for clip, condition in found.items():
        x = torch.from_numpy(responses.x[[responses.clips.index(clip)]])
        with torch.no_grad():
            guess = model.calibration.centred_text(model(x).text).numpy()[0]
            known = model.calibration.centred_text(torch.from_numpy(texts)).numpy()
        assert np.allclose(condition, stored[np.argmax(known @ guess)])


def test_noise_knows_nothing_of_the_responses_but_their_size(dataset, encoded) -> None:  # type: ignore[no-untyped-def]
    first = encoded(seed=1)
    for run in (1, 2):
        path = dataset.series / f"task-test01_run-{run}.npy"
        series, meta = arrays.load(path, kind="series", mmap=False)
        meta = {k: v for k, v in meta.items() if k not in ("kind", "shape", "dtype")}
        arrays.save(path, series * 5 + 3, kind="series", **meta)
    folders = [first, encoded(seed=1), encoded(seed=2), encoded(seed=1, repeats=1)]
    rows = [np.stack(list(from_noise(folder, dataset.windows, 6).values())) for folder in folders]
    assert np.array_equal(rows[0], rows[1]) and not np.allclose(rows[0], rows[2])
    assert not np.allclose(*(list(from_brain(folder).values()) for folder in folders[:2]))
    # one repeat is noisier than the mean of two, by the square root of two
    spread = [(part - part.mean(0)).std() for part in (rows[0], rows[3])]
    assert spread[1] / spread[0] == pytest.approx(2**0.5, rel=1e-3)


def test_each_clip_is_encoded_once_for_all_shards_and_controls(  # type: ignore[no-untyped-def]
    dataset, encoded, monkeypatch
) -> None:
    """In batches on the decoder's device; sampling and its controls read what was left."""
    seen: list[int] = []
    forward = encoder.SpatioTemporalEncoder.forward

    def counting(self, x, *more, **named):  # type: ignore[no-untyped-def]
        seen.append(len(x))
        return forward(self, x, *more, **named)

    monkeypatch.setattr(encoder.SpatioTemporalEncoder, "forward", counting)
    folder = encoded()
    assert seen == [6, 6], "responses to 6 clips, and noise in their place, each a batch"
    features = [dataset.features("train01"), dataset.features("train02")]
    from_brain(folder)
    from_noise(folder, dataset.windows, 4)
    from_nearest_caption(TokenReader(folder), folder, dataset.windows, dataset.clips, features, 4)
    assert seen == [6, 6]
