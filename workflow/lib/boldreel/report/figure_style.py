"""How figures look, and how they are written: SVG and PNG with the data behind them as TSV.

Takes matplotlib figures; returns {name}.svg, {name}.png, {name}.tsv. Text and axes are drawn in INK
and LINE, which the page replaces by its own colours, so that figures follow light and dark.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

INK, LINE, MUTED = "#21201e", "#dad6cc", "#78736a"
# Okabe and Ito (2008), told apart with any colour vision; light yellow left out.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
ACCENT = COLOURS[0]


def colour(index: int) -> str:
    """The colour of the n-th subject."""
    return COLOURS[index % len(COLOURS)]


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's settings for all figures; text stays text, and the same data gives the same file."""
    import matplotlib

    matplotlib.use("Agg")
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "boldreel",
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 9,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "grid.color": LINE,
        "axes.axisbelow": True,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "lines.linewidth": 1.6,
        "figure.dpi": 100,
    }
    with matplotlib.rc_context(settings):
        yield


def save(folder: Path, name: str, figure: Figure, data: pd.DataFrame) -> None:
    """Write a figure in both formats, and its data; closes the figure."""
    import matplotlib.pyplot as plt

    meta: dict[str, Any] = {"Date": None, "Creator": None}
    figure.savefig(folder / f"{name}.svg", bbox_inches="tight", pad_inches=0.05, metadata=meta)
    figure.set_layout_engine("none")  # everything has its place by now
    figure.savefig(
        folder / f"{name}.png",
        dpi=160,
        facecolor="white",
        bbox_inches="tight",
        pad_inches=0.05,
        metadata={"Software": None},
    )
    plt.close(figure)
    save_data(folder, name, data)


def save_data(folder: Path, name: str, data: pd.DataFrame) -> None:
    """Write the data behind a figure."""
    data.to_csv(folder / f"{name}.tsv", sep="\t", index=False, na_rep="n/a", float_format="%.6g")
