"""All metrics of one run's clips under one condition, for each pairing that a shift makes.

Takes truth and reconstruction of a run (frames and readings) and the pairings; returns one `Measure`
per metric. Which metrics there are follows from which readings there are: a metric that needs a
model that was not given is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from boldreel.evaluate import (
    captions,
    clip_similarity,
    flow,
    judge,
    motion,
    nway,
    pixel,
    ssim,
)
from boldreel.evaluate.lpips import Lpips
from boldreel.evaluate.readings import Readings
from boldreel.evaluate.settings import EvaluateSettings
from boldreel.stats import shifts

NAN = float("nan")
LPIPS_SHIFTS = 10  # each looks at all frames again
POOLS = (10, 50)  # of true clips, for retrieval by reconstructions


@dataclass(frozen=True)
class Measure:
    """One metric's values.

    better : "higher", "lower" or "neither" (a ratio that should be 1, or no look at the truth).
    values : (pairings, n); the first pairing is the right one. (1, n) where pairing means nothing.
    per : (n,) denominators where the value of a set of clips is a ratio of sums, else None.
    by : (pairings,) the shift of each pairing; None for those of `shifts.spaced`.
    """

    metric: str
    definition: str
    better: str
    chance: float
    values: np.ndarray
    per: np.ndarray | None = None
    by: np.ndarray | None = None

    def spread(self, at: np.ndarray, count: int) -> Measure:
        """The measure of clips at these places, as one of `count` clips; NaN at the others."""
        values = np.full((len(self.values), count), NAN)
        values[:, at] = self.values
        if self.per is None:
            return replace(self, values=values)
        per = np.full(count, NAN)
        per[at] = self.per
        return replace(self, values=values, per=per)


@dataclass(frozen=True)
class Videos:
    """Clips of one run: frames uint8 (n, F, h, w, 3) and what the judges read."""

    frames: np.ndarray
    readings: Readings


Factors = Mapping[str, tuple[list[str], np.ndarray]]


@dataclass(frozen=True)
class Panel:
    """What is known of the judges, next to what they read.

    factors : what the labels of the "image" and the "video" classifier say, see `judge.factors`.
    layers : names of the early and the late layer. sentences : name of what embeds captions.
    lpips : None to do without.
    """

    factors: Mapping[str, Factors] = field(default_factory=dict)
    layers: tuple[str, str] | None = None
    sentences: str | None = None
    lpips: Lpips | None = None


def measure(
    truth: Videos,
    reconstruction: Videos,
    pairing: tuple[np.ndarray, np.ndarray],
    shots: np.ndarray,
    attributes: Sequence[Mapping[str, str]],
    panel: Panel,
    settings: EvaluateSettings,
) -> list[Measure]:
    """Every metric for which there is material.

    Parameters
    ----------
    pairing : index arrays (pairings, n) of reconstruction and truth, see `stats.shifts.shifted`.
    shots : (n,) shot of each true clip. attributes : of each true clip.
    """
    i, j = pairing
    few = shifts.thinned(len(i), settings.pixel_shifts or len(i))
    found = [
        *_pixels(truth.frames, reconstruction.frames, i[few], j[few]),
        *_motion(truth.frames, reconstruction.frames),
    ]
    a, b = reconstruction.readings, truth.readings
    if a.image is not None and b.image is not None:
        found += _nway("nway_frame", a.image, b.image, i, j, settings)
    if a.video is not None and b.video is not None:
        found += _nway("nway_video", a.video, b.video, i, j, settings)
    if a.flow is not None and b.flow is not None and b.flow.shape[1]:
        found += _flow(a.flow, b.flow, i[few], j[few])
    if a.embedding is not None and b.embedding is not None:
        found += _clip(a.embedding, b.embedding, shots, i, j, settings.clip_threshold)
    if a.early is not None and a.late is not None and b.early is not None and b.late is not None:
        for name, one, other in zip(
            panel.layers or (), (a.early, a.late), (b.early, b.late), strict=True
        ):
            values = clip_similarity.identification(one, other, shots, i, j)
            found.append(Measure("layer_identification", name, "higher", 0.5, values))
    if panel.lpips is not None:
        least = shifts.thinned(len(i), min(LPIPS_SHIFTS, len(few)))
        values = panel.lpips.pairs(reconstruction.frames, truth.frames, i[least], j[least])
        found.append(Measure("lpips", "alexnet", "lower", NAN, values))
    if a.caption is not None and b.caption is not None:
        found += _captions(a, b, i[few], j[few], str(panel.sentences))
    for which, logits in (("image", a.image), ("video", a.video)):
        if logits is not None:
            found += _judge(which, logits, panel.factors.get(which, {}), attributes, i, j)
    by = (i[:, 0] - j[:, 0]) % i.shape[1]
    return [replace(m, by=by[shifts.thinned(len(by), len(m.values))]) for m in found]


def of_truth(
    truth: Videos, attributes: Sequence[Mapping[str, str]], factors: Mapping[str, Factors]
) -> list[Measure]:
    """What the truth itself scores where only a judge or the output alone is looked at."""
    same = np.arange(len(truth.frames))[None]
    found: list[Measure] = []
    for which, logits in (("image", truth.readings.image), ("video", truth.readings.video)):
        if logits is not None:
            found += _judge(which, logits, factors.get(which, {}), attributes, same, same)
    embedding = truth.readings.embedding
    if embedding is not None and embedding.shape[1] > 1:
        smooth = clip_similarity.neighbours(embedding)
        found.append(Measure("clip_pcc", "output", "neither", NAN, smooth[None]))
    return found


def left_out(parts: Sequence[str], frames: int, size: tuple[int, int]) -> dict[str, str]:
    """{metric: what it needs} of the metrics for which there is no material.

    Parameters
    ----------
    parts : what there is, of "image", "video", "embedding", "early", "lpips", "captions".
    frames, size : of the clips.
    """
    needs = {
        "image": ("an image classifier", ["nway_frame"]),
        "early": ("AlexNet's weights or an image classifier", ["layer_identification"]),
        "lpips": ("AlexNet's weights", ["lpips"]),
        "captions": (
            "a captioner, or CLIP and known captions",
            ["caption_bleu", "caption_rouge", "caption_similarity"],
        ),
        "video": ("a video classifier", ["nway_video", "frechet_class_scores"]),
        "embedding": (
            "a CLIP model",
            ["clip_similarity", "clip_identification", "clip_retrieval", "clip_pcc"],
        ),
    }
    out = {m: what for part, (what, all_) in needs.items() if part not in parts for m in all_}
    if frames < 2:
        out |= dict.fromkeys(
            (
                *("motion_change", "flicker", "flow_error", "flow_direction", "dominant_direction"),
                *("moving_position", "clip_pcc", "temporal_order"),
            ),
            "clips of two frames or more",
        )
    for definition in ssim.DEFINITIONS:
        side = ssim.smallest_frame(definition)
        if min(size) < side:
            out[f"ssim {definition}"] = f"frames of {side} pixels or more"
    return out


def _pixels(
    truth: np.ndarray, reconstruction: np.ndarray, i: np.ndarray, j: np.ndarray
) -> Iterator[Measure]:
    if isinstance(reconstruction, np.ndarray) and reconstruction.strides[0] == 0:
        # One still for all clips: looked at once.
        reconstruction, i = reconstruction[:1], np.zeros_like(i)
    for definition in ssim.DEFINITIONS:
        if min(truth.shape[2:4]) < ssim.smallest_frame(definition):
            continue
        values = ssim.pairs(reconstruction, truth, i, j, definition)
        yield Measure("ssim", definition, "higher", NAN, values)
    error = pixel.mse(reconstruction, truth, i, j)
    yield Measure("mse", "rgb", "lower", NAN, error.mean(axis=-1))
    yield Measure("psnr", "rgb", "higher", NAN, pixel.psnr(error))
    agreement = pixel.correlation(reconstruction, truth, i, j)
    yield Measure("pixel_correlation", "rgb", "higher", NAN, agreement)
    for view in ("chroma", "hue"):
        agreement = pixel.correlation(reconstruction, truth, i, j, view)
        yield Measure("hue_correlation", view, "higher", NAN, agreement)
    if truth.shape[1] > 1:
        order = pixel.forward_order(reconstruction, truth, i, j)
        yield Measure("temporal_order", "pixel_correlation", "higher", 0.5, order)


def _motion(truth: np.ndarray, reconstruction: np.ndarray) -> Iterator[Measure]:
    if truth.shape[1] > 1:
        yield Measure(
            "motion_change",
            "ratio_to_truth",
            "neither",
            NAN,
            motion.change(reconstruction)[None],
            per=motion.change(truth),
        )
    if truth.shape[1] > 2:
        flicker = motion.change(reconstruction, 2)[None]
        per = motion.change(truth, 2)
        yield Measure("flicker", "ratio_to_truth", "neither", NAN, flicker, per=per)


def _flow(a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> Iterator[Measure]:
    side = f"tvl1_{flow.SIDE}px"
    yield Measure("flow_error", side, "lower", NAN, flow.end_point_error(a, b, i, j))
    yield Measure("flow_direction", side, "higher", 0.0, flow.direction(a, b, i, j))
    yield Measure("dominant_direction", side, "higher", 0.0, flow.dominant(a, b, i, j))
    yield Measure("moving_position", side, "lower", NAN, flow.apart(a, b, i, j))


def _nway(
    metric: str,
    scores: np.ndarray,
    truth: np.ndarray,
    i: np.ndarray,
    j: np.ndarray,
    settings: EvaluateSettings,
) -> Iterator[Measure]:
    classes = scores.shape[-1]
    for right, name in ((3, "top3"), (1, "single")):
        if classes <= right:
            continue
        labels = nway.right_classes(truth, right)
        for n_way in settings.n_way:
            if classes - right < n_way - 1:
                continue
            for top_k in settings.top_k:
                values = np.stack(
                    [
                        nway.exact(scores[p], labels[q], n_way, top_k)
                        for p, q in zip(i, j, strict=True)
                    ]
                )
                if values.ndim == 3:  # frames
                    values = values.mean(axis=2)
                definition = f"{name}_n{n_way}_k{top_k}"
                chance = nway.chance(n_way, top_k, right)
                yield Measure(metric, definition, "higher", chance, values)


def _clip(
    a: np.ndarray,
    b: np.ndarray,
    shots: np.ndarray,
    i: np.ndarray,
    j: np.ndarray,
    threshold: float,
) -> Iterator[Measure]:
    similarity = clip_similarity.cosine(a, b, i, j)
    yield Measure("clip_similarity", "frame_cosine", "higher", NAN, similarity)
    twoway = clip_similarity.identification(a, b, shots, i, j)
    yield Measure("clip_identification", "two_way", "higher", 0.5, twoway)
    for pool in POOLS:
        found = clip_similarity.retrieval(a, b, shots, i, j, pool)
        if np.isfinite(found).any():
            yield Measure("clip_retrieval", f"top1_pool{pool}", "higher", 1 / pool, found)
    if a.shape[1] > 1:
        smooth = clip_similarity.neighbours(a)
        yield Measure("clip_pcc", "output", "neither", NAN, smooth[None])
        yield Measure(
            "clip_pcc",
            f"thresholded_{threshold:g}",
            "higher",
            NAN,
            np.where(similarity >= threshold, smooth[i], 0.0),
        )


def _captions(
    a: Readings, b: Readings, i: np.ndarray, j: np.ndarray, sentences: str
) -> Iterator[Measure]:
    said, true = ([str(text) for text in r.caption] for r in (a, b) if r.caption is not None)
    for definition, values in captions.agreement(said, true, i, j).items():
        metric = f"caption_{definition.split('_')[0]}"
        yield Measure(metric, definition, "higher", NAN, values)
    if a.sentence is not None and b.sentence is not None:
        values = np.einsum("pnd,pnd->pn", a.sentence[i], b.sentence[j], dtype=np.float64)
        yield Measure("caption_similarity", sentences, "higher", NAN, values)


def _judge(
    which: str,
    logits: np.ndarray,
    factors: Factors,
    attributes: Sequence[Mapping[str, str]],
    i: np.ndarray,
    j: np.ndarray,
) -> Iterator[Measure]:
    probabilities = judge.softmax(logits)
    for name, (values, belongs) in factors.items():
        true = [values.index(e[name]) if e.get(name) in values else -1 for e in attributes]
        right = judge.read(probabilities, belongs, len(values))[i] == np.array(true)[j]
        hits = np.where(np.array(true)[j] >= 0, right.astype(float), np.nan)
        yield Measure(f"judge_{name}", f"{which}_classifier", "higher", 1 / len(values), hits)
