"""config/README.md is what the schema says."""

from pathlib import Path

from boldreel.configuration_page import render

ROOT = Path(__file__).parents[2]


def test_page_is_current():
    page = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    assert page == render(), "run `make config-page`"


def test_every_key_has_a_meaning():
    for line in render().splitlines():
        if line.startswith("| `"):
            assert line.split("|")[-2].strip(), f"no description: {line}"
