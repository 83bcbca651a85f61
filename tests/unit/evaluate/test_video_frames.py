"""A VideoMAE sees the frames of a clip as the publication lets it, or as many as it was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from boldreel.evaluate.readings import Judges, Models


@pytest.mark.parametrize(("frames", "seen"), [(6, 6), (3, 3), (1, 4), (4, 4)])
def test_frames_of_the_clip_as_published(judges: Path, frames: int, seen: int) -> None:
    """`from_pretrained(..., num_frames=6)` of the published evaluation; one frame makes no tubelet."""
    from transformers import AutoModelForVideoClassification

    folder = str(judges / "video")
    clips = np.random.default_rng(0).integers(0, 255, (2, frames, 32, 32, 3), np.uint8)
    judge = Judges(Models(video_classifier=folder))
    got = judge.read(clips).video
    published = AutoModelForVideoClassification.from_pretrained(folder, num_frames=seen).eval()
    shown = clips if seen == frames else clips.repeat(seen, axis=1)
    pixels = judge.video[1](list(map(list, shown)), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        np.testing.assert_allclose(got, published(pixels).logits, rtol=1e-5, atol=1e-6)


def test_frames_of_the_model_by_name(judges: Path) -> None:
    clips = np.random.default_rng(0).integers(0, 255, (2, 8, 32, 32, 3), np.uint8)
    models = Models(video_classifier=str(judges / "video"))
    judge = Judges(models, video_frames="model")
    whole, shown = judge.read(clips).video, judge.read(clips[:, [0, 2, 4, 6]]).video
    np.testing.assert_array_equal(whole, shown)
    assert not np.allclose(whole, Judges(models).read(clips).video)
