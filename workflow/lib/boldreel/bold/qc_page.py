"""A page on the quality of one subject's runs, for a person to look through before anything is trained.

Takes the measured runs and the subject's figures; returns one HTML file that needs nothing else: the
coregistration, and of every run its numbers, head motion, carpet, map of tSNR and marked volumes with
the reason.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from boldreel.bold.quality import RunQuality

_SLICES = 10  # of the map of tSNR
_HEIGHT = 60  # of a line chart, units of its own
_COLOURS = ("#2563a8", "#c2571a", "#2e7d4f")

_STYLE = """
:root{color-scheme:light dark;--ink:#21201e;--paper:#faf9f6;--line:#ddd8cd;--muted:#6b665d}
@media (prefers-color-scheme:dark){:root{--ink:#eceae4;--paper:#141413;--line:#34332f;--muted:#a39e93}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1000px;
margin:0 auto;padding:1rem 20px 4rem}
section{border-top:1px solid var(--line);padding:1rem 0}
h2{font-size:1.1rem;margin:0 0 .3rem}
img,svg{display:block;width:100%;margin:.3rem 0}
img.carpet{height:150px;image-rendering:pixelated}
img.map{image-rendering:pixelated;background:#000}
svg{height:80px;border:1px solid var(--line)}
p,figcaption{margin:.2rem 0;color:var(--muted)}
figure{margin:.6rem 0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
td,th{text-align:left;padding:.15rem .6rem .15rem 0;border-bottom:1px solid var(--line)}
.scroll{overflow-x:auto}
"""


def render(
    subject: str,
    runs: Sequence[RunQuality],
    figures: Path,
    threshold: float,
    notes: Sequence[str] = (),
    coregistered: str = "",
) -> str:
    """The page.

    Parameters
    ----------
    runs : at least one. figures : folder with the subject's PNGs; those that are there are shown.
    threshold : displacement in mm above which a volume is marked. notes : sentences for the top.
    coregistered : the run that the figure of the coregistration shows, and with what.
    """
    title = f"Quality of the runs of sub-{html.escape(subject)}"
    overview = "".join(
        f"<tr><td><a href='#{html.escape(run.name)}'>{html.escape(run.name)}</a></td>"
        f"<td>{len(run.motion)}</td><td>{_mm(run.mean_displacement)}</td>"
        f"<td>{_mm(run.largest_displacement)}</td><td>{len(run.marked)}</td>"
        f"<td>{run.median_tsnr:.0f}</td><td><code>{html.escape(run.content[:12])}</code></td></tr>"
        for run in runs
    )
    shown = "".join(
        f"<figure><figcaption>{text}</figcaption>{_embedded(path)}</figure>"
        for what, text in (
            (
                "coregistration",
                f"Mean BOLD of {html.escape(coregistered)}: of all runs the one whose contrast follows it "
                "least (correlation ratio).",
            ),
            ("tsnr", "Temporal signal-to-noise ratio, mean over runs."),
        )
        for path in [figures / f"sub-{subject}_desc-{what}_bold.png"]
        if path.exists()
    )
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        f"<link rel='icon' href='data:,'><title>{title}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{title}</h1>{''.join(f'<p>{html.escape(note)}</p>' for note in notes)}"
        "<p>No two of these runs hold the same data (hash of their content in the last column).</p>"
        "<div class='scroll'><table><thead><tr><th>Run</th><th>Volumes</th><th>Mean displacement</th>"
        "<th>Largest</th><th>Marked volumes</th><th>tSNR</th><th>Content</th></tr></thead>"
        f"<tbody>{overview}</tbody></table></div>{shown}"
        f"{''.join(_section(run, threshold) for run in runs)}</body></html>\n"
    )


def _section(run: RunQuality, threshold: float) -> str:
    charts = (
        _chart("translation (mm) along x, y, z", run.motion[:, :3].T)
        + _chart("rotation (degrees) about x, y, z", np.degrees(run.motion[:, 3:]).T)
        + _chart(
            f"displacement (mm); the line is at {threshold:g} mm",
            run.displacement[None],
            at=threshold,
        )
        if run.motion_known
        else "<p>Head motion is not known.</p>"
    )
    marked = "; ".join(f"{volume} ({html.escape(why)})" for volume, why in run.marked.items())
    ratio = (
        "" if np.isnan(run.ratio) else f", correlation ratio of the coregistration {run.ratio:.3f}"
    )
    return (
        f"<section id='{html.escape(run.name)}'><h2>{html.escape(run.name)}</h2>"
        f"<p>{len(run.motion)} volumes, median tSNR {run.median_tsnr:.0f}{ratio}.</p>{charts}"
        "<figure><figcaption>Carpet: a row is a voxel of the brain, a column a volume; z without trend, "
        f"black at −2.5, white at 2.5.</figcaption><img class='carpet' alt='carpet' "
        f"src='{_png(_gray(run.carpet))}'></figure>{_map(run)}"
        f"<p>Marked volumes (none is left out of the series): {marked or 'none'}.</p></section>"
    )


def _chart(label: str, lines: np.ndarray, at: float | None = None) -> str:
    """Lines (k, n) as SVG, all on one scale that is written next to it; volumes from left to right."""
    known = lines[np.isfinite(lines)]
    if not len(known):
        return f"<p>Not known: {label}.</p>"
    low, high = float(min(known.min(), 0.0)), float(max(known.max(), at or 0.0, 1e-3))
    span = high - low

    def height(value: float) -> float:
        return round(_HEIGHT * (1 - (value - low) / span), 2)

    drawn = "".join(
        f"<polyline fill='none' stroke='{colour}' vector-effect='non-scaling-stroke' points='"
        + " ".join(f"{k},{height(v)}" for k, v in enumerate(line) if np.isfinite(v))
        + "'/>"
        for line, colour in zip(lines, _COLOURS, strict=False)
    )
    if at is not None:
        drawn += (
            f"<line x1='0' x2='{lines.shape[1] - 1}' y1='{height(at)}' y2='{height(at)}' "
            "stroke='#b3261e' stroke-dasharray='4 3' vector-effect='non-scaling-stroke'/>"
        )
    return (
        f"<figure><figcaption>{label}; from {low:.2f} to {high:.2f}</figcaption>"
        f"<svg role='img' aria-label='{label}' preserveAspectRatio='none' "
        f"viewBox='0 -2 {max(lines.shape[1] - 1, 1)} {_HEIGHT + 4}'>{drawn}</svg></figure>"
    )


def _map(run: RunQuality) -> str:
    """Axial slices of the run's tSNR from below to above; nothing for grayordinates."""
    if run.tsnr.ndim != 3:
        return ""
    top = float(np.nanpercentile(run.tsnr, 98))
    chosen = np.linspace(0, run.tsnr.shape[2] - 1, _SLICES + 2).round().astype(int)[1:-1]
    slices = [np.rot90(run.tsnr[:, :, k]) for k in chosen]
    joined = np.nan_to_num(np.concatenate(slices, axis=1) / top).clip(0, 1)
    return (
        f"<figure><figcaption>tSNR, axial slices from below to above; black 0, white {top:.0f}."
        f"</figcaption><img class='map' alt='map of tSNR' src='{_png((255 * joined).astype(np.uint8))}'>"
        "</figure>"
    )


def _gray(carpet: np.ndarray) -> np.ndarray:
    return (255 * ((np.nan_to_num(carpet) + 2.5) / 5).clip(0, 1)).astype(np.uint8)


def _png(pixels: np.ndarray) -> str:
    """uint8 (h, w) as a data URI."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _embedded(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f"<img alt='{html.escape(path.stem)}' src='data:image/png;base64,{data}'>"


def _mm(value: float) -> str:
    return "not known" if np.isnan(value) else f"{value:.2f} mm"
