"""Regions of interest on the brain: where the positions lie, and how reliable they are.

Takes the tables of positions and voxels; leaves a figure of axial slices of the MNI template that
nilearn ships, left on the left. Call inside `ink.style()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from boldreel.report import wording

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SLICES = 5


def voxel_size(table: pd.DataFrame) -> float:
    """Smallest distance, in mm, between neighbouring coordinates of the positions."""
    steps = [np.diff(np.unique(table[axis].dropna())) for axis in "xyz"]
    known = np.concatenate(steps)
    return float(known[known > 1e-3].min()) if (known > 1e-3).any() else 4.0


def slices(table: pd.DataFrame, count: int = SLICES) -> list[float]:
    """z (mm) of `count` planes spread evenly over the planes that hold positions, low to high."""
    planes = np.unique(table["z"].dropna())
    if len(planes) <= count:
        return [float(z) for z in planes]
    places = np.linspace(0, len(planes) - 1, count + 2)[1:-1]
    return [float(planes[round(place)]) for place in places]


@lru_cache(maxsize=1)
def _brain() -> tuple[np.ndarray, np.ndarray]:
    """(values, affine) of the MNI152 template at 2 mm, loaded once."""
    from nilearn.datasets import load_mni152_template

    image = load_mni152_template(resolution=2)
    return np.asarray(image.dataobj), image.affine


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
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import Patch

    known = positions[positions["x"].notna()]
    planes, size = slices(known), voxel_size(known)
    front = max(float(known["y"].max()) + 22, -40)  # the posterior part, where the positions lie
    areas = list(dict.fromkeys(known["area"]))
    wheel = plt.get_cmap("tab20", max(len(areas), 1))
    tint = {area: wheel(k) for k, area in enumerate(areas)}
    rows = 1 + len(voxels)
    drawing, axes = plt.subplots(
        rows,
        len(planes),
        figsize=(1.75 * len(planes), 1.2 * rows + 0.6),
        squeeze=False,
        layout="constrained",
    )
    for axis, z in zip(axes[0], planes, strict=True):
        _background(axis, z, front)
        here = known[np.isclose(known["z"], z)]
        _squares(axis, here, size, [tint[area] for area in here["area"]])
        axis.set_title(f"z = {z:.0f} mm", fontsize=8, loc="center", fontweight="normal")
    reach = [t["reliability"].quantile(0.98) for t in voxels.values()]
    norm = Normalize(0, max([0.05, *(float(r) for r in reach if r == r)]))
    warm = plt.get_cmap("inferno")
    for line, (subject, table) in zip(axes[1:], voxels.items(), strict=True):
        for axis, z in zip(line, planes, strict=True):
            _background(axis, z, front)
            here = table[np.isclose(table["z"], z) & table["reliability"].notna()]
            _squares(axis, here, size, warm(norm(here["reliability"].to_numpy())))
        _name(line[0], wording.who(subject))
    _name(axes[0][0], "areas")
    if voxels:
        bar = drawing.colorbar(
            ScalarMappable(norm, warm), ax=axes[1:].ravel().tolist(), shrink=0.7, pad=0.01
        )
        bar.set_label("reliability (r)", fontsize=8)
        bar.outline.set_visible(False)
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
