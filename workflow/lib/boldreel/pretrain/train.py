"""Masked brain modelling on the corpus.

Reads the corpus folder; writes `model/` (config.json, model.safetensors), `history.tsv` (loss by
epoch, on training and on held-out subjects), `example.parquet` (one volume with what was hidden and
predicted) and `scores.tsv`: how well hidden patches of held-out subjects are predicted, next to
predictors that need no network, for each kind of masks.

The network predicts what the best linear predictor leaves (`pretrain.predicts: residual`, see
`pretrain.linear`). Its output starts at zero, so that it cannot begin below that predictor. One half of the
held-out rows (other subjects or runs, where there are several) chooses the epoch: the start, unless a later
one is better by more than a standard error. The other half is scored. Optimiser and schedule as published
for MinD-Vis (Chen et al., CVPR 2023); the default rate is for small batches.
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
from boldreel.pretrain.corpus import Corpus, evenly, halves
from boldreel.pretrain.settings import KINDS, PretrainSettings, network
from boldreel.settings import read
from boldreel.stats import bootstrap
from boldreel.step import parser, run

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from boldreel.models.autoencoder import MaskedAutoencoder
    from boldreel.pretrain.linear import Linear
    from boldreel.pretrain.masks import Masks

PATCH = 16
# Masks per batch: the linear predictor factorises once per mask, so the volumes share a few.
_MASKS = 4
# Consecutive volumes that count as one, since neighbours are alike.
_BLOCK = 10


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


def fit_linear(
    model: MaskedAutoencoder, corpus: Corpus, rows: np.ndarray, settings: PretrainSettings
) -> Linear:
    """The linear predictor of training rows, on the model's device, for the model's masks."""

    from boldreel.pretrain.linear import SHARES, Linear
    from boldreel.pretrain.masks import Masks

    def visible(present: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
        seen = model.shuffle(present, order).mask == 0
        return seen.repeat_interleave(PATCH, dim=1) & present

    made = Linear.fit(
        corpus,
        rows,
        Masks(corpus.positions, settings.hidden),
        hide=visible,
        seed=settings.seed,
        device=next(model.parameters()).device,
    )
    tried = ", ".join(
        f"{share:g}: {error:.4f}" for share, error in zip(SHARES, made.errors, strict=True)
    )
    print(f"share of correlations over distance {made.share:g} (squared errors: {tried})")
    return made


def train(
    model: MaskedAutoencoder,
    corpus: Corpus,
    rows: np.ndarray,
    choosing: np.ndarray,
    settings: PretrainSettings,
    state_dir: Path,
    linear: Linear | None = None,
) -> list[dict[str, float]]:
    """Train in place and return the history; the epoch that is best on the rows `choosing` is kept.

    linear : what the network adds to; None: it predicts volumes.
    """
    import torch

    from boldreel.pretrain.masks import Masks
    from boldreel.training import loop
    from boldreel.training.optimizer import adamw, cosine
    from boldreel.training.share import Share

    size = min(settings.batch_size, len(rows))
    steps = len(rows) // size
    share = Share.current()
    mine = share.rows(size, "pretrain.batch_size")
    check = choosing[evenly(len(choosing), settings.scored_volumes)]

    masks = Masks(corpus.positions, settings.hidden)
    together = 1 if linear is None else -(-size // _MASKS)

    def tensors(chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        volumes, present = corpus.read(chosen)
        return torch.from_numpy(volumes), torch.from_numpy(present)

    def batches(epoch: int, generator: torch.Generator) -> Iterator[tuple[torch.Tensor, ...]]:
        order = rows[torch.randperm(len(rows), generator=generator).numpy()]
        for k in range(steps):
            chosen = order[k * size : (k + 1) * size][mine]
            second = chosen > 0 if linear is None else linear.second[chosen]
            yield *tensors(chosen), torch.from_numpy(second)

    def loss_fn(
        module: torch.nn.Module, batch: tuple[torch.Tensor, ...], generator: torch.Generator
    ) -> tuple[torch.Tensor, dict[str, float]]:
        device = next(module.parameters()).device
        order = masks.draw(size, generator, together)[mine]
        volumes, present, second = (part.to(device) for part in batch)
        expected = None if linear is None else linear.left_out(second)
        out = module(volumes, present, order.to(device), expected)
        return share.mean(out.error.sum(), out.targets.sum()), {}

    def validate(module: torch.nn.Module) -> dict[str, float]:
        device = next(module.parameters()).device
        order = _masks_of_scoring(masks, len(check), settings.seed)
        expected = None if linear is None else linear.expected
        numbers = []
        for part in np.array_split(np.arange(len(check)), -(-len(check) // size)):
            volumes, present = tensors(check[part])
            out = module(volumes.to(device), present.to(device), order[part].to(device), expected)
            numbers.append(torch.stack([out.error, out.start, out.targets]).cpu().double().numpy())
        return _judged(*np.concatenate(numbers, axis=1))

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
        monitor="val_bound",
        clip_norm=settings.clip_norm,
        mixed_precision=settings.mixed_precision,
        what="masked brain modelling",
    )


def _judged(errors: np.ndarray, starts: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Numbers for the history, of volumes (n,): `val_loss`, and `val_bound`, which adds the standard error of
    the difference to the start over blocks of volumes. At the start both are the same."""
    total = max(targets.sum(), 1)
    difference = (errors - starts) * len(targets) / total
    blocks = np.arange(len(difference)) // _BLOCK
    means = np.bincount(blocks, difference) / np.bincount(blocks)
    error = means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else 0.0
    loss = float(errors.sum() / total)
    return {"val_loss": loss, "val_bound": loss + float(error)}


