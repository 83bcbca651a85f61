"""A hub's cache that holds tiny models in the layout, names and quirks of the real repositories.

For tests of how base models are found and opened, and for `rehearse`.
"""

from __future__ import annotations

import hashlib
import json
import re
import string
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SMALL |= {"intermediate_size": 16}
PICTURE = {"image_size": 16, "patch_size": 8}
MEAN = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_normalize": True, "do_resize": True}
CLIP_PROCESSOR = {"crop_size": 16, "do_center_crop": True, "size": 16, "resample": 3, **MEAN}
CLIP_PROCESSOR |= {"feature_extractor_type": "CLIPFeatureExtractor"}


@dataclass
class Hub:
    """A cache of the hub (what HF_HOME names), and the models that lie in it as they were made."""

    home: Path
    made: dict[str, Any] = field(default_factory=dict)

    def place(self, repository: str) -> Path:
        return self.home / "hub" / ("models--" + repository.replace("/", "--"))

    def snapshot(self, repository: str) -> Path:
        return self.place(repository) / "snapshots" / COMMIT

    def add(self, repository: str, name: str, content: bytes) -> None:
        """A file as the hub's client leaves it: a link to a blob, and a branch that names the commit."""
        place = self.place(repository)
        blob = place / "blobs" / hashlib.sha256(content).hexdigest()
        for path, data in ((blob, content), (place / "refs" / "main", COMMIT.encode())):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        link = self.snapshot(repository) / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path(*[".."] * (2 + name.count("/")), "blobs", blob.name))

    def add_json(self, repository: str, **files: dict) -> None:
        for name, value in files.items():
            path = name.replace("__", "/") + ".json"
            self.add(repository, path, json.dumps(value).encode())

    def add_weights(self, repository: str, name: str, tensors: dict, tmp: Path) -> None:
        whole = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
        if name.endswith(".bin"):
            torch.save(whole, tmp / "weights")
        else:
            save_file(whole, tmp / "weights", metadata={"format": "pt"})
        self.add(repository, name, (tmp / "weights").read_bytes())


def _random(module: torch.nn.Module) -> torch.nn.Module:
    """All parameters random, biases too, so that none that is lost goes unseen."""
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return module.eval()


def _settings(config: Any, *left_out: str) -> dict:
    own = json.loads(config.to_json_string(use_diff=False))
    return {key: value for key, value in own.items() if key not in left_out}


