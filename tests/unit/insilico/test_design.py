from __future__ import annotations

import subprocess
import sys

import pytest
from tests.fixtures_settings import section, settings

from boldreel.errors import UserError
from boldreel.insilico import design
from boldreel.insilico.settings import InsilicoSettings
from boldreel.settings import read


def test_runs_follow_from_the_section(cfg):
    assert design.segments(cfg) == ["train01", "train02", "test01"]
    runs = design.runs(cfg, "01")
    assert runs[:3] == [("train01", 1), ("train01", 2), ("train02", 1)]
    assert [run for run in runs if run[0] == "test01"] == [("test01", k) for k in (1, 2, 3, 4)]
    assert design.runs(cfg, "rest01") == [("rest", 1)]


def test_full_size_is_the_default():
    assert len(design.runs(InsilicoSettings(), "01")) == 6 * 2 + 2 * 10
    assert design.movie_duration(InsilicoSettings()) == 240.0


def test_a_subject_that_is_not_named_gets_the_default(cfg):
    assert design.explainable_variance(cfg, "01") == 0.3
    assert design.explainable_variance(cfg, "17") == 0.02
    assert design.explainable_variance(cfg, "rest01") == 0.1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"t_rr": 2}, r"insilico\.t_rr is not a key"),
        ({"rest": {"run": 2}}, r"insilico\.rest\.run is not a key"),
        ({"t_r": 0}, "t_r"),
        ({"volumes": 3}, "volumes"),
        ({"movie_onset": 0.3}, "movie_onset"),
        ({"explainable_variance": {"01": 2}}, "explainable_variance"),
    ],
)
def test_impossible_values_are_named(change, word):
    with pytest.raises(UserError, match=word):
        settings("insilico", **change)


def test_the_whole_section_passes():
    assert read(InsilicoSettings, section("insilico"), "insilico") == InsilicoSettings()
    assert read(InsilicoSettings, {}, "insilico") == InsilicoSettings()


def test_a_segment_that_is_not_made_is_refused(cfg):
    with pytest.raises(UserError, match="train09"):
        design.repeats(cfg, "train09")


def test_importing_it_loads_no_heavy_package():
    code = "import sys, boldreel.insilico.design; print('numpy' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
