"""Who was forgotten is in no plan: neither among the subjects nor in the pretraining cohort."""

from __future__ import annotations

import re

import pytest

from boldreel import forget
from boldreel.data import atomic, provenance

from .workflow import copy_of_repository

pytestmark = pytest.mark.pipeline


def test_a_later_run_leaves_out_who_was_forgotten(tmp_path, monkeypatch):
    workspace = copy_of_repository(tmp_path)
    workspace.configuration = ""
    monkeypatch.chdir(tmp_path)
    for label in ("rest02", "03"):
        series = workspace.results / f"sub-{label}" / "series" / "run.npy"
        atomic.write_text(series, "1 2 3")
        provenance.record(series, inputs=[], config={})
        forget.main(["--subject", label, "--yes"])
        assert not series.exists()
    # in the list of subjects the one is there again, of the other only the configuration speaks
    table = tmp_path / "config" / "subjects.tsv"
    table.write_text(table.read_text().replace("true", "false"))
    done = workspace.run("--dry-run")
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-3000:]
    for label in ("rest02", "03"):
        assert re.search(rf"sub-{label} is skipped: forgotten on \d{{4}}-\d\d-\d\d", text)
        assert f"subject={label}" not in text
        assert not re.search(rf"/sub-{label}/", text)
    assert "subject=rest01" in text and "subject=02" in text
