"""Reference arrays of the published preparation of fMRI arrays, quirks included: d2."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from comparison import Arrays, Comparison

from boldreel.models import published_autoencoder as published

TOLERANCE = 1e-6


def preparation(arrays: Arrays, configs: dict[str, Any]) -> Iterator[Comparison]:
    """d2: padding, normalisation, resting samples, both splits, windows and the mean window."""
    patch = 16
    train, test = published.prepare_splits(arrays["train_raw"], arrays["test_raw"], patch)
    own = {
        f"pad_to_{patch}": published.pad_to_patches(arrays["pad_in"], patch),
        f"pad_exact_to_{patch}": published.pad_to_patches(arrays["pad_exact_in"], patch),
        "normalize": published.normalise(arrays["pad_in"]),
        "hcp_process_voxel_ts": published.corpus_samples(arrays["hcp_in"], patch),
        "train_norm_pad": train,
        "test_norm_pad": test,
    }
    for key in arrays:
        if kind := re.fullmatch(r"(pad_to_length|windows_w|uncon_fmri_w)_?(\d+)", key):
            size = int(kind[2])
            if kind[1] == "pad_to_length":
                own[key] = published.pad_to_length(arrays["pad_in"], size)
            elif kind[1] == "windows_w":
                own[key] = published.windows(test, size)
            else:
                own[key] = published.negative_window(test, size)
        if key in own:
            yield arrays.line(key, own[key], TOLERANCE)


CASES = {"d2_": preparation}
