"""The embedded world: captions, held-out pairs, and what a shot shows."""

import itertools
import time

import numpy as np
import pytest

from boldreel.insilico import labels
from boldreel.insilico.textures import texture
from boldreel.insilico.world import (
    BACKGROUNDS,
    CLASSES,
    COLOURS,
    DIRECTION,
    HELD_OUT,
    MOTIONS,
    SIZES,
    Scene,
    render_masked_shot,
    render_shot,
    sample_scene,
)

SCENE = Scene("ball", "blue", "grass", "left", "small")


def centre(mask: np.ndarray) -> np.ndarray:
    """Centre of mass (x, y) of a mask in pixels."""
    y, x = np.indices(mask.shape)
    return np.array([(x * mask).sum(), (y * mask).sum()]) / mask.sum()


def test_captions_and_scenes_are_inverse() -> None:
    for values in itertools.product(CLASSES, COLOURS, BACKGROUNDS, MOTIONS, SIZES):
        scene = Scene(*values)
        assert Scene.from_caption(scene.caption) == scene
    assert SCENE.caption == "a small blue ball moving left over grass"


@pytest.mark.parametrize("caption", ["a ball", "a small blue cat moving left over grass", ""])
def test_what_is_no_caption_is_refused(caption: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Scene.from_caption(caption)


def test_held_out_pairs_are_drawn_only_on_request() -> None:
    assert sorted(name for name, _ in HELD_OUT) == sorted(CLASSES)
    rng = np.random.default_rng(0)
    assert not any(sample_scene(rng).held_out for _ in range(500))
    drawn = [sample_scene(rng, held_out=True) for _ in range(500)]
    assert {(scene.object, scene.colour) for scene in drawn} == HELD_OUT


def test_same_generator_gives_same_frames() -> None:
    one, two = (render_shot(SCENE, 6, 3, np.random.default_rng(5)) for _ in range(2))
    assert one.shape == (6, 64, 64, 3)
    assert one.dtype == np.uint8
    assert np.array_equal(one, two)


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("size", SIZES)
def test_object_moves_as_labelled_and_stays_in_the_frame(motion: str, size: str) -> None:
    rng = np.random.default_rng(1)
    for name in CLASSES:
        scene = Scene(name, "red", "space", motion, size)
        frames, masks = render_masked_shot(scene, 96, 12, rng)
        moved = centre(masks[-1]) - centre(masks[0])
        assert np.allclose(moved, np.array(DIRECTION[motion]) * 4.0 * 95 / 12, atol=0.6)
        area = (masks / 255).sum(axis=(1, 2))
        assert np.ptp(area) < 0.04 * area.mean() + 2, "part of the object left the frame"
        width = (masks[0].max(axis=0) > 127).sum()
        assert 16 <= width <= 22 if size == "small" else 22 <= width <= 32
        inside = frames[0][masks[0] == 255].mean(axis=0)
        assert inside[0] > 190
        assert inside[1:].max() < 60


def test_too_long_a_shot_is_refused() -> None:
    with pytest.raises(ValueError, match="would leave the frame"):
        render_shot(Scene("box", "red", "fur", "up", "large"), 120, 12, np.random.default_rng(0))


def test_backgrounds_differ_in_colour_and_have_texture() -> None:
    tones = {name: texture(name).mean(axis=(0, 1)) for name in BACKGROUNDS}
    for one, two in itertools.combinations(BACKGROUNDS, 2):
        assert np.abs(tones[one] - tones[two]).max() > 0.07
    assert all(texture(name).std(axis=(0, 1)).max() > 0.04 for name in BACKGROUNDS)
    assert all(min(texture(name).shape[:2]) >= 128 for name in BACKGROUNDS)


def test_unnamed_variance_differs_between_shots_and_drifts_within() -> None:
    rng = np.random.default_rng(2)
    frames, masks = render_masked_shot(Scene("ball", "red", "grass", "up", "small"), 24, 3, rng)
    outside = [frame[mask == 0].mean() for frame, mask in zip(frames, masks, strict=True)]
    assert 0.5 < np.ptp(outside) < 30
    assert np.abs(np.diff(outside)).max() < 6


def test_a_movie_is_drawn_in_seconds() -> None:
    rng = np.random.default_rng(3)
    start = time.process_time()
    for _ in range(15):
        render_shot(sample_scene(rng), 48, 12, rng)
    assert time.process_time() - start < 3, "60 s of movie must take a few tenths of a second"


def test_labels_say_what_they_name() -> None:
    names = labels.image_labels()
    assert len(set(names)) == len(CLASSES) * len(COLOURS) * len(BACKGROUNDS)
    factors = labels.label_factors(dict(enumerate(names)))
    assert factors[names.index("red ball on grass")] == ("ball", "red", "grass")
    videos = labels.label_factors({3: "red ball moving left"})
    assert videos == {3: ("ball", "red", "left")}
    with pytest.raises(ValueError, match="not one of"):
        labels.label_factors({0: "cat"})
