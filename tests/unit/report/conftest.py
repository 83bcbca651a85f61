"""An invented results tree, its figures and its page."""

import json
import sys
from pathlib import Path

import pytest

from boldreel import packaged

sys.path.insert(0, str(Path(__file__).parents[2]))  # tests/, for fixtures_results

PUBLISHED = packaged.path("boldreel.report", "published.tsv")


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    import fixtures_results

    root = fixtures_results.build(tmp_path_factory.mktemp("results") / "demo", clips=16, size=32)
    fixtures_results.invent_scores(root)
    return root


@pytest.fixture(scope="session")
def figures(tree):
    from boldreel.report import figures

    config = json.dumps({"seed": 1, "sheet_clips": 4, "strip_clips": 4})
    out = tree / "group" / "figures"
    subjects = ["01", "02", "03"]
    line = ["--results", str(tree), "--subjects", *subjects, "--output", str(out)]
    figures.main([*line, "--config", config])
    return out


@pytest.fixture(scope="session")
def page(tree, figures):
    """The page as text."""
    from boldreel.report import page

    told = {"seed": 1, "page_clips": 4, "dataset": "demo", "combination": ["object", "colour"]}
    config = json.dumps(told)
    line = ["--results", str(tree), "--subjects", "01", "02", "03", "--config", config]
    page.main([*line, "--published", str(PUBLISHED), "--output", str(tree / "report.html")])
    return (tree / "report.html").read_text()
