"""What is seen in clips: class scores by frame and by video, embeddings, layers, captions, optical flow.

Takes uint8 clips and folders (or hub ids) of base models; returns arrays. Pixels go through each
model's own PIL processor, so that they are the same with and without torchvision.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from boldreel.data.frames import frame_index
from boldreel.evaluate import alexnet, captions, layers
from boldreel.evaluate.lpips import Lpips
from boldreel.models import optical_flow
from boldreel.training.progress import Progress


@dataclass(frozen=True)
class Readings:
    """Readings of n clips of F frames; None if the model was not given.

    image : float32 (n, F, classes) logits; video : float32 (n, classes) logits;
    embedding : float32 (n, F, D), unit norm; flow : float16 (n, F - 1, 2, side, side), see
    `boldreel.models.optical_flow`, which needs no model; early, late : float16 (n, F, D), unit norm, see
    `boldreel.evaluate.layers`; caption : text (n,); sentence : float32 (n, D), its embedding, unit norm.
    """

    image: np.ndarray | None = None
    video: np.ndarray | None = None
    embedding: np.ndarray | None = None
    flow: np.ndarray | None = None
    early: np.ndarray | None = None
    late: np.ndarray | None = None
    caption: np.ndarray | None = None
    sentence: np.ndarray | None = None

    def take(self, index: np.ndarray) -> Readings:
        """The readings of some clips, in the order of `index`."""
        parts = (getattr(self, field.name) for field in fields(self))
        return Readings(*(None if part is None else part[index] for part in parts))

    def joined(self, other: Readings) -> Readings:
        """These readings and after them those of further clips by the same judges."""
        pairs = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return Readings(*(None if a is None else np.concatenate([a, b]) for a, b in pairs))


@dataclass(frozen=True)
class Models:
    """Base models: a folder or hub id each, or None to do without.

    alexnet is a file of weights; caption an image-to-text model; sentence a model of sentences.
    """

    image_classifier: str | None = None
    video_classifier: str | None = None
    clip: str | None = None
    alexnet: str | None = None
    caption: str | None = None
    sentence: str | None = None

    @staticmethod
    def add_arguments(arguments: argparse.ArgumentParser) -> None:
        """Add an option for each to a step's command line."""
        arguments.add_argument("--image-classifier", help="folder or hub id")
        arguments.add_argument("--video-classifier", help="folder or hub id")
        arguments.add_argument("--clip-model", help="folder or hub id")
        arguments.add_argument(
            "--alexnet", help="file of torchvision's weights, .pth or .safetensors"
        )
        arguments.add_argument("--captioner", help="folder or hub id of an image-to-text model")
        arguments.add_argument("--sentence-model", help="folder or hub id of a sentence embedder")

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> Models:
        """Those that the command line names."""
        return cls(
            image_classifier=args.image_classifier,
            video_classifier=args.video_classifier,
            clip=args.clip_model,
            alexnet=args.alexnet,
            caption=args.captioner,
            sentence=args.sentence_model,
        )

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any(getattr(self, field.name) for field in fields(self))


