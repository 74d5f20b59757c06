"""``clickgoose account``: does every accepted event show up, once, where it belongs?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from infra.account import Account


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(account)


def account(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
    since: Annotated[Path | None, typer.Option(help="Count only what came after this file's offsets.")] = None,
    mark_file: Annotated[
        Path | None, typer.Option("--mark", help="Only write the present offsets to a file, for --since.")
    ] = None,
    accepted_ids: Annotated[
        Path | None, typer.Option(help="Event ids whose sender was told ok, in hex, one a line.")
    ] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the flow to catch up.")] = 0.0,
) -> None:
    """Check that accepted == scored + dead-lettered + deduplicated.

    Read back from Kafka, ClickHouse and Redis. Exit code 0: it balances; 1: it does not; 2: it cannot be taken.

    Examples:

      clickgoose account --wait 30

      clickgoose account --mark before.json && clickgoose traffic --for 60s && clickgoose account --since before.json
    """
    from infra.account import Addresses, load_mark, mark, wait_settled
    from infra.account_stores import StoreError
    from infra.settings import Settings
    from infra.topic_reader import TopicError

    settings = Settings()
    if settings.kafka.bootstrap is None:
        _refuse("no Kafka: run `clickgoose up`, or set CLICKGOOSE_KAFKA__BOOTSTRAP")
    bootstrap = str(settings.kafka.bootstrap)
    addresses = Addresses(bootstrap, settings.clickhouse.url, settings.redis.url, settings.redis.result_ttl_seconds)
    try:
        if mark_file is not None:
            mark_file.write_text(json.dumps(mark(bootstrap)), "utf-8")
            return
        starts = None if since is None else load_mark(since)
        found = wait_settled(addresses, wait, starts, accepted_ids)
    except (TopicError, StoreError) as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"cannot open {error.filename}: {error.strerror}")
    except ValueError as error:
        _refuse(f"a file given to --since or --accepted-ids is not what it should be: {error}")
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        _show(found)
    raise typer.Exit(0 if found.balanced else 1)


def _refuse(sentence: str) -> None:
    typer.echo(sentence, err=True)
    raise typer.Exit(2)


def _show(found: Account) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "events", title="Account", title_justify="left")
    for name in ("accepted", "scored", "dead_lettered", "deduplicated", "lost"):
        table.add_row(name.replace("_", "-"), f"{getattr(found, name):,}")
    table.add_section()
    table.add_row("scored, in ClickHouse", _count(found.clickhouse_scored))
    table.add_row("dead-lettered, in ClickHouse", _count(found.clickhouse_dead))
    table.add_row("results in Redis", _count(found.redis_results))
    table.add_row("shown twice", f"{found.duplicated_for_users:,}")
    for title, counts in (("dead", found.dead_by_reason), ("waiting", found.waiting), ("decided", found.decisions)):
        table.add_section()
        for name, count in counts.items():
            table.add_row(f"{title}: {name}", f"{count:,}")
    console = Console()
    console.print(table)
    console.print(f"latency p50 {found.latency_ms['p50']:g} ms, p99 {found.latency_ms['p99']:g} ms")
    for problem in found.problems:
        console.print(f"[red]{problem}[/red]")
    console.print("[green]It balances.[/green]" if found.balanced else "[red]It does not balance.[/red]")


def _count(value: Any) -> str:
    return "not compared" if value is None else f"{value:,}"
