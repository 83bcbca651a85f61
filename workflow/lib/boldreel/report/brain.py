"""Positions on the brain: where areas lie, how reliable they are, their noise ceilings, hidden patches.

Takes the tables of positions, voxels, noise ceilings and one masked volume; returns figures of axial slices
of the MNI template that nilearn ships, left on the left; vertices of a surface are shown where they cross
a slice. Call inside `figure_style.style()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.bold import template
from boldreel.report import labels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SLICES = 5
_FEW = 12  # heights of which so few positions may each have their own


def voxel_size(table: pd.DataFrame) -> float:
    """Edge in mm of the squares: the grid's smallest step, 3 for vertices, which have no grid."""
    if not _gridded(table):
        return 3.0
    steps = [np.diff(np.unique(table[axis].dropna())) for axis in "xyz"]
    known = np.concatenate(steps)
    return float(known[known > 1e-3].min()) if (known > 1e-3).any() else 4.0


def slices(table: pd.DataFrame, count: int = SLICES) -> list[float]:
    """z (mm) of `count` planes spread evenly over the planes that hold positions, low to high."""
    if not _gridded(table):
        low, high = table["z"].quantile([0.05, 0.95])
        return [float(z) for z in np.linspace(low, high, count)]
    planes = np.unique(table["z"].dropna())
    if len(planes) <= count:
        return [float(z) for z in planes]
    places = np.linspace(0, len(planes) - 1, count + 2)[1:-1]
    return [float(planes[round(place)]) for place in places]


def _gridded(table: pd.DataFrame) -> bool:
    """Whether positions are voxels of a grid; vertices of a surface have heights of their own."""
    known = table["z"].dropna()
    return known.nunique() <= max(len(known) / 4, _FEW)


def _near(table: pd.DataFrame, z: float) -> pd.Series:
    """Which positions a slice shows: those of the plane, of a surface those within 2 mm."""
    return (table["z"] - z).abs() < (0.05 if _gridded(table) else 2.0)


@lru_cache(maxsize=1)
def _brain() -> tuple[np.ndarray, np.ndarray]:
    """(values, affine) of the template at 2 mm, averaged once."""
    return template.coarse(*template.load("T1w"), 2)


def _template(z: float) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """(slice as (y, x), extent in mm) of the MNI152 template at z."""
    data, affine = _brain()
    plane = int(np.clip(round((z - affine[2, 3]) / affine[2, 2]), 0, data.shape[2] - 1))
    half = abs(affine[0, 0]) / 2
    x = affine[0, 3] + affine[0, 0] * np.array([0, data.shape[0] - 1])
    y = affine[1, 3] + affine[1, 1] * np.array([0, data.shape[1] - 1])
    extent = (x.min() - half, x.max() + half, y.min() - half, y.max() + half)
    cut = data[:, :, plane]
    cut = cut if affine[0, 0] > 0 else cut[::-1]
    return cut.T, extent


def _background(axis: Axes, z: float, front: float) -> None:
    cut, extent = _template(z)
    shown = np.ma.masked_less(cut, 0.12 * float(cut.max()))
    axis.imshow(shown, origin="lower", extent=extent, cmap="gray", vmin=0, alpha=0.55)
    axis.set_xlim(-76, 76)
    axis.set_ylim(-110, front)
    axis.set_aspect("equal")
    axis.axis("off")


def _squares(axis: Axes, rows: pd.DataFrame, size: float, colours: Any) -> None:
    from matplotlib.collections import PolyCollection

    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size / 2
    shapes = rows[["x", "y"]].to_numpy()[:, None, :] + corners
    axis.add_collection(
        PolyCollection(list(shapes), facecolors=colours, edgecolors="none", rasterized=True)
    )


def _name(axis: Axes, text: str) -> None:
    """A row's name at its left."""
    place: dict[str, Any] = {
        "transform": axis.transAxes,
        "rotation": 90,
        "va": "center",
        "ha": "right",
    }
    axis.text(-0.03, 0.5, text, fontsize=8.5, fontweight="bold", **place)


def _rows(
    drawing: Figure,
    axes: np.ndarray,
    tables: Mapping[str, pd.DataFrame],
    label: str,
    front: float,
    both_signs: bool = False,
) -> None:
    """One named row of slices per table: its column `value`, on one scale of colours."""
    import matplotlib.pyplot as plt
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    every = list(tables.values())
    planes, size = _shown(every[0])
    reach = [t["value"].abs().quantile(0.98) for t in every]
    top = max([0.05, *(float(r) for r in reach if r == r)])
    norm = Normalize(-top if both_signs else 0, top)
    tints = plt.get_cmap("RdBu_r" if both_signs else "inferno")
    for line, (name, table) in zip(axes, tables.items(), strict=True):
        for axis, z in zip(line, planes, strict=True):
            _background(axis, z, front)
            here = table[_near(table, z) & table["value"].notna()]
            _squares(axis, here, size, tints(norm(here["value"].to_numpy())))
        _name(line[0], name)
    bar = drawing.colorbar(
        ScalarMappable(norm, tints), ax=axes.ravel().tolist(), shrink=0.7, pad=0.01
    )
    bar.set_label(label, fontsize=8)
    bar.outline.set_visible(False)


def _shown(table: pd.DataFrame) -> tuple[list[float], float]:
    known = table[table["x"].notna()]
    return slices(known), voxel_size(known)


