"""A subject of known lag, small enough for unit tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.fixtures_presentations import row, write_table

from boldreel.data import arrays, tables
from boldreel.data.presentations import Presentation
from boldreel.windows import response

CLIP = 2.0


@dataclass
class Study:
    """Files of one subject, and the truth. shown : what each run showed, by label."""

    root: Path
    peak: float
    series: list[str] = field(default_factory=list)
    shown: dict[str, list[Presentation]] = field(default_factory=dict)
    features: list[str] = field(default_factory=list)

    @property
    def clips(self) -> str:
        return str(self.root / "clips.parquet")

    @property
    def presentations(self) -> str:
        """The table of what the runs showed, written as `shown` says now."""
        return str(write_table(self.root / "presentations.tsv", self.shown))

    def sweep(self, out: Path, *more: str) -> list[str]:
        return [
            *("--subject", "01", "--series", *self.series),
            *("--presentations", self.presentations),
            *("--voxels", str(self.root / "voxels.parquet"), "--clips", self.clips),
            *("--features", *self.features, "--output-table", str(out / "sweep.tsv")),
            *("--output-choice", str(out / "choice.json"), *more),
        ]


def _voxels(positions: int) -> pd.DataFrame:
    place = np.arange(positions)
    frame = {name: place for name in ("position", "i", "j", "k")} | {"patch": place // 16}
    frame |= {name: place.astype(float) for name in ("x", "y", "z", "reliability")}
    frame |= {"area": "V1", "group": "early", "hemisphere": "L"}
    return pd.DataFrame(frame | {"present": place != 3, "selected": place != 3})


def write_study(
    root: Path,
    variance: float = 0.05,
    delay: float = 0.0,
    seed: int = 0,
    clips: int = 90,
    positions: int = 400,
    t_r: float = 2.0,
    duration: float = CLIP,
) -> Study:
    """Four training and one test segment, twice each, and all the files that the stage reads.

    Responses are a double gamma delayed by delay s to features that half the signal's variance comes
    from; the other half comes from things that the features do not tell.

    Parameters
    ----------
    variance : share of the variance of one trial that the stimulus drives, mean over positions
    duration : of a clip, s
    """
    rng = np.random.default_rng(seed)
    study = Study(root, response.peak_time(duration) + delay)
    known, hidden = (rng.standard_normal((24, positions)) for _ in range(2))
    rows = []
    for movie in ("train1", "train2", "train3", "train4", "test1"):
        lengths = rng.integers(1, 5, clips)
        shot = np.repeat(np.arange(clips), lengths)[:clips]
        told, untold = (rng.standard_normal((clips, 24))[shot] for _ in range(2))
        told = told + 0.2 * rng.standard_normal(told.shape)
        for k in range(clips):
            rows.append(
                {
                    "clip": f"{movie}-{k:04d}",
                    "movie": movie,
                    "index": k,
                    "start": duration * k,
                    "duration": duration,
                    "first_frame": 2 * k,
                    "n_frames": 2,
                    "shot": f"{movie}-s{shot[k]:03d}",
                    "cuts": int(k % 10 == 0),
                    "caption": f"caption {shot[k] % 7} {movie[:4]}",
                    "attributes": f'{{"object": "o{shot[k] % 3}", "colour": "c{shot[k] % 4}"}}',
                }
            )
        unit = (told / np.linalg.norm(told, axis=1, keepdims=True)).astype(np.float32)
        folder = root / "stimuli" / movie
        study.features.append(str(folder / "features"))
        image = unit[:, :12].repeat(2, axis=0)
        image /= np.linalg.norm(image, axis=1, keepdims=True)
        text = unit[:, 12:] / np.linalg.norm(unit[:, 12:], axis=1, keepdims=True)
        arrays.save(folder / "features" / "image.npy", image, kind="image_features")
        arrays.save(folder / "features" / "text.npy", text, kind="text_features")
        frames = rng.integers(0, 256, (2 * clips, 16, 16, 3), dtype=np.uint8)
        arrays.save(folder / "frames.npy", frames, kind="frames", frame_rate=1.0)

        volumes = int(clips * duration / t_r)
        start_time = t_r / 2
        since = (start_time + t_r * np.arange(volumes))[:, None] - duration * np.arange(clips)
        curve = response.clip_response(since - delay, duration)
        signal = curve @ (told @ known + untold @ hidden)
        signal /= signal.std()
        for repeat in (1, 2):
            noise = rng.standard_normal((volumes, positions))
            values = np.sqrt(variance) * signal + np.sqrt(1 - variance) * noise
            values = ((values - values.mean(0)) / values.std(0)).astype(np.float32)
            values[:, 3] = 0
            run = f"task-{movie}_run-{repeat}"
            path = root / "series" / f"{run}.npy"
            meta = {"run": run, "segment": movie, "repeat": repeat}
            arrays.save(path, values, kind="series", t_r=t_r, start_time=start_time, **meta)
            study.series.append(str(path))
            study.shown[run] = [row(0.0, clips * duration, f"{movie}.mp4")]
    tables.write(root / "clips.parquet", pd.DataFrame(rows), "clips")
    tables.write(root / "voxels.parquet", _voxels(positions), "voxels")
    return study


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    """write_study in a folder of the test's own."""
    return lambda **options: write_study(tmp_path, **options)


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A subject with signal whose response peaks 1 s later than the canonical one; do not change."""
    return write_study(tmp_path_factory.mktemp("study"), delay=1.0)