class Judges:
    """The frozen models, loaded once for all sets of clips.

    Parameters
    ----------
    device : torch device. batch_size : clips at a time.
    known : captions from which one is chosen where there is CLIP and no captioner.
    video_frames : what a VideoMAE sees, the frames of a "clip" or as many as the "model" was trained on.
    """

    def __init__(
        self,
        models: Models,
        device: Any = "cpu",
        batch_size: int = 8,
        known: Sequence[str] = (),
        video_frames: str = "clip",
    ) -> None:
        self.device, self.batch_size = device, batch_size
        self.video_frames = video_frames
        self.image = self._open("image_classifier", models, "AutoModelForImageClassification")
        self.video = self._open("video_classifier", models, "AutoModelForVideoClassification")
        self.clip = self._open("clip", models, "CLIPModel")
        self.alexnet = None
        self.lpips: Lpips | None = None
        if models.alexnet:
            self.alexnet = alexnet.load(models.alexnet).to(device)
            self.lpips = Lpips(self.alexnet, device)
        self.sentences, self.describer = self._texts(models, known)

    def _texts(self, models: Models, known: Sequence[str]) -> tuple[Any, Any]:
        """(what embeds captions, what gives them), None if there is no model for it."""
        choice = [] if models.caption else sorted(set(known) - {""})
        by_clip = None
        if self.clip is not None and (models.caption or choice):
            by_clip = captions.ClipText.of(self.clip[0], str(models.clip))
        sentences: Any = by_clip
        if models.sentence:
            sentences = captions.Sentences(models.sentence, self.device)
        if models.caption:
            return sentences, captions.Generated(models.caption, self.device)
        if by_clip is None:
            return sentences, None
        return sentences, captions.Nearest(choice, by_clip.embed(choice))

    def _open(self, role: str, models: Models, kind: str) -> tuple[Any, Any] | None:
        name = getattr(models, role)
        if not name:
            return None
        import transformers

        from boldreel.base_models import frozen

        return frozen.load_viewer(role, name, getattr(transformers, kind), self.device)

    @property
    def parts(self) -> list[str]:
        """The readings that take a look at pictures, of those that these judges give."""
        pairs = {"image": self.image, "video": self.video, "embedding": self.clip}
        found = [*(name for name, pair in pairs.items() if pair is not None), "flow"]
        if self.layers:
            found += ["early", "late"]
        if self.describer is not None and self.describer.stored:
            found.append("caption")
        return found

    @property
    def kinds(self) -> list[str]:
        """What there is for `measures.left_out`: the readings, "lpips" and "captions"."""
        more = {"lpips": self.lpips, "captions": self.describer}
        return [*self.parts, *(name for name, one in more.items() if one is not None)]

    @property
    def sentences_name(self) -> str | None:
        """What embeds captions."""
        return None if self.sentences is None else self.sentences.name

    @property
    def layers(self) -> tuple[str, str] | None:
        """Names of the early and the late layer that are looked at."""
        if self.alexnet is not None:
            return layers.ALEXNET
        return layers.CLASSIFIER if self.image is not None else None

    def labels(self, which: str) -> list[str]:
        """Class names of the "image" or "video" classifier; empty without that model."""
        pair = getattr(self, which)
        if pair is None:
            return []
        names = pair[0].config.id2label
        return [str(names[k]) for k in range(len(names))]

    def read(self, clips: np.ndarray, what: str = "clips") -> Readings:
        """Readings of uint8 clips (n, F, h, w, 3); `what` names them in the progress lines."""
        progress = Progress(len(clips), f"judge {what}", unit="clips")
        parts: dict[str, list[np.ndarray]] = {part: [] for part in self.parts}
        with _quiet():
            for start in range(0, len(clips), self.batch_size):
                batch = np.asarray(clips[start : start + self.batch_size])
                for name, values in self._of_batch(batch).items():
                    parts[name].append(values)
                progress.update(len(batch))
        return Readings(**{name: np.concatenate(part) for name, part in parts.items() if part})

    def _of_batch(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        n, frames = batch.shape[:2]
        found: dict[str, np.ndarray] = {"flow": optical_flow.flows(batch)}

        def by_clip(rows: np.ndarray) -> np.ndarray:
            return rows.reshape(n, frames, -1)

        if self.image:
            wanted = self.alexnet is None
            out = self.image[0](
                pixel_values=_pixels(self.image[1], batch, self.device), output_hidden_states=wanted
            )
            found["image"] = by_clip(out.logits.float().cpu().numpy())
            if wanted:
                pair = layers.of_hidden_states(out.hidden_states)
                found["early"], found["late"] = map(by_clip, pair)
        if self.alexnet is not None:
            pair = layers.of_alexnet(self.alexnet, batch.reshape(-1, *batch.shape[2:]), self.device)
            found["early"], found["late"] = map(by_clip, pair)
        if self.video:
            if self.video_frames == "clip":
                _see_frames(self.video[0], frames)
            found["video"] = _by_video(self.video, batch, self.device)
        if self.clip:
            pixels = _pixels(self.clip[1], batch, self.device)
            found["embedding"] = by_clip(_embedding(self.clip[0], pixels))
        if self.describer is not None and self.describer.stored:
            found["caption"] = np.array(self.describer.describe(batch, None))
        return found

    def described(
        self, readings: Readings, clips: np.ndarray, captions: Sequence[str] | None = None
    ) -> Readings:
        """The readings with captions, those given or the describer's, and their embeddings.

        Without a describer there is nothing to compare captions with, and none are added.
        """
        if self.describer is None:
            return readings
        texts = captions if captions is not None else readings.caption
        if texts is None:
            texts = self.describer.describe(clips, readings.embedding)
        embedded = None
        if self.sentences is not None:
            unique, row = np.unique(np.asarray(texts), return_inverse=True)
            embedded = self.sentences.embed([str(text) for text in unique])[row]
        return replace(readings, caption=np.asarray(texts), sentence=embedded)


@contextmanager
def _quiet() -> Iterator[None]:
    import torch

    with torch.inference_mode():
        yield


def _embedding(model: Any, pixels: Any) -> np.ndarray:
    out = model.get_image_features(pixel_values=pixels)
    features = getattr(out, "pooler_output", out)  # a tensor before transformers 5
    return (features / features.norm(dim=-1, keepdim=True)).float().cpu().numpy()


def _pixels(processor: Any, clips: np.ndarray, device: Any) -> Any:
    """Frames of clips (n, F, h, w, 3) as the processor's model takes them."""
    import torch

    images = list(clips.reshape(-1, *clips.shape[2:]))
    pixels = processor(images=images, return_tensors="pt", input_data_format="channels_last")
    # Convolutions run nearly twice as fast with channels last.
    return pixels["pixel_values"].to(device).contiguous(memory_format=torch.channels_last)


def _see_frames(model: Any, frames: int) -> None:
    """Let a VideoMAE see this many frames, as `from_pretrained(..., num_frames=frames)` does.

    Its positions are a fixed code, and no weight depends on their number. Other models stay as they are.
    """
    config = model.config
    if config.model_type != "videomae" or not config.tubelet_size <= frames != config.num_frames:
        return
    from transformers.models.videomae.modeling_videomae import VideoMAEEmbeddings

    config.num_frames = frames
    model.videomae.embeddings.position_embeddings = VideoMAEEmbeddings(config).position_embeddings


def _by_video(pair: tuple[Any, Any], clips: np.ndarray, device: Any) -> np.ndarray:
    model, processor = pair
    want = int(getattr(model.config, "num_frames", None) or clips.shape[1])
    shown = clips[:, frame_index(clips.shape[1], want)]
    pixels = processor(
        [list(clip) for clip in shown], return_tensors="pt", input_data_format="channels_last"
    )
    return model(pixel_values=pixels["pixel_values"].to(device)).logits.float().cpu().numpy()
