"""Step: where one subject's encoder looks.

Reads the encoder after alignment and after co-training, the pretrained autoencoder, and test windows; writes
a table "attention": for each stage of training, layer (first, middle, last) and position, the attention that
its patch receives, for all clips and for each half of them; uniform attention is 1. Also writes a table
"attention_regions": the same over areas and Yeo networks, with encoders of random weights as the null.
Attention shows where a transformer reads, not what it reads there, and a random one has preferences too. If
the encoder has a linear path, its transformer is only a residual on ridge regression.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from boldreel.data import provenance, tables
from boldreel.data.responses import load_responses, series_files
from boldreel.models.trunk import SpatioTemporalBlock
from boldreel.step import parser, run
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from boldreel.models.encoder import SpatioTemporalEncoder
    from boldreel.models.trunk import Trunk

NULL_ENCODERS, NULL_CLIPS = 24, 48  # encoders of random weights, and clips that each is shown
_BATCH = 16


def layers(depth: int) -> list[int]:
    """First, middle and last of `depth` layers, each once."""
    return sorted({0, depth // 2, depth - 1})


@torch.inference_mode()
def received(
    trunk: Trunk, x: torch.Tensor, present: torch.Tensor, chosen: list[int]
) -> torch.Tensor:
    """Attention that each patch receives: (clips, layers, patches), mean 1 over patches that hold voxels.

    Averaged over heads, over volumes of the window and over the patches that look; 0 for patches without
    voxels.

    Parameters
    ----------
    x : (clips, w, V), z units. present : bool (V,). chosen : layers.
    """
    in_patch = present.unflatten(0, (-1, trunk.patch_size)).any(1)
    parts = []
    for part in x.split(_BATCH):
        batch = torch.where(present, part.to(present.device), 0.0)
        keys = in_patch.expand(len(batch), -1)
        tokens = trunk.patch_embed(batch.flatten(0, 1)) + trunk.pos_embed[:, 1:]
        tokens = tokens.unflatten(0, batch.shape[:2])
        found = []
        for number, module in enumerate(trunk.blocks):
            block = cast(SpatioTemporalBlock, module)
            if number in chosen:
                flat = block.norm1(tokens).flatten(0, 1)
                weights = block.attn.weights(flat, keys.repeat_interleave(batch.shape[1], 0))
                looking = weights[:, :, in_patch].mean(dim=(1, 2))
                found.append(looking.unflatten(0, batch.shape[:2]).mean(1) * in_patch.sum())
            tokens = block(tokens, keys)
        parts.append(torch.stack(found, dim=1))
    return torch.cat(parts)


def pretrained(like: SpatioTemporalEncoder, folder: Path) -> Trunk:
    """The encoder's trunk as it was before alignment: pretrained, and untrained where that has no weights."""
    from boldreel.models.autoencoder import MaskedAutoencoder
    from boldreel.models.encoder import SpatioTemporalEncoder

    torch.manual_seed(0)
    fresh = SpatioTemporalEncoder(like.config).eval()
    source = MaskedAutoencoder.from_pretrained(folder).state_dict()
    own = fresh.trunk.state_dict()
    fitting = {k: v for k, v in source.items() if k in own and own[k].shape == v.shape}
    fresh.trunk.load_state_dict({**own, **fitting})
    return fresh.trunk


def halves(shots: list[str]) -> np.ndarray:
    """bool (n,): clips of every other shot, so that no shot is in both halves."""
    order = {shot: k for k, shot in enumerate(dict.fromkeys(shots))}
    return np.array([order[shot] % 2 == 0 for shot in shots])


@dataclass(frozen=True)
class Seen:
    """Attention of a stage or of a random encoder, (layers, patches): over all clips, over each half."""

    every: np.ndarray
    half_1: np.ndarray
    half_2: np.ndarray


def seen(
    trunk: Trunk, x: torch.Tensor, present: torch.Tensor, chosen: list[int], one: np.ndarray
) -> Seen:
    """Averages of what `received` returns. one : bool (clips,), the first half.

    Computed on the device of `present`, on which the trunk stays.
    """
    trunk.to(present.device)
    found = received(trunk, x, present, chosen).double().cpu().numpy()
    return Seen(found.mean(0), found[one].mean(0), found[~one].mean(0))


def by_position(stages: Mapping[str, Seen], chosen: list[int], patch: np.ndarray) -> pd.DataFrame:
    """Table "attention". patch : (positions,) patch of each, -1 where a position is absent."""
    import pandas as pd

    position = np.flatnonzero(patch >= 0)
    parts = [
        pd.DataFrame(
            {
                "stage": stage,
                "layer": layer,
                "position": position,
                "attention": found.every[at][patch[position]],
                "half_1": found.half_1[at][patch[position]],
                "half_2": found.half_2[at][patch[position]],
            }
        )
        for stage, found in stages.items()
        for at, layer in enumerate(chosen)
    ]
    return pd.concat(parts, ignore_index=True)


