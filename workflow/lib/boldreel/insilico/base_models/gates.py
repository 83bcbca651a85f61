"""The gates: what the shipped models must be able to do before anyone builds on them.

Takes the folders as they ship (float16, loaded like any Hugging Face model) and test items of other
seeds; returns the measured numbers, each next to its gate. Items with HELD_OUT pairs of object and
colour, which no training ever saw, are reported apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from boldreel.base_models import video
from boldreel.data import atomic
from boldreel.insilico.base_models import clip, judge, unet, vae, video_judge
from boldreel.insilico.base_models.corpus import Corpus

if TYPE_CHECKING:
    from boldreel.insilico.base_models.video import Described

GUIDANCE = 3.0
SAMPLE_STEPS = 25
# The least each number may be.
PSNR_DB, JUDGED, ZERO_SHOT, SAMPLED, DIRECTED = 25.0, 0.95, 0.8, 0.8, 0.85


class Gates:
    """Measured numbers with the least they may be."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, name: str, value: float, least: float | None) -> None:
        """Note and print a number; ``least`` is None for one without a gate."""
        met = None if least is None else bool(value >= least)
        self.rows.append({"name": name, "value": round(value, 4), "least": least, "met": met})
        verdict = "" if met is None else f"(at least {least:g}: {'met' if met else 'MISSED'})"
        print(f"gate  {name:<58} {value:7.3f}  {verdict}", flush=True)


HEADING = "## Measured gates"


def write_table(page: Path, rows: list[dict[str, Any]]) -> None:
    """Put the measured numbers in place of everything below HEADING on a Markdown page."""
    lines = [
        HEADING,
        "",
        'As the command printed them (`gates.json`); "held_out" items show the pairs that no training '
        "ever saw.",
        "",
        "| gate | measured | at least | |",
        "|---|---|---|---|",
    ]
    for row in rows:
        least = "" if row["least"] is None else f"{row['least']:g}"
        verdict = {None: "", True: "met", False: "missed"}[row["met"]]
        lines.append(f"| {row['name']} | {row['value']:.3f} | {least} | {verdict} |")
    before = page.read_text(encoding="utf-8").partition(HEADING)[0]
    atomic.write_text(page, before + "\n".join(lines) + "\n")


