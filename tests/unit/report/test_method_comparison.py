"""Methods compared: each method's own scores, and an order only where both are above chance."""

import pandas as pd

from boldreel.data import tables
from boldreel.report import labels, method_comparison


def test_each_method_has_its_own_scores_alone(tree) -> None:
    table = tables.read(tree / "group" / "metrics.tsv", "metrics")
    subjects = ["01", "03"]
    other = table[(table["metric"] == "ssim") & table["subject"].isin(subjects)]
    both = pd.concat([table, other.assign(method="second")], ignore_index=True)
    rows = [
        {
            "subject": subject,
            "method": "mindvideo",
            "other": "second",
            "metric": "ssim",
            "definition": "rgb_uniform",
            "difference": 0.125,
            "ci_low": 0.1,
            "ci_high": 0.15,
            "p": 0.001,
            "p_corrected": 0.01,
            "n": 40,
        }
        for subject in subjects
    ]
    between = {s: pd.DataFrame([row]) for s, row in zip(subjects, rows, strict=True)}
    html = method_comparison.section(
        both, between, subjects, "mindvideo", 0.05, ["<p>a figure</p>"]
    )
    own = html.split("Scores of second")[1]
    assert labels.entry("ssim").name in own
    assert labels.entry("nway_frame").name not in own and "Retrieval" not in own
    assert "sub-03: mindvideo and second" in html.split("Not compared")[1]
    assert "a figure" in html
    assert method_comparison.section(table, {}, subjects, "mindvideo", 0.05) == ""
