"""Plots of a report as SVG: the same bytes for the same report, coloured by the page that holds them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that stand for variables of the page: matplotlib writes them, and they are replaced in what it wrote.
_COLOURS = {"#010203": "var(--ink)", "#040506": "var(--faint)", "#070809": "var(--honest)", "#0a0b0c": "var(--fraud)"}
_INK, _FAINT, _HONEST, _FRAUD = _COLOURS
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "clickgoose",  # else names in the file are random
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _FAINT,
    "grid.linewidth": 0.4,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
_WIDTH, _HEIGHT = 4.6, 3.2  # inches
Draw = Callable[["Axes", Mapping[str, Any]], None]


def plots(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the plots by name, each an ``<svg>`` element that uses the variables --ink, --faint, --honest, --fraud."""
    drawn = {"roc": _roc, "precision_recall": _precision_recall, "calibration": _calibration, "scores": _scores}
    return {name: _svg(name, draw, report) for name, draw in drawn.items()}


def _svg(name: str, draw: Draw, report: Mapping[str, Any]) -> str:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        draw(figure.subplots(), report)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in _COLOURS.items():
        text = text.replace(colour, variable)
    # Several plots are in one page, so each has names of its own.
    text = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{name}-", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{_TITLES[name]}" ', 1)


_TITLES = {
    "roc": "Receiver operating characteristic",
    "precision_recall": "Precision and recall",
    "calibration": "Calibration",
    "scores": "Scores by label",
}


def _roc(axes: Axes, report: Mapping[str, Any]) -> None:
    across, up = zip(*report["roc"], strict=True)
    axes.plot(across, up, color=_FRAUD)
    axes.set_xscale("symlog", linthresh=0.001)
    axes.set(xlabel="false positive rate", ylabel="recall", xlim=(0, 1), ylim=(0, 1.01))
    axes.set_xticks([0, 0.001, 0.01, 0.1, 1], ["0", "0.1%", "1%", "10%", "100%"])


def _precision_recall(axes: Axes, report: Mapping[str, Any]) -> None:
    across, up = zip(*report["precision_recall"], strict=True)
    axes.plot(across, up, color=_FRAUD)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))


def _calibration(axes: Axes, report: Mapping[str, Any]) -> None:
    bins = report["calibration"]
    most = max(one["events"] for one in bins)
    axes.plot((0, 1), (0, 1), color=_FAINT, linestyle="--")
    axes.plot([one["predicted"] for one in bins], [one["happened"] for one in bins], color=_FRAUD, linewidth=0.8)
    sizes = [12 + 80 * (one["events"] / most) ** 0.5 for one in bins]
    axes.scatter([one["predicted"] for one in bins], [one["happened"] for one in bins], s=sizes, color=_FRAUD)
    axes.set(xlabel="predicted share of fraud", ylabel="share of fraud that happened", xlim=(0, 1.01), ylim=(0, 1.03))


def _scores(axes: Axes, report: Mapping[str, Any]) -> None:
    width = 100 / len(report["scores"]["honest"])
    for name, colour, shift in (("honest", _HONEST, 0.05), ("fraud", _FRAUD, 0.5)):
        counts = report["scores"][name]
        axes.bar(
            [(place + shift) * width for place in range(len(counts))],
            counts, width=0.45 * width, align="edge", color=colour, label=name,
        )  # fmt: skip
    axes.set_yscale("symlog", linthresh=1)
    axes.set(xlabel="score", ylabel="events", xlim=(0, 100))
    axes.legend()
