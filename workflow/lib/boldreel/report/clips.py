"""The clips that the report shows: which, and what is known of each.

Takes results and tables of scores; returns frames of the truth and of reconstructions by clip, with what each
clip was read from. Nothing is encoded here (see `boldreel.report.media`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from boldreel.data import attributes

if TYPE_CHECKING:
    import pandas as pd

    from boldreel.data.reconstructions import Reconstruction
    from boldreel.report.results import Results

_CONTROLS = {
    "seed-1": "Another seed",
    "seed-2": "A third seed",
    "mean": "Fed the mean response",
    "noise": "Fed noise",
    "other": "Fed another subject’s response",
    "caption": "Fed the nearest training caption",
}

# Which metric orders clips: the first that there is.
_ORDERS = (("nway_video", "top3_n50_k1"), ("nway_frame", "top3_n50_k1"), ("ssim", "rgb_uniform"))


@dataclass
class ClipContext:
    """What a clip of one subject was read from, and what else was made for it.

    windows : a sentence, plain text. stills : (label, middle frame (h, w, 3)).
    """

    windows: str
    stills: list[tuple[str, np.ndarray]] = field(default_factory=list)


@dataclass(frozen=True)
class ShownClip:
    """One clip, read.

    frames : {kind: uint8 (F, h, w, 3)}, "truth" first. frame_rate : frames per second.
    seen : whether its combination of attributes occurs in training; None if that is unknown.
    context : {subject: ClipContext}.
    """

    clip: str
    segment: str
    caption: str
    attributes: dict[str, str]
    seen: bool | None
    frames: dict[str, np.ndarray]
    frame_rate: float
    context: Mapping[str, ClipContext] = field(default_factory=dict)


@dataclass(frozen=True)
class Pick:
    """A clip at the end or in the middle of a subject's order by a score, and its value."""

    clip: str
    subject: str
    place: str
    value: float


def draw_sample(clips: pd.DataFrame, names: Sequence[str], count: int, seed: int) -> pd.DataFrame:
    """`count` of the named clips drawn by seed, one of a shot at most; sorted by name.

    Shots are drawn rather than clips, since clips of one shot look alike. No score is looked at.
    """
    rng = np.random.default_rng([seed, 10])
    known = clips[clips["clip"].isin(set(names))].sort_values("clip")
    mixed = known.iloc[rng.permutation(len(known))]
    shots = sorted(set(known["shot"]))
    drawn = [shots[k] for k in rng.permutation(len(shots))[:count]]
    one = mixed.drop_duplicates("shot").set_index("shot", drop=False)
    return one.loc[drawn].sort_values("clip").reset_index(drop=True)


def shared(reconstructions: Iterable[Reconstruction]) -> list[str]:
    """Names of the clips that all reconstructions have, in the order of the first one.

    Where subjects saw no test clip in common, those that anybody has.
    """
    first, *others = reconstructions
    common = [name for name in first.names if all(name in other for other in others)]
    return common or list(dict.fromkeys(name for one in (first, *others) for name in one.names))


def score_of(per_clip: Mapping[str, pd.DataFrame]) -> tuple[str, str] | None:
    """The (metric, definition) that orders clips, of those that the tables of clips hold."""
    for wanted in _ORDERS:
        for table in per_clip.values():
            if ((table["metric"] == wanted[0]) & (table["definition"] == wanted[1])).any():
                return wanted
    return None