def load(out: Path) -> dict[str, Any]:
    """All shipped models in float32, by ``from_pretrained`` alone."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import (
        AutoModelForImageClassification,
        AutoModelForVideoClassification,
        CLIPModel,
        CLIPTextModel,
        CLIPTokenizer,
    )

    single = {"dtype": torch.float32}
    models = {
        "clip": CLIPModel.from_pretrained(out / "clip", dtype=torch.float32),
        "vae": AutoencoderKL.from_pretrained(out / "diffusion", subfolder="vae", **single),
        "unet": UNet2DConditionModel.from_pretrained(out / "diffusion", subfolder="unet", **single),
        "text_encoder": CLIPTextModel.from_pretrained(
            out / "diffusion", subfolder="text_encoder", dtype=torch.float32
        ),
        "judge": AutoModelForImageClassification.from_pretrained(
            out / "image_classifier", dtype=torch.float32
        ),
        "video_judge": AutoModelForVideoClassification.from_pretrained(
            out / "video_classifier", dtype=torch.float32
        ),
    }
    for model in models.values():
        model.eval()
    models["tokenizer"] = CLIPTokenizer.from_pretrained(out / "clip")
    if (out / video.ROLE).is_dir():  # it is made of the others
        models["video"] = video.read(out / video.ROLE)
    return models


def measure(
    out: Path,
    frames: dict[str, Corpus],
    clips: dict[str, Corpus],
    shots: dict[str, tuple[Corpus, Described]],
    n_samples: int,
) -> list[dict[str, Any]]:
    """Measure every gate.

    Parameters
    ----------
    frames, clips : test items by name, ``seen`` and ``held_out`` pairs.
    shots : clips out of longer shots, with what the video prior is told of them.
    n_samples : number of captions to sample from, for each of the two.
    """
    models, gates = load(out), Gates()
    for name, corpus in frames.items():
        _frame_gates(gates, models, name, corpus)
    for name, corpus in clips.items():
        _clip_gates(gates, models, name, corpus)
    for name, corpus in frames.items():
        _sample_gates(gates, models, name, corpus, n_samples)
    for name, (corpus, described) in shots.items() if "video" in models else ():
        _video_gates(gates, models, name, corpus, described)
    return gates.rows


def _frame_gates(gates: Gates, models: dict[str, Any], name: str, corpus: Corpus) -> None:
    raw = np.ascontiguousarray(corpus.frames[:, 0])
    after = vae.code(models["vae"], corpus.frames)[:, 0]
    gates.add(f"vae PSNR dB, {name} frames", float(vae.psnr(raw, after).mean()), PSNR_DB)
    for state, pictures in (("raw", raw), ("coded", after)):
        read = judge.read(models["judge"], pictures)
        for key, value in judge.factor_accuracy(read, corpus.labels, judge.KEYS).items():
            gates.add(f"image classifier {key}, {state} {name} frames", value, JUDGED)
    for key in clip.SEEN_IN_A_FRAME:
        found = clip.zero_shot(models["clip"], models["tokenizer"], corpus, key)
        least = ZERO_SHOT if key == "object" else None
        gates.add(f"clip zero-shot {key}, {name} frames", found, least)


def _clip_gates(gates: Gates, models: dict[str, Any], name: str, corpus: Corpus) -> None:
    after = vae.code(models["vae"], corpus.frames)
    for state, pictures in (("raw", corpus.frames), ("coded", after)):
        read = video_judge.read(models["video_judge"], pictures)
        for key, value in judge.factor_accuracy(read, corpus.labels, video_judge.KEYS).items():
            gates.add(f"video classifier {key}, {state} {name} clips", value, JUDGED)


def _sample_gates(
    gates: Gates, models: dict[str, Any], name: str, corpus: Corpus, n_samples: int
) -> None:
    labels = corpus.labels[:n_samples]
    pictures = sample_frames(models, corpus.captions()[:n_samples])
    found = judge.factor_accuracy(judge.read(models["judge"], pictures), labels, judge.KEYS)
    for key, value in found.items():
        # Combinations never seen are the generator's to fail: reported, not required.
        least = SAMPLED if name == "seen" and key != "background" else None
        gates.add(f"samples read as asked, {key}, {name} captions", value, least)


def _video_gates(
    gates: Gates, models: dict[str, Any], name: str, corpus: Corpus, described: Described
) -> None:
    """What the video prior draws from meaning and motion, and from everything."""
    from boldreel.insilico.base_models.video import all_scores

    network = models["video"]
    scores = torch.cat(all_scores(network, described), dim=1)
    known = torch.stack([scores, torch.ones_like(scores)], dim=1)
    words = known.clone()
    words[:, :, network.known[2]] = 0
    for told, what in ((words, "meaning and motion"), (known, "everything")):
        drawn = draw_clips(models, told)
        read = video_judge.read(models["video_judge"], drawn)
        for key, value in judge.factor_accuracy(read, corpus.labels, video_judge.KEYS).items():
            least = DIRECTED if key == "motion" and name == "seen" else None
            gates.add(f"clips from {what}, {key} by the video judge, {name}", value, least)
        read = judge.read(models["judge"], drawn[:, drawn.shape[1] // 2])
        for key, value in judge.factor_accuracy(read, corpus.labels, judge.KEYS).items():
            gates.add(f"clips from {what}, {key} by the frame judge, {name}", value, None)
        for order, word in ((1, "change"), (2, "second difference")):
            ratio = _change(drawn, order) / _change(corpus.frames, order)
            gates.add(f"clips from {what}, {word} over the truth's, {name}", ratio, None)


def _change(clips: np.ndarray, order: int) -> float:
    return float(np.abs(np.diff(np.asarray(clips).astype(np.int16), n=order, axis=1)).mean())


@torch.no_grad()
def draw_clips(
    models: dict[str, Any], known: torch.Tensor, steps: int = 8, guidance: float = 2.0
) -> np.ndarray:
    """uint8 clips (n, 6, 64, 64, 3) of which this is known, (n, 2, K)."""
    from boldreel.models.packed_loss import draw

    parts = []
    for low in range(0, len(known), 32):
        told = known[low : low + 32]
        latents = draw(
            models["video"],
            unet.create_scheduler(),
            told,
            [torch.Generator().manual_seed(low + k) for k in range(len(told))],
            size=(unet.LATENT_SIZE, unet.LATENT_SIZE),
            steps=steps,
            guidance=guidance,
            guided_share=0.6,
        )
        frames = vae.decode(models["vae"], latents.flatten(0, 1))
        parts.append(frames.reshape(len(told), -1, *frames.shape[1:]))
    return np.concatenate(parts)


def sample_frames(
    models: dict[str, Any], captions: list[str], guidance: float = GUIDANCE, seed: int = 0
) -> np.ndarray:
    """uint8 frames (n, 64, 64, 3) for captions."""
    latents = unet.sample(
        models["unet"],
        models["text_encoder"],
        models["tokenizer"],
        captions,
        SAMPLE_STEPS,
        guidance,
        seed,
    )
    return vae.decode(models["vae"], latents)
