"""A small invented data set and tiny judges with random weights."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # tests/, for fixtures_results


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    import fixtures_results

    return fixtures_results.build(tmp_path_factory.mktemp("results"), clips=20, size=32)


@pytest.fixture(scope="session")
def judges(tmp_path_factory):
    """Folders of an image classifier, a video classifier and a CLIP, two layers each."""
    import fixtures_results as world
    import torch
    from transformers import (
        AutoTokenizer,
        CLIPConfig,
        CLIPImageProcessorPil,
        CLIPModel,
        VideoMAEConfig,
        VideoMAEForVideoClassification,
        VideoMAEImageProcessorPil,
        ViTConfig,
        ViTForImageClassification,
        ViTImageProcessorPil,
    )

    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("judges")
    small = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "image_size": 32,
        "patch_size": 16,
    }
    images = [
        f"{c} {o} on {b}" for c in world.COLOURS for o in world.OBJECTS for b in world.GROUNDS
    ]
    videos = [
        f"{c} {o} moving {m}" for c in world.COLOURS for o in world.OBJECTS for m in world.MOTIONS
    ]
    size = {"height": 32, "width": 32}
    image = ViTConfig(**small, id2label=dict(enumerate(images)))
    ViTForImageClassification(image).save_pretrained(root / "image")
    ViTImageProcessorPil(size=size).save_pretrained(root / "image")
    video = VideoMAEConfig(**small, num_frames=4, id2label=dict(enumerate(videos)))
    VideoMAEForVideoClassification(video).save_pretrained(root / "video")
    plain = {"size": {"shortest_edge": 32}, "crop_size": size}
    VideoMAEImageProcessorPil(**plain).save_pretrained(root / "video")
    tokenizer = AutoTokenizer.from_pretrained(
        Path(__file__).parents[3] / "resources" / "insilico" / "clip"
    )
    tokenizer.save_pretrained(root / "clip")
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text |= {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id}
    clip = CLIPConfig(
        vision_config=small,
        text_config={**text, "intermediate_size": 16},
        projection_dim=8,
    )
    CLIPModel(clip).save_pretrained(root / "clip")
    CLIPImageProcessorPil(**plain).save_pretrained(root / "clip")
    return root