def picks(per_clip: Mapping[str, pd.DataFrame]) -> list[Pick]:
    """Each subject's best, median and worst clip of the model by `score_of`; ties by name."""
    score = score_of(per_clip)
    if score is None:
        return []
    out = []
    for subject, table in per_clip.items():
        rows = table[
            (table["condition"] == "model")
            & (table["metric"] == score[0])
            & (table["definition"] == score[1])
            & table["value"].notna()
        ].sort_values(["value", "clip"], ascending=[False, True])
        if len(rows):
            places = {"best": 0, "median": len(rows) // 2, "worst": len(rows) - 1}
            for place, k in places.items():
                row = rows.iloc[k]
                out.append(Pick(str(row["clip"]), subject, place, float(row["value"])))
    return out


def seen_pairs(
    clips: pd.DataFrame, test: Sequence[str], training: Iterable[str], combination: Sequence[str]
) -> dict[str, bool]:
    """{test clip: whether its combination of attributes occurs among the training clips}.

    Empty where a clip has no such attributes. A clip in neither list, such as one at the end of a test run,
    counts for nothing.
    """
    parsed = dict(zip(clips["clip"], attributes.parse(clips["attributes"]), strict=True))
    own, others = ([parsed[name] for name in names] for names in (test, training))
    seen = attributes.all_seen(own, others, combination)
    return {} if seen is None else dict(zip(test, seen.tolist(), strict=True))


def read(results: Results, names: Sequence[str], combination: Sequence[str]) -> Iterator[ShownClip]:
    """The named clips, in that order; each with the subjects that have it."""
    own = {subject: results.reconstruction(subject) for subject in results.subjects}
    upper = results.upper_bound()
    table = results.clips()
    segments: dict[str, str] = {}
    seen: dict[str, bool] = {}
    for subject in results.subjects:
        windows = results.table(results.layout.windows(subject), "windows")
        if windows is None:
            continue
        one = windows.drop_duplicates("clip")
        segments = dict(zip(one["clip"], one["segment"], strict=True)) | segments
        training = windows.loc[windows["split"] != "test", "clip"].unique()
        tested = set(windows.loc[windows["split"] == "test", "clip"])
        own_names = [name for name in names if name in tested]
        seen = seen_pairs(table, own_names, training, combination) | seen
    context = contexts(results, names)
    for row in table.set_index("clip", drop=False).loc[list(names)].itertuples():
        name = str(row.clip)
        made = {subject: clips[name] for subject, clips in own.items() if name in clips}
        frames = {"truth": results.truth(row, len(next(iter(made.values())))), **made}
        if upper is not None and name in upper:
            frames["upper"] = upper[name]
        yield ShownClip(
            clip=name,
            segment=segments.get(name, str(row.movie)),
            caption=str(row.caption),
            attributes=attributes.parse_as_text([str(row.attributes)])[0],
            seen=seen.get(name),
            frames=frames,
            frame_rate=own[results.subjects[0]].frame_rate,
            context=context[name],
        )


def contexts(results: Results, names: Sequence[str]) -> dict[str, dict[str, ClipContext]]:
    """{clip: {subject: its BOLD windows, and stills from the nearest training clip, other seeds and
    controls}}, where they exist."""
    out: dict[str, dict[str, ClipContext]] = {name: {} for name in names}
    table = results.clips().set_index("clip", drop=False)
    for subject in results.subjects:
        windows = results.table(results.layout.windows(subject), "windows")
        if windows is None:
            continue
        sentences = window_sentences(windows, names)
        nearest = results.table(results.layout.nearest(subject), "nearest")
        near = (
            {} if nearest is None else dict(zip(nearest["clip"], nearest["nearest"], strict=True))
        )
        controls = results.controls(subject)
        for name in names:
            if name not in sentences:
                continue
            found = ClipContext(sentences[name])
            if name in near:
                row = table.loc[near[name]]
                label = f"Training clip nearest in BOLD: {row['caption'] or near[name]}"
                found.stills.append((label, _middle(results.truth(row, int(row["n_frames"])))))
            found.stills += _stills(controls, name)
            out[name][subject] = found
    return out


def _middle(clip: np.ndarray) -> np.ndarray:
    return np.array(clip[len(clip) // 2])  # a copy: a view would keep the whole clip


def _stills(controls: Mapping[str, Reconstruction], name: str) -> list[tuple[str, np.ndarray]]:
    """(label, middle frame) of a clip in each control that has it, in the order of `_CONTROLS`."""
    order = [key for key in _CONTROLS if key in controls]
    order += [key for key in controls if key not in _CONTROLS]
    return [
        (_CONTROLS.get(key, key), _middle(controls[key][name]))
        for key in order
        if name in controls[key]
    ]


def window_sentences(windows: pd.DataFrame, names: Sequence[str]) -> dict[str, str]:
    """{clip: which volumes of which runs its responses are}; volumes count from 1."""
    found = {}
    for name, rows in windows[windows["clip"].isin(list(names))].groupby("clip", sort=False):
        one = rows.iloc[0]
        first, last = int(one["first_volume"]) + 1, int(one["first_volume"] + one["window"])
        volumes = f"volume {first}" if first == last else f"volumes {first} to {last}"
        runs = f"the mean of {len(rows)} runs" if len(rows) > 1 else "one run"
        found[str(name)] = f"{volumes} of {one['segment']}, lag {float(one['lag']):g} s, {runs}"
    return found


@dataclass(frozen=True)
class Cuts:
    """Cuts of one subject's continuous movies.

    places : where clips meet. made, true, both : cuts there in the reconstruction, in the truth and in both.
    within : cuts of the reconstruction within clips.
    """

    places: int
    made: int
    true: int
    both: int
    within: int


def count_cuts(cuts: pd.DataFrame, clips: pd.DataFrame) -> Cuts:
    """Compare a table of cuts with the clips that were reconstructed.

    Parameters
    ----------
    cuts : table "movie_cuts". clips : rows of the table "clips" of the clips that were reconstructed.
    """
    ordered = clips.sort_values(["movie", "start"])
    true, places = set(), 0
    for before, after in pairwise(ordered.itertuples()):
        gap = abs(before.start + before.duration - after.start)  # type: ignore[operator]
        if before.movie == after.movie and gap < 1e-6:
            places += 1
            if before.shot != after.shot:
                true.add(after.clip)
    made = set(cuts.loc[cuts["between_clips"], "clip"])
    within = int((~cuts["between_clips"]).sum())
    return Cuts(places, len(made), len(true), len(made & true), within)
