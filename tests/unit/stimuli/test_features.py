"""Frozen features from tiny random models in Hugging Face layout."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.fixtures_settings import words as words_of

from boldreel.data import arrays, tables
from boldreel.data.features import FeatureFolders
from boldreel.errors import UserError
from boldreel.stimuli import captions, features

WORDS = ["a", "red", "blue", "ball", "cup", "then"]


def tokenizer(vocabulary: int):  # type: ignore[no-untyped-def]
    """Word-level, start token 1, end token last, context of 8."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "<start>": 1, **{word: k + 2 for k, word in enumerate(WORDS)}}
    words |= {"<unk>": vocabulary - 2, "<end>": vocabulary - 1}
    core = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", vocabulary - 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<start>",
        eos_token="<end>",
        unk_token="<unk>",
        model_max_length=8,
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders clip/ and diffusion/ of random models."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    shape |= {"num_hidden_layers": 2}
    ids = {"bos_token_id": 1, "eos_token_id": 9, "pad_token_id": 0, "vocab_size": 10}
    text = {**shape, **ids, "max_position_embeddings": 8}
    vision = {**shape, "image_size": 16, "patch_size": 8}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
    CLIPModel(config).save_pretrained(folder / "clip")
    CLIPImageProcessorPil(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    ).save_pretrained(folder / "clip")
    tokenizer(10).save_pretrained(folder / "clip")
    CLIPTextModel(CLIPTextConfig(**text)).save_pretrained(folder / "diffusion" / "text_encoder")
    tokenizer(10).save_pretrained(folder / "diffusion" / "tokenizer")
    return folder


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """Six frames and two clips of movie m, and one of another movie."""
    frames = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
    arrays.save(tmp_path / "m" / "frames.npy", frames, kind="frames", frame_rate=3.0)
    rows = [
        {
            "clip": f"{name}-{k:04d}",
            "movie": name,
            "index": k,
            "start": 1.0 * k,
            "duration": 1.0,
            "first_frame": 3 * k,
            "n_frames": 3,
            "shot": f"{name}-s000",
            "cuts": 0,
            "caption": text,
            "attributes": "{}",
        }
        for name, k, text in (
            ("m", 0, "a red ball"),
            ("m", 1, "a red ball then a blue cup a red ball then a blue cup"),
            ("other", 0, "a cup"),
        )
    ]
    tables.write(tmp_path / "clips.parquet", pd.DataFrame(rows), "clips")
    return tmp_path


def step(folder: Path, models: Path, **changes: str) -> list[str]:
    options = {
        "frames": str(folder / "m" / "frames.npy"),
        "clips": str(folder / "clips.parquet"),
        "movie": "m",
        "clip-model": str(models / "clip"),
        "diffusion-model": str(models / "diffusion"),
        "output": str(folder / "m" / "features"),
        "config": words_of("stimuli"),
    } | changes
    return [part for name, value in options.items() for part in (f"--{name}", value)]


def test_step(movie: Path, models: Path) -> None:
    features.main(step(movie, models))
    out = movie / "m" / "features"
    image, meta = arrays.load(out / "image.npy", kind="image_features")
    text, _ = arrays.load(out / "text.npy", kind="text_features")
    condition, about = arrays.load(out / "condition.npy", kind="condition")
    assert image.shape == (6, 12) and text.shape == (2, 12) and condition.shape == (2, 8, 16)
    np.testing.assert_allclose(np.linalg.norm(image, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(text, axis=1), 1, atol=1e-5)
    assert meta["frame_rate"] == 3.0 and about["clips"] == ["m-0000", "m-0001"]
    assert json.loads((out / "provenance.json").read_text())["target"] == str(out)


def test_training_movies_get_variants_and_others_none(movie: Path, models: Path) -> None:
    import torch

    from boldreel.base_models import frozen
    from boldreel.stimuli import variants

    config = words_of("stimuli", seed=3, variants=4)
    for training in ("m", "another"):
        features.main([*step(movie, models, config=config), "--training-movies", training])
        found = sorted(path.name for path in (movie / "m" / "features").glob("*_variants.npy"))
        assert found == (["image_variants.npy", "text_variants.npy"] if training == "m" else [])
        if found:
            image, _ = arrays.load(movie / "m/features/image_variants.npy", kind="variants")
            text, _ = arrays.load(movie / "m/features/text_variants.npy", kind="variants")
    assert image.shape == text.shape == (2, 4, 12)
    network = frozen.load_clip(models / "clip", torch.device("cpu"))
    draw = variants.generator(3, "m-0001")
    frame = np.load(movie / "m" / "frames.npy")[4]
    crop = features.embed_images([variants.crop(frame, draw)], *network[:2])
    np.testing.assert_allclose(image[1, 0], crop[0], atol=1e-5)


def test_embeddings_are_clips_own(movie: Path, models: Path) -> None:
    """Against CLIPModel's joint forward pass, which normalises its embeddings itself."""
    import torch

    from boldreel.base_models import frozen

    model, processor, words = frozen.load_clip(models / "clip", torch.device("cpu"))
    frames = np.load(movie / "m" / "frames.npy")
    texts = ["a red ball", "blue cup"]
    with torch.inference_mode():
        answer = model(
            pixel_values=processor(images=list(frames), return_tensors="pt")["pixel_values"],
            **words(texts, padding=True, return_tensors="pt"),
        )
    image = features.embed_images(frames, model, processor)
    text = features.embed_texts(texts, model, words)
    np.testing.assert_allclose(image, answer.image_embeds.numpy(), atol=1e-5)
    np.testing.assert_allclose(text, answer.text_embeds.numpy(), atol=1e-5)


def test_captions_change_features(models: Path) -> None:
    import torch

    from boldreel.base_models import frozen

    encoder, words = frozen.load_text_encoder(models / "diffusion", torch.device("cpu"))
    states = features.condition_states(["a red ball", "a blue ball", "a red ball"], encoder, words)
    np.testing.assert_allclose(states[0], states[2], atol=1e-6)
    assert abs(states[0] - states[1]).max() > 1e-3
    # Causal attention: the words before the one that differs are the same.
    np.testing.assert_allclose(states[0, :2], states[1, :2], atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"movie": "none"}, "no clips of movie none"),
        ({"clip-model": "/nowhere/clip"}, r"models\.clip: /nowhere/clip: no such folder"),
        (
            {"diffusion-model": "CLIP"},
            r"models\.diffusion: .*: text_encoder/config\.json is missing",
        ),
    ],
)
def test_errors(movie: Path, models: Path, changes: dict[str, str], message: str) -> None:
    changes = {k: str(models / "clip") if v == "CLIP" else v for k, v in changes.items()}
    with pytest.raises(UserError, match=message):
        features.main(step(movie, models, **changes))
    assert not (movie / "m" / "features").exists()


