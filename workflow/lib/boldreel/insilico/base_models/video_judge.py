"""The judge of clips: reads class, colour and direction of motion.

Takes the clip corpus, a part of it coded by the autoencoder, and the CLIP image tower, from whose
weights it starts (a video transformer from scratch needs far more clips); returns a
``VideoMAEForVideoClassification`` over all combinations, for 6 frames at 3 frames per second.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from boldreel.insilico.base_models.corpus import CLIP_FRAMES, Corpus, paint, recolour
from boldreel.insilico.base_models.fit import Schedule, fit
from boldreel.insilico.base_models.judge import FactorHeads
from boldreel.insilico.labels import video_labels
from boldreel.insilico.world import FRAME_SIZE

if TYPE_CHECKING:
    from transformers import CLIPModel, VideoMAEForVideoClassification

KEYS = ("object", "colour", "motion")
TUBELET = 2  # frames per token
# Where VideoMAE keeps what CLIP calls otherwise.
BLOCK_NAMES = {
    "attention.attention.query": "self_attn.q_proj",
    "attention.attention.key": "self_attn.k_proj",
    "attention.attention.value": "self_attn.v_proj",
    "attention.output.dense": "self_attn.out_proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "layernorm_before": "layer_norm1",
    "layernorm_after": "layer_norm2",
}


def create(clip: CLIPModel) -> VideoMAEForVideoClassification:
    """The judge before training, its blocks those of the CLIP image tower."""
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    torch.manual_seed(0)
    labels = video_labels()
    tower = clip.config.vision_config
    config = VideoMAEConfig(
        image_size=FRAME_SIZE,
        patch_size=tower.patch_size,
        num_frames=CLIP_FRAMES,
        tubelet_size=TUBELET,
        hidden_size=tower.hidden_size,
        num_hidden_layers=tower.num_hidden_layers,
        num_attention_heads=tower.num_attention_heads,
        intermediate_size=tower.intermediate_size,
        hidden_act=tower.hidden_act,
        layer_norm_eps=tower.layer_norm_eps,
        use_mean_pooling=True,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    model = VideoMAEForVideoClassification(config)
    _start_from(model, clip)
    return model


@torch.no_grad()
def _start_from(model: VideoMAEForVideoClassification, clip: CLIPModel) -> None:
    """Copy the image tower: its patch filter over every frame of a tubelet, its blocks as they are."""
    ours, theirs = model.state_dict(), clip.vision_model.state_dict()
    patch = theirs["embeddings.patch_embedding.weight"]
    projection = "videomae.embeddings.patch_embeddings.projection.weight"
    ours[projection].copy_(patch[:, :, None].expand_as(ours[projection]) / TUBELET)
    for index in range(model.config.num_hidden_layers):
        left, right = f"videomae.encoder.layer.{index}.", f"encoder.layers.{index}."
        for our_name, their_name in BLOCK_NAMES.items():
            for kind in ("weight", "bias"):
                target = ours.get(f"{left}{our_name}.{kind}")
                # VideoMAE has no bias of the keys; attention does not depend on it.
                if target is not None:
                    target.copy_(theirs[f"{right}{their_name}.{kind}"])


def to_tensor(clips: np.ndarray) -> torch.Tensor:
    """uint8 (n, frames, height, width, 3) to float32 (n, frames, 3, height, width) in -1..1."""
    pixels = torch.from_numpy(np.array(clips)).permute(0, 1, 4, 2, 3).float()
    return pixels / 127.5 - 1


class _Learner(torch.nn.Module):
    def __init__(self, model: VideoMAEForVideoClassification) -> None:
        super().__init__()
        self.model = model
        self.factors = FactorHeads(model.config.hidden_size, KEYS)

    def loss(
        self, true: torch.Tensor, recoloured: torch.Tensor, labels: np.ndarray
    ) -> torch.Tensor:
        """Colour is learnt from ``true`` clips, shape from ``recoloured`` ones, motion from both.

        Labels (n_true + n_recoloured, 5), in this order.
        """
        features = self.model.videomae(torch.cat([true, recoloured])).last_hidden_state.mean(1)
        features = self.model.fc_norm(features)
        n = len(true)
        return self.factors.loss(
            features[:n], labels[:n], ("colour", "motion")
        ) + self.factors.loss(features[n:], labels[n:], ("object", "motion"))


def train(
    corpus: Corpus, coded: Corpus, clip: CLIPModel, steps: int, work: Path, seed: int
) -> VideoMAEForVideoClassification:
    """Train on raw and coded clips by halves; ``work`` holds the state."""
    learner = _Learner(create(clip))

    def loss(rng: np.random.Generator) -> torch.Tensor:
        picks = [np.sort(rng.integers(len(source), size=12)) for source in (corpus, coded)]
        raw, again = to_tensor(corpus.frames[picks[0]]), to_tensor(coded.frames[picks[1]])
        labels = corpus.labels[picks[0]], coded.labels[picks[1]]
        true = torch.cat([raw[:4], again[:4]])
        shapes = torch.cat(
            [paint(raw[4:], corpus.masks[picks[0][4:]], rng), recolour(again[4:], rng)]
        )
        return learner.loss(
            true + 0.05 * torch.randn_like(true),
            shapes + 0.05 * torch.randn_like(shapes),
            np.concatenate([labels[0][:4], labels[1][:4], labels[0][4:], labels[1][4:]]),
        )

    schedule = Schedule(steps, lr=8e-4, weight_decay=0.05, average=0.99, seed=seed)
    fit(learner, loss, schedule, work / "video_judge.state", "video classifier")
    learner.model.classifier = learner.factors.joint()
    return learner.model.eval()


@torch.no_grad()
def read(model: VideoMAEForVideoClassification, clips: np.ndarray) -> np.ndarray:
    """uint8 clips (n, 6, 64, 64, 3) to joint label ids (n,)."""
    parts = [clips[i : i + 32] for i in range(0, len(clips), 32)]
    return np.concatenate([model(to_tensor(part)).logits.argmax(1).numpy() for part in parts])
