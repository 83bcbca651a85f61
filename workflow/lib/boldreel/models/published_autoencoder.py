"""Preparation of fMRI arrays exactly as published, flaws included, for comparison alone.

Takes arrays in memory; returns what the released data sets of MinD-Vis (Chen et al., CVPR 2023) and
MinD-Video (NeurIPS 2023) hand to their models. No step of the pipeline calls this. Each function says
which quirk it keeps and what the pipeline does instead.
"""

from __future__ import annotations

import numpy as np

CORPUS_FRAMES = 10  # resting frames of 0.72 s that make one sample, MinD-Vis' corpus


def pad_to_patches(x: np.ndarray, patch_size: int = 16) -> np.ndarray:
    """(..., V) to (..., W): voxels from the front are repeated at the end until patches are whole.

    Quirks: padding repeats real voxels, so that their values count twice; where V divides already, a
    whole patch is added. The pipeline's areas are padded with positions marked absent.
    """
    return pad_to_length(x, x.shape[-1] + patch_size - x.shape[-1] % patch_size)


def pad_to_length(x: np.ndarray, length: int) -> np.ndarray:
    """(..., V) to (..., length), voxels repeated from the front as often as it takes.

    With it subjects of unlike voxel orders get one length. Raises ValueError if V is more than length.
    """
    more = length - x.shape[-1]
    if more < 0:
        raise ValueError(f"{x.shape[-1]} voxels do not fit into a length of {length}")
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, more)], mode="wrap")


def normalise(x: np.ndarray, reference: np.ndarray | None = None) -> np.ndarray:
    """x minus one mean, divided by one (population) standard deviation; both of `reference`, or of x.

    Quirk: one number for all voxels, so that voxels keep unlike scales. The pipeline z-scores each
    voxel in each run.
    """
    source = x if reference is None else reference
    return (x - source.mean()) / source.std()


def corpus_samples(series: np.ndarray, patch_size: int = 16) -> np.ndarray:
    """Resting run (frames, V) to samples (frames / 10, W): means, padded, then normalised.

    Quirk: the mean and spread are those of the padded array, so that repeated voxels count twice.
    Frames that fill no sample are left out. The pipeline's corpus counts seconds and not frames.
    """
    n = len(series) // CORPUS_FRAMES
    means = series[: n * CORPUS_FRAMES].reshape(n, CORPUS_FRAMES, series.shape[1]).mean(axis=1)
    return normalise(pad_to_patches(means, patch_size))


def prepare_splits(
    train: np.ndarray, test: np.ndarray, patch_size: int = 16
) -> tuple[np.ndarray, np.ndarray]:
    """Runs (runs, volumes, V) of both splits, normalised and padded to (runs, volumes, W).

    Quirk: the test set is normalised with the mean and spread of the training set AFTER that was
    normalised and padded, which are about 0 and 1: it is left about as it was, in units unlike the
    training set's. The pipeline z-scores every run by itself, test runs too.
    """
    train = pad_to_patches(normalise(train), patch_size)
    return train, pad_to_patches(normalise(test, train), patch_size)


def windows(runs: np.ndarray, window: int) -> np.ndarray:
    """Runs (runs, volumes, V) to one window for each volume, float32 (runs * volumes, window, V).

    A window is a volume and those after it in its run; past the end the last one is repeated. Quirk:
    no lag, the data are expected to be shifted already. The pipeline counts the lag in seconds from the
    clip's onset.
    """
    places = np.arange(runs.shape[1])[:, None] + np.arange(window)
    taken = runs[:, places.clip(max=runs.shape[1] - 1)]
    return taken.reshape(-1, window, runs.shape[2]).astype(np.float32)


def negative_window(test: np.ndarray, window: int) -> np.ndarray:
    """The window that guidance steers away from, float32 (window, V): the mean volume, repeated.

    Quirk: a mean over all TEST volumes (runs, volumes, V), by which every test clip leaks into every
    other's reconstruction. The pipeline takes means of training data alone.
    """
    mean = test.reshape(-1, test.shape[-1]).mean(axis=0)
    return np.repeat(mean[None], window, axis=0).astype(np.float32)
