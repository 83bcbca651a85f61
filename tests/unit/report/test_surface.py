"""Attention on the surface: values land where their places are, and on their own side."""

from __future__ import annotations

import numpy as np
import pandas as pd
from nilearn import datasets, surface

from boldreel.report import figure_style
from boldreel.report import surface as drawn


def vertices(side: str) -> np.ndarray:
    shipped = datasets.fetch_surf_fsaverage("fsaverage5")
    return np.asarray(surface.load_surf_mesh(shipped[f"pial_{side}"]).coordinates, float)


def test_values_land_where_their_places_are() -> None:
    left, right = vertices("left"), vertices("right")
    chosen = np.array([10, 500, 2000])
    places = np.concatenate([left[chosen] + 0.3, right[[77]], [[np.nan] * 3]])
    values = np.array([1.0, 2.0, 3.0, 9.0, 5.0])
    found = drawn.project(places, values, "left", 4.0)
    assert found[chosen].tolist() == [1.0, 2.0, 3.0]
    assert set(found[np.isfinite(found)]) == {1.0, 2.0, 3.0}
    distance = np.linalg.norm(left[:, None] - places[None, :3], axis=2).min(axis=1)
    assert np.array_equal(np.isfinite(found), distance <= 4.0)
    assert drawn.project(places, values, "right", 4.0)[77] == 9.0
    assert np.isnan(drawn.project(places[:3], values[:3], "right", 4.0)).all()


def test_figures_show_every_stage_layer_and_region() -> None:
    rng = np.random.default_rng(0)
    places = vertices("left")[::400]
    count = len(places)
    positions = pd.DataFrame(places, columns=list("xyz")).assign(
        position=np.arange(count), area="V1", hemisphere="L"
    )
    table = pd.concat(
        pd.DataFrame(
            {
                "stage": stage,
                "layer": layer,
                "position": np.arange(count),
                "attention": rng.uniform(0.8, 1.2, count),
                "half_1": 1.0,
                "half_2": 1.0,
            }
        )
        for stage in ("pretrained", "aligned")
        for layer in (0, 3)
    )
    regions = pd.DataFrame(
        [
            {
                "stage": stage,
                "layer": layer,
                "atlas": atlas,
                "region": region,
                "value": 1.1,
                "null_low": 0.9,
                "null_high": 1.05,
                "p": 0.02,
            }
            for stage in ("pretrained", "aligned")
            for layer in (0, 3)
            for atlas, names in (("area", ("V1", "V2")), ("yeo17", ("network_1",)))
            for region in names
        ]
    )
    with figure_style.style():
        figure, data = drawn.attention(positions, {"01": table, "02": table})
        bars, every = drawn.regions({"01": regions, "02": regions})
    texts = [t.get_text() for axis in figure.axes for t in axis.texts]
    assert texts == [f"{s}\nlayer {n}" for s in ("pretrained", "aligned") for n in (1, 4)]
    assert len(data) == 4 * count and len(every) == 2 * len(regions)
    titles = [axis.get_title(loc="left") for axis in bars.axes]
    assert titles == [
        f"{s}: {a}" for s in ("pretrained", "aligned") for a in ("areas", "Yeo networks")
    ]
    low, high = bars.axes[0].get_ylim()
    assert low < 0.9 and high > 1.1
