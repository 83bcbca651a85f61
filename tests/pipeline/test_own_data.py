"""Somebody's own BIDS data set: what of it may be fitted."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.pipeline


def test_pretraining_on_those_who_watch_reads_no_test_run(small_run):
    """The cohort may be the subjects themselves; their test runs are not in its corpus."""
    assert small_run.code == 0, small_run.log[-3000:]
    settings = ["dataset=own", "bids=results/demo/bids", "pretrain={subjects: [01, 03]}"]
    jobs = small_run.workspace.planned("results/own/corpus", "--config", *settings)
    read = [wildcards for rule, wildcards in jobs if rule == "roi_series"]
    for subject in ("01", "03"):
        segments = {
            part.removeprefix("segment=")
            for wildcards in read
            if f"subject={subject}" in wildcards
            for part in wildcards.split(", ")
            if part.startswith("segment=")
        }
        assert segments == {"train01", "train02", "train03"}
