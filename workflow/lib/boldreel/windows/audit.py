"""Leakage audit: what test clips share with training.

Reads clips, the windows of all subjects and the decoded movies; writes audit.json: whether splits
share segments, movies, clips or shots; test captions that occur in training; test frames that look
like a training frame; combinations of attributes that only test clips have (seen and unseen clips);
clips that hold a cut; how often each segment was shown; how much windows of neighbouring clips overlap, and
how many windows of one split hold volumes of another's. Validation counts as training here.
"""

from __future__ import annotations

import itertools
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel import step
from boldreel.data import arrays, attributes, batches, json_documents, provenance, tables
from boldreel.names import natural
from boldreel.settings import read
from boldreel.windows.settings import WindowsSettings

if TYPE_CHECKING:
    import pandas as pd

_THUMBNAIL = 16
_CHUNK = 1024
_EXAMPLES = 10


def split_report(windows: pd.DataFrame, clips: pd.DataFrame) -> dict[str, Any]:
    """What each split holds and what test shares with the others; ``disjoint`` is the verdict."""
    movie = dict(zip(clips["clip"], clips["movie"], strict=True))
    windows = windows.assign(movie=windows["clip"].map(movie))
    test = windows[windows["split"] == "test"]
    rest = windows[windows["split"] != "test"]
    shared = {
        f"shared_{name}s": sorted(set(test[name]) & set(rest[name]), key=natural)
        for name in ("segment", "movie", "clip", "shot")
    }
    return {
        "disjoint": not any(shared.values()),
        **shared,
        **{
            split: {
                "segments": sorted(set(rows["segment"]), key=natural),
                "clips": int(rows["clip"].nunique()),
                "shots": int(rows["shot"].nunique()),
                "windows": len(rows),
            }
            for split, rows in windows.groupby("split", sort=True)
        },
    }


def caption_report(test: Sequence[str], train: Sequence[str], threshold: float) -> dict[str, Any]:
    """How many test captions are in training word for word, or with most of their words."""
    known = set(train)
    verbatim = [text for text in test if text in known]
    bags = [_words(text) for text in known]
    near = 0
    best_of: dict[str, float] = {}
    for text in test:
        if text not in best_of:
            words = _words(text)
            best_of[text] = max(
                (len(words & bag) / max(len(words | bag), 1) for bag in bags), default=0.0
            )
        near += best_of[text] >= threshold
    return {
        "test": len(test),
        "verbatim": len(verbatim),
        "verbatim_share": len(verbatim) / max(len(test), 1),
        "near": near,
        "near_share": near / max(len(test), 1),
        "near_threshold": threshold,
        "examples": sorted(set(verbatim))[:_EXAMPLES],
    }


def attribute_report(
    test: pd.DataFrame, train: pd.DataFrame, combination: Sequence[str] = ()
) -> dict[str, Any]:
    """Per pair of attributes: test clips whose combination training has ("seen") or has not.

    Parameters
    ----------
    test, train : rows of the clips table
    combination : attributes to report on together, next to all pairs

    Returns
    -------
    "{a}+{b}" -> combinations (those that only test has), seen and unseen (numbers of test clips),
    unseen_clips (their names); clips without one of the attributes are in neither
    """
    of_test, of_train = (attributes.parse(part["attributes"]) for part in (test, train))
    keys = list(dict.fromkeys(key for values in of_test for key in values))
    groups = [tuple(combination)] if combination else []
    groups += [pair for pair in itertools.combinations(keys, 2) if set(pair) != set(combination)]
    report: dict[str, Any] = {}
    for group in groups:
        found = attributes.seen(of_test, of_train, group)
        unseen = [k for k, seen in enumerate(found) if seen is False]
        report["+".join(group)] = {
            "combinations": sorted(
                {" ".join(str(of_test[k][name]) for name in group) for k in unseen}
            ),
            "seen": found.count(True),
            "unseen": len(unseen),
            "unseen_clips": [str(test["clip"].iloc[k]) for k in unseen],
        }
    return report


@dataclass(frozen=True)
class Looks:
    """What the frames of some movies look like, one movie after the other.

    image : float32 (n, D), CLIP embeddings of unit norm; pixels : (n, P), thumbnails of unit norm
    movies : the movie of each frame; numbers : which frame of it, (n,)
    """

    image: np.ndarray
    pixels: np.ndarray
    movies: np.ndarray
    numbers: np.ndarray


