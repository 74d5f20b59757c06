"""A comparison as tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from schemas.result import DECISIONS

_FACTORS, _PARTS, _EVENTS = 8, 10, 8
Json = Mapping[str, Any]


def print_comparison(found: Json) -> None:
    """Print what ``infra.model_compare.Found.as_json`` gives."""
    console = Console()
    _print_sources(console, found)
    console.print(_scores(found))
    console.print(_flips(found["flips"]))
    for title, parts in (("merchant", "by_merchant"), ("event type", "by_event_type")):
        if len(found["flips"][parts]) > 1:
            console.print(_by_part(title, found["flips"][parts]))
    if found["factors"]:
        console.print(_factors(found["factors"]))
    if found["events"]["labelled"]:
        console.print(_labelled(found))
    else:
        console.print("No event of that range is labelled: what is better cannot be said.")
    if found["changed_events"]:
        console.print(_changed(found["changed_events"]))


def _print_sources(console: Console, found: Json) -> None:
    events = found["events"]
    console.print(
        f"A {found['a']['version']}, B {found['b']['version']}, from {found['source']}: {events['rows']:,} rows that "
        f"stand for {events['events']:,.0f} of {events['asked']:,.0f} events, {events['first']} to {events['last']}",
        soft_wrap=True,
        highlight=False,
    )
    for side in ("a", "b"):
        told = found[side]
        why = f" ({told['not_rescored_because']})" if told["not_rescored_because"] else ""
        console.print(
            f"{side.upper()}: {told['rescored']:,} rows scored again, {told['stored']:,} by the stored score, "
            f"{told['missing']:,} without a score{why}",
            soft_wrap=True,
            highlight=False,
        )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place else "left", overflow="fold")
    return table


def _number(value: float | None, form: str = ".4f") -> str:
    return "-" if value is None else f"{value:{form}}"


def _scores(found: Json) -> Table:
    scores, agreement, cost = found["scores"], found["agreement"], found["cost_us"]
    table = _table("Scores", "", "A", "B", "B - A")
    rows = {"mean": [scores[side]["mean"] for side in ("a", "b")]}
    rows |= {name: [scores[side]["quantiles"][name] for side in ("a", "b")] for name in scores["a"]["quantiles"]}
    for name, (a, b) in rows.items():
        table.add_row(name, _number(a, ".2f"), _number(b, ".2f"), _number(b - a, "+.2f"))
    if cost["a"] is not None and cost["b"] is not None:
        table.add_row("µs an event, here", *(_number(cost[side], ".1f") for side in ("a", "b")),
                      _number(cost["b"] - cost["a"], "+.1f"))  # fmt: skip
    table.add_section()
    for name in ("pearson", "spearman", "same_decision", "top_factor", "mean_abs_difference", "psi"):
        table.add_row(name.replace("_", " "), "", "", _number(agreement[name]))
    return table


def _flips(flips: Json) -> Table:
    title = (
        f"Decisions of A (rows) against B (columns): {flips['share']:.2%} flip, {flips['stricter_share']:.2%} become "
        f"stricter, {flips['milder_share']:.2%} milder"
    )
    table = _table(title, "A \\ B", *DECISIONS)
    for name, counts in zip(DECISIONS, flips["matrix"], strict=True):
        table.add_row(name, *(f"{count:,.0f}" for count in counts))
    return table


def _by_part(title: str, parts: list[Json]) -> Table:
    table = _table(f"Flips by {title}, most first", title, "events", "flips", "stricter", "milder")
    for part in parts[:_PARTS]:
        shares = (f"{part[name]:.2%}" for name in ("share", "stricter_share", "milder_share"))
        table.add_row(part["name"] or "(none)", f"{part['events']:,.0f}", *shares)
    return table


def _factors(factors: list[Json]) -> Table:
    title = "Factors that changed most: mean log-odds"
    table = _table(title, "factor", "mean size of change", "mean A", "mean B", "top of A", "top of B")
    for one in factors[:_FACTORS]:
        means = (_number(one[name], ".4f") for name in ("mean_abs_change", "mean_a", "mean_b"))
        table.add_row(one["factor"], *means, *(f"{one[name]:.1%}" for name in ("top_share_a", "top_share_b")))
    return table


def _labelled(found: Json) -> Table:
    events = found["events"]
    rows, sessions = events["labelled"], events["labelled_sessions"]
    title = f"On {rows:,} labelled rows of {sessions:,} sessions, {events['fraud']:,} of them fraud"
    table = _table(title, "", "A", "B", "B - A", "95% interval of B - A")
    for name, one in found["labelled"].items():
        interval = "-" if one["low"] is None else f"{one['low']:+.4f} to {one['high']:+.4f}"
        table.add_row(name, _number(one["a"]), _number(one["b"]), _number(one["delta"], "+.4f"), interval)
    return table


def _changed(events: list[Json]) -> Table:
    table = _table("Events that changed most", "event", "merchant", "type", "A", "B", "label")
    for one in events[:_EVENTS]:
        sides = (f"{one[side]:.1f} {one[f'decided_{side}']}" for side in ("a", "b"))
        table.add_row(one["event"], one["merchant"], one["event_type"] or "-", *sides, one["label"] or "-")
    return table
