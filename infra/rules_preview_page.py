"""A preview of rules as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

from infra.rules_preview_words import headline, notes, share
from schemas.result import DECISIONS
from scoring.pages import document, table

Json = Mapping[str, Any]


def page(found: Json) -> str:
    """Return the page of what ``clickgoose rules preview --json`` prints."""
    parts = [
        "<h1>Preview of rules</h1>",
        f"<p>{escape(headline(found))}.</p>",
        *(f"<p>{escape(sentence)}</p>" for sentence in notes(found)),
        "<h2>Rules</h2>",
        _rules(found["rules"]),
        "<h2>Decided, and what the draft decides</h2>",
        _decisions(found["decisions"]),
        "<h2>Labelled events</h2>",
        _quality(found),
        *(_flip(flip) for flip in found["flips"]),
    ]
    return document("Preview of rules", parts)


def _rules(rules: list[Json]) -> str:
    head = (
        "rule", "of", "status", "matched", "did not", "errors", "not judged", "fraud", "genuine", "precision", "recall",
    )  # fmt: skip
    rows = [
        (
            f"<code>{escape(rule['rule'])}</code>{_faults(rule['faults'])}", escape(rule["scope"]), rule["status"],
            *(f"{rule[name]:,}" for name in ("matched", "not_matched", "errors", "unjudged", "fraud", "genuine")),
            share(rule["precision"]), share(rule["recall"]),
        )
        for rule in rules
    ]  # fmt: skip
    return table(head, rows)


def _faults(faults: Json) -> str:
    return "".join(f"<br>{escape(fault)}: {count:,}" for fault, count in faults.items())


def _decisions(decisions: Json) -> str:
    rows = [(f"decided {was}", *(f"{decisions[was][now]:,}" for now in DECISIONS)) for was in DECISIONS]
    return table(("", *(f"draft: {now}" for now in DECISIONS)), rows)


def _quality(found: Json) -> str:
    names = ("fraud_stopped", "fraud_allowed", "genuine_stopped", "genuine_allowed")
    rows = [
        (title, share(found[key]["precision"]), share(found[key]["recall"]), *(f"{found[key][n]:,}" for n in names))
        for title, key in (("decided", "recorded"), ("draft", "draft"))
    ]
    return table(("", "precision", "recall", *(name.replace("_", " ") for name in names)), rows)


def _flip(flip: Json) -> str:
    title = f"<h2>{escape(flip['from'])} to {escape(flip['to'])}: {flip['events']:,} events</h2>"
    head = ("event", "merchant", "source", "event time", "decided by", "rules that match", "label")
    rows = [
        (
            f"<code>{escape(one['event_id'])}</code>", escape(one["merchant"]), one["source"],
            datetime.fromtimestamp(one["occurred_at"] / 1000, UTC).strftime("%F %T"), escape(one["decided_by"]),
            escape(", ".join(one["matched"])), {None: "", 0: "genuine", 1: "fraud"}[one["label"]],
        )
        for one in flip["examples"]
    ]  # fmt: skip
    return title + table(head, rows)