class _Found:
    """What has been found of up to _CHUNK frames of test movies, after some of the training movies."""

    def __init__(self, looks: Looks, rows: slice) -> None:
        self.looks, self.rows = looks, rows
        self.image, self.pixels = looks.image[rows], looks.pixels[rows]
        self.in_clip = np.zeros(len(self.image), bool)
        self.in_pixels, self.in_both = self.in_clip.copy(), self.in_clip.copy()
        self.top_clip = np.full(len(self.in_clip), -1.0, np.float32)
        self.top_pixels = self.top_clip.copy()
        self.examples: list[dict[str, Any]] = []

    def compare(self, train: Looks, clip_threshold: float, pixel_threshold: float) -> None:
        cosine = self.image @ train.image.T
        correlation = self.pixels @ train.pixels.T
        both = (cosine >= clip_threshold) & (correlation >= pixel_threshold)
        self.in_clip |= (cosine >= clip_threshold).any(axis=1)
        self.in_pixels |= (correlation >= pixel_threshold).any(axis=1)
        fresh = both.any(axis=1) & ~self.in_both
        self.in_both |= fresh
        self.top_clip = np.maximum(self.top_clip, cosine.max(axis=1))
        self.top_pixels = np.maximum(self.top_pixels, correlation.max(axis=1))
        for row in np.flatnonzero(fresh)[: _EXAMPLES - len(self.examples)]:
            own, other = self.rows.start + row, both[row].argmax()
            self.examples.append(
                {
                    "test": str(self.looks.movies[own]),
                    "test_frame": int(self.looks.numbers[own]),
                    "training": str(train.movies[other]),
                    "training_frame": int(train.numbers[other]),
                }
            )


def frame_report(
    test: Iterable[Looks], train: Iterable[Looks], clip_threshold: float, pixel_threshold: float
) -> dict[str, Any]:
    """How many test frames have a training frame that looks alike, to CLIP, in pixels, and to both.

    Training movies are gone through once, those of one batch in memory at a time.
    """
    found = [
        _Found(looks, slice(low, low + _CHUNK))
        for looks in test
        for low in range(0, len(looks.image), _CHUNK)
    ]
    for looks in train:
        for each in found:
            each.compare(looks, clip_threshold, pixel_threshold)
    frames = sum(len(each.in_clip) for each in found)
    duplicates = sum(int(each.in_both.sum()) for each in found)
    return {
        "test": frames,
        "clip_threshold": clip_threshold,
        "pixel_threshold": pixel_threshold,
        "near_duplicates": duplicates,
        "near_duplicates_clip": sum(int(each.in_clip.sum()) for each in found),
        "near_duplicates_pixels": sum(int(each.in_pixels.sum()) for each in found),
        "share": duplicates / max(frames, 1),
        "highest_cosine_median": _median([each.top_clip for each in found]),
        "highest_correlation_median": _median([each.top_pixels for each in found]),
        "examples": [one for each in found for one in each.examples][:_EXAMPLES],
    }


def overlap_report(windows: pd.DataFrame) -> dict[str, Any]:
    """How much windows of one subject overlap within its runs.

    Returns
    -------
    neighbours : mean share of a window's volumes that the next clip's window holds too; None without a next
    test, validation : number of clips of the split whose window shares a volume of a run with a window of an
        earlier split (validation or training; training)
    """
    shares: list[np.ndarray] = []
    mixed: dict[str, set[str]] = {"test": set(), "validation": set()}
    earlier = {"test": ("train", "validation"), "validation": ("train",)}
    for _, rows in windows.groupby("run", sort=False):
        rows = rows.sort_values("onset", kind="stable")
        first, width = rows["first_volume"].to_numpy(), int(rows["window"].iloc[0])
        shares.append(np.clip(width - np.diff(first), 0, width) / width)
        split, clips = rows["split"].to_numpy(), rows["clip"].to_numpy()
        for name, others in earlier.items():
            own, beside = split == name, np.isin(split, others)
            meets = np.abs(first[own][:, None] - first[beside][None]) < width
            mixed[name] |= set(clips[own][meets.any(axis=1)])
    every = np.concatenate(shares)
    return {
        "neighbours": round(float(every.mean()), 4) if len(every) else None,
        **{name: len(clips) for name, clips in mixed.items()},
    }


def repeat_report(windows: pd.DataFrame) -> dict[str, int]:
    """For each segment of a subject the median number of runs, of any segment, that show one of its clips."""
    shown = windows.groupby("clip")["run"].nunique()
    return {
        str(segment): int(shown[rows["clip"].unique()].median())
        for segment, rows in windows.groupby("segment", sort=True)
    }


