"""Step: fit the linear maps of one subject.

Reads windows, series, clips, decoded movies and an image classifier; writes a folder with `model/`,
`scores.tsv` (each component's variance and its correlation in left-out segments) and `weights.parquet`: what
of each position enters the predictions of each layer, as weights and as the patterns that they stand for
(Haufe et al., NeuroImage 2014), with the position's number, so that they can be drawn on the cortex. Test
runs are not read.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel.data import atomic, provenance, tables
from boldreel.data.frames import resize
from boldreel.methods import latent_codes, material, ridge
from boldreel.methods.linear.model import LinearModel
from boldreel.methods.linear.settings import Settings
from boldreel.settings import read
from boldreel.step import parser, run
from boldreel.training.device import lease
from boldreel.training.loop import set_threads

if TYPE_CHECKING:
    import pandas as pd


def inverse(
    predicted: np.ndarray, pixels: np.ndarray, segments: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(weights (components, pixels), bias): ridge regression from predicted components to pixels.

    predicted : predictions for rows whose segment had been left out, as noisy as those at test. Pixels are
    fitted through their own principal components, all that the rows allow.
    """
    mean = pixels.mean(0, dtype=np.float64)
    centred = (pixels - mean).astype(np.float32)
    left, size, right = np.linalg.svd(centred, full_matrices=False)
    kept = size > 1e-3 * max(float(size[0]), 1e-12)
    if not kept.any():
        return np.zeros((predicted.shape[1], pixels.shape[1]), np.float32), mean.astype(np.float32)
    fitted, _ = ridge.fit(predicted, left[:, kept] * size[kept], segments)
    bias = (mean + fitted.bias @ right[kept]).astype(np.float32)
    return (fitted.weight @ right[kept]).astype(np.float32), bias


def patterns(x: np.ndarray, fitted: ridge.Fit, used: np.ndarray, early: int) -> pd.DataFrame:
    """Table "linear_weights": size over volumes and components of each position's weights and patterns."""
    import pandas as pd

    width = len(fitted.weight) // int(used.sum())
    rows = []
    centred = x - x.mean(0)
    guessed = centred @ fitted.weight
    pattern = centred.T @ guessed / len(x)
    position = np.flatnonzero(used)
    for layer, columns in (("early", slice(0, early)), ("late", slice(early, None))):
        sizes = {
            name: np.sqrt(
                (values[:, columns].reshape(width, len(position), -1) ** 2).sum(axis=(0, 2))
            )
            for name, values in (("weight", fitted.weight), ("pattern", pattern))
        }
        rows.append(pd.DataFrame({"layer": layer, "position": position, **sizes}))
    return pd.concat(rows, ignore_index=True)


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--windows", type=Path, required=True)
    arguments.add_argument("--series-dir", type=Path, required=True)
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--stimuli", type=Path, required=True, help="folder of decoded movies")
    arguments.add_argument("--image-classifier", required=True, help="folder or hub id")
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(Settings, args.config, "method_options.linear")
    set_threads()

    import pandas as pd

    from boldreel.methods.network import Network

    pairs = material.training_pairs(args.windows, args.series_dir, args.clips, args.stimuli)
    with lease() as device:
        network = Network(args.image_classifier, device)
        early, late, logits = network.read(pairs.frames, "training clips")
    segments = np.asarray(pairs.segments)
    early, early_share = latent_codes.components(early, settings.early, settings.seed)
    late, late_share = latent_codes.components(late, settings.late, settings.seed)
    known = np.concatenate([early, late], axis=1)
    used, x = pairs.used, pairs.rows
    fitted, left_out = ridge.fit(x, known, segments)
    side = (settings.picture, settings.picture)
    pictures = np.stack([resize(clip, side) for clip in pairs.frames])
    picture, picture_bias = inverse(
        left_out, pictures.reshape(len(pictures), -1).astype(np.float32), segments
    )
    # From true components: what a class looks like is not a matter of the brain's noise.
    head, _ = ridge.fit(late, logits, segments)
    model = LinearModel(
        used=used,
        weight=fitted.weight,
        bias=fitted.bias,
        early=early.shape[1],
        picture=picture,
        picture_bias=picture_bias,
        head=head.weight,
        head_bias=head.bias,
        known=known,
        shape=tuple(pictures.shape[1:]),
        labels=network.labels,
        clips=pairs.clips,
    )
    scores = pd.DataFrame(
        {
            "layer": ["early"] * early.shape[1] + ["late"] * late.shape[1],
            "component": [*range(early.shape[1]), *range(late.shape[1])],
            "variance": np.concatenate([early_share, late_share]),
            "correlation": fitted.scores,
            "alpha": fitted.alphas,
        }
    )
    inputs = material.training_files(args.windows, args.series_dir, args.clips, args.stimuli)
    with atomic.folder(args.output) as aside:
        model.save_pretrained(aside / "model")
        tables.write(aside / "scores.tsv", scores, "linear_scores")
        tables.write(
            aside / "weights.parquet", patterns(x, fitted, used, early.shape[1]), "linear_weights"
        )
        provenance.record(
            aside, inputs=inputs, config=asdict(settings), seed=settings.seed, started=started
        )
    for layer in ("early", "late"):
        rows = scores[scores["layer"] == layer]
        mean = np.average(rows["correlation"], weights=rows["variance"])
        print(f"linear, {layer} layer: correlation {mean:.3f} in left-out segments")


if __name__ == "__main__":
    run(main)
