"""What the alignment minimises, and how an epoch is judged.

Takes encodings and the features of clips; returns losses. All cosines are between deviations from
the training mean: in CLIP space every embedding shares a large mean, which says nothing about the
clip. The contrast between fMRI and CLIP goes in both directions (Radford et al. 2021; weights of Chen et
al., MinD-Video, NeurIPS 2023), with several positives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from boldreel.align import identify
from boldreel.align.data import Trials
from boldreel.align.settings import AlignSettings
from boldreel.data.features import ClipFeatures
from boldreel.models.decoder import Calibration, Decoder, Encoding
from boldreel.training.share import ALONE, Share

# temperatures at which a validation contrast is computed; the best one counts
SCALES = (2.0, 4.0, 6.0, 8.0, 11.0, 14.3, 20.0, 30.0)


def contrast(
    predicted: torch.Tensor, target: torch.Tensor, scale: torch.Tensor, groups: torch.Tensor
) -> torch.Tensor:
    """Symmetric InfoNCE with soft targets.

    predicted, target : (n, D), unit norm; scale : exp of the logit scale; groups : int (n,), rows of
    one group (a shot, a caption) are each other's right answers, in equal shares.
    """
    logits = scale * predicted @ target.T
    same = (groups[:, None] == groups[None]).to(logits)
    shares = same / same.sum(1, keepdim=True)
    forward = functional.cross_entropy(logits, shares)
    backward = functional.cross_entropy(logits.T, shares)
    return (forward + backward) / 2


def regression(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 - cosine between predicted and true deviations (n, ...) of condition tokens, mean over rows.

    Half the squared error between both once scaled to unit size, as they are scaled before use.
    """
    cosine = functional.cosine_similarity(predicted.flatten(1), target.flatten(1), dim=1)
    return (1 - cosine).mean()


class Objective:
    """Half contrast with text, half with images (Chen et al., MinD-Video), plus the regression of
    condition tokens; weights from the config."""

    def __init__(self, features: ClipFeatures, calibration: Calibration, settings: AlignSettings):
        device = calibration.image_mean.device
        self.settings = settings
        self.image = calibration.centred_image(torch.from_numpy(features.image).to(device))
        self.text = calibration.centred_text(torch.from_numpy(features.text).to(device))
        condition = torch.from_numpy(features.condition).to(device)
        self.condition = condition - calibration.condition_mean
        self.groups = torch.from_numpy(features.positives()).to(device)
        self.variants: dict[str, torch.Tensor] = {}
        for name, values, centred in (
            ("image", features.image_variants, calibration.centred_image),
            ("text", features.text_variants, calibration.centred_text),
        ):
            if values is not None:
                flat = centred(torch.from_numpy(values).to(device).flatten(0, 1))
                self.variants[name] = flat.unflatten(0, values.shape[:2])

    def targets(
        self, clips: torch.Tensor, name: str, share: float, generator: torch.Generator
    ) -> torch.Tensor:
        """Image or text targets (n, D) of clips: of so many, drawn at random, one of their variants.

        share : between 0 and 1; without variants every clip is its own target.
        """
        own = self.image if name == "image" else self.text
        own = own[clips.to(own.device)]
        if share <= 0 or name not in self.variants:
            return own
        values = self.variants[name]
        chosen = torch.rand(len(clips), generator=generator) < share
        which = torch.randint(values.shape[1], (len(clips),), generator=generator)
        other = values[clips.to(own.device), which.to(own.device)]
        return torch.where(chosen.to(own.device)[:, None], other, own)

    def __call__(
        self,
        encoding: Encoding,
        clips: torch.Tensor,
        scale: torch.Tensor,
        generator: torch.Generator,
        share: Share = ALONE,
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss of a batch whose rows are the clips of these numbers, and its parts.

        generator : draws the targets that are variants.
        share : of processes that train together each encodes its rows of the batch; the contrast is
            among the rows of all.
        """
        own = encoding.deviations
        image = share.gather(functional.normalize(own.image, dim=1))
        text = share.gather(functional.normalize(own.text, dim=1))
        condition = share.gather(own.condition)
        pictures = self.targets(clips, "image", self.settings.image_crop, generator)
        sentences = self.targets(clips, "text", self.settings.word_replacement, generator)
        clips = clips.to(image.device)
        groups = self.groups[clips]
        parts = {
            "image": contrast(image, pictures, scale, groups),
            "text": contrast(text, sentences, scale, groups),
            "condition": regression(condition, self.condition[clips]),
        }
        weights = {name: getattr(self.settings, f"{name}_weight") for name in parts}
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
def judge(decoder: torch.nn.Module, validation: Trials, settings: AlignSettings) -> Judgement:
    """Decode the averaged validation responses and compare them with the clips' features."""
    assert isinstance(decoder, Decoder)
    was_training = decoder.training
    decoder.eval()
    own = [encoding.deviations for encoding in decoded(decoder, validation)]
    decoder.train(was_training)
    features, calibration = validation.features, decoder.calibration
    objective = Objective(features, calibration, settings)
    groups = objective.groups
    image = functional.normalize(torch.cat([part.image for part in own]), dim=1)
    text = functional.normalize(torch.cat([part.text for part in own]), dim=1)
    condition = torch.cat([part.condition for part in own]).flatten(1)
    cosine = functional.cosine_similarity(condition, objective.condition.flatten(1), dim=1)
    losses = (
        settings.image_weight * _contrast_by_clip(image, objective.image, groups)
        + settings.text_weight * _contrast_by_clip(text, objective.text, groups)
        + settings.condition_weight * (1 - cosine)
    )
    similarity = identify.cosine(text.cpu().numpy(), objective.text.cpu().numpy())
    outcomes = {
        "val_two_way": identify.two_way(similarity, groups.cpu().numpy()),
        "val_top1": identify.top_k(similarity, groups.cpu().numpy(), 1),
    }
    numbers = {name: float(np.diag(out.matrix).mean()) for name, out in outcomes.items()}
    numbers["val_pool"] = len(text)
    numbers["val_rank"] = identify.effective_rank(text.cpu().numpy())
    numbers["val_rank_truth"] = identify.effective_rank(objective.text.cpu().numpy())
    return Judgement(
        losses=losses.double().cpu().numpy(), shots=np.asarray(features.shots), numbers=numbers
    )


def decoded(decoder: Decoder, trials: Trials) -> Iterator[Encoding]:
    """Encodings of the averaged showings of all clips, in parts."""
    device = decoder.present.device
    x = torch.from_numpy(trials.averaged())
    for low in range(0, len(x), 64):
        part = slice(low, low + 64)
        present = None
        if trials.present is not None:
            present = torch.from_numpy(trials.present[part]).to(device)
        yield decoder(x[part].to(device), present)


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
