"""What README shows of the terminal is what the command prints, in numbers that hold on any processor."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boldreel.report import labels, page, verdicts

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
SHOWN = [
    *[(f"{kind}_{space}", "") for kind in ("two_way", "top1") for space in ("text", "image")],
    ("feature_correlation", "text"),
    ("nway_frame", "top3_n50_k1"),
    *[(f"judge_{name}", "image_classifier") for name in ("object", "colour", "background")],
    ("judge_motion", "video_classifier"),
    ("dominant_direction", "tvl1_64px"),
    ("clip_identification", "two_way"),
    ("pixel_correlation", "rgb"),
    ("ssim", "rgb_uniform"),
]


def block() -> list[str]:
    """The lines of README's terminal output."""
    start = README.index("Score over all test clips")
    return README[start : README.index("```", start)].splitlines()


@pytest.fixture
def printed() -> list[str]:
    """What would be printed of three subjects with these metrics."""
    rows = [
        {
            "subject": subject,
            "segment": "all",
            "method": "mindvideo",
            "condition": condition,
            "metric": metric,
            "definition": definition,
            "value": 0.4567,
            "chance": np.nan if metric == "ssim" else 0.5,
            "p": 0.002,
        }
        for subject in ("01", "02", "03")
        for metric, definition in SHOWN
        for condition in ("model", "ridge", "zero_shot")
        if condition == "model" or metric.startswith(("two_way", "top1"))
    ]
    table = pd.DataFrame(rows)
    judged = [verdicts.judge(table, subject, "mindvideo") for subject in ("01", "02", "03")]
    path = Path("results/demo/report.html")
    return page.spoken(path, table, judged, "mindvideo", simulated=True).splitlines()


def test_every_line_is_one_that_is_printed(printed):
    """But for the numbers, and for the verdicts, whose lists of metrics are cut."""
    numbers = re.compile(r"[-<>]? ?\d?\.\d+|–")
    known = {" ".join(numbers.sub("#", line).split()) for line in printed}
    for line in block():
        if line.startswith("sub-0"):
            assert " above chance in " in line or " does not differ from chance " in line
        else:
            assert " ".join(numbers.sub("#", line).split()) in known, line


def test_numbers_are_no_more_precise_than_they_hold():
    assert all(len(found) == 2 for found in re.findall(r"\d\.(\d+)", "\n".join(block())))
    assert labels.p_bound(0.0048) in "\n".join(block())
