"""Masked brain modelling on the corpus.

Reads the corpus folder; writes `model/` (config.json, model.safetensors), `history.tsv` (loss by
epoch, on training and on held-out subjects), `example.parquet` (one volume with what was hidden and
predicted) and `scores.tsv`: how well hidden patches of held-out
subjects are predicted, next to the training mean, the nearest visible patch, and the best linear
predictor. One half of the held-out rows (other subjects or runs, where there are several) chooses the
epoch, the other is scored. Optimiser and schedule as published for MinD-Vis (Chen et al., CVPR 2023);
the default rate is for small batches.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel.data import atomic, provenance, tables
from boldreel.data.responses import shuffled_order
from boldreel.pretrain.corpus import Corpus, halves
from boldreel.pretrain.settings import PretrainSettings, network
from boldreel.settings import read
from boldreel.stats import bootstrap
from boldreel.step import parser, run

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from boldreel.models.autoencoder import MaskedAutoencoder

PATCH = 16


def fresh_model(settings: PretrainSettings, n_positions: int) -> MaskedAutoencoder:
    """A newly initialised, seeded model with the settings' sizes."""
    import torch

    from boldreel.models.autoencoder import MaskedAutoencoder, MaskedAutoencoderConfig

    torch.manual_seed(settings.seed)
    return MaskedAutoencoder(
        MaskedAutoencoderConfig(
            num_voxels=n_positions,
            patch_size=PATCH,
            mask_ratio=settings.mask_ratio,
            **network(asdict(settings)),
        )
    )