def _byte_pairs(hub: Hub, repository: str, folder: str = "") -> None:
    """CLIP's tokenizer in its old form: vocabulary and merges, no tokenizer.json, no config.json."""
    letters = string.ascii_lowercase
    merges = ["r e", "re d</w>"]
    vocabulary = [*letters, *(a + "</w>" for a in letters), "re", "red</w>"]
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    hub.add(repository, f"{folder}merges.txt", "\n".join(["#version: 0.2", *merges]).encode())
    numbers = {token: number for number, token in enumerate(vocabulary)}
    hub.add(repository, f"{folder}vocab.json", json.dumps(numbers).encode())
    said = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    said |= {"pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    hub.add(repository, f"{folder}special_tokens_map.json", json.dumps(said).encode())
    more = {"model_max_length": 8, "tokenizer_class": "CLIPTokenizer", "do_lower_case": True}
    hub.add(repository, f"{folder}tokenizer_config.json", json.dumps({**said, **more}).encode())


def _stable_diffusion(hub: Hub, name: str, tmp: Path) -> None:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    unet = UNet2DConditionModel(
        sample_size=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=16,
        attention_head_dim=4,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        norm_num_groups=4,
    )
    text = CLIPTextModel(CLIPTextConfig(**SMALL, vocab_size=56, max_position_embeddings=8))
    stem = "diffusion_pytorch_model"
    hub.made["unet"], hub.made["vae"], hub.made["text"] = map(_random, (unet, vae, text))
    tensors = unet.state_dict()
    hub.add_weights(name, f"unet/{stem}.safetensors", tensors, tmp)
    for variant in ("non_ema.safetensors", "bin"):
        other = {key: torch.zeros_like(value) for key, value in tensors.items()}
        hub.add_weights(name, f"unet/{stem}.{variant}", other, tmp)
    half = {key: value.half() for key, value in tensors.items()}
    hub.add_weights(name, f"unet/{stem}.fp16.safetensors", half, tmp)
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for key, value in vae.state_dict().items():
        if ".attentions." in key:
            for new, before in old.items():
                key = key.replace(f".{new}.", f".{before}.")
        renamed[key] = value
    hub.add_weights(name, f"vae/{stem}.safetensors", renamed, tmp)
    tensors = {
        f"text_model.{k.removeprefix('text_model.')}": v for k, v in text.state_dict().items()
    }
    tensors["text_model.embeddings.position_ids"] = torch.arange(8)[None]
    hub.add_weights(name, "text_encoder/model.safetensors", tensors, tmp)
    hub.add_json(
        name,
        model_index={"_class_name": "StableDiffusionPipeline"},
        unet__config={**dict(unet.config), "_class_name": "UNet2DConditionModel"},
        vae__config={**dict(vae.config), "_class_name": "AutoencoderKL"},
        text_encoder__config=_settings(text.config),
        scheduler__scheduler_config={
            "_class_name": "PNDMScheduler",
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "beta_start": 0.00085,
            "num_train_timesteps": 1000,
            "set_alpha_to_one": False,
            "skip_prk_steps": True,
            "steps_offset": 1,
            "clip_sample": False,
        },
    )
    _byte_pairs(hub, name, "tokenizer/")
    hub.add(name, "v1-5-pruned.safetensors", b"all of it again")


def _clip(hub: Hub, name: str, tmp: Path) -> None:
    from transformers import CLIPConfig, CLIPModel

    text = {**SMALL, "vocab_size": 56, "max_position_embeddings": 8, "eos_token_id": 55}
    model = CLIPModel(
        CLIPConfig(text_config=text, vision_config={**SMALL, **PICTURE}, projection_dim=8)
    )
    hub.made["clip"] = _random(model)
    tensors = model.state_dict()
    tensors["text_model.embeddings.position_ids"] = torch.arange(8)[None]
    tensors["vision_model.embeddings.position_ids"] = torch.arange(5)[None]
    hub.add_weights(name, "model.safetensors", tensors, tmp)
    hub.add_json(name, config=_settings(model.config), preprocessor_config=CLIP_PROCESSOR)
    _byte_pairs(hub, name)


def _vit(hub: Hub, name: str, tmp: Path) -> None:
    from transformers import ViTConfig, ViTForImageClassification

    model = ViTForImageClassification(ViTConfig(**SMALL, **PICTURE, num_labels=3))
    hub.made["vit"] = _random(model)
    old = {
        ".attention.q_proj.": ".attention.attention.query.",
        ".attention.k_proj.": ".attention.attention.key.",
        ".attention.v_proj.": ".attention.attention.value.",
        ".attention.o_proj.": ".attention.output.dense.",
        ".mlp.fc1.": ".intermediate.dense.",
        ".mlp.fc2.": ".output.dense.",
    }
    tensors = {}
    for key, value in model.state_dict().items():
        key = re.sub(r"^vit\.layers\.", "vit.encoder.layer.", key)
        for new, before in old.items():
            key = key.replace(new, before)
        tensors[key] = value
    hub.add_weights(name, "model.safetensors", tensors, tmp)
    processor = {**MEAN, "size": 16}
    config = _settings(model.config) | {"architectures": ["ViTForImageClassification"]}
    hub.add_json(name, config=config, preprocessor_config=processor)


def _videomae(hub: Hub, name: str, tmp: Path) -> None:
    """The weights of the action classifier are a pickle, with biases of queries and values alone."""
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    config = VideoMAEConfig(**SMALL, **PICTURE, num_frames=4, num_labels=3, use_mean_pooling=True)
    model = hub.made["videomae"] = _random(VideoMAEForVideoClassification(config))
    tensors = {}
    for key, value in model.state_dict().items():
        for letter, long in (("q", "query"), ("v", "value")):
            key = key.replace(
                f"attention.attention.{long}.bias", f"attention.attention.{letter}_bias"
            )
        tensors[key] = value
    hub.add_weights(name, "pytorch_model.bin", tensors, tmp)
    processor = {"crop_size": {"height": 16, "width": 16}, "do_center_crop": True, **MEAN}
    processor |= {"feature_extractor_type": "VideoMAEFeatureExtractor", "do_rescale": True}
    processor |= {"image_processor_type": "VideoMAEImageProcessor", "size": {"shortest_edge": 16}}
    hub.add_json(name, config=_settings(model.config), preprocessor_config=processor)


def _blip(hub: Hub, name: str, tmp: Path) -> None:
    from transformers import BlipConfig, BlipForConditionalGeneration

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "a", "ball", "red", "on"]
    text = {**SMALL, "vocab_size": 10, "encoder_hidden_size": 16, "bos_token_id": 5}
    text |= {"eos_token_id": 3, "pad_token_id": 0, "sep_token_id": 3, "max_position_embeddings": 40}
    config = BlipConfig(text_config=text, vision_config={**SMALL, **PICTURE})
    model = hub.made["blip"] = _random(BlipForConditionalGeneration(config))
    tensors = model.state_dict()
    # the repository leaves out what is tied to another tensor, and keeps a buffer
    for tied in ("weight", "bias"):
        tensors.pop(f"text_decoder.cls.predictions.decoder.{tied}", None)
    tensors["text_decoder.bert.embeddings.position_ids"] = torch.arange(40)[None]
    hub.add_weights(name, "model.safetensors", tensors, tmp)
    processor = {**MEAN, "image_processor_type": "BlipImageProcessor", "size": {"height": 16}}
    processor["size"]["width"] = 16
    hub.add_json(
        name,
        config=_settings(model.config),
        preprocessor_config={**processor, "processor_class": "BlipProcessor"},
        tokenizer_config={"do_lower_case": True, "tokenizer_class": "BertTokenizer"},
        special_tokens_map={"pad_token": "[PAD]", "unk_token": "[UNK]"},
    )
    hub.add(name, "vocab.txt", "\n".join(words).encode())


MODELS = {
    "clip": ("openai/clip-vit-large-patch14", _clip),
    "diffusion": ("stable-diffusion-v1-5/stable-diffusion-v1-5", _stable_diffusion),
    "image_classifier": ("google/vit-base-patch16-224", _vit),
    "video_classifier": ("MCG-NJU/videomae-base-finetuned-kinetics", _videomae),
    "caption": ("Salesforce/blip-image-captioning-base", _blip),
}


def build(home: Path, tmp: Path) -> Hub:
    """All of them, random, in a cache below a folder; `tmp` is for files in between."""
    hub = Hub(home)
    torch.manual_seed(0)
    for name, make in MODELS.values():
        make(hub, name, tmp)
    return hub
