"""Step: score one subject's reconstructions by one method, against truth, chance and baselines.

Reads reconstruction shards, stimuli, the tables of clips and windows, and the frozen judges; writes
metrics.parquet (every clip, table "clip_metrics") and scores.tsv (table "metrics": value, interval
over shots, chance, circular-shift p) for the conditions model, shuffled, gray, true_colour, mean_frame,
random_training, and true_features, nearest_training and controls where their inputs are given.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from boldreel.data import provenance, responses, tables
from boldreel.data.attributes import all_seen, parse, parse_as_text
from boldreel.data.frames import cut_clips
from boldreel.data.reconstructions import Reconstruction
from boldreel.errors import UserError
from boldreel.evaluate import baselines, clips, judge
from boldreel.evaluate.frechet import Collected
from boldreel.evaluate.metrics import Measure, Panel, Videos, measure, of_truth
from boldreel.evaluate.output_cache import MODEL, Stored
from boldreel.evaluate.readings import Judges, Models
from boldreel.evaluate.settings import EvaluateSettings
from boldreel.evaluate.summary import Summary
from boldreel.evaluate.table import tabulate
from boldreel.settings import read
from boldreel.stats import shifts
from boldreel.stats.inference import shifts_of_run
from boldreel.step import parser, run
from boldreel.training.device import lease

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Condition:
    """Clips of a condition, and under which set and names their readings may be stored.

    at : places of these clips among the rows that were asked for; None is all of them.
    """

    name: str
    frames: np.ndarray
    stored: str = ""
    clips: Sequence[str] = ()
    at: np.ndarray | None = None


class Source(Protocol):
    """Where `score` takes clips from.

    test, training : tables with the columns clip, shot and attributes (JSON), one row per clip.
    """

    test: pd.DataFrame
    training: pd.DataFrame

    def truth(self, rows: np.ndarray) -> Any:
        """True clips uint8 (n, F, h, w, 3) of some rows of `test`."""

    def conditions(self, rows: np.ndarray) -> Iterator[Condition]:
        """Every condition for some rows of `test`, the reconstruction as "model"."""


class Material:
    """Everything that one subject's scores are made of, read clip by clip of a run.

    Parameters
    ----------
    test : clips table of the reconstructed test clips with the columns segment and onset.
    training : clips table of the training clips.
    random : clips table of a training clip drawn for each test clip, or of none.
    nearest : row of `training` for each test clip, or None.
    controls : by condition, reconstructions of some test clips from something else than responses.
    """

    def __init__(
        self,
        model: Reconstruction,
        upper: Reconstruction | None,
        stimuli: Sequence[str],
        test: pd.DataFrame,
        training: pd.DataFrame,
        random: pd.DataFrame,
        nearest: np.ndarray | None,
        controls: Mapping[str, Reconstruction] | None = None,
    ) -> None:
        self.model, self.upper, self.stimuli = model, upper, stimuli
        self.test, self.training = test, training
        self.random, self.nearest, self.controls = random, nearest, controls or {}
        self.frames, self.size = model.shape[0], (model.shape[1], model.shape[2])
        self.mean = clips.mean_frame(training, stimuli, self.size) if len(training) else None
        self.colours = np.zeros((len(test), 3), np.uint8)

    def truth(self, rows: np.ndarray) -> np.ndarray:
        """True clips (n, F, h, w, 3) of some test rows, with the reconstruction's F and size; keeps their
        mean colours."""
        shown = cut_clips(self.test.iloc[rows], self.stimuli, self.frames, self.size)
        self.colours[rows] = [baselines.mean_colour(clip) for clip in shown]
        return shown

    def conditions(self, rows: np.ndarray) -> Iterator[Condition]:
        """Every condition for some test rows whose truth was asked for; one still for all as one clip."""
        names = list(self.test["clip"].iloc[rows])
        yield Condition(MODEL, self.model.frames(names), MODEL, names)
        if self.upper is not None:
            shown = clips.as_size(self.upper.frames(names), self.frames, self.size)
            yield Condition("true_features", shown, "true_features", names)
        for name, control in self.controls.items():
            at = np.array([k for k, clip in enumerate(names) if clip in control], dtype=int)
            yield Condition(name, control.frames([names[k] for k in at]), at=at)
        yield Condition("gray", baselines.gray(self.frames, self.size))
        flat = baselines.true_colour(self.colours[rows], self.frames, self.size)
        yield Condition("true_colour", flat, "true_colour", names)
        if self.mean is not None:
            yield Condition("mean_frame", baselines.still(self.mean, self.frames))
        if len(self.random):
            yield self._of_training("random_training", self.random.iloc[rows])
        if self.nearest is not None:
            yield self._of_training("nearest_training", self.training.iloc[self.nearest[rows]])

    def _of_training(self, name: str, table: pd.DataFrame) -> Condition:
        shown = cut_clips(table, self.stimuli, self.frames, self.size)
        return Condition(name, shown, "training", list(table["clip"]))


def _spread(videos: Videos, count: int) -> Videos:
    """A single still clip, seen as `count` clips without copying its frames."""
    if len(videos.frames) == count:
        return videos
    frames = np.broadcast_to(videos.frames, (count, *videos.frames.shape[1:]))
    return Videos(frames, videos.readings.take(np.zeros(count, dtype=int)))


def score(
    material: Source,
    runs: Sequence[clips.Segment],
    judges: Judges,
    known_readings: Stored,
    settings: EvaluateSettings,
) -> tuple[dict[str, list[list[Measure]]], Collected]:
    """Measures of every condition, {condition: [measures of run 1, of run 2, ...]}, and the class scores
    from which sets of clips are compared."""
    test = material.test
    collected = Collected(len(test))
    shots, attributes = test["shot"].to_numpy(), parse_as_text(test["attributes"])
    every = attributes + parse_as_text(material.training["attributes"])
    factors = {which: judge.factors(judges.labels(which), every) for which in ("image", "video")}
    panel = Panel(factors, judges.layers, judges.sentences_name, judges.lpips)
    out: dict[str, list[list[Measure]]] = {}
    for segment in runs:
        rows, count = segment.rows, len(segment.rows)
        frames = material.truth(rows)
        names = list(test["clip"].iloc[rows])
        judged = known_readings.take("truth", names)
        judged = judged or judges.read(frames, f"truth of {segment.name}")
        truth = Videos(frames, judges.described(judged, frames, _captions(test, rows)))
        collected.add("truth", rows, truth.readings.video)
        own = [attributes[row] for row in rows]
        by = shifts_of_run(shots[rows], settings, _step(test.iloc[rows]))
        for condition in material.conditions(rows):
            what = f"{condition.name} of {segment.name}"
            if condition.at is not None:
                some = judges.described(judges.read(condition.frames, what), condition.frames)
                collected.add(condition.name, rows[condition.at], some.video)
                videos = Videos(condition.frames, some)
                found = _of_some(videos, condition.at, truth, shots[rows], own, panel, settings)
                out.setdefault(condition.name, []).append(found)
                continue
            judged = known_readings.take(condition.stored, condition.clips)
            readings = judged or judges.read(condition.frames, what)
            readings = judges.described(readings, condition.frames)
            seen = _spread(Videos(condition.frames, readings), count)
            collected.add(condition.name, rows, seen.readings.video)
            plan = by if condition.name == MODEL else by[:1]
            pairing = shifts.shifted(count, plan)
            found = measure(truth, seen, pairing, shots[rows], own, panel, settings)
            out.setdefault(condition.name, []).append(found)
        out.setdefault("truth", []).append(of_truth(truth, own, factors))
    return out, collected


def _step(run: pd.DataFrame) -> float:
    """Typical time (s) from one clip of a run to the next; 0 if the table does not say."""
    return shifts.spacing(run["onset"].to_numpy()) if "onset" in run else 0.0


def _captions(test: pd.DataFrame, rows: np.ndarray) -> list[str] | None:
    """The captions that the data set gives to these clips; None unless every clip has one."""
    if "caption" not in test or not all(test["caption"].iloc[rows]):
        return None
    return list(test["caption"].iloc[rows])


def _of_some(
    seen: Videos,
    at: np.ndarray,
    truth: Videos,
    shots: np.ndarray,
    attributes: Sequence[Mapping[str, str]],
    panel: Panel,
    settings: EvaluateSettings,
) -> list[Measure]:
    """Measures of clips that are there at some places of a run alone; NaN for the others."""
    count = len(truth.frames)
    beside = Videos(truth.frames[at], truth.readings.take(at))
    pairing = shifts.shifted(len(at), np.zeros(1, dtype=int))
    own = [attributes[place] for place in at]
    found = measure(beside, seen, pairing, shots[at], own, panel, settings)
    return [one.spread(at, count) for one in found]


def split_clips(table: pd.DataFrame, windows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(test clips with segment and onset, training clips) of the clips table, by the windows' split."""
    shown = windows.drop_duplicates("clip").set_index("clip")[["segment", "onset", "split"]]
    joined = table.join(shown, on="clip", how="inner")
    test = joined[joined["split"] == "test"].reset_index(drop=True)
    # A clip that is also shown in a training run is no training clip: nothing may leak.
    training = joined[joined["split"] != "test"].reset_index(drop=True)
    return test, training


