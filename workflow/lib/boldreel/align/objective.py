"""What the alignment minimises, and how an epoch is judged.

Takes encodings and the features of clips; leaves losses. All cosines are between deviations from
the training mean: in CLIP space every embedding shares a large mean, which says nothing about the
clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from boldreel.align import identify
from boldreel.align.data import Trials
from boldreel.align.decoder import Calibration, Decoder, Encoding
from boldreel.align.features import ClipFeatures
from boldreel.align.loss import contrast, regression

# temperatures at which a validation contrast is computed; the best one counts
SCALES = (2.0, 4.0, 6.0, 8.0, 11.0, 14.3, 20.0, 30.0)


class Objective:
    """Half contrast with text, half with images (Chen et al., MinD-Video), plus the regression of
    condition tokens; weights from the config."""

    def __init__(self, features: ClipFeatures, calibration: Calibration, config: dict[str, Any]):
        device = calibration.image_mean.device
        self.config = config
        self.image = calibration.centred_image(torch.from_numpy(features.image).to(device))
        self.text = calibration.centred_text(torch.from_numpy(features.text).to(device))
        condition = torch.from_numpy(features.condition).to(device)
        self.condition = condition - calibration.condition_mean
        self.groups = torch.from_numpy(features.positives()).to(device)

    def __call__(
        self, encoding: Encoding, clips: np.ndarray, scale: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss of a batch whose rows are the clips of these numbers, and its parts."""
        own = encoding.deviations
        image = functional.normalize(own.image, dim=1)
        text = functional.normalize(own.text, dim=1)
        groups = self.groups[clips]
        parts = {
            "image": contrast(image, self.image[clips], scale, groups),
            "text": contrast(text, self.text[clips], scale, groups),
            "condition": regression(own.condition, self.condition[clips]),
        }
        weights = {name: self.config[f"{name}_weight"] for name in parts}
        loss = sum((weights[name] * part for name, part in parts.items()), torch.zeros(()))
        return loss, {name: float(part.detach()) for name, part in parts.items()}


@dataclass(frozen=True)
class Judgement:
    """losses (clips,): what each validation clip costs; shots (clips,); numbers for the history."""

    losses: np.ndarray
    shots: np.ndarray
    numbers: dict[str, float]

    def against(self, baseline: Judgement) -> dict[str, float]:
        """Numbers for the history. `val_bound` is the mean loss plus the standard error, over
        shots, of the difference to the baseline: the one-standard-error rule."""
        difference = self.losses - baseline.losses
        _, shot = np.unique(self.shots, return_inverse=True)
        by_shot = np.bincount(shot, difference) / np.bincount(shot)
        error = by_shot.std(ddof=1) / np.sqrt(len(by_shot)) if len(by_shot) > 1 else 0.0
        loss = float(self.losses.mean())
        return {"val_loss": loss, "val_bound": loss + float(error), **self.numbers}


@torch.no_grad()
def judge(decoder: torch.nn.Module, validation: Trials, config: dict[str, Any]) -> Judgement:
    """Decode the averaged validation responses and compare them with the clips' features."""
    assert isinstance(decoder, Decoder)
    device = decoder.present.device
    was_training = decoder.training
    decoder.eval()
    parts = torch.from_numpy(validation.averaged()).split(64)
    own = [decoder(part.to(device)).deviations for part in parts]
    decoder.train(was_training)
    features, calibration = validation.features, decoder.calibration
    objective = Objective(features, calibration, config)
    groups = objective.groups
    image = functional.normalize(torch.cat([part.image for part in own]), dim=1)
    text = functional.normalize(torch.cat([part.text for part in own]), dim=1)
    condition = torch.cat([part.condition for part in own]).flatten(1)
    cosine = functional.cosine_similarity(condition, objective.condition.flatten(1), dim=1)
    losses = (
        config["image_weight"] * _contrast_by_clip(image, objective.image, groups)
        + config["text_weight"] * _contrast_by_clip(text, objective.text, groups)
        + config["condition_weight"] * (1 - cosine)
    )
    similarity = identify.cosine(text.cpu().numpy(), objective.text.cpu().numpy())
    numbers = {
        "val_two_way": identify.two_way(similarity, groups.cpu().numpy()),
        "val_top1": identify.top_k(similarity, groups.cpu().numpy(), 1),
    }
    return Judgement(
        losses=losses.double().cpu().numpy(),
        shots=np.asarray(features.shots),
        numbers={name: float(np.diag(out.matrix).mean()) for name, out in numbers.items()},
    )


def best_scale(features: ClipFeatures, predicted: torch.Tensor, calibration: Calibration) -> float:
    """The scale at which text embeddings predicted for all clips (n, D) contrast best."""
    text = calibration.centred_text(torch.from_numpy(features.text).to(predicted))
    logits = functional.normalize(predicted, dim=1) @ text.T
    groups = torch.from_numpy(features.positives()).to(logits.device)
    losses = [_by_clip(scale * logits, groups).mean() for scale in SCALES]
    return SCALES[int(torch.stack(losses).argmin())]


def _by_clip(logits: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    same = (groups[:, None] == groups[None]).to(logits)
    shares = same / same.sum(1, keepdim=True)
    return functional.cross_entropy(logits, shares, reduction="none")


def _contrast_by_clip(
    predicted: torch.Tensor, target: torch.Tensor, groups: torch.Tensor
) -> torch.Tensor:
    """Contrast of each clip against all others at the best temperature, (n,)."""
    candidates = [_by_clip(scale * predicted @ target.T, groups) for scale in SCALES]
    return min(candidates, key=lambda losses: float(losses.mean()))
