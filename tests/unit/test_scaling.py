"""benchmarks/scaling.py: known costs are recovered, and studies hold what is said of them."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def scaling(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("scaling", "work", "networks", "finished", "studies"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("scaling")


def decoded(root: Path, frames: dict[str, int], start: float, unit: float) -> None:
    """Results of movies of 100 x 50 pixels whose decoding took so long."""
    for movie, count in frames.items():
        folder = root / "stimuli" / movie
        folder.mkdir(parents=True)
        (folder / "frames.npy").write_bytes(bytes(1000 * count))
        (folder / "frames.json").write_text(json.dumps({"shape": [count, 100, 50, 3]}))
        about = {"peak_memory_mb": 100.0 + count}
        (folder / "frames.npy.provenance.json").write_text(json.dumps(about))
        seconds = start + unit * count * 100 * 50 / 1e6
        table = root / "benchmarks" / "stimuli" / f"decode-{movie}.tsv"
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text(f"s\tmax_rss\n{seconds}\t-\n")


def test_seconds_to_start_and_for_a_unit_are_told_apart(
    scaling: ModuleType, tmp_path: Path
) -> None:
    decoded(tmp_path / "small", {"a": 100, "b": 200}, 2.0, 0.5)
    decoded(tmp_path / "large", {"a": 1000, "c": 3000}, 2.0, 0.5)
    (kind,) = (k for k in scaling.work.KINDS if k.job.startswith("decode"))
    runs = [scaling.finished.Run(tmp_path / name) for name in ("small", "large")]
    cost = scaling.measured(kind, runs)
    assert cost.start == pytest.approx(2.0) and cost.unit == pytest.approx(0.5)
    assert cost.explained == pytest.approx(1) and cost.jobs == 4
    assert cost.peak_mb == 3100
    sidecars = sum(len(json.dumps({"shape": [n, 100, 50, 3]})) for n in (100, 200, 1000, 3000))
    assert cost.left == pytest.approx((4_300_000 + sidecars) / (4300 * 5000 / 1e6))
    two = scaling.measured(kind, runs[:1])
    assert two.explained != two.explained, "two jobs lie on a line in any case"


def test_studies_hold_what_is_published_of_them(scaling: ModuleType) -> None:
    cc2017, with_hcp, hundred = scaling.studies.studies()
    needed = {k.stage + k.job: k.needed for k in scaling.work.KINDS}
    assert cc2017.trials == 2 * 18 * 240 and cc2017.clips == 5 * 240
    assert needed["pretraintrain"](with_hcp) == 500 * 600_000
    assert with_hcp.all_volumes == 3 * (36 + 50) * 245 + 1096 * 4 * 1200
    shared = ("generatortune", "boldrun-(?P<subject>\\w+)-(?P<segment>\\w+)-(?P<repeat>\\d+)")
    for name, count in needed.items():
        if name not in shared:
            assert count(hundred) == pytest.approx(100 * count(with_hcp)), name