def _sheet(rows: int, planes: list[float]) -> tuple[Figure, np.ndarray]:
    import matplotlib.pyplot as plt

    drawing, axes = plt.subplots(
        rows,
        len(planes),
        figsize=(1.75 * len(planes), 1.2 * rows + 0.6),
        squeeze=False,
        layout="constrained",
    )
    for axis, z in zip(axes[0], planes, strict=True):
        axis.set_title(f"z = {z:.0f} mm", fontsize=8, loc="center", fontweight="normal")
    return drawing, axes


def _front(known: pd.DataFrame) -> float:
    """How far forward (y, mm) the slices reach: a little beyond the positions."""
    return max(float(known["y"].max()) + 22, -40)


def figure(
    positions: pd.DataFrame, voxels: Mapping[str, pd.DataFrame]
) -> tuple[Figure, pd.DataFrame]:
    """First row: areas by colour; then one row per subject: test-retest reliability.

    Parameters
    ----------
    positions : table "positions". voxels : {subject: table "voxels"}.
    """
    import matplotlib.pyplot as plt
    import pandas as pd
    from matplotlib.patches import Patch

    known = positions[positions["x"].notna()]
    planes, size = _shown(known)
    front = _front(known)
    areas = list(dict.fromkeys(known["area"]))
    wheel = plt.get_cmap("tab20", max(len(areas), 1))
    tint = {area: wheel(k) for k, area in enumerate(areas)}
    drawing, axes = _sheet(1 + len(voxels), planes)
    for axis, z in zip(axes[0], planes, strict=True):
        _background(axis, z, front)
        here = known[_near(known, z)]
        _squares(axis, here, size, [tint[area] for area in here["area"]])
    _name(axes[0][0], "areas")
    if voxels:
        values = {labels.who(s): t.assign(value=t["reliability"]) for s, t in voxels.items()}
        _rows(drawing, axes[1:], values, "reliability (r)", front)
    drawing.legend(
        handles=[Patch(color=tint[area], label=area) for area in areas],
        loc="outside lower center",
        ncols=min(len(areas), 8),
        fontsize=8,
    )
    columns = ["position", "area", "hemisphere", "x", "y", "z", "reliability", "selected"]
    data = [t.loc[t["present"], columns].assign(subject=s) for s, t in voxels.items()]
    shown = pd.concat(data, ignore_index=True) if data else known
    return drawing, shown


def ceilings(
    positions: pd.DataFrame, tables: Mapping[str, pd.DataFrame]
) -> tuple[Figure, pd.DataFrame]:
    """Noise ceiling of every voxel, one row of slices per subject.

    Parameters
    ----------
    positions : table "positions". tables : {subject: table "noise_ceiling"}, one row per position.
    """
    import pandas as pd

    known = positions[positions["x"].notna()]
    columns = ["position", "area", "hemisphere", "x", "y", "z"]
    joined = {
        s: known[columns].merge(t[["position", "ceiling_mean", "split"]], on="position")
        for s, t in tables.items()
    }
    drawing, axes = _sheet(len(tables), slices(known))
    values = {labels.who(s): t.assign(value=t["ceiling_mean"]) for s, t in joined.items()}
    _rows(drawing, axes, values, "noise ceiling (r)", _front(known))
    return drawing, pd.concat([t.assign(subject=s) for s, t in joined.items()], ignore_index=True)


def linear_weights(
    positions: pd.DataFrame, tables: Mapping[str, pd.DataFrame]
) -> tuple[Figure, pd.DataFrame]:
    """How much each position contributes to the linear method's predictions, a row per subject and layer.

    Patterns (Haufe et al., NeuroImage 2014), not weights: a weight may be large to take out what another
    position adds. Each row in units of its largest.

    Parameters
    ----------
    positions : table "positions". tables : {subject: table "linear_weights"}.
    """
    import pandas as pd

    columns = ["position", "area", "hemisphere", "x", "y", "z"]
    known = positions.loc[positions["x"].notna(), columns]
    rows = {}
    for subject, table in tables.items():
        for layer, own in table.groupby("layer", sort=False):
            joined = known.merge(own, on="position").assign(subject=subject)
            top = max(float(joined["pattern"].max()), 1e-12)
            rows[f"{labels.who(subject)}, {layer}"] = joined.assign(value=joined["pattern"] / top)
    drawing, axes = _sheet(len(rows), slices(known))
    _rows(drawing, axes, rows, "pattern (largest: 1)", _front(known))
    return drawing, pd.concat([t.drop(columns="value") for t in rows.values()], ignore_index=True)


def masked(positions: pd.DataFrame, example: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """A volume as it was, what the masked autoencoder saw of it, and what it made of the rest.

    Parameters
    ----------
    positions : table "positions". example : table "masked_example".
    """
    columns = ["position", "area", "hemisphere", "x", "y", "z"]
    known = positions.loc[positions["x"].notna(), columns].merge(example, on="position")
    known = known[known["present"]]
    rows = {
        "truth": known.assign(value=known["truth"]),
        "visible": known.assign(value=known["truth"].mask(known["hidden"])),
        "predicted": known.assign(value=known["prediction"].where(known["hidden"])),
    }
    drawing, axes = _sheet(len(rows), slices(known))
    _rows(drawing, axes, rows, "response (z)", _front(known), both_signs=True)
    return drawing, known.drop(columns="present")
