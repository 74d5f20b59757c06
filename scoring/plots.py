"""Plots as SVG for pages: the same bytes for the same figures, coloured by variables of the page that holds them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that stand for variables of the page: matplotlib writes them, and they are replaced in what it wrote.
_COLOURS = {"#010203": "var(--ink)", "#040506": "var(--faint)", "#070809": "var(--honest)", "#0a0b0c": "var(--fraud)"}
INK, FAINT, HONEST, FRAUD = _COLOURS
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "clickgoose",  # else names in the file are random
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.4,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
_WIDTH, _HEIGHT = 4.6, 3.2  # inches


def svg(name: str, title: str, draw: Callable[[Axes], None]) -> str:
    """Return a plot as an ``<svg>`` element that uses the variables --ink, --faint, --honest and --fraud.

    ``name`` is another one for each plot of a page: the names inside begin with it.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        draw(figure.subplots())
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in _COLOURS.items():
        text = text.replace(colour, variable)
    text = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{name}-", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
