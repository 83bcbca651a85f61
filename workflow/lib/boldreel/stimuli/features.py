"""Frozen features of movies: what brain responses are aligned with.

Reads the movies' frames and clips and two base models; writes in a folder for each movie, or batch of movies,
image.npy
(float32, frames x D, unit-norm CLIP image embeddings), text.npy (float32, clips x D, unit-norm CLIP
text embeddings of the captions) and condition.npy (float32, clips x tokens x width, last hidden states
of the diffusion model's own text encoder, padded to its full length: what its cross-attention was
trained on); motion.npy (float32, clips x 6, `models.motion`) and
sketch.npy (float32, clips x 4 x 8 x 8, `models.sketch`). Rows of all but the first follow the movie's
clips in the clips table. For training movies also
image_variants.npy and text_variants.npy (float32, clips x variants x D): embeddings of random crops of a
clip's middle frame, and of its caption with a word replaced (`variants`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel import step
from boldreel.data import arrays, atomic, batches, provenance, tables
from boldreel.errors import UserError
from boldreel.models import motion, sketch
from boldreel.settings import read
from boldreel.stimuli import variants
from boldreel.stimuli.settings import StimuliSettings
from boldreel.training import device
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    import pandas as pd
    import torch

_BATCH = 64


def embed_images(
    frames: np.ndarray | Sequence[np.ndarray], model: Any, processor: Any
) -> np.ndarray:
    """CLIP image embeddings (n, D), float32, unit norm.

    Parameters
    ----------
    frames : uint8 (n, h, w, 3), RGB, may be memory-mapped; or a list of pictures of any sizes
    """
    import torch

    progress = Progress(len(frames), "CLIP image features")
    parts = []
    with torch.inference_mode():
        for low in range(0, len(frames), _BATCH):
            batch = [np.asarray(frame) for frame in frames[low : low + _BATCH]]
            pixels = processor(images=batch, return_tensors="pt")["pixel_values"]
            pixels = pixels.to(model.device, model.dtype)
            parts.append(_unit(_embedding(model.get_image_features(pixel_values=pixels))))
            progress.update(len(batch))
    return np.concatenate(parts)


def embed_texts(texts: list[str], model: Any, tokenizer: Any) -> np.ndarray:
    """CLIP text embeddings (n, D), float32, unit norm; longer texts are cut at the model's length."""
    import torch

    parts = []
    with torch.inference_mode():
        for low in range(0, len(texts), _BATCH):
            tokens = _tokens(texts[low : low + _BATCH], tokenizer, model.config.text_config, model)
            parts.append(_unit(_embedding(model.get_text_features(**tokens))))
    return np.concatenate(parts)


def condition_states(texts: list[str], encoder: Any, tokenizer: Any) -> np.ndarray:
    """Last hidden states (n, tokens, width) of the diffusion model's text encoder, float32.

    Padded to the encoder's full length without a mask, as StableDiffusionPipeline does.
    """
    import torch

    parts = []
    with torch.inference_mode():
        for low in range(0, len(texts), _BATCH):
            tokens = _tokens(texts[low : low + _BATCH], tokenizer, encoder.config, encoder)
            states = encoder(input_ids=tokens["input_ids"]).last_hidden_state
            parts.append(states.float().cpu().numpy())
    return np.concatenate(parts)


def _tokens(texts: list[str], tokenizer: Any, config: Any, model: Any) -> Any:
    length = min(tokenizer.model_max_length, config.max_position_embeddings)
    return tokenizer(
        texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    ).to(model.device)


def _embedding(answer: Any) -> torch.Tensor:
    """transformers 5 answers with an output object, 4 with the tensor itself."""
    return getattr(answer, "pooler_output", answer)


def _unit(vectors: torch.Tensor) -> np.ndarray:
    vectors = vectors.float()
    return (vectors / vectors.norm(dim=-1, keepdim=True)).cpu().numpy()


def main(argv: list[str] | None = None) -> None:
    from boldreel.base_models import frozen

    arguments = step.parser(__doc__)
    arguments.add_argument("--frames", type=Path, nargs="+", required=True)
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument(
        "--movie", nargs="+", required=True, help="or batch of movies, one for each --frames"
    )
    arguments.add_argument("--clip-model", required=True, help="folder or hub id")
    arguments.add_argument("--diffusion-model", required=True, help="folder or hub id")
    arguments.add_argument("--output", type=Path, nargs="+", required=True, help="likewise")
    arguments.add_argument(
        "--training-movies",
        nargs="*",
        default=[],
        help="these, or movies of these batches, get variants",
    )
    args = arguments.parse_args(argv)
    settings = read(StimuliSettings, args.config, "stimuli")
    if not len(args.frames) == len(args.movie) == len(args.output):
        raise UserError(
            f"--frames, --movie and --output: {len(args.frames)}, {len(args.movie)} and "
            f"{len(args.output)} of them; give one of each for a movie"
        )
    every = tables.read(args.clips, "clips")
    batch_of = batches.of_clips(every)
    for batch in args.movie:
        if batch not in set(batch_of):
            raise UserError(f"{args.clips}: no clips of movie {batch}; check --movie")
    with device.lease() as where:
        pictures = frozen.load_clip(args.clip_model, where)
        words = frozen.load_text_encoder(args.diffusion_model, where)
        known: dict[str, str] = {}
        if settings.variants:
            of_training = batches.movies_of(every, args.training_movies)
            shown = every.loc[every["movie"].isin(of_training), "caption"]
            known = _synonyms(shown.to_list(), pictures)
        for source, batch, target in zip(args.frames, args.movie, args.output, strict=True):
            clips = every[batch_of == batch]
            varied = batches.among(batch, args.training_movies)
            more = _variants(settings, known, pictures) if varied else None
            _write(args, source, clips, target, pictures, words, more)


