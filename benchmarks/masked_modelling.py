"""A training step of the masked autoencoder at published size, beside a plain version of the same model.

Takes nothing; prints times and ratios of one run. Both start from the same weights and see the same
masks; before anything is timed their losses are compared. The plain one is the published design written
straightforwardly in PyTorch: masked encoding, softmax attention in separate steps, the optimiser as it
comes, float32. boldreel's is what its training loop runs, in float32 and in what `mixed_precision`
offers on the device. Steps alternate, medians are compared:

    OMP_NUM_THREADS=2 .venv/bin/python benchmarks/masked_modelling.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from corpus import write_runs
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from boldreel import presets
from boldreel.models.autoencoder import MaskedAutoencoder, MaskedAutoencoderConfig
from boldreel.models.layers import LAYER_NORM_EPS, sincos_positions
from boldreel.pretrain.corpus import Corpus, build
from boldreel.pretrain.settings import network
from boldreel.training import precision
from boldreel.training.optimizer import adamw

VOXELS, PATCH = 6016, 16
OPTIMISER = {"lr": 2.5e-4, "betas": (0.9, 0.95), "weight_decay": 0.05}


class PlainAttention(nn.Module):
    """Softmax attention in separate steps."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, tokens, width = x.shape
        qkv = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-2, -1)) * (width // self.heads) ** -0.5
        out = (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(n, tokens, width)
        return self.proj(out)


class PlainMlp(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.act(self.fc1(x)))


class PlainBlock(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attn = PlainAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = PlainMlp(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PlainPatches(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.proj = nn.Conv1d(1, width, kernel_size=PATCH, stride=PATCH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj(x[:, None]).transpose(1, 2)


class PlainAutoencoder(nn.Module):
    """Parameters are named like boldreel's, so that both can start from the same weights."""

    def __init__(self, c: MaskedAutoencoderConfig):
        super().__init__()
        self.ratio = c.mask_ratio
        width, narrow = c.embed_dim, c.decoder_embed_dim
        self.patch_embed = PlainPatches(width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.ModuleList(PlainBlock(width, c.num_heads) for _ in range(c.depth))
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.decoder_embed = nn.Linear(width, narrow)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, narrow))
        self.decoder_blocks = nn.ModuleList(
            PlainBlock(narrow, c.decoder_num_heads) for _ in range(c.decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(narrow, eps=LAYER_NORM_EPS)
        self.decoder_pred = nn.Linear(narrow, PATCH)
        self.register_buffer("pos_embed", sincos_positions(width, c.n_patches)[None])
        self.register_buffer("decoder_pos_embed", sincos_positions(narrow, c.n_patches)[None])

    def forward(self, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """The loss: mean over hidden patches of the mean squared error."""
        tokens = self.patch_embed(x) + self.pos_embed[:, 1:]
        n, patches, width = tokens.shape
        keep = int(patches * (1 - self.ratio))
        shuffle = noise.argsort(dim=1)
        restore = shuffle.argsort(dim=1)
        tokens = tokens.gather(1, shuffle[:, :keep, None].repeat(1, 1, width))
        tokens = torch.cat([self.cls_token.expand(n, -1, -1), tokens], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.decoder_embed(self.norm(tokens))
        hidden = self.mask_token.repeat(n, patches - keep, 1)
        whole = torch.cat([tokens[:, 1:], hidden], dim=1)
        whole = whole.gather(1, restore[:, :, None].repeat(1, 1, whole.shape[2]))
        tokens = torch.cat([tokens[:, :1], whole], dim=1) + self.decoder_pos_embed
        for block in self.decoder_blocks:
            tokens = block(tokens)
        predicted = self.decoder_pred(self.decoder_norm(tokens))[:, 1:]
        error = ((predicted - x.reshape(n, patches, PATCH)) ** 2).mean(dim=-1)
        mask = (restore >= keep).to(error)
        return (error * mask).sum() / mask.sum()


Step = Callable[[torch.Tensor, torch.Tensor], None]


def plain_step(model: PlainAutoencoder) -> Step:
    optimizer = torch.optim.AdamW(model.parameters(), **OPTIMISER)

    def step(x: torch.Tensor, noise: torch.Tensor) -> None:
        optimizer.zero_grad()
        model(x, noise).backward()
        optimizer.step()

    return step


def own_step(model: MaskedAutoencoder, kind: torch.dtype, present: torch.Tensor) -> Step:
    optimizer = adamw(
        [(model.parameters(), OPTIMISER["lr"])], OPTIMISER["weight_decay"], OPTIMISER["betas"]
    )

    def step(x: torch.Tensor, noise: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(x.device.type, kind, enabled=kind is not torch.float32):
            loss = model(x, present, noise).loss
        loss.backward()
        optimizer.step()

    return step


def finished(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def matrix_rate(device: torch.device, kind: torch.dtype) -> float:
    """Operations per second of one large matrix product, measured here: no maker's figure."""
    size = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    times = []
    for _ in range(6):
        start = finished(device)
        a @ b
        times.append(finished(device) - start)
    return 2 * size**3 / min(times[1:])


def reading_time(batch: int, draws: int = 200) -> float:
    """Median seconds of one random batch from a corpus of 20,000 generated volumes."""
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_runs(folder, 20_000, VOXELS)
        runs = sorted(folder.glob("sub-*/series/*.npy"))
        build(runs, folder / "positions.parquet", folder / "corpus")
        corpus = Corpus.open(folder / "corpus")
        times = []
        for _ in range(draws):
            rows = generator.integers(len(corpus), size=batch)
            start = time.perf_counter()
            corpus.read(rows)
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--batch", type=int, nargs="+", default=[4, 16])
    arguments.add_argument("--rounds", type=int, default=5)
    args = arguments.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    sizes = network(presets.load("mindvideo")["pretrain"])
    config = MaskedAutoencoderConfig(num_voxels=VOXELS, patch_size=PATCH, **sizes)
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{where}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}")

    kinds = {"float32": torch.float32}
    if precision.dtype("auto", device) is torch.bfloat16:
        kinds["bf16"] = torch.bfloat16
    present = torch.ones(VOXELS, dtype=torch.bool, device=device)
    plain = PlainAutoencoder(config).to(device)
    plain.load_state_dict(MaskedAutoencoder(config).state_dict())
    steps: dict[str, Step] = {}
    x, noise = torch.randn(2, VOXELS, device=device), torch.rand(2, config.n_patches, device=device)
    with torch.no_grad():
        expected = float(plain(x, noise))
    for name, kind in kinds.items():
        own = MaskedAutoencoder(config).to(device)
        own.load_state_dict(plain.state_dict())
        with torch.no_grad():
            found = float(own(x, present, noise).loss)
        assert abs(found - expected) < 1e-4, (found, expected)
        steps[name] = own_step(own, kind, present)
    steps["plain"] = plain_step(plain)
    print(f"parameters: {sum(p.numel() for p in plain.parameters()) / 1e6:.1f} M; same loss: yes")

    rates = {name: matrix_rate(device, kind) for name, kind in kinds.items()}
    for batch in args.batch:
        x = torch.randn(batch, VOXELS, device=device)
        noise = torch.rand(batch, config.n_patches, device=device)
        with FlopCounterMode(display=False) as counter:
            plain(x, noise).backward()
        times: dict[str, list[float]] = {name: [] for name in steps}
        memory = dict.fromkeys(steps, 0)
        for turn in range(args.rounds + 1):
            for name, step in steps.items():
                if device.type == "cuda":
                    torch.cuda.reset_peak_memory_stats()
                start = finished(device)
                step(x, noise)
                took = finished(device) - start
                if device.type == "cuda":
                    memory[name] = torch.cuda.max_memory_allocated()
                if turn:
                    times[name].append(took)
        reading = reading_time(batch)
        for name, values in times.items():
            middle = statistics.median(values)
            line = (
                f"batch {batch:3d}  {name:8s} {middle:7.3f} s  {batch / middle:8.2f} samples/s  "
                f"{statistics.median(times['plain']) / middle:5.2f} times plain"
            )
            if name in rates:
                share = counter.get_total_flops() / middle / rates[name]
                line += (
                    f"  {share:.0%} of the matrix rate  waits {reading / (reading + middle):.2%}"
                )
            if memory[name]:
                line += f"  {memory[name] / 2**30:.1f} GiB"
            print(line, flush=True)


if __name__ == "__main__":
    main()
