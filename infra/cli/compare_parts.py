"""What ``model compare`` and ``model drift`` share: models by name, stored events, conditions, and a bar."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from infra.cli.model_parts import errors
from infra.cli.time_range import range_of

if TYPE_CHECKING:
    from infra.compare_clickhouse import StoredEvents
    from infra.model_compare import Side, Source
    from scoring.gate import Condition, Values
    from scoring.policy import Policy
    from scoring.registry import Registry

T = TypeVar("T")
Since = Annotated[str, typer.Option(help="7d, 12h or 30m ago, or 2026-06-01T12:30 (UTC)")]
Until = Annotated[str | None, typer.Option(help="The same; unset: now")]
Merchant = Annotated[str, typer.Option(help="Only of this merchant")]
EventType = Annotated[str, typer.Option(help="Only of this event type, as payment")]
FailOn = Annotated[
    list[str] | None, typer.Option("--fail-on", metavar="CONDITION", help="As 'flip_share>0.02'; repeat it")
]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="A metric without a value does not fail the gate")]
Url = Annotated[str | None, typer.Option(help="clickhouse://user:password@host:port/database")]


def refuse(sentence: str, code: int) -> NoReturn:
    """End with a sentence and an exit code."""
    typer.echo(sentence, err=True)
    raise typer.Exit(code)


def conditions_of(texts: list[str] | None, metrics: Mapping[str, str]) -> list[Condition]:
    """Read the conditions of a gate; exit code 2 where one is none."""
    from scoring.gate import Condition, GateError

    try:
        return [Condition.read(text, metrics) for text in texts or []]
    except GateError as error:
        refuse(f"--fail-on: {error}", 2)


def tell_gate(values: Values, conditions: list[Condition], allow_missing: bool) -> None:
    """Say which conditions hold; exit code 1 where one does."""
    from scoring.gate import failures

    failed = failures(values, conditions, allow_missing=allow_missing)
    for sentence in failed:
        typer.echo(f"gate: {sentence}", err=True)
    if failed:
        raise typer.Exit(1)
    if conditions:
        typer.echo(f"gate: open, none of {len(conditions)} conditions holds", err=True)


def side_named(registry: Registry, name: str) -> Side:
    """Return a model by version, by role or by directory; without the model where it cannot be loaded here."""
    from infra.model_compare import Side, side_of
    from scoring.model import Model, ModelError

    if name in ("live", "candidate"):
        roles = registry.rollout().roles
        if name == "candidate" and roles.candidate is None:
            refuse("there is no candidate: name a version, see `clickgoose model list`", 2)
        name = roles.candidate.version if name == "candidate" and roles.candidate else roles.live
    if "/" in name or Path(name).is_dir():
        return side_of(Model.load(Path(name)))  # a model is compared before it is signed
    try:
        return side_of(registry.load(name))
    except ModelError as refused:
        return Side(name, None, str(refused))


def stored_events(
    url: str | None, span: tuple[str, str | None], only: tuple[str, str, int], fallback: Policy
) -> StoredEvents:
    """Return the events of a time range; ``only``: merchant, event type, how many. Exit code 2 where it is none."""
    from infra.compare_clickhouse import Asked, StoredEvents

    if url is None:
        refuse("no ClickHouse: run `clickgoose up`, set CLICKGOOSE_CLICKHOUSE__URL, or name --url", 2)
    try:
        since, until = range_of(*span, int(time.time() * 1000))
    except ValueError as error:
        refuse(str(error), 2)
    return StoredEvents(url, Asked(since, until, *only), fallback)


def with_bar(what: str, source: Source, work: Callable[[Callable[[int], None]], T]) -> T:
    """Do work that tells how many rows are done, with a bar where somebody looks."""
    from rich.progress import Progress

    console, total = errors(), source.total()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(what, total=total)
        return work(lambda done: progress.update(bar, completed=done))
