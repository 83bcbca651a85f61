"""Retrieval against minutes of training data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fixtures_settings import words

from boldreel.align import fit
from boldreel.data import tables
from boldreel.probe import scaling


def test_more_data_help_and_test_data_are_not_fitted(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[np.ndarray] = []
    real = fit.fit_ridge

    def listening(part: Any, *rest: Any) -> Any:
        fitted.append(part.x.copy())
        assert not any(segment.startswith("test") for segment in part.segment)
        return real(part, *rest)

    monkeypatch.setattr(fit, "fit_ridge", listening)
    scaling.main(
        [
            *("--subject", "01", "--windows", str(study.windows)),
            *("--series-dir", str(study.series), "--voxels", str(study.voxels)),
            *("--clips", str(study.clips), "--features", *map(str, study.features)),
            *(
                "--output",
                str(tmp_path / "scaling.tsv"),
                "--config",
                words("align", seed=3),
            ),
        ]
    )
    table = tables.read(tmp_path / "scaling.tsv", "minutes")
    two_way = table[table["metric"] == "two_way_text"].sort_values("minutes")
    assert two_way["minutes"].tolist() == pytest.approx([80 / 60, 160 / 60, 320 / 60, 480 / 60])
    assert two_way["value"].iloc[-1] > two_way["value"].iloc[0] > 0.5
    assert [len(part) for part in fitted] == sorted(len(part) for part in fitted)
