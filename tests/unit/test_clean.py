"""Training states go only where no result, no process and no unfinished training has them."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from boldreel import command_line
from boldreel.data import provenance
from boldreel.training import fingerprint


def state(base: Path, seed: int, age: int = 0) -> Path:
    folder = fingerprint.state_folder(
        base, module="boldreel.clean", config={"seed": seed, "epochs": 3}, inputs=[]
    )
    folder.mkdir(parents=True)
    (folder / "last.pt").write_text("1" * 1000)
    os.utime(folder / "last.pt", (1e9 - age, 1e9 - age))
    return folder


def test_states_without_a_result_go_when_asked(tmp_path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(provenance, "_state", None)
    results, base = Path("results/demo"), Path("state/demo/align/sub-01")
    former, trained, held = (state(base, seed) for seed in (1, 2, 3))
    # of another training no result is there yet: the last state may be unfinished
    old, last = (state(Path("state/demo/generator"), k, age) for k, age in ((1, 9), (2, 0)))
    results.mkdir(parents=True)
    (results / "model").write_text("weights")
    monkeypatch.setattr(provenance, "_state", str(trained))
    provenance.record(results / "model", inputs=[], config={})
    words = ["clean", "--states", "--dataset", "demo"]
    with (held / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command_line.main(words)
        said = capsys.readouterr().out
        assert f"{former}: " in said and f"{old}: " in said and "2 training states" in said
        assert all(path.exists() for path in (former, trained, held, old, last))
        command_line.main([*words, "--delete"])
    assert not former.exists() and not old.exists()
    assert trained.exists() and held.exists() and last.exists()
    with pytest.raises(SystemExit):
        command_line.main([*words, "--dataset", "none"])


def test_a_trained_result_names_its_state(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    folder = state(Path("state/demo/pretrain"), 1)
    Path("model").write_text("weights")
    provenance.record("model", inputs=[], config={})
    ((_, entry),) = provenance.find(Path())
    assert entry["state"] == str(folder)