def _synonyms(captions: list[str], pictures: Any) -> dict[str, str]:
    """Words of training captions and what may replace each."""
    model, _, tokenizer = pictures
    words = variants.vocabulary(captions)
    return variants.synonyms(words, embed_texts(words, model, tokenizer)) if words else {}


Variants = Callable[[np.ndarray, "pd.DataFrame"], dict[str, np.ndarray]]


def _variants(settings: StimuliSettings, known: dict[str, str], pictures: Any) -> Variants | None:
    """What makes the variants of a movie: frames and rows of its clips to {name: (clips, K, D)}."""
    count = settings.variants
    if not count:
        return None
    model, processor, tokenizer = pictures

    def make(frames: np.ndarray, clips: pd.DataFrame) -> dict[str, np.ndarray]:
        crops, texts = [], []
        for row in clips.itertuples():
            draw = variants.generator(settings.seed, row.clip)
            middle = np.asarray(frames[row.first_frame + row.n_frames // 2])
            crops += [variants.crop(middle, draw) for _ in range(count)]
            texts += [variants.replace_word(row.caption, known, draw) for _ in range(count)]
        image = embed_images(crops, model, processor)
        distinct, place = np.unique(np.asarray(texts), return_inverse=True)
        text = embed_texts(distinct.tolist(), model, tokenizer)[place]
        shape = (len(clips), count, -1)
        return {"image": image.reshape(shape), "text": text.reshape(shape)}

    return make


def _motion(
    frames: np.ndarray, clips: pd.DataFrame, frame_rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Motion codes (clips, 6) and sketches (clips, 4, 8, 8) of the rows of the clips table."""
    progress = Progress(len(clips), "motion", unit="clips")
    codes, sketches = [], []
    for first, count in zip(clips["first_frame"], clips["n_frames"], strict=True):
        clip = np.asarray(frames[first : first + count])
        flow = motion.flow_of(clip)
        codes.append(motion.motion_code(clip, flow, frame_rate))
        sketches.append(sketch.sketch(clip, flow))
        progress.update()
    return np.stack(codes), np.stack(sketches)


def _write(
    args: Any,
    source: Path,
    clips: pd.DataFrame,
    target: Path,
    pictures: Any,
    words: Any,
    more: Variants | None,
) -> None:
    """The features of one movie or batch of movies.

    Parameters
    ----------
    clips : their rows of the clips table. pictures : (CLIP model, processor, tokenizer).
    words : (text encoder, tokenizer). more : makes the variants of a training movie.
    """
    started = time.time()
    model, processor, tokenizer = pictures
    frames, meta = arrays.load(source, kind="frames")
    whose: dict[str, Any] = {}
    of_frames: dict[str, Any] = {}
    if "movies" in meta:
        order = list(meta["movies"])
        clips = clips.assign(place=clips["movie"].map(order.index)).sort_values(["place", "index"])
        starts = clips["movie"].map({name: first for name, (first, _) in meta["movies"].items()})
        clips = clips.assign(first_frame=clips["first_frame"] + starts)
        counts = clips["movie"].value_counts(sort=False)
        whose = {"movies": batches.counted({name: int(counts.get(name, 0)) for name in order})}
        of_frames = {"movies": meta["movies"]}
    captions = clips["caption"].to_list()
    image = embed_images(frames, model, processor)
    text = embed_texts(captions, model, tokenizer)
    condition = condition_states(captions, *words)
    moving, sketches = _motion(frames, clips, meta["frame_rate"])
    about = {"movie": str(batches.of_clips(clips).iloc[0]), "model": str(args.clip_model)}
    names = {"clips": clips["clip"].to_list(), **about, **whose}
    with atomic.folder(target) as out:
        arrays.save(
            out / "image.npy",
            image,
            kind="image_features",
            frame_rate=meta["frame_rate"],
            **about,
            **of_frames,
        )
        arrays.save(out / "text.npy", text, kind="text_features", **names)
        arrays.save(out / "motion.npy", moving, kind="motion", columns=list(motion.CODE), **names)
        channels = list(sketch.CHANNELS)
        arrays.save(out / "sketch.npy", sketches, kind="sketch", channels=channels, **names)
        for name, values in (more(frames, clips) if more else {}).items():
            arrays.save(out / f"{name}_variants.npy", values, kind="variants", **names)
        names["model"] = str(args.diffusion_model)
        arrays.save(out / "condition.npy", condition, kind="condition", **names)
    provenance.record(target, inputs=[source, args.clips], config=args.config, started=started)


if __name__ == "__main__":
    step.run(main)
