"""One encoder for several subjects.

Reads the pretrained model and, of each subject, windows, series and voxels, with the clips and features of
all; writes `model/`, `ridge/`, `history.tsv` and `subjects.json` (who is in it). Positions are anatomical,
so that the same weights read every subject; what a subject lacks is masked. Test windows are never read.
Segments are left out together in all subjects, since they saw the same movies.
"""

from __future__ import annotations

import copy
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boldreel.align.settings import AlignSettings
from boldreel.data import atomic, cohort_noise, provenance, tables
from boldreel.errors import UserError
from boldreel.settings import read
from boldreel.step import parser, run

if TYPE_CHECKING:
    from boldreel.align.data import Trials
    from boldreel.align.fit import Fitted, Material
    from boldreel.models.encoder import SpatioTemporalEncoder

SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Pool:
    """A pooled encoder, the subjects in it, and its training."""

    encoder: SpatioTemporalEncoder
    subjects: list[str]
    history: list[dict[str, float]]


def load(folder: Path) -> Pool:
    """The pool of a folder; UserError if a file is missing or damaged."""
    from boldreel.models.encoder import SpatioTemporalEncoder

    try:
        subjects = json.loads((folder / "subjects.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder}: no readable subjects.json ({error}); pool the subjects again"
        ) from None
    history = tables.read(folder / "history.tsv", "history")
    encoder = SpatioTemporalEncoder.from_pretrained(folder / "model")
    return Pool(encoder, subjects, history.to_dict("records"))


def common_window(windows: list[Path]) -> int:
    """The longest window (volumes) of several subjects' tables."""
    return max(int(tables.read(path, "windows")["window"].max()) for path in windows)


def member(pool: Pool, material: Material) -> Fitted:
    """The pooled encoder for one of its subjects: the same weights, with the subject's positions, mean
    response and sizes of predictions; next to it the subject's own ridge."""
    import torch

    from boldreel.align.fit import Fitted, measure_floors, own_ridge

    used = material.used
    encoder = copy.deepcopy(pool.encoder).to(material.device)
    with torch.no_grad():
        encoder.present.copy_(torch.tensor(used))
        mean = np.where(used, material.training.x.mean(0), 0)
        encoder.mean_window.copy_(torch.from_numpy(mean))
    measure_floors(encoder, material.validation)
    return Fitted(encoder, own_ridge(material), pool.history, [], {})


def pooled_trials(
    windows: list[Path],
    series_dirs: list[Path],
    voxels: list[Path],
    clips: Path,
    features: list[Path],
    settings: AlignSettings,
    window: int,
) -> tuple[Trials, np.ndarray]:
    """Averaged training and validation trials of several subjects, and bool (V,), what any of them has.

    Repeats are averaged: what noise brings to a ridge (see `ridge`) subjects bring to each other, and
    rows stay few enough to solve for. An encoding model needs to know what came before each showing, so
    that it gets one row for each context; more rows cost it little.
    """
    from boldreel.align import data

    parts, presence = [], []
    for table, folder, of in zip(windows, series_dirs, voxels, strict=True):
        trials = data.load_trials(table, folder, clips, features, SPLITS, window)
        inverted = settings.linear_path == "inversion"
        parts.append(trials.by_context() if inverted else trials.by_clip())
        presence.append(data.used_positions(of, settings.voxels))
    return data.pooled(parts, presence), np.any(presence, axis=0)


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--pretrained", type=Path, required=True)
    arguments.add_argument("--noise", type=Path, help="folder of the cohort's noise model")
    arguments.add_argument("--subjects", nargs="+", required=True, help="labels")
    for name in ("windows", "series-dir", "voxels"):
        arguments.add_argument(f"--{name}", type=Path, nargs="+", required=True, help="for each")
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--features", type=Path, nargs="+", required=True)
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--state", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(AlignSettings, args.config, "align")
    counts = {len(args.subjects), len(args.windows), len(args.series_dir), len(args.voxels)}
    if len(counts) != 1:
        raise UserError(
            f"--subjects has {len(args.subjects)} labels; give as many --windows, --series-dir and --voxels"
        )

    import pandas as pd

    from boldreel.align.data import coordinates, validation_clips
    from boldreel.align.fit import Material, fit
    from boldreel.data.responses import series_files
    from boldreel.training import device, fingerprint, loop
    from boldreel.training.state import discard

    trials, used = pooled_trials(
        args.windows,
        args.series_dir,
        args.voxels,
        args.clips,
        args.features,
        settings,
        common_window(args.windows),
    )
    held_out = set().union(*(validation_clips(table) for table in args.windows))
    series = [
        path
        for table, folder in zip(args.windows, args.series_dir, strict=True)
        for path in series_files(table, folder, SPLITS)
    ]
    inputs = [
        *args.windows,
        *args.voxels,
        args.clips,
        *series,
        *args.features,
        args.pretrained,
        *([] if args.noise is None else [args.noise]),
    ]
    state = fingerprint.state_folder(
        args.state, module="boldreel.align.pool", config=asdict(settings), inputs=inputs
    )
    with device.lease() as where:
        loop.set_threads()
        noise = None if args.noise is None else cohort_noise.read(args.noise)
        where_is = coordinates(args.voxels[0])  # positions are the same in all subjects
        material = Material.of(trials, held_out, used, where_is, settings, where, noise)
        made = fit(material, args.pretrained, state)
        if made is None:
            return
    with atomic.folder(args.output) as aside:
        made.ridge.save_pretrained(aside / "ridge")
        made.encoder.save_pretrained(aside / "model")
        tables.write(aside / "history.tsv", pd.DataFrame(made.history), "history")
        atomic.write_text(aside / "subjects.json", json.dumps(args.subjects) + "\n")
    provenance.record(
        args.output,
        inputs=inputs,
        config=asdict(settings),
        seed=settings.seed,
        started=started,
        extra={"subjects": args.subjects, "best_epoch": made.best["epoch"]},
    )
    discard(state)
    print(
        f"{len(args.subjects)} subjects, {len(trials.clip)} averaged responses; best epoch "
        f"{made.best['epoch']} of {made.history[-1]['epoch']}; validation two-way "
        f"{made.best['val_two_way']:.3f}"
    )


if __name__ == "__main__":
    run(main)
