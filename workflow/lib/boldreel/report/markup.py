"""Small pieces of HTML and SVG, written by plain functions.

Takes texts and numbers; returns strings. Everything that comes from a file goes through `esc`.
"""

from __future__ import annotations

import base64
import html
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boldreel.report import figure_style


def esc(text: object) -> str:
    """Text made safe for HTML, also inside attributes."""
    return html.escape(str(text), quote=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], label: str, kind: str = "") -> str:
    """A table in a box that scrolls sideways on a phone; cells are HTML already."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{esc(label)}">'
        f'<table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def note(text: str) -> str:
    """A visible remark; the text is plain."""
    return f'<p class="note">{esc(text)}</p>'


def embedded_json(value: Any) -> str:
    """JSON for a script element: nothing in it can end the element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def inline_svg(path: Path, label: str) -> str:
    """A matplotlib SVG for the page: ids made unique, ink and lines in the page's own colours."""
    text = path.read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    prefix = f"{path.stem}-"
    text = re.sub(r'(\sid=")', rf"\g<1>{prefix}", text)
    text = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\g<1>{prefix}", text)
    for colour, name in (
        (figure_style.INK, "ink"),
        (figure_style.LINE, "line"),
        (figure_style.MUTED, "muted"),
    ):
        text = text.replace(colour, f"var(--{name})")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?)\swidth="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?)\sheight="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{esc(label)}"', 1)


def picture(frame: np.ndarray) -> str:
    """A frame (h, w, 3) as a JPEG data URI."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.asarray(frame)).save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def as_jpeg(path: Path) -> tuple[str, tuple[int, int]]:
    """(data URI, (width, height)) of a PNG file as JPEG, a fifth of its size on photographs."""
    from PIL import Image

    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    return picture(pixels), (pixels.shape[1], pixels.shape[0])


def movie(path: Path) -> str:
    """An mp4 file as a data URI."""
    return "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()


def gauge(
    marks: Mapping[str, float], interval: tuple[float, float], scale: tuple[float, float], tint: str
) -> str:
    """A score on its axis: dot with interval, and marks for chance and baselines.

    Parameters
    ----------
    marks : "model" and any of "chance", "shuffled", "gray", "true_colour",
        "true_features"; NaN is left out.
    interval : low and high, NaN if unknown. scale : ends of the axis.
    """
    width, middle = 140, 11
    low, high = scale
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return round(7 + (value - low) / span * (width - 14), 1)

    parts = [f'<line x1="4" x2="{width - 4}" y1="{middle}" y2="{middle}" class="axis"/>']
    known = {name: value for name, value in marks.items() if value == value}
    if "chance" in known:
        at = x(known["chance"])
        parts.append(f'<line x1="{at}" x2="{at}" y1="1" y2="21" class="chance"/>')
    if "gray" in known:
        parts.append(f'<rect x="{x(known["gray"]) - 3}" y="8" width="6" height="6" class="gray"/>')
    if "true_colour" in known:
        at = x(known["true_colour"])
        parts.append(f'<path d="M{at - 3.5} 8.5h7l-3.5 6z" class="gray"/>')
    if "true_features" in known:
        at = x(known["true_features"])
        parts.append(f'<path d="M{at} 6.5l4.5 4.5l-4.5 4.5l-4.5-4.5z" class="upper"/>')
    if "shuffled" in known:
        parts.append(
            f'<circle cx="{x(known["shuffled"])}" cy="{middle}" r="3.4" class="shuffled"/>'
        )
    if all(end == end for end in interval):
        left, right = x(max(interval[0], low)), x(min(interval[1], high))
        parts.append(
            f'<line x1="{left}" x2="{right}" y1="{middle}" y2="{middle}" stroke="{tint}" '
            'stroke-width="3" stroke-linecap="round"/>'
        )
    if "model" in known:
        parts.append(f'<circle cx="{x(known["model"])}" cy="{middle}" r="5" fill="{tint}"/>')
    said = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in known.items())
    return (
        f'<svg class="gauge" viewBox="0 0 {width} 22" width="{width}" height="22" role="img" '
        f'aria-label="{esc(said)}">{"".join(parts)}</svg>'
    )


def nested(value: Any) -> str:
    """Any JSON value as lists of terms, for what has no layout of its own."""
    if isinstance(value, Mapping):
        rows = "".join(
            f"<dt>{esc(str(key).replace('_', ' '))}</dt><dd>{nested(inner)}</dd>"
            for key, inner in value.items()
        )
        return f"<dl>{rows}</dl>" if rows else "none"
    if isinstance(value, list):
        if not value:
            return "none"
        if all(not isinstance(item, (dict, list)) for item in value):
            shown = ", ".join(esc(item) for item in value[:12])
            return shown + (f" … ({len(value)} in all)" if len(value) > 12 else "")
        items = "".join(f"<li>{nested(item)}</li>" for item in value[:8])
        more = f"<li>… {len(value) - 8} more</li>" if len(value) > 8 else ""
        return f"<ul>{items}{more}</ul>"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return esc("none" if value is None else value)
