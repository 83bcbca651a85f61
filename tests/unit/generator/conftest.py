"""A random Stable Diffusion folder, data set and encoder, small enough for unit tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel

from boldreel.data import arrays, tables
from boldreel.generator import saving
from boldreel.models.decoder import Calibration, Deviations, Encoding, Targets
from boldreel.models.video_unet import Inflation, VideoUNet

LENGTH, WIDTH, DIM = 7, 12, 10
MOVIES = {"train01": "train", "train02": "validation", "test01": "test"}
CLIPS, FRAMES, VOXELS = 6, 3, 16


def _write_base(folder: Path, prediction: str) -> Path:
    torch.manual_seed(0)
    UNet2DConditionModel(
        sample_size=4,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
    ).save_pretrained(folder / "unet")
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        latent_channels=4,
        sample_size=8,
    ).save_pretrained(folder / "vae")
    DDPMScheduler(prediction_type=prediction, beta_schedule="scaled_linear").save_pretrained(
        folder / "scheduler"
    )
    return folder


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in StableDiffusionPipeline layout; latents of 4 x 4 x 4 for frames of 8 x 8 pixels."""
    return _write_base(tmp_path_factory.mktemp("diffusion"), "epsilon")


@pytest.fixture
def unet(base_folder: Path) -> UNet2DConditionModel:
    """The folder's image network."""
    return UNet2DConditionModel.from_pretrained(base_folder, subfolder="unet").eval()


@dataclass(frozen=True)
class Dataset:
    """Paths of a small data set: three movies of six clips, each shown in two runs."""

    root: Path
    clips: Path
    windows: Path
    series: Path

    def frames(self, movie: str) -> Path:
        """Frames of a movie."""
        return self.root / "stimuli" / movie / "frames.npy"

    def features(self, movie: str) -> Path:
        """Feature folder of a movie."""
        return self.root / "stimuli" / movie / "features"

    def latents(self, movie: str) -> Path:
        """Latents of a movie."""
        return self.root / "latents" / f"{movie}.npy"


def _clip_rows(movie: str) -> list[dict]:
    return [
        {
            "clip": f"{movie}-{i:04d}",
            "movie": movie,
            "index": i,
            "start": 2.0 * i,
            "duration": 2.0,
            "first_frame": FRAMES * i,
            "n_frames": FRAMES,
            "shot": f"{movie}-s{i:03d}",
            "cuts": 0,
            "caption": "a ball",
            "attributes": json.dumps({}),
        }
        for i in range(CLIPS)
    ]


def _window_rows(movie: str, run: int) -> list[dict]:
    return [
        {
            "clip": row["clip"],
            "segment": movie,
            "run": f"task-{movie}_run-{run}",
            "repeat": run,
            "onset": 2.0 * row["index"],
            "first_volume": row["index"] + 1,
            "window": 2,
            "lag": 4.0,
            "split": MOVIES[movie],
            "shot": row["shot"],
        }
        for row in _clip_rows(movie)
    ]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """The data set, random."""
    rng = np.random.default_rng(0)
    data = Dataset(
        tmp_path, tmp_path / "clips.parquet", tmp_path / "windows.parquet", tmp_path / "s"
    )
    windows = []
    for movie in MOVIES:
        frames = rng.integers(0, 255, (CLIPS * FRAMES, 8, 8, 3)).astype(np.uint8)
        arrays.save(data.frames(movie), frames, kind="frames", frame_rate=1.5)
        condition = rng.normal(size=(CLIPS, LENGTH, WIDTH)).astype(np.float32)
        arrays.save(data.features(movie) / "condition.npy", condition, kind="condition")
        motion = np.zeros((CLIPS, 2), np.float32)
        columns = ["right", "left"]
        arrays.save(data.features(movie) / "motion.npy", motion, kind="motion", columns=columns)
        sketch = rng.random((CLIPS, 4, 8, 8)).astype(np.float32)
        channels = ["red", "green", "blue", "moving"]
        path = data.features(movie) / "sketch.npy"
        arrays.save(path, sketch, kind="sketch", channels=channels)
        for name, rows in (("image", CLIPS * FRAMES), ("text", CLIPS)):
            values = rng.normal(size=(rows, DIM)).astype(np.float32)
            values /= np.linalg.norm(values, axis=1, keepdims=True)
            path = data.features(movie) / f"{name}.npy"
            arrays.save(path, values, kind=f"{name}_features")
        latents = rng.normal(size=(CLIPS * FRAMES, 4, 4, 4)).astype(np.float16)
        arrays.save(data.latents(movie), latents, kind="latents", frame_rate=1.5)
        for run in (1, 2):
            windows += _window_rows(movie, run)
            series = rng.normal(size=(CLIPS + 2, VOXELS)).astype(np.float32)
            arrays.save(
                data.series / f"task-{movie}_run-{run}.npy",
                series,
                kind="series",
                t_r=2.0,
                start_time=0.0,
                run=f"task-{movie}_run-{run}",
                segment=movie,
                repeat=run,
            )
    clips = [row for movie in MOVIES for row in _clip_rows(movie)]
    tables.write(data.clips, pd.DataFrame(clips), "clips")
    tables.write(data.windows, pd.DataFrame(windows), "windows")
    return data


class LinearEncoder(torch.nn.Module):
    """Stands for a subject's encoder: linear maps from the window to condition and embeddings."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.map = torch.nn.Linear(2 * VOXELS, LENGTH * WIDTH)
        self.image_map = torch.nn.Linear(2 * VOXELS, DIM)
        self.text_map = torch.nn.Linear(2 * VOXELS, DIM)
        self.logit_scale = torch.nn.Parameter(torch.zeros(()))
        self.calibration = Calibration(Targets(LENGTH, WIDTH, DIM, DIM), 1, 0.0)
        self.trunk = SimpleNamespace(gradient_checkpointing=False)  # there are no blocks

    def forward(self, x: torch.Tensor) -> Encoding:
        """x (clips, volumes, positions)."""
        x = x.flatten(1)
        condition = self.map(x).reshape(-1, LENGTH, WIDTH)
        image, text = self.image_map(x), self.text_map(x)
        motion = x.new_zeros(len(x), 0)
        own = Deviations(image, text, condition, motion)
        return Encoding(condition, image, text, motion, own)

    def save_pretrained(self, folder: Path) -> None:
        """Writes weights."""
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.state_dict(), folder / "weights.pt")

    @classmethod
    def from_pretrained(cls, folder: Path) -> LinearEncoder:
        """Reads weights."""
        encoder = cls()
        encoder.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
        return encoder


@pytest.fixture
def encoder_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A linear encoder on disk, which the steps load in place of a subject's."""
    from boldreel.generator import cotrain
    from boldreel.models import encoder

    monkeypatch.setattr(encoder, "SpatioTemporalEncoder", LinearEncoder)
    monkeypatch.setattr(cotrain, "SpatioTemporalEncoder", LinearEncoder)
    LinearEncoder().save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


@pytest.fixture
def generator_folder(base_folder: Path, tmp_path: Path) -> Path:
    """An inflated network on disk, not tuned."""
    torch.manual_seed(8)
    unet = UNet2DConditionModel.from_pretrained(base_folder, subfolder="unet")
    network = VideoUNet(unet, Inflation(noise_correlation=0.5))
    negative = np.zeros((LENGTH, WIDTH), np.float32)
    shape = saving.ClipShape(FRAMES, 1.5, 4, 4)
    saving.save_pretrained(network, tmp_path / "model", base_folder, negative, shape)
    return tmp_path / "model"