def test_captioner(tmp_path: Path, movie: Path) -> None:
    """A random BLIP says something for every key frame; the same frame always the same."""
    import torch
    from transformers import BlipConfig, BlipForConditionalGeneration
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    shape |= {"num_hidden_layers": 1}
    text = {**shape, "vocab_size": 10, "max_position_embeddings": 40, "encoder_hidden_size": 16}
    text |= {"bos_token_id": 1, "eos_token_id": 9, "sep_token_id": 9, "pad_token_id": 0}
    vision = {**shape, "image_size": 16, "patch_size": 8}
    config = BlipConfig(text_config=text, vision_config=vision)
    BlipForConditionalGeneration(config).save_pretrained(tmp_path / "blip")
    BlipImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(tmp_path / "blip")
    tokenizer(10).save_pretrained(tmp_path / "blip")
    rows = [
        {"first_frame": 0, "n_frames": 3},
        {"first_frame": 3, "n_frames": 3},
        {"first_frame": 0, "n_frames": 3},
    ]
    frames = np.load(movie / "m" / "frames.npy")
    shots = pd.DataFrame({"onset": [0.0], "duration": [2.0], "shot": ["m-s000"]})
    with captions.Captioner(str(tmp_path / "blip")) as captioner:
        captioner.describe(rows, frames, 3.0, shots)
    assert all(isinstance(row["caption"], str) and row["attributes"] == "{}" for row in rows)
    assert rows[0]["caption"] == rows[2]["caption"]
    nowhere = captions.Captioner(str(tmp_path / "none" / "at" / "all"))
    with nowhere, pytest.raises(UserError, match=r"models\.caption"):
        nowhere.caption(frames, [0])


def test_features_of_a_batch_are_those_of_its_movies(movie: Path, models: Path) -> None:
    """The second movie of the batch has the frames and clips of movie m: the same features, variants too."""
    frames, _ = arrays.load(movie / "m" / "frames.npy", kind="frames")
    both = np.concatenate([frames[::-1][:3], frames])
    whose = {"other": [0, 3], "m": [3, 6]}
    arrays.save(movie / "train-1" / "frames.npy", both, kind="frames", frame_rate=3.0, movies=whose)
    features.main(step(movie, models, **{"training-movies": "m"}))
    table = tables.read(movie / "clips.parquet", "clips").assign(batch="train-1")
    tables.write(movie / "batched.parquet", table, "clips")
    changes = {
        "frames": str(movie / "train-1" / "frames.npy"),
        "clips": str(movie / "batched.parquet"),
        "movie": "train-1",
        "output": str(movie / "train-1" / "features"),
        "training-movies": "train-*",
    }
    features.main(step(movie, models, **changes))
    one = FeatureFolders([movie / "m" / "features"])
    of_batch = FeatureFolders([movie / "train-1" / "features"])
    names = ("image", "text", "condition", "image_variants")
    rows = table[table["movie"] == "m"]
    alone, together = (
        one.of_movie(rows.drop(columns="batch"), *names),
        of_batch.of_movie(rows, *names),
    )
    for name in names:
        np.testing.assert_allclose(together[name], alone[name], atol=1e-5, err_msg=name)
    assert len(of_batch.of_movie(table[table["movie"] == "other"], "text")["text"]) == 1
