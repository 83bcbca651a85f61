"""Captions of clips: the nearest of those known, a generated one, and how alike two are."""

from __future__ import annotations

import numpy as np
import pytest

from boldreel.errors import UserError
from boldreel.evaluate import captions, output_cache
from boldreel.evaluate.readings import Judges, Models, Readings


def test_nearest_caption_is_found():
    texts = np.eye(3, 4, dtype=np.float32)
    describer = captions.Nearest(["one", "two", "three"], texts)
    seen = np.stack([texts[[2, 2]], texts[[0, 1]] + [[0.1], [0]] * texts[[0, 0]], texts[[1, 1]]])
    assert describer.describe(np.empty(3), seen.astype(np.float32)) == ["three", "one", "two"]


def test_agreement_is_one_for_the_same_and_falls_with_each_wrong_word():
    true = ["a red ball on grass moving left"]
    said = [
        *true,
        "a red ball on grass moving right",
        "a red cup on brick moving right",
        "the sea",
    ]
    i, j = np.arange(4)[None], np.zeros((1, 4), int)
    found = captions.agreement(said, true, i, j)
    for values in found.values():
        assert values.shape == (1, 4)
        assert values[0, 0] == pytest.approx(1)
        assert (np.diff(values[0]) <= 0).all() and values[0, 1] > values[0, 2]
    # by hand: 6 of 7 words, 5 of 6 pairs, 4 of 5 triples, 3 of 4 fours are right
    assert found["bleu_1"][0, 1] == pytest.approx(6 / 7)
    grams = [6 / 7, 5 / 6, 4 / 5, 3 / 4]
    assert found["bleu_4"][0, 1] == pytest.approx(np.prod(grams) ** 0.25, rel=1e-5)
    # by hand: 6 of 7 words in order on both sides
    assert found["rouge_l"][0, 1] == pytest.approx(6 / 7)


def test_bleu_is_sacrebleus():
    """Values of sacrebleu 2.6.0, lower case, effective order, smoothing "exp": short and unlike sentences
    too."""
    for said, true, one, four in (
        ("a red cube", "a red ball rolls", 0.4776875403825263, 0.39432237651162877),
        ("A red ball.", "a red ball .", 1, 1),
        ("a dog runs on 3.5 m of grass, well", "a dog runs on grass", 0.5, 0.2777619034011791),
        ("blue", "green", 0, 0),
        ("", "green", 0, 0),
    ):
        assert captions.bleu(said, true, 1) == pytest.approx(one)
        assert captions.bleu(said, true) == pytest.approx(four)


def test_captions_are_stored_and_read(tmp_path):
    texts = np.array(["a cat", "", "ein Bär läuft"])
    readings = Readings(flow=np.zeros((3, 1, 2, 4, 4), np.float16), caption=texts)
    output_cache.save(tmp_path / "truth", readings, ["x", "y", "z"])
    back = output_cache.Stored([tmp_path], ["flow", "caption"]).take("truth", ["z", "x"])
    assert back is not None and list(back.caption) == ["ein Bär läuft", "a cat"]
    with pytest.raises(UserError, match="clip x is in another folder too"):
        output_cache.Stored([tmp_path, tmp_path], ["flow", "caption"])


def test_without_a_describer_there_are_no_captions():
    judges = Judges(Models())
    readings = Readings()
    assert judges.described(readings, np.empty((2, 1, 4, 4, 3)), ["a", "b"]) is readings
    assert "captions" not in judges.kinds


def test_a_wrong_sentence_model_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"models\.sentence"):
        Judges(Models(sentence=str(tmp_path)))


@pytest.fixture(scope="module")
def blip(tmp_path_factory) -> str:
    """A captioner in BLIP's layout, small and untrained."""
    from transformers import BertTokenizerFast, BlipConfig, BlipForConditionalGeneration
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    folder = tmp_path_factory.mktemp("blip")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "a", "ball", "red", "on"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    small = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    config = BlipConfig(
        text_config=dict(
            **small,
            vocab_size=len(words),
            encoder_hidden_size=16,
            bos_token_id=5,
            eos_token_id=3,
            pad_token_id=0,
            sep_token_id=3,
        ),
        vision_config=dict(**small, image_size=32, patch_size=16),
    )
    import torch

    torch.manual_seed(0)
    BlipForConditionalGeneration(config).save_pretrained(folder)
    BlipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)


def test_a_generated_caption_is_of_the_middle_frame(blip):
    judges = Judges(Models(caption=blip))
    assert "caption" in judges.parts
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (3, 3, 32, 32, 3), dtype=np.uint8)
    other = clips.copy()
    other[:, [0, 2]] = 0
    one, two = judges.read(clips), judges.read(other)
    assert one.caption is not None and list(one.caption) == list(two.caption)
    described = judges.described(one, clips)
    assert list(described.caption) == list(one.caption) and described.sentence is None
