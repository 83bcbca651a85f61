"""Reference arrays of the metrics: c1 n-way identification, c2 structural similarity."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from comparison import Arrays, Comparison

from boldreel.evaluate import nway, ssim
from boldreel.evaluate.judge import softmax

ROUNDING = 1e-12
SSIM_TOLERANCE = 1e-7


def of_probabilities(logits: np.ndarray) -> float:
    """What float32 may change in a softmax: a logit's own rounding, four roundings of exp and its sum."""
    return float(np.finfo(np.float32).eps * (4 + np.abs(logits).max()) / 2)


def identification(arrays: Arrays, configs: dict[str, Any]) -> Iterator[Comparison]:
    """c1: right classes, shares of trials won against the recorded distractors, closed form."""
    truth, scores = arrays["logits_gt"], arrays["logits_pred"]
    right = nway.right_classes(truth)
    ranked = np.take_along_axis(truth, right, axis=1).argsort(axis=1)
    right = np.take_along_axis(right, ranked, axis=1)
    yield arrays.line("gt_top3", right, 0)
    yield arrays.line("probs_pred", softmax(scores), of_probabilities(scores))
    for key in arrays:
        if kind := re.fullmatch(r"(acc|std|exact)_n(\d+)_k(\d+)", key):
            n_way, top_k = int(kind[2]), int(kind[3])
            if kind[1] == "exact":
                own = nway.exact(arrays["probs_pred"], right, n_way, top_k)
                yield arrays.line(key, own, ROUNDING)
                continue
            distractors = arrays[f"distractors_n{n_way}"]
            own = nway.recorded(arrays["probs_pred"], right, distractors, top_k)
            if kind[1] == "acc":
                yield arrays.line(key, own, 0)
            else:
                spread = np.sqrt(own * (1 - own) / distractors.shape[1])
                yield arrays.line(key, spread, ROUNDING)
        elif kind := re.fullmatch(r"acc_single_int_n(\d+)_seed\d+", key):
            yield _single_label(arrays, key, int(kind[1]), right[0])


def _single_label(arrays: Arrays, key: str, n_way: int, right: np.ndarray) -> Comparison:
    """(share, its standard error) of trials of the first sample with one right class.

    Neither the class, one of the truth's three, nor the distractors are recorded: the nearest of the
    three expectations is compared, within five standard errors of 100 trials and one of counting.
    """
    expected = nway.exact(np.repeat(arrays["probs_pred"][:1], 3, axis=0), right[:, None], n_way)
    nearest = expected[np.abs(expected - arrays[key][0]).argmin()]
    error = float(np.sqrt(nearest * (1 - nearest) / 100))
    return arrays.line(key, np.array([nearest, error]), 5 * error + 0.01)


def similarity(arrays: Arrays, configs: dict[str, Any]) -> Iterator[Comparison]:
    """c2: frame by frame by scikit-image, and by the banded form that the pipeline runs."""
    own, truth = arrays["pred"], arrays["gt"]
    shape = own.shape[:2]
    single = [ssim.frame(own[place], truth[place]) for place in np.ndindex(*shape)]
    yield arrays.line("ssim_per_frame", np.reshape(single, shape), SSIM_TOLERANCE)
    a, b = (frames.reshape(-1, 1, *frames.shape[2:]) for frames in (own, truth))
    places = np.arange(len(a))
    banded = ssim.pairs(a, b, places, places).reshape(shape)
    name, *rest = arrays.line("ssim_per_frame", banded, SSIM_TOLERANCE)
    yield f"{name}(pairs)", *rest


CASES = {"c1_": identification, "c2_": similarity}
