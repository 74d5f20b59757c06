"""A preview of rules as tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from infra.rules_preview_words import headline, notes, share

_EXAMPLES = 3  # of each kind of flip
Json = Mapping[str, Any]


def print_preview(found: Json) -> None:
    """Print what the command's ``--json`` prints."""
    console = Console()
    console.print(headline(found), soft_wrap=True, highlight=False)
    if found["rules"]:
        console.print(_rules(found["rules"]))
    if found["flips"]:
        console.print(_flips(found["flips"]))
    if found["recorded"]["precision"] is not None or found["recorded"]["recall"] is not None:
        console.print(_quality(found))
    for sentence in notes(found):
        console.print(sentence, soft_wrap=True, highlight=False, markup=False)


def _rules(rules: list[Json]) -> Table:
    head = ("rule", "status", "matched", "errors", "not judged", "fraud", "genuine", "precision", "recall")
    table = Table(*head, title="Rules", title_justify="left")
    for column in table.columns[2:]:
        column.justify = "right"
    for rule in sorted(rules, key=lambda one: -one["matched"]):
        name = rule["rule"] if rule["scope"] == "global" else f"{rule['rule']} ({rule['scope']})"
        counts = (f"{rule[count]:,}" for count in ("matched", "errors", "unjudged", "fraud", "genuine"))
        table.add_row(name, rule["status"], *counts, share(rule["precision"]), share(rule["recall"]))
        for fault, count in rule["faults"].items():
            table.add_row(f"  {fault}", "", f"{count:,} times")
    return table


def _flips(flips: list[Json]) -> Table:
    table = Table("from", "to", "events", "fraud", "genuine", "for example", title="Flips", title_justify="left")
    for flip in flips:
        shown = [
            f"{one['event_id']} ({one['merchant']}; {', '.join(one['matched']) or 'no rule'})"
            for one in flip["examples"][:_EXAMPLES]
        ]
        counts = (f"{flip[name]:,}" for name in ("events", "fraud", "genuine"))
        table.add_row(flip["from"], flip["to"], *counts, "\n".join(shown))
    return table


def _quality(found: Json) -> Table:
    head = ("", "precision", "recall", "fraud stopped", "fraud allowed", "genuine stopped", "genuine allowed")
    table = Table(*head, title="Labelled events: review or deny is stopped", title_justify="left")
    for title, name in (("decided", "recorded"), ("draft", "draft")):
        one = found[name]
        counts = ("fraud_stopped", "fraud_allowed", "genuine_stopped", "genuine_allowed")
        table.add_row(title, share(one["precision"]), share(one["recall"]), *(f"{one[count]:,}" for count in counts))
    return table