def _nearest(
    windows: str, series: str | None, test: pd.DataFrame, training: pd.DataFrame
) -> pd.DataFrame | None:
    """Table "nearest": the training clip whose response is nearest to that of each test clip."""
    import pandas as pd

    if series is None or not len(training):
        return None
    near = responses.load_responses(windows, series, "test")
    far = responses.load_responses(windows, series, ("train", "validation"))
    best, alike = baselines.nearest_rows(near.x, far.x)
    table = pd.DataFrame(
        {
            "clip": near.clips,
            "nearest": [far.clips[k] for k in best],
            "correlation": alike.astype(float),
        }
    )
    return table.set_index("clip", drop=False).loc[list(test["clip"])].reset_index(drop=True)


def open_controls(
    folders: Sequence[str], model: Reconstruction, runs: Sequence[Sequence[str]]
) -> dict[str, Reconstruction]:
    """Controls by condition; those without a whole run are left out."""
    found = {}
    for folder in folders:
        control = Reconstruction([folder])
        if control.shape[:3] != model.shape[:3]:
            raise UserError(
                f"{folder}: clips of shape {control.shape[:3]}, the reconstruction's {model.shape[:3]}; "
                "reconstruct both with one configuration"
            )
        if all(set(names) & set(control.names) for names in runs):
            found[condition_of(Path(folder).name.removeprefix("control-"))] = control
    return found


