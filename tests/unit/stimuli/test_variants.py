"""Crops and replaced words."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boldreel.stimuli import variants


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1))
def test_a_crop_lies_inside_and_keeps_proportions(height: int, width: int, seed: int) -> None:
    frame = np.arange(height * width * 3).reshape(height, width, 3)
    part = variants.crop(frame, np.random.default_rng(seed))
    shares = [a / b for a, b in zip(part.shape[:2], frame.shape[:2], strict=True)]
    assert all(
        variants.SMALLEST - 0.5 / size <= share <= 1
        for share, size in zip(shares, (height, width), strict=True)
    )
    top, left = np.divmod(part[0, 0, 0] // 3, width)
    assert np.array_equal(part, frame[top : top + len(part), left : left + part.shape[1]])


def test_the_same_clip_gets_the_same_crops_among_any_others() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (40, 40, 3))
    crops = [variants.crop(frame, variants.generator(7, clip)) for clip in ("a", "b", "a")]
    assert np.array_equal(crops[0], crops[2])
    assert crops[0].shape != crops[1].shape or not np.array_equal(crops[0], crops[1])


def test_only_near_words_stand_for_each_other() -> None:
    words = variants.vocabulary(["A car stops", "an auto stops", "a tree"])
    assert words == ["a", "an", "auto", "car", "stops", "tree"]
    # a large common part, as in CLIP, under which every pair has a cosine near 1
    common = np.full(8, 5.0)
    own = np.eye(8)[[0, 1, 2, 2, 4, 5]]
    own[3, 7] = 0.3
    embeddings = common + own
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    assert variants.synonyms(words, embeddings) == {"auto": "car", "car": "auto"}
    assert variants.synonyms(["a"], np.ones((1, 3))) == {}


def test_one_word_is_replaced_and_the_others_stay() -> None:
    known = {"car": "auto", "tree": "bush"}
    seen = {
        variants.replace_word("A Car by a tree", known, np.random.default_rng(k)) for k in range(20)
    }
    assert seen == {"A auto by a tree", "A Car by a bush"}
    assert variants.replace_word("a fish", known, np.random.default_rng(0)) == "a fish"
