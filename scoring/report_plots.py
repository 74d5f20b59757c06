"""Plots of a report as SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from scoring.plots import FAINT, FRAUD, HONEST, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[[Mapping[str, Any], "Axes"], None]


def plots(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the plots by name, each an ``<svg>`` element that uses the variables --ink, --faint, --honest, --fraud."""
    drawn: dict[str, Draw] = {
        "roc": _roc,
        "precision_recall": _precision_recall,
        "calibration": _calibration,
        "scores": _scores,
    }
    return {name: svg(name, _TITLES[name], partial(draw, report)) for name, draw in drawn.items()}


_TITLES = {
    "roc": "Receiver operating characteristic",
    "precision_recall": "Precision and recall",
    "calibration": "Calibration",
    "scores": "Scores by label",
}


def _roc(report: Mapping[str, Any], axes: Axes) -> None:
    across, up = zip(*report["roc"], strict=True)
    axes.plot(across, up, color=FRAUD)
    axes.set_xscale("symlog", linthresh=0.001)
    axes.set(xlabel="false positive rate", ylabel="recall", xlim=(0, 1), ylim=(0, 1.01))
    axes.set_xticks([0, 0.001, 0.01, 0.1, 1], ["0", "0.1%", "1%", "10%", "100%"])


def _precision_recall(report: Mapping[str, Any], axes: Axes) -> None:
    across, up = zip(*report["precision_recall"], strict=True)
    axes.plot(across, up, color=FRAUD)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))


def _calibration(report: Mapping[str, Any], axes: Axes) -> None:
    bins = report["calibration"]
    most = max(one["events"] for one in bins)
    axes.plot((0, 1), (0, 1), color=FAINT, linestyle="--")
    axes.plot([one["predicted"] for one in bins], [one["happened"] for one in bins], color=FRAUD, linewidth=0.8)
    sizes = [12 + 80 * (one["events"] / most) ** 0.5 for one in bins]
    axes.scatter([one["predicted"] for one in bins], [one["happened"] for one in bins], s=sizes, color=FRAUD)
    axes.set(xlabel="predicted share of fraud", ylabel="share of fraud that happened", xlim=(0, 1.01), ylim=(0, 1.03))


def _scores(report: Mapping[str, Any], axes: Axes) -> None:
    width = 100 / len(report["scores"]["honest"])
    for name, colour, shift in (("honest", HONEST, 0.05), ("fraud", FRAUD, 0.5)):
        counts = report["scores"][name]
        axes.bar(
            [(place + shift) * width for place in range(len(counts))],
            counts, width=0.45 * width, align="edge", color=colour, label=name,
        )  # fmt: skip
    axes.set_yscale("symlog", linthresh=1)
    axes.set(xlabel="score", ylabel="events", xlim=(0, 100))
    axes.legend()
