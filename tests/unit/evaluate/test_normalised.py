"""How much of what the generator can show was read from the brain."""

from __future__ import annotations

import pytest

from boldreel.evaluate.table import normalise


def _rows(
    metric: str, better: str, model: float, shuffled: float, upper: float | None
) -> list[dict]:
    known = {"model": model, "shuffled": shuffled, "true_features": upper}
    return [
        {
            "condition": condition,
            "segment": "all",
            "metric": metric,
            "definition": "",
            "better": better,
            "value": value,
            "ci_low": value - 0.05,
            "ci_high": value + 0.05,
        }
        for condition, value in known.items()
        if value is not None
    ]


def test_shares_of_the_way_to_the_upper_bound() -> None:
    rows = [
        *_rows("ssim", "higher", 0.3, 0.2, 0.6),
        *_rows("mse", "lower", 0.7, 0.9, 0.4),
        *_rows("psnr", "higher", 0.1, 0.2, 0.6),  # below shuffled
        *_rows("motion", "higher", 0.3, 0.2, 0.25),  # hardly any room
        *_rows("order", "higher", 0.3, 0.2, 0.1),  # the generator itself cannot
        *_rows("two_way", "higher", 0.3, 0.2, None),
    ]
    normalise(rows)
    found = {row["metric"]: row["normalised"] for row in rows if row["condition"] == "model"}
    assert found["ssim"] == pytest.approx(0.25) and found["mse"] == pytest.approx(0.4)
    assert found["psnr"] == pytest.approx(-0.25)
    assert all(found[metric] != found[metric] for metric in ("motion", "order", "two_way"))
    others = [row["normalised"] for row in rows if row["condition"] != "model"]
    assert all(value != value for value in others)
