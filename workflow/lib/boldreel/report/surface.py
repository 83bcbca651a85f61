"""Attention of the encoder on the cortical surface, and over areas and networks next to its null.

Takes the tables of positions, attention and regions; returns figures. Positions are projected to the
nearest vertices of the fsaverage5 mesh that nilearn ships, of the same hemisphere. Call inside
`figure_style.style()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.report import figure_style, labels
from boldreel.report.brain import voxel_size

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

# (mesh, view or (elevation, azimuth)) of each column; both hemispheres of each
_VIEWS: tuple[tuple[str, Any], ...] = (
    ("flat", (90, 270)),
    ("infl", "lateral"),
    ("infl", "medial"),
    ("infl", "ventral"),
)
_SIDES = ("left", "right")
_TINTS = "RdBu_r"


def project(places: np.ndarray, values: np.ndarray, side: str, reach: float) -> np.ndarray:
    """Values at the vertices of a hemisphere, NaN if no place is within `reach` mm of the pial surface.

    Parameters
    ----------
    places : (n, 3), mm, MNI. values : (n,). side : "left" or "right".
    """
    from nilearn import datasets, surface
    from scipy.spatial import cKDTree

    mesh = surface.load_surf_mesh(datasets.fetch_surf_fsaverage("fsaverage5")[f"pial_{side}"])
    vertices = np.asarray(mesh.coordinates, float)
    own = np.isfinite(places).all(axis=1) & ((places[:, 0] < 0) == (side == "left"))
    out = np.full(len(vertices), np.nan)
    if own.any():
        distance, nearest = cKDTree(places[own]).query(vertices)
        near = distance <= reach
        out[near] = values[own][nearest[near]]
    return out


def _panel(mesh: str, view: Any, side: str, values: np.ndarray, norm: Normalize) -> np.ndarray:
    """A hemisphere as a picture (h, w, 4), uint8, cut to what it shows: drawn once for all formats."""
    import matplotlib.pyplot as plt
    from nilearn import datasets, plotting

    shipped = datasets.fetch_surf_fsaverage("fsaverage5")
    figure = plt.figure(figsize=(2.0, 2.0), dpi=130)
    axis = figure.add_axes((0, 0, 1, 1), projection="3d")
    plotting.plot_surf(
        shipped[f"{mesh}_{side}"],
        surf_map=values,
        bg_map=shipped[f"sulc_{side}"],
        hemi=side,
        view=view,
        cmap=_TINTS,
        vmin=norm.vmin,
        vmax=norm.vmax,
        axes=axis,
        figure=figure,
        colorbar=False,
    )
    for surface in (figure, axis):
        surface.patch.set_alpha(0)
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba()).copy()  # type: ignore[attr-defined]
    plt.close(figure)
    shown = [np.flatnonzero(picture[..., 3].any(axis=other)) for other in (1, 0)]
    if not all(len(kept) for kept in shown):
        return picture
    (top, bottom), (left, right) = ((kept[0], kept[-1] + 1) for kept in shown)
    return picture[top:bottom, left:right]


def attention(
    positions: pd.DataFrame, tables: Mapping[str, pd.DataFrame]
) -> tuple[Figure, pd.DataFrame]:
    """A row for each stage and layer: the mean over subjects, flat and inflated, both hemispheres.

    Parameters
    ----------
    positions : table "positions". tables : {subject: table "attention"}.
    """
    import matplotlib.pyplot as plt
    import pandas as pd
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    every = pd.concat([t.assign(subject=s) for s, t in tables.items()], ignore_index=True)
    keys = ["stage", "layer", "position"]
    mean = every.groupby(keys, sort=False)["attention"].mean().reset_index()
    known = positions[["position", "area", "hemisphere", "x", "y", "z"]].merge(mean, on="position")
    rows = list(dict.fromkeys(zip(mean["stage"], mean["layer"], strict=True)))
    top = float(np.abs(known["attention"] - 1).quantile(0.98))
    norm = Normalize(1 - max(top, 0.05), 1 + max(top, 0.05))
    reach = max(4.0, voxel_size(positions[positions["x"].notna()]))
    columns = [(mesh, view, side) for mesh, view in _VIEWS for side in _SIDES]
    figure, axes = plt.subplots(
        len(rows),
        len(columns),
        figsize=(1.15 * len(columns), 0.95 * len(rows) + 0.5),
        squeeze=False,
        layout="constrained",
    )
    for line, (stage, layer) in zip(axes, rows, strict=True):
        own = known[(known["stage"] == stage) & (known["layer"] == layer)]
        places, values = own[["x", "y", "z"]].to_numpy(float), own["attention"].to_numpy(float)
        drawn = {side: project(places, values, side, reach) for side in _SIDES}
        for axis, (mesh, view, side) in zip(line, columns, strict=True):
            axis.imshow(_panel(mesh, view, side, drawn[side], norm), interpolation="antialiased")
            axis.axis("off")
        line[0].text(
            -0.06,
            0.5,
            f"{stage}\nlayer {layer + 1}",
            transform=line[0].transAxes,
            ha="right",
            va="center",
            fontsize=8,
            fontweight="bold",
        )
    for axis, (mesh, view, side) in zip(axes[0], columns, strict=True):
        seen = "flat" if mesh == "flat" else str(view)
        axis.set_title(f"{side}\n{seen}", fontsize=7.5, loc="center", fontweight="normal")
    bar = figure.colorbar(
        ScalarMappable(norm, plt.get_cmap(_TINTS)), ax=axes.ravel().tolist(), shrink=0.5, pad=0.01
    )
    bar.set_label("attention (1: its share)", fontsize=8)
    bar.outline.set_visible(False)
    return figure, known


def regions(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Last layer: attention to each area and network by stage, a dot a subject, over the null's 95 %.

    Parameters
    ----------
    tables : {subject: table "attention_regions"}.
    """
    import matplotlib.pyplot as plt
    import pandas as pd

    every = pd.concat([t.assign(subject=s) for s, t in tables.items()], ignore_index=True)
    last = every[(every["layer"] == every["layer"].max()) & (every["atlas"] != "reliability")]
    stages, atlases = list(dict.fromkeys(last["stage"])), list(dict.fromkeys(last["atlas"]))
    names = {a: list(dict.fromkeys(last.loc[last["atlas"] == a, "region"])) for a in atlases}
    ends = last[["value", "null_low", "null_high"]].to_numpy()
    pad = 0.06 * float(ends.max() - ends.min()) + 1e-3
    low_end, high_end = ends.min() - pad, ends.max() + pad
    figure, axes = plt.subplots(
        len(stages),
        len(atlases),
        figsize=(9.2, 1.9 * len(stages) + 0.5),
        squeeze=False,
        sharey=True,
        width_ratios=[max(len(names[a]), 3) for a in atlases],
        layout="constrained",
    )
    for line, stage in zip(axes, stages, strict=True):
        for axis, atlas in zip(line, atlases, strict=True):
            own = last[(last["stage"] == stage) & (last["atlas"] == atlas)]
            for place, region in enumerate(names[atlas]):
                rows = own[own["region"] == region]
                low, high = rows["null_low"].mean(), rows["null_high"].mean()
                axis.bar(place, high - low, 0.8, low, color=figure_style.LINE, zorder=1)
                for number, subject in enumerate(tables):
                    value = rows.loc[rows["subject"] == subject, "value"]
                    shift = 0.5 * (number + 0.5) / len(tables) - 0.25
                    label = labels.who(subject) if place == 0 else None
                    at = [place + shift] * len(value)
                    axis.plot(
                        at, value, "o", ms=3.5, color=figure_style.colour(number), label=label
                    )
            axis.set_ylim(float(low_end), float(high_end))
            axis.axhline(1, color=figure_style.MUTED, ls=(0, (4, 3)), lw=1, zorder=0)
            words = [name.replace("network_", "") for name in names[atlas]]
            axis.set_xticks(range(len(words)), words, fontsize=7, rotation=60)
            axis.set_title(f"{stage}: {'areas' if atlas == 'area' else 'Yeo networks'}")
            axis.grid(axis="y", lw=0.6)
    axes[0][0].set_ylabel("attention")
    axes[0][0].legend(fontsize=7)
    return figure, every