def thumbnails(frames: np.ndarray) -> np.ndarray:
    """Grey block means of frames uint8 (n, h, w, 3), centred, unit norm, (n, up to 256)."""
    n, height, width = frames.shape[:3]
    rows, columns = min(_THUMBNAIL, height), min(_THUMBNAIL, width)
    out = np.empty((n, rows * columns), np.float32)
    down, across = height // rows, width // columns
    for low in range(0, n, _CHUNK):
        grey = np.asarray(frames[low : low + _CHUNK]).astype(np.float32).mean(axis=3)
        grey = grey[:, : rows * down, : columns * across]
        blocks = grey.reshape(len(grey), rows, down, columns, across).mean(axis=(2, 4))
        out[low : low + _CHUNK] = blocks.reshape(len(grey), -1)
    out -= out.mean(axis=1, keepdims=True)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)


def _median(parts: list[np.ndarray]) -> float | None:
    return round(float(np.median(np.concatenate(parts))), 4) if parts else None


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))


def _looks_of(clips: pd.DataFrame, folders: Mapping[str, Path]) -> Iterator[Looks]:
    """What the movies of these clips look like, batch by batch; a movie may be a batch of its own."""
    batch_of = batches.of_clips(clips)
    for batch in sorted(set(batch_of) & set(folders), key=natural):
        path = folders[batch] / "frames.npy"
        frames, meta = arrays.load(path, kind="frames")
        image, _ = arrays.load(folders[batch] / "features" / "image.npy", kind="image_features")
        parts = batches.parts(meta, batch, len(frames))
        shown = sorted(set(clips.loc[batch_of == batch, "movie"]), key=natural)
        rows = [np.arange(parts[movie].start, parts[movie].stop) for movie in shown]
        yield Looks(
            np.concatenate([image[each] for each in rows]),
            np.concatenate([thumbnails(frames[part]) for part in map(parts.get, shown)]),
            np.repeat(shown, [len(each) for each in rows]),
            np.concatenate([np.arange(len(each)) for each in rows]),
        )


def betas_report(windows: Mapping[str, pd.DataFrame], fitted_on: str) -> dict[str, Any]:
    """Whether one fit of single-trial betas saw test and training trials.

    Parameters
    ----------
    windows : table "windows" of each subject
    fitted_on : "per-run" or "all-runs", as the configuration says; the files do not

    Returns
    -------
    fitted_on; mixed_runs, how many runs have trials of the test and of another split; shared_fit
    """
    mixed = 0
    for table in windows.values():
        test = table["split"] == "test"
        mixed += len(set(table.loc[test, "run"]) & set(table.loc[~test, "run"]))
    shared = fitted_on != "per-run" or mixed > 0
    return {"fitted_on": fitted_on, "mixed_runs": mixed, "shared_fit": shared}


def main(argv: list[str] | None = None) -> None:
    import pandas as pd

    arguments = step.parser(__doc__)
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--windows", type=Path, nargs="+", required=True, metavar="PARQUET")
    arguments.add_argument("--stimuli", type=Path, nargs="+", required=True, metavar="DIR")
    arguments.add_argument("--betas", help="runs that single-trial betas were fitted on")
    arguments.add_argument("--output", type=Path, required=True)
    args = arguments.parse_args(argv)
    started = time.time()
    settings = read(WindowsSettings, args.config, "windows")
    clips = tables.read(args.clips, "clips")
    by_subject = {path.parent.name: tables.read(path, "windows") for path in args.windows}
    windows = pd.concat(by_subject.values(), ignore_index=True)
    in_test = set(windows.loc[windows["split"] == "test", "clip"])
    in_train = set(windows.loc[windows["split"] != "test", "clip"])
    test, train = clips[clips["clip"].isin(in_test)], clips[clips["clip"].isin(in_train)]
    folders = {folder.resolve().name: folder for folder in args.stimuli}
    report = {
        "splits": split_report(windows, clips),
        "captions": caption_report(
            test["caption"].to_list(), train["caption"].to_list(), settings.near_duplicate_caption
        ),
        "frames": frame_report(
            _looks_of(test, folders),
            _looks_of(train, folders),
            settings.near_duplicate_clip,
            settings.near_duplicate_pixels,
        ),
        "attributes": attribute_report(test, train, settings.combination),
        "cuts": {
            name: {"clips": len(rows), "with_cut": int((rows["cuts"] > 0).sum())}
            for name, rows in (("test", test), ("train", train))
        },
        "repeats": {subject: repeat_report(frame) for subject, frame in by_subject.items()},
        "overlap": {subject: overlap_report(frame) for subject, frame in by_subject.items()},
    }
    if args.betas:
        report["betas"] = betas_report(by_subject, args.betas)
    json_documents.write(args.output, report, "audit")
    if not report["splits"]["disjoint"]:
        print("warning: training and test are not disjoint; see audit.json", file=sys.stderr)
    provenance.record(
        args.output, inputs=[args.clips, *args.windows], config=asdict(settings), started=started
    )


if __name__ == "__main__":
    step.run(main)
