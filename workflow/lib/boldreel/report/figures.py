"""Step: the group's figures, each as SVG and PNG with the data behind it as TSV.

Reads the results folder and the subjects; writes a folder with scores, training_curves, lag_sweep, roi,
attention, attention_regions, masked (pretraining), noise_ceiling, ceiling_map, timing, sample_sheet and
strip.png and strip.webp (truth over reconstruction for the README), repeats, scaling, rois, kernels where
series were deconvolved, ablation and minutes after `make ablate`, method_curves and linear_weights of the
methods next to the main one.
A figure whose material is missing is left out and named on standard error.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boldreel.data import atomic, provenance
from boldreel.report import brain, cost, figure_style, labels, media, plots, surface
from boldreel.report.clips import draw_sample, shared
from boldreel.report.results import Results
from boldreel.report.settings import FiguresSettings
from boldreel.settings import read
from boldreel.step import parser, run
from boldreel.training.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_CHARTS = 13
# What the other methods' trainings leave: (method, file in the folder of its fit).
_TRAININGS = {
    "cvgan": ("cvgan", "history.tsv"),
    "selfsupervised, encoder": ("selfsupervised", "encoder_history.tsv"),
    "selfsupervised, decoder": ("selfsupervised", "history.tsv"),
}
# Which score says which subject is best, for the strip: the first that the table holds.
_BEST = (("nway_video", "top3_n50_k1"), ("nway_video", "top3_n2_k1"), ("ssim", "rgb_uniform"))


def best_subject(results: Results) -> str:
    """The subject with the highest score of the first metric of `_BEST` that is there."""
    table = results.metrics()
    mine = table[
        (table["segment"] == "all")
        & (table["condition"] == "model")
        & (table["method"] == results.method)
        & table["subject"].isin(results.subjects)
    ]
    for metric, definition in _BEST:
        rows = mine[(mine["metric"] == metric) & (mine["definition"] == definition)]
        if rows["value"].notna().any():
            return str(rows.loc[rows["value"].idxmax(), "subject"])
    return results.subjects[0]


def _samples(folder: Path, results: Results, settings: FiguresSettings) -> None:
    own = {subject: results.reconstruction(subject) for subject in results.subjects}
    upper = results.upper_bound()
    frames = own[results.subjects[0]].shape[0]
    names = shared(own.values())
    table = results.clips()
    drawn = draw_sample(table, names, settings.sheet_clips, settings.seed)
    rows = []
    for row in drawn.itertuples():
        kinds: dict[str, np.ndarray | None] = {"truth": results.truth(row, frames)}
        kinds |= dict.fromkeys(map(labels.who, own))
        kinds |= {labels.who(s): clips[row.clip] for s, clips in own.items() if row.clip in clips}
        if upper is not None and row.clip in upper:
            kinds["upper bound"] = upper[row.clip]
        rows.append((f"{row.clip}: {row.caption}", kinds))
    picture = media.sheet(rows)
    picture.save(folder / "sample_sheet.png", optimize=True)
    _embed(folder / "sample_sheet.svg", folder / "sample_sheet.png", picture.size)
    figure_style.save_data(folder, "sample_sheet", drawn[["clip", "shot", "caption"]])

    best = own[best_subject(results)]
    names = [name for name in names if name in best]
    drawn = draw_sample(table, names, settings.strip_clips, settings.seed)
    pairs = [
        (results.truth(row, len(best[row.clip])), best[row.clip]) for row in drawn.itertuples()
    ]
    media.save_small(media.pairs(pairs, 72), str(folder / "strip.png"), settings.strip_bytes)
    media.animation(pairs, 96, str(folder / "strip.webp"), best.frame_rate)


def _embed(target: Path, picture: Path, size: tuple[int, int]) -> None:
    """An SVG that holds a PNG, for those who place all figures as SVG."""
    import base64

    data = base64.b64encode(picture.read_bytes()).decode()
    target.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}">'
        f'<image width="{size[0]}" height="{size[1]}" href="data:image/png;base64,{data}"/></svg>\n'
    )


def histories(results: Results) -> dict[str, dict[str, Any]]:
    """{training: {who: history}} of all trainings that left a history."""
    layout = results.layout
    folders = map(Path, layout.find(layout.pretrained("*")))
    cohorts = [folder.name for folder in folders if folder.is_dir()]
    found: dict[str, dict[str, Any]] = {
        "pretraining": {c: results.history(layout.pretraining_history(c)) for c in cohorts},
        "alignment": {
            labels.who(s): results.history(layout.alignment_history(s)) for s in results.subjects
        },
        "generator": {"all": results.history(layout.generator_history())},
        "co-training": {
            labels.who(s): results.history(layout.cotraining_history(s)) for s in results.subjects
        },
    }
    kept = {k: {w: h for w, h in by.items() if h is not None} for k, by in found.items()}
    return {training: by for training, by in kept.items() if by}


def one_split(ceilings: pd.DataFrame) -> pd.DataFrame:
    """The rows of test clips, or of training clips where no test was repeated."""
    test = ceilings[ceilings["split"] == "test"]
    return test if len(test) else ceilings[ceilings["split"] == "train"]


def _charts(folder: Path, results: Results, benchmarks: Path) -> None:
    subjects, layout = results.subjects, results.layout
    progress = Progress(_CHARTS, "figures", unit="figures")

    def save(name: str, figure: Any, data: Any) -> None:
        figure_style.save(folder, name, figure, data)
        progress.update()

    with figure_style.style():
        save("scores", *plots.scores(results.metrics(), subjects, results.method))
        trainings = histories(results)
        if trainings:
            save("training_curves", *plots.curves(trainings))
        positions = results.table(layout.positions(), "positions")
        for path in layout.find(layout.masked_example("*"))[:1]:
            example = results.table(path, "masked_example")
            if positions is not None and example is not None:
                save("masked", *brain.masked(positions, example))
        counted = _own(results, layout.repeats, "repeats")
        shown = {s: t for s, t in counted.items() if t["repeats"].max() > 1}
        if shown:
            save("repeats", *plots.repeats(shown))
        shown = _own(results, layout.scaling, "minutes")
        if shown:
            save("scaling", *plots.minutes(shown))
        parts = _own(results, layout.rois, "rois")
        if parts:
            save("rois", *plots.rois(parts))
        found = _own(results, layout.attributes, "attributes", expected=False)
        found = {subject: table for subject, table in found.items() if len(table)}
        if found:
            save("attributes", *plots.attributes(found))
        known = _own(results, layout.sweep, "sweep")
        if known:
            save("lag_sweep", *plots.sweep(known))
        ceilings = _own(results, layout.noise_ceiling, "noise_ceiling")
        known = {s: one_split(t) for s, t in ceilings.items() if len(t)}
        areas = None if positions is None else positions.set_index("position")["area"]
        if known:
            save("noise_ceiling", *plots.ceilings(known, areas))
            if positions is not None:
                save("ceiling_map", *brain.ceilings(positions, known))
        kernels = _own(results, layout.hrf, "hrf", expected=False)
        if kernels:
            save("kernels", *plots.kernels(kernels))
        if Path(layout.ablation()).exists():
            ablation = results.table(layout.ablation(), "ablation")
            if ablation is not None:
                save("ablation", *plots.ablation(ablation))
        measured = _own(results, layout.minutes, "minutes", expected=False)
        if measured:
            save("minutes", *plots.minutes(measured))
        seen = _own(results, layout.attention_regions, "attention_regions")
        if seen:
            save("attention_regions", *surface.regions(seen))
        seen = _own(results, layout.attention, "attention")
        if seen and positions is not None:
            save("attention", *surface.attention(positions, seen))
        if positions is not None:
            save("roi", *brain.figure(positions, _own(results, layout.voxels, "voxels")))
        trained = _methods(results, _TRAININGS, "history")
        if trained:
            save("method_curves", *plots.parts(trained))
        linear = _methods(results, {"linear": ("linear", "weights.parquet")}, "linear_weights")
        if linear and positions is not None:
            save("linear_weights", *brain.linear_weights(positions, linear["linear"]))
        jobs = cost.jobs(benchmarks)
        if len(jobs):
            save("timing", *plots.timing(cost.by_stage(jobs)))


def _own(
    results: Results, path: Callable[[str], str], schema: str, expected: bool = True
) -> dict[str, pd.DataFrame]:
    """{subject: table} of those who have it; none is reported missing where it is not expected."""
    paths = {s: path(s) for s in results.subjects}
    found = {s: results.table(p, schema) for s, p in paths.items() if expected or Path(p).exists()}
    return {s: t for s, t in found.items() if t is not None}


def _methods(
    results: Results, files: Mapping[str, tuple[str, str]], schema: str
) -> dict[str, dict[str, pd.DataFrame]]:
    """{name: {subject: table}} of those of `files` that are there; a method may not have been chosen."""
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for name, (method, file) in files.items():
        for subject in results.subjects:
            path = f"{results.layout.method_fit(subject, method)}/{file}"
            if Path(path).exists():
                table = results.table(path, schema)
                if table is not None:
                    found.setdefault(name, {})[subject] = table
    return found


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    started = time.time()
    arguments = parser(__doc__)
    arguments.add_argument("--results", type=Path, required=True, help="results/{dataset}")
    arguments.add_argument("--subjects", nargs="+", required=True)
    arguments.add_argument("--benchmarks", type=Path, help="default: benchmarks/ in the results")
    arguments.add_argument("--output", type=Path, required=True, help="folder for the figures")
    args = arguments.parse_args(argv)
    settings = read(FiguresSettings, args.config, "report")
    results = Results(args.results, args.subjects, settings.method)
    with atomic.folder(args.output) as folder:
        _charts(folder, results, args.benchmarks or Path(results.layout.benchmarks()))
        _samples(folder, results, settings)
        provenance.record(
            folder,
            inputs=results.used,
            config=asdict(settings),
            seed=settings.seed,
            started=started,
        )
    for path in results.missing:
        print(f"left out, for it is not there: {path}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    run(main)
