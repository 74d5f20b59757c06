"""``clickgoose rules``: check, test and publish rules. One file for each of its jobs."""

from __future__ import annotations

import typer

from infra.cli import rules_check, rules_decided, rules_preview, rules_publish, rules_show

_PARTS = (rules_check, rules_preview, rules_publish, rules_show, rules_decided)


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        help="Check, test and publish rules: velocity, clauses and lists over any JSON (docs/rules.md).",
        no_args_is_help=True,
    )
    for part in _PARTS:
        part.register(group)
    app.add_typer(group, name="rules")
