"""What is seen in clips: class scores by frame and by video, CLIP embeddings, optical flow.

Takes uint8 clips and folders (or hub ids) of base models; leaves arrays. Pixels go through each
model's own PIL processor, so that they are the same with and without torchvision.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from boldreel.errors import UserError
from boldreel.evaluate import flow
from boldreel.training.progress import Progress


@dataclass(frozen=True)
class Readings:
    """Readings of n clips of F frames; None where the model was not given.

    image : float32 (n, F, classes) logits; video : float32 (n, classes) logits;
    embedding : float32 (n, F, D), unit norm; flow : float16 (n, F - 1, 2, side, side), see
    `boldreel.evaluate.flow`, which needs no model.
    """

    image: np.ndarray | None = None
    video: np.ndarray | None = None
    embedding: np.ndarray | None = None
    flow: np.ndarray | None = None

    def take(self, index: np.ndarray) -> Readings:
        """The readings of some clips, in the order of `index`."""
        parts = (self.image, self.video, self.embedding, self.flow)
        return Readings(*(None if part is None else part[index] for part in parts))


class Judges:
    """The frozen models, loaded once for all sets of clips.

    Parameters
    ----------
    image_classifier, video_classifier, clip : folder path or hub id, or None to do without.
    device : torch device. batch_size : clips at a time.
    """

    def __init__(
        self,
        image_classifier: str | None,
        video_classifier: str | None,
        clip: str | None,
        device: Any = "cpu",
        batch_size: int = 8,
    ) -> None:
        self.device, self.batch_size = device, batch_size
        self.image = self._open("AutoModelForImageClassification", image_classifier)
        self.video = self._open("AutoModelForVideoClassification", video_classifier)
        self.clip = self._open("CLIPModel", clip)

    def _open(self, kind: str, source: str | None) -> tuple[Any, Any] | None:
        if not source:
            return None
        import torch
        import transformers

        try:
            # One float type for all devices: weights may be stored as float16.
            transformers.utils.logging.disable_progress_bar()
            model = getattr(transformers, kind).from_pretrained(source, dtype=torch.float32)
            processor = transformers.AutoImageProcessor.from_pretrained(source, backend="pil")
        except (OSError, ValueError) as error:
            raise UserError(
                f"{source}: not a model that {kind} can load ({str(error).splitlines()[0]}); "
                "name a folder or a hub id, or run once with network access"
            ) from None
        return model.to(self.device).eval(), processor

    @property
    def parts(self) -> list[str]:
        """The readings that these judges give: of "image", "video", "embedding", and always "flow"."""
        pairs = {"image": self.image, "video": self.video, "embedding": self.clip}
        return [*(name for name, pair in pairs.items() if pair is not None), "flow"]

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
        parts: dict[str, list[np.ndarray]] = {"image": [], "video": [], "clip": [], "flow": []}
        with _quiet():
            for start in range(0, len(clips), self.batch_size):
                batch = np.asarray(clips[start : start + self.batch_size])
                if self.image:
                    parts["image"].append(_by_frame(self.image, batch, self.device, _logits))
                if self.video:
                    parts["video"].append(_by_video(self.video, batch, self.device))
                if self.clip:
                    parts["clip"].append(_by_frame(self.clip, batch, self.device, _embedding))
                parts["flow"].append(flow.flows(batch))
                progress.update(len(batch))
        joined = {name: np.concatenate(part) if part else None for name, part in parts.items()}
        return Readings(joined["image"], joined["video"], joined["clip"], joined["flow"])


@contextmanager
def _quiet() -> Iterator[None]:
    import torch

    with torch.inference_mode():
        yield


def _channels_last() -> Any:
    import torch

    return torch.channels_last


def _logits(model: Any, pixels: Any) -> Any:
    return model(pixel_values=pixels).logits


def _embedding(model: Any, pixels: Any) -> Any:
    out = model.get_image_features(pixel_values=pixels)
    features = getattr(out, "pooler_output", out)  # a tensor before transformers 5
    return features / features.norm(dim=-1, keepdim=True)


def _by_frame(pair: tuple[Any, Any], clips: np.ndarray, device: Any, call: Any) -> np.ndarray:
    model, processor = pair
    n, frames = clips.shape[:2]
    images = list(clips.reshape(-1, *clips.shape[2:]))
    pixels = processor(images=images, return_tensors="pt", input_data_format="channels_last")
    # Convolutions run nearly twice as fast with channels last.
    values = pixels["pixel_values"].to(device).contiguous(memory_format=_channels_last())
    return call(model, values).float().cpu().numpy().reshape(n, frames, -1)


def frame_index(have: int, want: int) -> np.ndarray:
    """Which of `have` evenly spaced frames to show at each of `want` times: the one shown then."""
    return (np.arange(want) * have) // want


def _by_video(pair: tuple[Any, Any], clips: np.ndarray, device: Any) -> np.ndarray:
    model, processor = pair
    want = int(getattr(model.config, "num_frames", None) or clips.shape[1])
    shown = clips[:, frame_index(clips.shape[1], want)]
    pixels = processor(
        [list(clip) for clip in shown], return_tensors="pt", input_data_format="channels_last"
    )
    return model(pixel_values=pixels["pixel_values"].to(device)).logits.float().cpu().numpy()