# Metric of each kind of masks, and what it says is hidden.
METRICS = {
    "patches": ("masked_patch_correlation", "of patches hidden"),
    "areas": ("masked_area_correlation", "of patches hidden, by whole areas"),
    "hemisphere": (
        "masked_hemisphere_correlation",
        "of patches hidden, none of one hemisphere visible",
    ),
}


def score(
    model: MaskedAutoencoder,
    corpus: Corpus,
    rows: np.ndarray,
    scored: np.ndarray,
    settings: PretrainSettings,
    linear: Linear,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The scores table: correlation of hidden positions with the model's and other predictions, for each
    kind of masks; and what was predicted in one volume, that of median correlation, patches hidden.

    The same masks for all, drawn with the seed; `chance` is 0. The interval resamples blocks of
    consecutive volumes, since neighbouring volumes are alike.
    """
    import pandas as pd
    import torch

    from boldreel.pretrain import predictors
    from boldreel.pretrain.masks import Masks

    check = scored[evenly(len(scored), settings.scored_volumes)]
    x, present = corpus.read(check)
    # a bound on memory and on the covariance's cost; evenly over runs, so it loses little
    training, _ = corpus.read(rows[evenly(len(rows), 20000)])
    others: dict[str, predictors.Predictor] = {
        "linear": predictors.Gaussian(linear.whole.cpu().numpy()),
        "linear_diagonal": predictors.Gaussian.diagonal(training),
        "components": predictors.Gaussian.components(training),
        "nearest_visible_patch": predictors.NearestVisible(
            predictors.patch_centres(corpus.positions)
        ),
        "patch_mean": predictors.PatchMean(training),
    }
    table, example = [], pd.DataFrame()
    for kind in KINDS:
        order = _masks_of_scoring(Masks(corpus.positions, kind), len(check), settings.seed)
        mask = model.shuffle(torch.from_numpy(present), order).mask.numpy()
        hidden = predictors.hidden_positions(mask, present)
        guesses = {name: other.predict(x, present & ~hidden) for name, other in others.items()}
        start = guesses["linear"] if settings.residual else None
        guesses = {"model": _predicted(model, x, present, order, start, settings), **guesses}
        metric, definition = METRICS[kind]
        quality = {}
        for condition, guess in guesses.items():
            values = quality[condition] = predictors.masked_correlation(x, guess, hidden)
            low, high = _interval(values, settings.seed)
            table.append(
                {
                    "dataset": settings.dataset,
                    "subject": "+".join(dict.fromkeys(corpus.subjects[check])),
                    "segment": "all",
                    "method": settings.method,
                    "condition": condition,
                    "metric": metric,
                    "definition": "Pearson r over hidden positions of a volume, mean over volumes of "
                    f"held-out subjects, {model.config.mask_ratio:.0%} {definition}",
                    "value": values.mean(),
                    "ci_low": low,
                    "ci_high": high,
                    "chance": 0.0,
                    "p": np.nan,
                    "n": len(values),
                }
            )
        if kind == "patches":
            median = int(np.argsort(quality["model"])[len(x) // 2])
            example = pd.DataFrame(
                {
                    "position": np.arange(x.shape[1]),
                    "present": present[median],
                    "hidden": hidden[median],
                    "truth": x[median].astype(np.float64),
                    "prediction": guesses["model"][median].astype(np.float64),
                }
            )
    return pd.DataFrame(table), example


def _predicted(
    model: MaskedAutoencoder,
    x: np.ndarray,
    present: np.ndarray,
    order: torch.Tensor,
    start: np.ndarray | None,
    settings: PretrainSettings,
) -> np.ndarray:
    """The model's predictions (n, V); start (n, V): what they are added to, None for zeros."""
    import torch

    device = next(model.parameters()).device
    own = []
    with torch.no_grad():
        for part in np.array_split(np.arange(len(x)), -(-len(x) // settings.batch_size)):
            encoded = model.encode(
                torch.from_numpy(x[part]).to(device),
                torch.from_numpy(present[part]).to(device),
                order[part].to(device),
            )
            own.append(model.decode(encoded).flatten(1).cpu().numpy())
    added = np.concatenate(own)
    return added if start is None else start + added


def _masks_of_scoring(masks: Masks, n: int, seed: int) -> torch.Tensor:
    """The same in every epoch and for every predictor; one for each block, which the interval resamples."""
    import torch

    return masks.draw(n, torch.Generator().manual_seed(seed), together=_BLOCK)


def _interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % interval of the mean from 2,000 resamplings of blocks of consecutive rows; NaN if too few."""
    blocks = np.arange(len(values)) // _BLOCK
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
    from boldreel.training.state import discard

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
        linear = fit_linear(model, corpus, rows, settings)
        start = linear if settings.residual else None
        history = train(model, corpus, rows, choosing, settings, state, start)
        if Share.current().rank:
            return  # the first process scores and writes
        scores, example = score(model, corpus, rows, scored, settings, linear)
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
    discard(state)
    for row in scores.itertuples():
        print(f"{row.metric} of held-out subjects, {row.condition}: {row.value:.3f}")


if __name__ == "__main__":
    run(main)
