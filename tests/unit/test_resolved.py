"""What a configuration comes to, as a file and as the first lines of a run."""

import pytest
import yaml
from tests.fixtures_settings import ASKED

from boldreel import configuration, resolved

OWN = {**ASKED, "dataset": "mine", "bids": "data/mine", "align": {"epochs": 7, "depth": None}}


@pytest.mark.parametrize("given", [ASKED, OWN])
def test_the_file_says_every_value_and_gives_the_same_run(given):
    complete = configuration.complete(given)
    text = resolved.text(given, complete)
    assert configuration.complete(yaml.safe_load(text)) == complete


def test_every_value_says_where_it_comes_from(tmp_path):
    complete = configuration.complete(OWN)
    resolved.write(tmp_path, OWN, complete)
    lines = (tmp_path / "config.resolved.yaml").read_text().splitlines()
    assert "  epochs: 7  # yours" in lines
    assert "  size: 256  # preset base" in lines
    assert "  frame_rate: 3.0  # default" in lines
    assert not [line for line in lines if line.startswith("insilico")]


def test_the_first_lines_name_what_differs():
    lines = resolved.summary(
        OWN, configuration.complete(OWN), ["01", "02"], {"train": 12, "test": 4}
    )
    assert lines[0] == "data set: mine (data/mine)"
    assert lines[1] == "subjects: 2 (01, 02); runs: 12 train, 4 test"
    assert lines[2].startswith("preset: base; base models: clip openai/clip-vit-large-patch14@")
    assert lines[3] == "changes to the preset: align.epochs = 7 (instead of 20)"
    many = resolved.summary(ASKED, configuration.complete(ASKED), [str(k) for k in range(99)], {})
    assert many[1].startswith("subjects: 99 (0, 1, 2, 3, 4, 5, 6, 7, …)")
    assert many[3] == "changes to the preset: none"