def condition_of(control: str) -> str:
    """The condition that a control of the stage `reconstruct` is: "mean_fmri" of "mean"."""
    known = {"other": "other_subject", "caption": "nearest_caption"}
    if control in known:
        return known[control]
    return control.replace("-", "_") if control.startswith("seed-") else f"{control}_fmri"


def main(argv: list[str] | None = None) -> None:
    started = time.time()
    arguments = parser(__doc__)
    arguments.add_argument("--reconstruction", nargs="+", required=True, help="shard folders")
    arguments.add_argument("--upper-bound", nargs="*", default=[], help="shards from true features")
    arguments.add_argument("--stimuli", nargs="+", required=True, help="folder(s) of movies")
    arguments.add_argument("--clips", required=True, help="clips.parquet")
    arguments.add_argument("--windows", required=True, help="windows.parquet of the subject")
    arguments.add_argument("--series-dir", help="the subject's series: adds nearest_training")
    arguments.add_argument("--controls", nargs="*", default=[], help="folders control-NAME")
    Models.add_arguments(arguments)
    arguments.add_argument("--reference", type=Path, help="folder of evaluate.reference")
    arguments.add_argument(
        "--readings", nargs="*", default=[], type=Path, help="folders of evaluate.shard"
    )
    arguments.add_argument("--dataset", help="name for the table (default: the config's, or none)")
    arguments.add_argument("--method", default="mindvideo")
    arguments.add_argument("--subject", required=True)
    arguments.add_argument("--output-clips", required=True, type=Path)
    arguments.add_argument("--output-scores", required=True, type=Path)
    arguments.add_argument(
        "--output-nearest", type=Path, help="table of nearest training clips; needs --series-dir"
    )
    args = arguments.parse_args(argv)
    settings = read(EvaluateSettings, args.config, "evaluate")

    model = Reconstruction(args.reconstruction)
    upper = Reconstruction(args.upper_bound) if args.upper_bound else None
    windows = tables.read(args.windows, "windows")
    table = tables.read(args.clips, "clips")
    test, training = split_clips(table, windows)
    unknown = sorted(set(model.names) - set(test["clip"]))
    if unknown:
        raise UserError(
            f"{args.reconstruction[0]}: clip {unknown[0]} is no test clip of {args.windows}; "
            "evaluate with the windows that were reconstructed"
        )
    test = test[test["clip"].isin(model.names)].reset_index(drop=True)
    neighbours = _nearest(args.windows, args.series_dir, test, training)
    place = {name: k for k, name in enumerate(training["clip"])}
    nearest = None
    if neighbours is not None:
        nearest = np.array([place[name] for name in neighbours["nearest"]])
    movies = set(training["movie"]) - set(test["movie"])
    # If test and training are parts of one film, clips are used in place of movies.
    pool = table if movies else training
    random = baselines.random_clips(pool, movies or set(pool["movie"]), len(test), settings.seed)
    runs = clips.segments(test)
    controls = open_controls(args.controls, model, [list(test["clip"].iloc[r.rows]) for r in runs])
    material = Material(model, upper, args.stimuli, test, training, random, nearest, controls)
    with lease() as device:
        known_captions = list(training["caption"])
        judges = Judges(
            Models.from_args(args),
            device,
            settings.batch_size,
            known_captions,
            settings.video_frames,
        )
        folders = [*([args.reference] if args.reference else []), *args.readings]
        known = Stored(folders, judges.parts)
        measured, collected = score(material, runs, judges, known, settings)

    own, others = (parse(part["attributes"]) for part in (test, training))
    seen = all_seen(own, others, settings.combination)
    summary = Summary(runs, test["shot"].to_numpy(), seen, settings)
    rows, by_clip = tabulate(measured, collected, summary, test, runs, args.method)
    rows.insert(0, "subject", args.subject)
    rows.insert(0, "dataset", args.dataset or settings.dataset)
    tables.write(args.output_clips, by_clip, "clip_metrics")
    tables.write(args.output_scores, rows, "metrics")
    inputs = [*args.reconstruction, *args.upper_bound, *args.controls, args.clips, args.windows]
    inputs += folders
    if neighbours is not None:
        splits = ("train", "validation", "test")
        inputs += responses.series_files(args.windows, args.series_dir, splits)
    targets = [args.output_clips, args.output_scores]
    if args.output_nearest and neighbours is not None:
        tables.write(args.output_nearest, neighbours, "nearest")
        targets.append(args.output_nearest)
    for target in targets:
        provenance.record(
            target, inputs=inputs, config=asdict(settings), seed=settings.seed, started=started
        )


if __name__ == "__main__":
    run(main)