def train(
    model: MaskedAutoencoder,
    corpus: Corpus,
    rows: np.ndarray,
    choosing: np.ndarray,
    settings: PretrainSettings,
    state_dir: Path,
) -> list[dict[str, float]]:
    """Train in place and return the history; the epoch that is best on the rows `choosing` is kept."""
    import torch

    from boldreel.training import loop
    from boldreel.training.optimizer import adamw, cosine
    from boldreel.training.share import Share

    size = min(settings.batch_size, len(rows))
    steps = len(rows) // size
    share = Share.current()
    mine = share.rows(size, "pretrain.batch_size")
    check = choosing[_evenly(len(choosing), settings.scored_volumes)]

    def tensors(chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        volumes, present = corpus.read(chosen)
        return torch.from_numpy(volumes), torch.from_numpy(present)

    def batches(
        epoch: int, generator: torch.Generator
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = rows[torch.randperm(len(rows), generator=generator).numpy()]
        for k in range(steps):
            yield tensors(order[k * size : (k + 1) * size][mine])

    def loss_fn(
        module: torch.nn.Module,
        batch: tuple[torch.Tensor, torch.Tensor],
        generator: torch.Generator,
    ) -> tuple[torch.Tensor, dict[str, float]]:
        device = next(module.parameters()).device
        noise = torch.rand(size, model.config.n_patches, generator=generator)[mine]
        out = module(batch[0].to(device), batch[1].to(device), noise.to(device))
        return share.mean(out.error, out.targets), {}

    def validate(module: torch.nn.Module) -> dict[str, float]:
        device = next(module.parameters()).device
        noise = _noise(len(check), model.config.n_patches, settings.seed)
        losses = []
        for part in np.array_split(np.arange(len(check)), -(-len(check) // size)):
            volumes, present = tensors(check[part])
            out = module(volumes.to(device), present.to(device), noise[part].to(device))
            losses.append(float(out.loss) * len(part))
        return {"val_loss": sum(losses) / len(check)}

    model.gradient_checkpointing = settings.gradient_checkpointing
    optimizer = adamw(
        [(model.parameters(), settings.learning_rate)], settings.weight_decay, betas=(0.9, 0.95)
    )
    return loop.fit(
        model,
        loss_fn,
        batches,
        epochs=settings.epochs,
        steps_per_epoch=steps,
        optimizer=optimizer,
        schedule=cosine(settings.epochs * steps, warmup=settings.warmup_epochs * steps),
        seed=settings.seed,
        state_dir=state_dir,
        validate=validate,
        clip_norm=settings.clip_norm,
        mixed_precision=settings.mixed_precision,
        what="masked brain modelling",
    )


def score(
    model: MaskedAutoencoder,
    corpus: Corpus,
    rows: np.ndarray,
    scored: np.ndarray,
    settings: PretrainSettings,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The scores table: masked-patch correlation of the model and three other predictors; and what was
    predicted in one volume, that of median correlation.

    The same masks for all, drawn with the seed; `chance` is 0. The interval resamples blocks of
    consecutive volumes, since neighbouring volumes are alike.
    """
    import pandas as pd
    import torch

    from boldreel.pretrain import predictors

    device = next(model.parameters()).device
    check = scored[_evenly(len(scored), settings.scored_volumes)]
    x, present = corpus.read(check)
    noise = _noise(len(check), model.config.n_patches, settings.seed)
    predicted, masks = [], []
    with torch.no_grad():
        for part in np.array_split(np.arange(len(check)), -(-len(check) // settings.batch_size)):
            out = model(
                torch.from_numpy(x[part]).to(device),
                torch.from_numpy(present[part]).to(device),
                noise[part].to(device),
            )
            predicted.append(out.prediction.flatten(1).cpu().numpy())
            masks.append(out.mask.cpu().numpy())
    hidden = predictors.hidden_positions(np.concatenate(masks), present)
    visible = present & ~hidden
    # a bound on memory and on the covariance's cost; evenly over runs, so it loses little
    training, _ = corpus.read(rows[_evenly(len(rows), 20000)])
    others: dict[str, predictors.Predictor] = {
        "linear": predictors.Gaussian(training),
        "nearest_visible_patch": predictors.NearestVisible(
            predictors.patch_centres(corpus.positions)
        ),
        "patch_mean": predictors.PatchMean(training),
    }
    guesses = {"model": np.concatenate(predicted)}
    guesses |= {name: other.predict(x, visible) for name, other in others.items()}
    table = []
    for condition, guess in guesses.items():
        values = predictors.masked_correlation(x, guess, hidden)
        low, high = _interval(values, settings.seed)
        table.append(
            {
                "dataset": settings.dataset,
                "subject": "+".join(dict.fromkeys(corpus.subjects[check])),
                "segment": "all",
                "method": settings.method,
                "condition": condition,
                "metric": "masked_patch_correlation",
                "definition": "Pearson r over hidden positions of a volume, mean over volumes of "
                f"held-out subjects, {model.config.mask_ratio:.0%} of patches hidden",
                "value": values.mean(),
                "ci_low": low,
                "ci_high": high,
                "chance": 0.0,
                "p": np.nan,
                "n": len(values),
            }
        )
    quality = predictors.masked_correlation(x, guesses["model"], hidden)
    median = int(np.argsort(quality)[len(quality) // 2])
    example = {
        "position": np.arange(x.shape[1]),
        "present": present[median],
        "hidden": hidden[median],
        "truth": x[median].astype(np.float64),
        "prediction": guesses["model"][median].astype(np.float64),
    }
    return pd.DataFrame(table), pd.DataFrame(example)


def _evenly(n: int, at_most: int) -> np.ndarray:
    """At most `at_most` of n row numbers, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).round().astype(int))


def _noise(n: int, patches: int, seed: int) -> torch.Tensor:
    """The masks of scoring: the same in every epoch and for every predictor."""
    import torch

    return torch.rand(n, patches, generator=torch.Generator().manual_seed(seed))


def _interval(values: np.ndarray, seed: int, block: int = 10) -> tuple[float, float]:
    """95 % interval of the mean from 2,000 resamplings of blocks of consecutive rows; NaN if too few."""
    blocks = np.arange(len(values)) // block
    drawn = bootstrap.resample(blocks, np.zeros(len(values)), 2000, np.random.default_rng(seed))
    return bootstrap.interval(values, drawn)


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--corpus", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--state", type=Path, required=True)
    arguments.add_argument(
        "--shuffle-voxels", type=int, metavar="SEED", help="for comparison alone"
    )
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(PretrainSettings, args.config, "pretrain")

    import pandas as pd

    from boldreel.training import device, fingerprint, loop
    from boldreel.training.share import Share

    corpus = Corpus.open(args.corpus)
    if args.shuffle_voxels is not None:
        order = shuffled_order(corpus.present.shape[1], args.shuffle_voxels)
        corpus = corpus.reordered(order)
    rows, held_out = corpus.split(settings.holdout)
    # Rows that choose an epoch would flatter it.
    choosing, scored = halves(corpus, held_out)
    state = fingerprint.state_folder(
        args.state,
        module="boldreel.pretrain.train",
        config={**asdict(settings), "shuffled": args.shuffle_voxels},
        inputs=[args.corpus],
    )
    with device.lease() as where:
        loop.set_threads()
        model = fresh_model(settings, corpus.present.shape[1]).to(where)
        history = train(model, corpus, rows, choosing, settings, state)
        if Share.current().rank:
            return  # the first process scores and writes
        scores, example = score(model, corpus, rows, scored, settings)
    with atomic.folder(args.output) as aside:
        model.save_pretrained(aside / "model")
        tables.write(aside / "history.tsv", pd.DataFrame(history), "history")
        tables.write(aside / "scores.tsv", scores, "metrics")
        tables.write(aside / "example.parquet", example, "masked_example")
    provenance.record(
        args.output,
        inputs=[args.corpus],
        config=asdict(settings),
        seed=settings.seed,
        started=started,
    )
    for row in scores.itertuples():
        print(f"{row.metric} of held-out subjects, {row.condition}: {row.value:.3f}")


if __name__ == "__main__":
    run(main)
