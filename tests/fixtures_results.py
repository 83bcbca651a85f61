"""A small, invented results tree, written through the contracts' files, for tests of stages 9 and 10.

Takes a folder; leaves stimuli, clips, windows, reconstructions, scores, histories, ROI, ceilings,
audit and benchmarks of three subjects, the last of whom has no signal. Nothing in it was measured.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from boldreel.data import arrays, atomic, json_documents, tables

OBJECTS, COLOURS, GROUNDS = ("ball", "star", "cube"), ("red", "green", "blue"), ("grass", "sand")
MOTIONS = ("left", "right")
RGB = {"red": (220, 40, 40), "green": (60, 200, 70), "blue": (50, 80, 230)}
GROUND = {"grass": (70, 110, 60), "sand": (180, 160, 110)}
FRAMES, RATE = 6, 3.0
FIDELITY = {"01": 0.85, "02": 0.55, "03": 0.0}


def draw_clip(scene: dict[str, str], rng: np.random.Generator, size: int) -> np.ndarray:
    """uint8 (6, size, size, 3): a shape that moves over a noisy ground."""
    y, x = np.mgrid[:size, :size] / size
    out = np.empty((FRAMES, size, size, 3))
    start = rng.uniform(0.35, 0.65)
    for frame in range(FRAMES):
        step = 0.03 * (frame - 2.5) * (1 if scene["motion"] == "right" else -1)
        dx, dy = x - (start + step), y - 0.5
        inside = {
            "ball": dx**2 + dy**2 < 0.04,
            "cube": np.maximum(abs(dx), abs(dy)) < 0.18,
            "star": abs(dx) + abs(dy) < 0.22,
        }[scene["object"]]
        out[frame] = GROUND[scene["background"]]
        out[frame][inside] = RGB[scene["colour"]]
    texture = rng.normal(0, 12, (1, size, size, 1))
    return np.clip(out + texture, 0, 255).astype(np.uint8)


def _scene(rng: np.random.Generator, held_out: bool) -> dict[str, str]:
    while True:
        scene = {
            "object": str(rng.choice(OBJECTS)),
            "colour": str(rng.choice(COLOURS)),
            "background": str(rng.choice(GROUNDS)),
            "motion": str(rng.choice(MOTIONS)),
        }
        rare = (scene["object"], scene["colour"]) in {("ball", "blue"), ("cube", "red")}
        if rare == held_out:
            return scene


def _caption(scene: dict[str, str]) -> str:
    return (
        f"a {scene['colour']} {scene['object']} moving {scene['motion']} over {scene['background']}"
    )


def stimuli(root: Path, clips: int, size: int, rng: np.random.Generator) -> pd.DataFrame:
    """Movies, frames.npy, and the clips table."""
    rows = []
    for movie in ("train01", "train02", "test01", "test02"):
        frames, index, shot = [], 0, 0
        while index < clips:
            scene = _scene(rng, movie.startswith("test") and rng.random() < 0.35)
            for _ in range(min(int(rng.integers(1, 5)), clips - index)):
                frames.append(draw_clip(scene, rng, size))
                rows.append(
                    {
                        "clip": f"{movie}-{index:04d}",
                        "movie": movie,
                        "index": index,
                        "start": 2.0 * index,
                        "duration": 2.0,
                        "first_frame": FRAMES * index,
                        "n_frames": FRAMES,
                        "shot": f"{movie}-s{shot:03d}",
                        "cuts": 0,
                        "caption": _caption(scene),
                        "attributes": json.dumps(scene),
                    }
                )
                index += 1
            shot += 1
        path = root / "stimuli" / movie / "frames.npy"
        arrays.save(path, np.concatenate(frames), kind="frames", frame_rate=RATE)
    table = pd.DataFrame(rows)
    tables.write(root / "clips.parquet", table, "clips")
    return table


def _windows(path: Path, clips: pd.DataFrame) -> None:
    rows = [
        {
            "clip": row.clip,
            "segment": row.movie,
            "run": f"task-{row.movie}_run-{repeat}",
            "repeat": repeat,
            "onset": 2.0 * row.index_,
            "first_volume": row.index_ + 2,
            "window": 2,
            "lag": 4.0,
            "split": "test" if row.movie.startswith("test") else "train",
            "shot": row.shot,
        }
        for row in clips.rename(columns={"index": "index_"}).itertuples()
        for repeat in (1, 2)
    ]
    tables.write(path, pd.DataFrame(rows), "windows")


def _reconstruction(
    folder: Path, test: pd.DataFrame, fidelity: float, size: int, rng: np.random.Generator
) -> None:
    frames = []
    for text in test["attributes"]:
        truth = json.loads(text)
        guess = _scene(rng, False)
        mixed = {k: truth[k] if rng.random() < fidelity else guess[k] for k in truth}
        clip = draw_clip(mixed, rng, size).astype(float)
        frames.append(np.clip(clip + rng.normal(0, 10, clip.shape), 0, 255).astype(np.uint8))
    half = len(test) // 2
    for k, rows in enumerate((slice(0, half), slice(half, None))):
        arrays.save(
            folder / f"shard-{k}" / "frames.npy",
            np.stack(frames[rows]),
            kind="reconstruction",
            clips=list(test["clip"])[rows],
            frame_rate=RATE,
            seed=1,
        )


def _history(path: Path, rng: np.random.Generator, epochs: int = 12) -> None:
    fall = np.exp(-np.arange(epochs + 1) / 4)
    table = pd.DataFrame(
        {
            "epoch": np.arange(epochs + 1),
            "loss": 0.5 + fall + rng.normal(0, 0.01, epochs + 1),
            "val_loss": 0.6 + fall + rng.normal(0, 0.02, epochs + 1),
            "learning_rate": np.linspace(1e-3, 0, epochs + 1),
        }
    )
    table.loc[0, ["loss", "learning_rate"]] = np.nan  # before the first step
    with atomic.file(path) as aside:
        table.to_csv(aside, sep="\t", index=False, na_rep="n/a")


def _brain(root: Path, rng: np.random.Generator) -> None:
    areas = [
        ("V1", "early", -6, -86, 4),
        ("V4", "ventral", -28, -78, -10),
        ("MT", "motion", -46, -70, 6),
    ]
    rows = []
    for hemisphere, side in (("L", 1), ("R", -1)):
        for area, group, x, y, z in areas:
            for _ in range(32):
                dx, dy, dz = rng.integers(-3, 4, 3) * 4
                pad = rng.random() < 0.05
                here = (np.nan,) * 3 if pad else (side * x + dx, y + dy, z + dz)
                rows.append(
                    {
                        "position": len(rows),
                        "patch": len(rows) // 16,
                        "area": area,
                        "group": group,
                        "hemisphere": hemisphere,
                        **dict(zip("xyz", map(float, here), strict=True)),
                        **dict.fromkeys("ijk", -1 if pad else 3),
                    }
                )
    table = pd.DataFrame(rows)
    tables.write(root / "atlas" / "positions.parquet", table, "positions")
    for subject, fidelity in FIDELITY.items():
        known = table["i"] >= 0
        r = np.where(known, fidelity * 0.4 + rng.normal(0, 0.08, len(table)), np.nan)
        voxels = table.assign(present=known, reliability=r, selected=known & (r > 0.1))
        tables.write(root / f"sub-{subject}/roi/voxels.parquet", voxels, "voxels")
        ceiling = pd.DataFrame(
            {
                "position": table["position"],
                "repeats": 2,
                "reliability": np.clip(r, 0, 1),
                "ceiling_single": np.sqrt(np.clip(r, 0, 1)),
                "ceiling_mean": np.sqrt(np.clip(2 * r, 0, 1)),
                "split": "test",
            }
        )
        # Training clips were repeated less: what the figures show must be the test's.
        train = ceiling.assign(split="train", ceiling_mean=0.0)
        ceiling = pd.concat([ceiling, train], ignore_index=True)
        tables.write(root / f"sub-{subject}/noise_ceiling.parquet", ceiling, "noise_ceiling")


def _retrieval(path: Path, subject: str, n: int) -> None:
    good = FIDELITY[subject]
    rows = []
    for condition, factor in (("model", 1.0), ("ridge", 0.9), ("shuffled", 0.0)):
        for metric, chance in (
            ("two_way_text", 0.5),
            ("top1_text", 1 / n),
            ("two_way_image", 0.5),
            ("top1_image", 1 / n),
            ("colour_text", 1 / 3),
            ("two_way_text_seen", 0.5),
            ("two_way_text_unseen", 0.5),
        ):
            value = chance + good * factor * (0.3 if "top1" in metric else 0.5)
            rows.append(
                {
                    "dataset": "demo",
                    "subject": subject,
                    "segment": "all",
                    "method": "mindvideo",
                    "condition": condition,
                    "metric": metric,
                    "definition": f"cosine, CLIP text, pool={n}",
                    "value": value,
                    "ci_low": value - 0.03,
                    "ci_high": value + 0.03,
                    "chance": chance,
                    "p": (0.0005 if good else 0.44) if condition != "shuffled" else np.nan,
                    "n": n,
                }
            )
    tables.write(path, pd.DataFrame(rows), "metrics")


def _benchmarks(root: Path) -> None:
    for stage, step, seconds in (
        ("bold", "run-01", 31.2),
        ("align", "train-01", 84.0),
        ("generator", "tune", 120.5),
        ("reconstruct", "sample-01-0", 66.0),
        ("evaluate", "score-01", 18.3),
    ):
        with atomic.file(root / "benchmarks" / stage / f"{step}.tsv") as aside:
            aside.write_text(
                "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
                f"{seconds}\t0:00:31\t412.5\t900\t400\t402\t0\t1\t98.0\t{seconds - 1}\n"
            )


def build(root: Path, clips: int = 24, size: int = 32, seed: int = 7) -> Path:
    """Write everything up to stage 8, retrieval and histories below `root`; returns `root`."""
    rng = np.random.default_rng(seed)
    table = stimuli(root, clips, size, rng)
    test = table[table["movie"].str.startswith("test")]
    _brain(root, rng)
    _reconstruction(root / "reconstruction" / "true_features", test, 1.0, size, rng)
    for subject, fidelity in FIDELITY.items():
        home = root / f"sub-{subject}"
        _windows(home / "windows.parquet", table)
        _reconstruction(home / "reconstruction" / "mindvideo", test, fidelity, size, rng)
        _retrieval(home / "align" / "retrieval.tsv", subject, len(test))
        _history(home / "align" / "history.tsv", rng)
        _history(home / "cotrain" / "history.tsv", rng, 4)
        sweep = pd.DataFrame(
            [
                {
                    "lag": float(lag),
                    "window": window,
                    "score": 0.5 + 0.4 * fidelity * np.exp(-(((lag - 4) / 3) ** 2)) + 0.01 * window,
                    "chosen": lag == 4 and window == 2,
                }
                for lag in (0, 2, 4, 6, 8, 10)
                for window in (1, 2, 3)
            ]
        )
        tables.write(home / "sweep.tsv", sweep, "sweep")
        repeats = [
            {
                "subject": subject,
                "repeats": n,
                "sets": 10 // n,
                "condition": condition,
                "metric": metric,
                "value": chance + 0.1 * k,
                "ci_low": chance + 0.08 * k,
                "ci_high": chance + 0.12 * k,
                "chance": chance,
                "p": 0.01,
                "n": 16,
            }
            for condition in ("model", "ridge")
            for metric, chance in (("two_way_text", 0.5), ("top1_text", 0.02))
            for k, n in enumerate((1, 2, 5, 10), start=1)
        ]
        tables.write(home / "align" / "repeats.tsv", pd.DataFrame(repeats), "repeats")
        json_documents.write(home / "choice.json", {"lag": 4.0, "window": 2}, "choice")
        qc = pd.DataFrame(
            [
                {
                    "run": "task-test01_run-1",
                    "volumes": 120,
                    "mean_fd": 0.09,
                    "max_fd": 0.4,
                    "outliers": 1,
                    "median_tsnr": 55.0,
                    "content": "ab12",
                }
            ]
        )
        tables.write(home / "qc.tsv", qc, "qc")
    _history(root / "pretrain" / "rest" / "history.tsv", rng)
    tables.write(root / "pretrain" / "rest" / "scores.tsv", _pretraining(), "metrics")
    _history(root / "generator" / "history.tsv", rng)
    captions = {"test": 40, "verbatim": 3, "near": 5}
    audit = {"splits": {"disjoint": True}, "captions": captions}
    json_documents.write(root / "audit.json", audit, "audit")
    _benchmarks(root)
    return root


def _pretraining() -> pd.DataFrame:
    """Scores of a pretraining that is below a simple predictor."""
    rows = []
    for metric in ("masked_patch_correlation", "masked_area_correlation"):
        for condition, value in (("model", 0.05), ("linear", 0.36), ("patch_mean", 0.0)):
            labels = {"dataset": "demo", "subject": "rest03", "segment": "all"}
            what = {"method": "mindvideo", "condition": condition, "metric": metric}
            numbers = {"value": value, "ci_low": value - 0.01, "ci_high": value + 0.01}
            rest = {"definition": "Pearson r", "chance": 0.0, "p": np.nan, "n": 240}
            rows.append({**labels, **what, **numbers, **rest})
    return pd.DataFrame(rows)


# metric, definition, better, chance, what a perfect and a blind reconstruction score, gray
_SCORES = (
    ("nway_frame", "top3_n2_k1", "higher", 0.75, (0.97, 0.75), 0.74),
    ("nway_frame", "top3_n50_k1", "higher", 3 / 52, (0.45, 0.06), 0.05),
    ("nway_video", "top3_n2_k1", "higher", 0.75, (0.98, 0.75), 0.75),
    ("nway_video", "top3_n50_k1", "higher", 3 / 52, (0.5, 0.06), 0.06),
    ("judge_object", "image_classifier", "higher", 1 / 3, (0.9, 0.33), 0.33),
    ("judge_colour", "image_classifier", "higher", 1 / 3, (0.95, 0.34), 0.33),
    ("judge_colour", "video_classifier", "higher", 1 / 3, (0.93, 0.34), 0.33),
    ("judge_background", "image_classifier", "higher", 1 / 2, (0.97, 0.5), 0.5),
    ("clip_identification", "two_way", "higher", 0.5, (0.98, 0.5), 0.5),
    ("ssim", "rgb_uniform", "higher", np.nan, (0.3, 0.15), 0.42),
    ("ssim", "gray_gaussian", "higher", np.nan, (0.35, 0.18), 0.44),
    ("motion_change", "ratio_to_truth", "neither", np.nan, (1.1, 1.3), 0.0),
    ("clip_pcc", "output", "neither", np.nan, (0.95, 0.95), 1.0),
)


def _score_rows(subject: str, fidelity: float, rng: np.random.Generator) -> list[dict]:
    rows = []
    for metric, definition, better, chance, (best, blind), gray in _SCORES:
        own = blind + fidelity * (best - blind) + rng.normal(0, 0.004)
        values = {"model": own, "true_features": best, "gray": gray, "mean_frame": gray * 0.98}
        if better != "neither":
            values["shuffled"] = blind
        for segment, n in (
            ("all", 48),
            ("test01", 24),
            ("test02", 24),
            ("seen", 31),
            ("unseen", 17),
        ):
            for condition, value in values.items():
                tested = condition == "model" and better != "neither"
                p = rng.uniform(0.1, 0.9) if fidelity == 0 else 1 / 901
                compared = condition in ("gray", "mean_frame")
                rows.append(
                    {
                        "dataset": "demo",
                        "subject": subject,
                        "segment": segment,
                        "method": "mindvideo",
                        "condition": condition,
                        "metric": metric,
                        "definition": definition,
                        "value": value,
                        "ci_low": value - 0.02,
                        "ci_high": value + 0.02,
                        "chance": chance,
                        "p": p if tested else np.nan,
                        "n": n,
                        "permutations": 900 if tested else 0,
                        "better": better,
                        "difference": own - value if compared else np.nan,
                        # only the best subject differs from the baselines that need no decoding
                        "p_difference": (0.001 if fidelity > 0.8 else 0.4) if compared else np.nan,
                    }
                )
    return rows


def _clip_rows(test: pd.DataFrame, fidelity: float, rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for clip, shot, movie in zip(test["clip"], test["shot"], test["movie"], strict=True):
        for metric, definition, _, _, (best, blind), _ in _SCORES:
            for condition, good in (("model", fidelity), ("true_features", 1.0)):
                value = blind + good * (best - blind)
                if metric.startswith("judge_"):
                    value = float(rng.random() < value)
                rows.append((clip, movie, shot, "mindvideo", condition, metric, definition, value))
    columns = ["clip", "segment", "shot", "method", "condition", "metric", "definition", "value"]
    return pd.DataFrame(rows, columns=columns)


def invent_scores(root: Path, seed: int = 8) -> None:
    """Write sub-XX/metrics.parquet, sub-XX/scores.tsv and group/metrics.tsv with invented values."""
    from boldreel.evaluate import group

    rng = np.random.default_rng(seed)
    table = tables.read(root / "clips.parquet", "clips")
    test = table[table["movie"].str.startswith("test")]
    parts = []
    for subject, fidelity in FIDELITY.items():
        home = root / f"sub-{subject}"
        scores = pd.DataFrame(_score_rows(subject, fidelity, rng))
        tables.write(home / "scores.tsv", scores, "metrics")
        tables.write(home / "metrics.parquet", _clip_rows(test, fidelity, rng), "clip_metrics")
        parts += [scores, tables.read(home / "align" / "retrieval.tsv", "metrics")]
    tables.write(root / "group" / "metrics.tsv", group.combine(parts), "metrics")
