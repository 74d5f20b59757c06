"""A comparison of two models as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.result import DECISIONS
from scoring.compare import JOINT_BINS
from scoring.pages import bars, columns, document, plots, table, words
from scoring.plots import FAINT, FRAUD, HONEST, INK, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Json = Mapping[str, Any]
_FACTORS = 20


def page(found: Json) -> str:
    """Return the page of what ``infra.model_compare.Found.as_json`` gives."""
    versions = " and ".join(f"{side.upper()} {found[side]['version']}" for side in ("a", "b"))
    parts = [
        f"<h1>Models compared: {escape(versions)}</h1>",
        _source(found),
        plots(_plots(found)),
        _flips(found["flips"]),
        _labelled(found),
        _scores(found),
        _factors(found["factors"]),
        _events(found["changed_events"]),
    ]
    return document(f"{found['a']['version']} and {found['b']['version']}", parts)


def _source(found: Json) -> str:
    events = found["events"]
    told = (
        f"<p>A is in use, B may follow it. From {escape(found['source'])}: {events['rows']:,} rows that stand for "
        f"{events['events']:,.0f} of {events['asked']:,.0f} events, {events['first']} to {events['last']}.</p>"
    )
    head = ("", "version", "scored again", "stored score", "no score", "why not scored again")
    rows = [
        (side.upper(), f"<code>{escape(one['version'])}</code>",
         *(f"{one[name]:,}" for name in ("rescored", "stored", "missing")), escape(one["not_rescored_because"] or ""))
        for side, one in ((side, found[side]) for side in ("a", "b"))
    ]  # fmt: skip
    return told + table(head, rows)


def _plots(found: Json) -> dict[str, str]:
    scores, curves = found["scores"], found["curves"]
    drawn = {
        "Scores (logarithmic)": svg("scores", "Scores of A and B", lambda axes: _histograms(axes, scores)),
        "Score of A against score of B": svg("joint", "Joint scores", lambda axes: _joint(axes, scores["joint"])),
    }
    if curves:
        drawn["Precision and recall, labelled events"] = svg(
            "precision_recall", "Precision and recall of A and B", lambda axes: _curve(axes, curves)
        )
        drawn["B less A on labelled events, with 95% intervals"] = svg(
            "deltas", "Differences of the measures", lambda axes: _deltas(axes, found["labelled"])
        )
    return drawn


def _histograms(axes: Axes, scores: Json) -> None:
    edges = scores["histogram"]["edges"]
    for side, colour in (("a", HONEST), ("b", FRAUD)):
        axes.stairs(scores["histogram"][side], edges, color=colour, label=side.upper())
    axes.set_yscale("symlog", linthresh=1)
    axes.set(xlabel="score", ylabel="events", xlim=(0, 100))
    axes.legend()


def _joint(axes: Axes, joint: Sequence[Sequence[float]]) -> None:
    counts = np.array(joint)
    across, up = np.nonzero(counts)
    width = 100 / JOINT_BINS
    sizes = 3 + 60 * np.log1p(counts[across, up]) / np.log1p(counts.max())
    axes.plot((0, 100), (0, 100), color=FAINT, linestyle="--", linewidth=0.8)
    axes.scatter((across + 0.5) * width, (up + 0.5) * width, s=sizes, color=HONEST)
    axes.set(xlabel="score of A", ylabel="score of B", xlim=(0, 100), ylim=(0, 100))


def _curve(axes: Axes, curves: Json) -> None:
    for side, colour in (("a", HONEST), ("b", FRAUD)):
        across, up = zip(*curves[side]["precision_recall"], strict=True)
        axes.plot(across, up, color=colour, label=side.upper())
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))
    axes.legend()


def _deltas(axes: Axes, measures: Json) -> None:
    known = [(name, one) for name, one in measures.items() if one["delta"] is not None][::-1]
    for place, (_, one) in enumerate(known):
        if one["low"] is not None:
            axes.plot((one["low"], one["high"]), (place, place), color=INK, linewidth=1)
        axes.plot(one["delta"], place, "o", color=FRAUD, markersize=4)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    axes.set_yticks(range(len(known)), [name.replace("_", " ") for name, _ in known])


def _flips(flips: Json) -> str:
    matrix = table(
        ("A \\ B", *DECISIONS),
        [(name, *(f"{count:,.0f}" for count in row)) for name, row in zip(DECISIONS, flips["matrix"], strict=True)],
    )
    told = (
        f"<p>{flips['share']:.3%} of events flip: {flips['stricter_share']:.3%} are decided more strictly by B, "
        f"{flips['milder_share']:.3%} less strictly. By the thresholds that were in force for each event.</p>"
    )
    parts = [_parts("merchant", flips["by_merchant"]), _parts("event type", flips["by_event_type"])]
    return f"<h2>Decisions</h2>\n{told}\n{matrix}\n{columns(parts)}"


def _parts(title: str, parts: Sequence[Json]) -> str:
    rows = [
        (escape(part["name"] or "(none)"), f"{part['events']:,.0f}",
         *(f"{part[name]:.2%}" for name in ("share", "stricter_share", "milder_share")))
        for part in parts
    ]  # fmt: skip
    return table((title, "events", "flip", "stricter", "milder"), rows)


def _number(value: float | None, form: str = ".4f") -> str:
    return "" if value is None else f"{value:{form}}"


def _labelled(found: Json) -> str:
    events = found["events"]
    if not events["labelled"]:
        return "<h2>Labelled events</h2>\n<p>None: what is better cannot be said.</p>"
    rows = [
        (words(name), _number(one["a"]), _number(one["b"]), _number(one["delta"], "+.4f"),
         "" if one["low"] is None else f"{one['low']:+.4f} to {one['high']:+.4f}")
        for name, one in found["labelled"].items()
    ]  # fmt: skip
    told = (
        f"<p>{events['labelled']:,} labelled rows of {events['labelled_sessions']:,} sessions, {events['fraud']:,} of "
        "them fraud. Intervals are of a bootstrap that draws whole sessions.</p>"
    )
    return f"<h2>Labelled events</h2>\n{told}\n" + table(("", "A", "B", "B - A", "95% interval of B - A"), rows)


def _scores(found: Json) -> str:
    scores, agreement, cost = found["scores"], found["agreement"], found["cost_us"]
    values = [("mean", scores["a"]["mean"], scores["b"]["mean"])]
    values += [(name, value, scores["b"]["quantiles"][name]) for name, value in scores["a"]["quantiles"].items()]
    rows = [(name, f"{a:.2f}", f"{b:.2f}", f"{b - a:+.2f}") for name, a, b in values]
    alike = [(words(name), _number(value)) for name, value in agreement.items()]
    alike += [(f"µs an event of {side.upper()}, on this machine", _number(cost[side], ".1f")) for side in ("a", "b")]
    return "<h2>Scores</h2>\n" + columns([table(("", "A", "B", "B - A"), rows), table(("agreement", ""), alike)])


def _factors(factors: Sequence[Json]) -> str:
    if not factors:
        return ""
    shown = factors[:_FACTORS]
    cells = bars([(one["factor"], one["mean_abs_change"], f"{one['mean_abs_change']:.4f}") for one in shown])
    rows = [
        (*cell, *(_number(one[name]) for name in ("mean_a", "mean_b")),
         *(f"{one[name]:.1%}" for name in ("top_share_a", "top_share_b")))
        for cell, one in zip(cells, shown, strict=True)
    ]  # fmt: skip
    head = ("factor", "mean size of change, log-odds", "", "mean A", "mean B", "top of A", "top of B")
    return "<h2>Factors that changed most</h2>\n" + table(head, rows)


def _events(events: Sequence[Json]) -> str:
    rows = [
        (f"<code>{one['event']}</code>", escape(one["merchant"]), escape(one["event_type"]), one["occurred_at"],
         *(f"{one[side]:.1f} {one[f'decided_{side}']}" for side in ("a", "b")), one["label"] or "")
        for one in events
    ]  # fmt: skip
    head = ("event", "merchant", "type", "occurred at", "A", "B", "label")
    return "<h2>Events that changed most</h2>\n" + table(head, rows)