def by_region(
    stages: Mapping[str, Seen],
    null: Sequence[Seen],
    chosen: list[int],
    patch: np.ndarray,
    regions: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """Table "attention_regions": means over the positions of each region, and the null's 95 %.

    A row with region "all" holds the correlation of both halves over patches instead.

    Parameters
    ----------
    regions : {atlas: name of each position}.
    """
    import pandas as pd

    present = patch >= 0
    used = np.unique(patch[present])
    rows = []

    def add(stage: str, layer: int, atlas: str, region: str, values: list[float]) -> None:
        own, random = values[0], np.array(values[1:])
        low, high = np.quantile(random, [0.025, 0.975])
        further = np.abs(random - random.mean()) >= abs(own - random.mean())
        rows.append(
            {
                "stage": stage,
                "layer": layer,
                "atlas": atlas,
                "region": region,
                "value": own,
                "null_low": float(low),
                "null_high": float(high),
                "p": (1 + int(further.sum())) / (1 + len(random)),
            }
        )

    for stage, found in stages.items():
        for at, layer in enumerate(chosen):
            every = [found, *null]
            both = [_alike(o.half_1[at][used], o.half_2[at][used]) for o in every]
            add(stage, layer, "reliability", "all", both)
            for atlas, names in regions.items():
                for region in dict.fromkeys(names[present]):
                    own = patch[present & (names == region)]
                    add(
                        stage, layer, atlas, region, [float(o.every[at][own].mean()) for o in every]
                    )
    return pd.DataFrame(rows)


def _alike(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation; 0 where one is constant."""
    a, b = a - a.mean(), b - b.mean()
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / size) if size > 1e-12 else 0.0


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = parser(__doc__)
    arguments.add_argument("--aligned", type=Path, required=True)
    arguments.add_argument("--cotrained", type=Path, required=True)
    arguments.add_argument("--pretrained", type=Path, nargs="*", default=[])
    arguments.add_argument("--windows", type=Path, required=True)
    arguments.add_argument("--series-dir", type=Path, required=True)
    arguments.add_argument("--positions", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True, help="table of positions")
    arguments.add_argument("--output-regions", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    seed = int(args.config.get("seed", 0))

    from boldreel.models.encoder import SpatioTemporalEncoder
    from boldreel.roi import networks
    from boldreel.training.device import lease
    from boldreel.training.loop import set_threads

    set_threads()
    aligned = SpatioTemporalEncoder.from_pretrained(args.aligned)
    trunks = {"aligned": aligned.trunk}
    for folder in args.pretrained:
        trunks = {"pretrained": pretrained(aligned, folder), **trunks}
    trunks["co-trained"] = SpatioTemporalEncoder.from_pretrained(args.cotrained).trunk
    responses = load_responses(args.windows, args.series_dir, "test")
    x, present = torch.from_numpy(responses.x), aligned.present
    one = halves(responses.shots)
    chosen = layers(aligned.config.depth)
    progress = Progress(len(trunks) + NULL_ENCODERS, "attention", unit="encoders")
    some = np.linspace(0, len(x) - 1, min(NULL_CLIPS, len(x))).round().astype(int)
    stages, null = {}, []
    with lease() as device:
        there = present.to(device)
        for stage, trunk in trunks.items():
            stages[stage] = seen(trunk, x, there, chosen, one)
            trunk.cpu()
            progress.update()
        for number in range(NULL_ENCODERS):
            torch.manual_seed(seed * 1000 + number + 1)
            random = SpatioTemporalEncoder(aligned.config).eval().trunk
            null.append(seen(random, x[some], there, chosen, one[some]))
            progress.update()
    positions = tables.read(args.positions, "positions").sort_values("position")
    patch = np.arange(len(present)) // aligned.config.patch_size
    patch = np.where(present.numpy(), patch, -1)
    listed = positions["position"].to_numpy()
    names = {
        "area": positions["area"].to_numpy(),
        "yeo17": networks.yeo17(positions[["x", "y", "z"]].to_numpy(float)),
    }
    regions = {}
    for atlas, values in names.items():
        regions[atlas] = np.full(len(patch), networks.NONE, dtype=object)
        regions[atlas][listed] = values
    tables.write(args.output, by_position(stages, chosen, patch), "attention")
    tables.write(
        args.output_regions, by_region(stages, null, chosen, patch, regions), "attention_regions"
    )
    for path in (args.output, args.output_regions):
        provenance.record(
            path,
            inputs=[
                args.aligned,
                args.cotrained,
                *args.pretrained,
                args.windows,
                args.positions,
                *series_files(args.windows, args.series_dir, "test"),
            ],
            config=args.config,
            seed=seed,
            started=started,
        )


if __name__ == "__main__":
    run(main)
