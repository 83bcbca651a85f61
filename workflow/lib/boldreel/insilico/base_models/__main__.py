"""Make the tiny base models of the embedded world and measure their gates.

Reads a seed and nothing else (no download); writes ``clip``, ``diffusion``, ``image_classifier``,
``video_classifier``, ``video`` and ``gates.json`` below ``--out``. What is finished is kept in ``--work``; an
interrupted run goes on from there. Two runs with different ``--only`` may go on side by side.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from boldreel import step
from boldreel.data import atomic
from boldreel.insilico.base_models import (
    clip,
    corpus,
    folders,
    gates,
    judge,
    unet,
    vae,
    video,
    video_judge,
)
from boldreel.insilico.base_models.corpus import Corpus
from boldreel.insilico.base_models.video import Described

MODELS = ("vae", "clip", "image_classifier", "video_classifier", "unet", "video")


@dataclass(frozen=True)
class Recipe:
    """Numbers of items and training steps; ``scaled`` gives a shortened version of everything."""

    frames: int = 40_000
    clips: int = 6_000
    test_frames: int = 1_024
    test_clips: int = 512
    coded_frames: int = 3_000
    coded_clips: int = 1_500
    blobs: int = 6_000
    coded_blobs: int = 1_500
    vae_crop_steps: int = 1_500
    vae_frame_steps: int = 1_200
    vae_decoder_steps: int = 1_000
    clip_steps: int = 1_000
    clip_image_steps: int = 4_000
    image_classifier_steps: int = 1_500
    video_classifier_steps: int = 2_000
    unet_frames: int = 40_000
    unet_steps: int = 6_000
    shots: int = 8_000
    test_shots: int = 400
    video_steps: int = 6_000
    samples: int = 192

    def scaled(self, factor: float) -> Recipe:
        """All numbers times ``factor``, at least 4 each."""
        return Recipe(
            **{key: max(4, round(n * factor)) for key, n in dataclasses.asdict(self).items()}
        )


class Workshop:
    """Makes each model once and keeps it, in float32, below ``work``."""

    def __init__(self, out: Path, work: Path, recipe: Recipe, seed: int) -> None:
        self.out, self.work, self.recipe, self.seed = out, work, recipe, seed
        work.mkdir(parents=True, exist_ok=True)

    def corpus(self, kind: str, split: str) -> corpus.Corpus:
        """Frames or clips (``kind``) of ``train``, ``seen`` or ``held_out`` (``split``)."""
        n_frames = 1 if kind == "frames" else corpus.CLIP_FRAMES
        n_items = getattr(self.recipe, kind if split == "train" else f"test_{kind}")
        # Corpora of different kind, split and seed never share a generator.
        place = 2 * ("train", "seen", "held_out").index(split) + ("frames", "clips").index(kind)
        return corpus.build(
            self.work / "corpus" / f"{split}_{kind}",
            n_items,
            n_frames,
            seed=1000 * self.seed + place + 11,
            held_out=split == "held_out",
            name=f"{split} {kind}",
        )

    def vae(self) -> Any:
        from diffusers import AutoencoderKL

        return self._once("vae", AutoencoderKL, self._train_vae)

    def _train_vae(self) -> Any:
        return vae.train(
            self.corpus("frames", "train"),
            self.recipe.vae_crop_steps,
            self.recipe.vae_frame_steps,
            self.recipe.vae_decoder_steps,
            self.work,
            self.seed + 101,
        )

    def clip(self) -> tuple[Any, Any]:
        """The model and its tokenizer."""
        from transformers import CLIPModel

        model = self._once("clip", CLIPModel, self._train_clip)
        return model, clip.create_tokenizer()

    def _train_clip(self) -> Any:
        return clip.train(
            self.corpus("frames", "train"),
            self.recipe.clip_steps,
            self.recipe.clip_image_steps,
            self.work,
            self.seed + 201,
        )[0]

    def image_classifier(self) -> Any:
        from transformers import ResNetForImageClassification

        return self._once(
            "image_classifier", ResNetForImageClassification, self._train_image_classifier
        )

    def _train_image_classifier(self) -> Any:
        frames = self.corpus("frames", "train")
        after = vae.coded_corpus(
            self.vae(), frames, self.recipe.coded_frames, self.work / "coded_frames.npy"
        )
        blobs = corpus.build(
            self.work / "corpus" / "blobs",
            self.recipe.blobs,
            1,
            seed=1000 * self.seed + 21,
            held_out=False,
            name="blobs",
            blobs=True,
        )
        blobs_after = vae.coded_corpus(
            self.vae(), blobs, self.recipe.coded_blobs, self.work / "coded_blobs.npy"
        )
        steps, seed = self.recipe.image_classifier_steps, self.seed + 301
        return judge.train(frames, after, blobs, blobs_after, steps, self.work, seed)

    def video_classifier(self) -> Any:
        from transformers import VideoMAEForVideoClassification

        return self._once(
            "video_classifier", VideoMAEForVideoClassification, self._train_video_classifier
        )

    def _train_video_classifier(self) -> Any:
        clips = self.corpus("clips", "train")
        after = vae.coded_corpus(
            self.vae(), clips, self.recipe.coded_clips, self.work / "coded_clips.npy"
        )
        steps = self.recipe.video_classifier_steps
        return video_judge.train(clips, after, self.clip()[0], steps, self.work, self.seed + 401)

    def unet(self) -> Any:
        from diffusers import UNet2DConditionModel

        return self._once("unet", UNet2DConditionModel, self._train_unet)

    def _train_unet(self) -> Any:
        frames = self.corpus("frames", "train").first(self.recipe.unet_frames)
        tokenizer = clip.create_tokenizer()
        # Decoder and image tower may still be in training: the denoiser needs neither.
        autoencoder = vae.locked_encoder(self.work, frames) or self.vae()
        model = clip.locked_text(self.work) or self.clip()[0]

        def leave(average: Any) -> None:
            folders.save_diffusion(self.out, autoencoder, average, model, tokenizer)

        steps, seed = self.recipe.unet_steps, self.seed + 501
        return unet.train(
            frames, autoencoder, model, tokenizer, steps, self.work, seed, snapshot=leave
        )

    def shots(self, split: str) -> tuple[Corpus, Described]:
        """Clips out of longer shots, and what the video prior is told of them; from shipped models."""
        models = gates.load(self.out)
        place = ("train", "seen", "held_out").index(split)
        clips = corpus.build(
            self.work / "corpus" / f"{split}_shots",
            self.recipe.shots if split == "train" else self.recipe.test_shots,
            corpus.CLIP_FRAMES,
            seed=1000 * self.seed + 71 + place,
            held_out=split == "held_out",
            name=f"{split} shots",
            longest=video.LONGEST_SHOT,
        )
        known = video.describe(
            clips,
            models["vae"],
            models["clip"],
            models["tokenizer"],
            self.work / f"described_{split}",
        )
        return clips, known

    def video(self) -> Any:
        """The prior of clips, which starts from the image network as it ships."""
        from boldreel.base_models import video as folder

        kept = self.work / "video"
        if not kept.exists():
            _, known = self.shots("train")
            image = gates.load(self.out)["unet"]
            steps, seed = self.recipe.video_steps, self.seed
            network = video.train(known, image, steps, self.work, seed)
            with atomic.folder(kept) as aside:
                folder.save(network, aside, {})
        return folder.read(kept)

    def _once(self, name: str, kind: Any, make: Callable[[], Any]) -> Any:
        """The finished model of an earlier run, or a new one."""
        folder = self.work / name
        if not folder.exists():
            model = make()
            with atomic.folder(folder) as aside:
                model.save_pretrained(aside)
        return kind.from_pretrained(folder).eval()

    def ship(self, name: str) -> None:
        """Make model ``name`` and write the folder that it belongs to."""
        self.out.mkdir(parents=True, exist_ok=True)
        if name == "vae":
            self.vae()  # ships with the denoiser
        elif name == "clip":
            folders.save_clip(self.out, *self.clip())
        elif name == "image_classifier":
            folders.save_image_classifier(self.out, self.image_classifier())
        elif name == "video_classifier":
            folders.save_video_classifier(self.out, self.video_classifier())
        elif name == "video":
            folders.save_video(self.out, self.video())
        else:
            denoiser = self.unet()  # first: it waits for the least
            folders.save_diffusion(self.out, self.vae(), denoiser, *self.clip())

    def measure(self) -> None:
        """Measure the shipped folders; write ``gates.json``, and its table where there is a README."""
        rows = gates.measure(
            self.out,
            {split: self.corpus("frames", split) for split in ("seen", "held_out")},
            {split: self.corpus("clips", split) for split in ("seen", "held_out")},
            {split: self.shots(split) for split in ("seen", "held_out")},
            self.recipe.samples,
        )
        atomic.write_text(self.out / "gates.json", json.dumps(rows, indent=1) + "\n")
        if (self.out / "README.md").exists():
            gates.write_table(self.out / "README.md", rows)
        missed = [row["name"] for row in rows if row["met"] is False]
        print(f"gates missed: {', '.join(missed) or 'none'}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the shipped models")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("state/base_models"),
        help="folder of corpora and unfinished training (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full training")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=("corpora", *MODELS, "gates"),
        default=[*MODELS, "gates"],
        help="make only these (what they need is made too)",
    )
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    recipe = Recipe().scaled(options.scale)
    workshop = Workshop(options.out, options.work, recipe, options.seed)
    for name in options.only:
        if name == "corpora":
            for kind in ("frames", "clips"):
                workshop.corpus(kind, "train")
        elif name == "gates":
            workshop.measure()
        else:
            workshop.ship(name)


if __name__ == "__main__":
    step.run(main)
