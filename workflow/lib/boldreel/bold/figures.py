"""Figures by which a person judges a subject's runs.

Takes the quality of the runs and images on the output grid; writes PNGs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from boldreel.bold.quality import RunQuality
from boldreel.data import atomic

_DPI = 80
_ROWS, _COLUMNS = 2, 4  # of slices


def motion(path: Path, runs: Sequence[RunQuality], threshold: float) -> None:
    """Translations, rotations and framewise displacement of all runs, one after the other."""
    figure, axes = plt.subplots(3, 1, figsize=(11, 6), sharex=True, layout="constrained")
    moves = np.concatenate([run.motion for run in runs])
    displacement = np.concatenate([run.displacement for run in runs])
    for column, axis in enumerate("xyz"):
        axes[0].plot(moves[:, column], lw=0.8, label=axis)
        axes[1].plot(np.degrees(moves[:, 3 + column]), lw=0.8, label=axis)
    axes[2].plot(displacement, lw=0.8, color="0.3")
    axes[2].axhline(threshold, color="tab:red", lw=0.8, ls="--", label=f"outlier: {threshold:g} mm")
    for panel, label in zip(
        axes, ("translation (mm)", "rotation (degrees)", "displacement (mm)"), strict=True
    ):
        panel.set_ylabel(label)
        panel.legend(loc="upper right", ncols=3, fontsize=8)
        _borders(panel, runs)
    axes[2].set_xlabel("volume, runs one after the other")
    _save(figure, path)


def carpet(path: Path, runs: Sequence[RunQuality]) -> None:
    """Every row one voxel, every column one volume, z units without trend."""
    figure, axis = plt.subplots(figsize=(11, 4), layout="constrained")
    rows = min(len(run.carpet) for run in runs)
    joined = np.concatenate([run.carpet[:rows] for run in runs], axis=1)
    drawn = axis.imshow(joined, cmap="gray", vmin=-2.5, vmax=2.5, aspect="auto")
    _borders(axis, runs)
    axis.set(xlabel="volume, runs one after the other", ylabel="voxels of the brain", yticks=[])
    figure.colorbar(drawn, label="z", pad=0.01)
    _save(figure, path)


def tsnr(path: Path, runs: Sequence[RunQuality]) -> None:
    """Mean over runs of the temporal signal-to-noise ratio, in axial slices from below to above."""
    stack = np.stack([run.tsnr for run in runs])
    counts = np.isfinite(stack).sum(0)
    mean = np.where(counts > 0, np.nansum(stack, axis=0) / np.maximum(counts, 1), np.nan)
    figure, axes = plt.subplots(_ROWS, _COLUMNS, figsize=(11, 3.4), layout="constrained")
    top = float(np.nanpercentile(mean, 98))
    for panel, k in zip(axes.flat, _levels(mean.shape[2]), strict=True):
        drawn = panel.imshow(mean[:, :, k].T, origin="lower", cmap="inferno", vmin=0, vmax=top)
        panel.set_axis_off()
    figure.colorbar(drawn, ax=axes, label="tSNR", pad=0.01)
    _save(figure, path)


def coregistration(
    path: Path, boldref: np.ndarray, t1w: np.ndarray, edges: Sequence[float]
) -> None:
    """Mean BOLD with the contours of the T1w at the same places, in axial slices.

    Parameters
    ----------
    boldref : (x, y, z); t1w : (m x, m y, m z), the same field m times finer
    edges : intensities of the T1w at which contours are drawn
    """
    figure, axes = plt.subplots(_ROWS, _COLUMNS, figsize=(11, 3.4), layout="constrained")
    factor = t1w.shape[0] // boldref.shape[0]
    low, top = np.percentile(boldref[boldref > 0], [2, 99]) if (boldref > 0).any() else (0, 1)
    extent = (-0.5, boldref.shape[0] - 0.5, -0.5, boldref.shape[1] - 0.5)
    for panel, k in zip(axes.flat, _levels(boldref.shape[2]), strict=True):
        panel.imshow(
            boldref[:, :, k].T,
            origin="lower",
            cmap="gray",
            vmin=0.8 * low,
            vmax=top,
            extent=extent,
        )
        layer = t1w[:, :, k * factor + factor // 2].T
        panel.contour(
            layer,
            levels=sorted(edges),
            colors=["tab:cyan", "tab:red"],
            linewidths=0.6,
            extent=extent,
        )
        panel.set_axis_off()
    _save(figure, path)


def _levels(height: int) -> np.ndarray:
    return np.linspace(0.12 * height, 0.88 * (height - 1), _ROWS * _COLUMNS).round().astype(int)


def _borders(panel: plt.Axes, runs: Sequence[RunQuality]) -> None:
    for border in np.cumsum([len(run.motion) for run in runs])[:-1]:
        panel.axvline(border - 0.5, color="tab:blue", lw=0.4, alpha=0.6)
    panel.set_xlim(-0.5, sum(len(run.motion) for run in runs) - 0.5)


def _save(figure: plt.Figure, path: Path) -> None:
    with atomic.file(path) as aside:
        figure.savefig(aside, dpi=_DPI)
    plt.close(figure)
