"""``clickgoose explain``: how a decision was made, made again."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from infra.explain import Explained, Share, Sources
    from infra.settings import Settings
    from scoring.provenance import StoredDecision

_EVENT = re.compile(r"[0-9a-f]{32}")
_BAR = 20  # cells to each side
_SIGNS = {"identical": "=", "differs": "!", "not recomputed": "?"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain")(explain)


def explain(
    event: Annotated[str, typer.Argument(help="The event's id, 32 hexadecimal digits")],
    merchant: Annotated[str | None, typer.Option(help="Whose event it is, where several have one of this id")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Show exact TreeSHAP beside the factors")] = False,
    url: Annotated[str | None, typer.Option(help="clickhouse://user:password@host:port/database")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output")] = False,
) -> None:
    """Make a past decision again, offline, from what is stored of it, and say `identical` or what differs.

    The score is computed from the stored features by the model that scored the event, the decision from the stored
    thresholds and the session's decision before it, what rules said by the rulesets of that time on the answers that
    stores gave them then, and the features that rest on the event's own payload from the
    raw archive, where the master keys are at hand.

    Exit codes: 0 identical; 1 something differs, or score, rules or decision cannot be made again; 2 wrong use, or
    nobody knows the event.

    Examples:

      clickgoose explain 0190f3a5c1d27b3e8f4a6d5c4b3a2918

      clickgoose explain 0190f3a5c1d27b3e8f4a6d5c4b3a2918 --merchant demo-shop --exact --json
    """
    from infra.explain import ExplainError, explain_event
    from infra.settings import Settings

    if not _EVENT.fullmatch(event):
        _refuse(f"{event!r} is no event id: give 32 hexadecimal digits in lower case", 2)
    settings = Settings()
    where = url or settings.clickhouse.url
    if where is None:
        _refuse("no ClickHouse: run `clickgoose up`, or set CLICKGOOSE_CLICKHOUSE__URL", 2)
    try:
        found = explain_event(_sources(settings, where), event, merchant, exact)
    except ExplainError as error:
        _refuse(str(error), 2)
    if as_json:
        typer.echo(json.dumps(_told(found)))
    else:
        _print(found)
    raise typer.Exit(0 if found.verdict == "identical" else 1)


def _sources(settings: Settings, url: str) -> Sources:
    from infra.explain import Sources
    from infra.keys import key_ring
    from infra.models import registry_of
    from infra.rules_registry import rules_registry_of

    try:
        keys, why = key_ring(settings), ""
    except ValueError as error:
        keys, why = None, f"no master keys: {error}"
    return Sources(url, lambda: registry_of(settings), keys, lambda: rules_registry_of(settings), why)


def _told(found: Explained) -> dict[str, Any]:
    """Return everything as JSON has it."""
    stored = found.stored
    limits = {name: _number(getattr(stored, name)) for name in ("review", "deny", "margin")}
    return {
        "event_id": stored.event_id,
        "merchant": stored.merchant,
        "session_id": stored.session_id,
        "transaction": stored.transaction,
        "event_type": stored.event_type,
        "occurred_at": stored.occurred_at,
        "verdict": found.verdict,
        "score": float(stored.score),
        "decision": stored.decision,
        "decided_by": stored.decided_by,
        "by_policy": stored.by_policy,
        "added": _number(stored.added),
        "rules": _ruling(stored.ruling),
        "thresholds": {**limits, "before": stored.before or None},
        "parts": [
            {"name": part.name, "from": part.source, "outcome": part.outcome.value, "notes": list(part.notes)}
            for part in found.parts
        ],
        "factors": [
            {"code": code, "text": text, "contribution": round(float(share), 4)}
            for code, text, share in zip(stored.factors, stored.factor_texts, stored.contributions, strict=False)
        ],
        "shares": [share._asdict() for share in found.shares],
        "exact": [share._asdict() for share in found.exact],
        "no_exact": found.no_exact or None,
        "versions": {
            "model": stored.model,
            "features": found.schema or None,
            "policy": stored.policy or None,
            "ruleset": stored.ruleset or None,
            "catalogue": stored.catalogue,
            "build": stored.build,
        },
        "origin": {"topic": stored.topic, "partition": stored.partition, "offset": stored.offset},
        "degraded": list(stored.degraded),
    }


def _ruling(text: str) -> dict[str, Any] | None:
    """Return what rules said, without what is kept to judge again."""
    if not text:
        return None
    said: dict[str, Any] = json.loads(text)
    return {name: value for name, value in said.items() if name != "heard"}


def _number(value: Any) -> float | None:
    found = float(value)
    return None if math.isnan(found) else round(found, 4)


def _print(found: Explained) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    _print_event(console, found)
    console.print("\nfactors, in log-odds: to the right they raise the score")
    _print_bars(console, found.shares or _stored_shares(found))
    if found.exact:
        console.print("\nexactly (TreeSHAP)")
        _print_bars(console, found.exact)
    elif found.no_exact:
        console.print(f"\nexactly: {found.no_exact}")
    console.print("\nmade again")
    for part in found.parts:
        console.print(f"  {_SIGNS[part.outcome.value]} {part.name:<14} {part.outcome.value:<15} from {part.source}")
        for note in part.notes:
            console.print(f"      {note}")
    sentence = {
        "identical": "identical",
        "differs": "differs: see what is marked with !",
        "incomplete": "cannot tell: score, rules or decision could not be made again",
    }
    console.print(f"\n{sentence[found.verdict]}", style="bold green" if found.verdict == "identical" else "bold red")


def _print_event(console: Console, found: Explained) -> None:
    from datetime import UTC, datetime

    stored = found.stored
    at = datetime.fromtimestamp(min(max(stored.occurred_at, 0), 253_402_300_799_000) / 1000, UTC)
    limits = [_number(getattr(stored, name)) for name in ("review", "deny", "margin")]
    rows = {
        "event": f"{stored.event_id} of {stored.merchant}, {at.isoformat(timespec='milliseconds')}",
        "transaction": f"{stored.transaction}{f' ({stored.event_type})' if stored.event_type else ''}",
        "session": stored.session_id,
        "score": f"{float(stored.score):.4f}{_points(stored.added)}: {stored.decision}",
        **_told_of_rules(stored),
        "thresholds": "not stored"
        if None in limits
        else f"review {limits[0]:g}, deny {limits[1]:g}, margin {limits[2]:g}; before it the session stood at "
        f"{stored.before or 'nothing'}",
        "origin": f"{stored.topic} partition {stored.partition} offset {stored.offset}",
        "model": stored.model,
        "features": found.schema or "not kept",
        "policy": stored.policy or "not stored",
        **({"ruleset": stored.ruleset} if stored.ruleset else {}),
        "build": f"{stored.build}, catalogue {stored.catalogue}",
        **({"degraded": ", ".join(stored.degraded)} if stored.degraded else {}),
    }
    for name, text in rows.items():
        console.print(f"{name:>12}  {text}")


def _points(added: Any) -> str:
    return f" {float(added):+g} of rules" if added else ""


def _told_of_rules(stored: StoredDecision) -> dict[str, str]:
    """Return who decided where it was not the model, and which rules matched, erred or were snoozed."""
    found = (
        {} if stored.decided_by == "model" else {"decided by": f"{stored.decided_by}; the policy: {stored.by_policy}"}
    )
    said = _ruling(stored.ruling) or {}
    traced = [
        f"{one['rule']} ({one['status']}{', shadow' if one.get('shadow') else ''})" for one in said.get("trace", ())
    ]
    return found | ({"rules": ", ".join(traced)} if traced else {})


def _stored_shares(found: Explained) -> Sequence[Share]:
    from infra.explain import Share

    stored = found.stored
    triples = zip(stored.factors, stored.factor_texts, stored.contributions.tolist(), strict=False)
    return [Share(code, text, share) for code, text, share in triples]


def _print_bars(console: Console, shares: Sequence[Share]) -> None:
    """Print one bar a group: to the left of the middle what lowers the score, to the right what raises it."""
    most = max((abs(share.contribution) for share in shares), default=0.0) or 1.0
    if not shares:
        console.print("  none")
    for share in shares:
        cells = "#" * round(abs(share.contribution) / most * _BAR)
        low, high = (cells, "") if share.contribution < 0 else ("", cells)
        console.print(f"  {low:>{_BAR}}|{high:<{_BAR}} {share.contribution:+8.4f}  {share.code}: {share.text}")


def _refuse(sentence: str, code: int) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
