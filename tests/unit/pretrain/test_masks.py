"""Which patches are hidden."""

from __future__ import annotations

import pandas as pd
import torch

from boldreel.pretrain.masks import Masks

# Four areas of four patches, each split between the hemispheres.
POSITIONS = pd.DataFrame(
    {
        "patch": range(16),
        "area": ["V1"] * 4 + ["V2"] * 4 + ["V3"] * 4 + ["V4"] * 4,
        "hemisphere": ["L", "L", "R", "R"] * 4,
    }
)
SEEN = 6


def seen(kind: str, n: int = 60) -> torch.Tensor:
    """Patches that stay visible, int (n, SEEN)."""
    noise = Masks(POSITIONS, kind).draw(n, torch.Generator().manual_seed(0))
    assert noise.shape == (n, 16) and bool((noise >= 0).all()) and bool((noise < 1).all())
    return noise.argsort(1)[:, :SEEN]


def test_patches_are_any() -> None:
    assert torch.bincount(seen("patches", 400).flatten()).min() > 100


def test_areas_are_whole_but_for_one() -> None:
    for row in seen("areas"):
        counts = torch.bincount(row // 4, minlength=4)
        assert sorted(counts.tolist()) == [0, 0, 2, 4]
    assert len(seen("areas").unique(dim=0)) > 30


def test_one_hemisphere_is_hidden() -> None:
    right = (seen("hemisphere") % 4 >= 2).sum(1)
    assert set(right.tolist()) == {0, SEEN}


def test_mixed_has_all_kinds() -> None:
    rows = seen("mixed", 90)
    one_side = ((rows % 4 >= 2).sum(1) % SEEN == 0).sum()
    two_areas = sum(len(torch.unique(row // 4)) == 2 for row in rows)
    assert 20 < int(one_side) < 45 and 20 < two_areas < 45


def test_rows_share_masks() -> None:
    noise = Masks(POSITIONS, "mixed").draw(10, torch.Generator().manual_seed(0), together=4)
    assert noise.shape == (10, 16)
    assert torch.equal(noise[0], noise[3]) and torch.equal(noise[8], noise[9])
    assert len(noise.unique(dim=0)) == 3


def test_an_atlas_of_one_hemisphere_hides_any_patches() -> None:
    noise = Masks(POSITIONS.assign(hemisphere="L"), "hemisphere").draw(
        1, torch.Generator().manual_seed(0)
    )
    assert noise.unique().numel() == 16
