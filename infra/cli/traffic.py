"""``clickgoose traffic``: browsers, attackers and broken clients against a running ingest tier."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TextIO

import typer

if TYPE_CHECKING:
    from infra.settings import Settings
    from infra.traffic.api import ApiConfig
    from infra.traffic.client import TrafficConfig
    from infra.traffic.scenario import Mix
    from infra.traffic.stats import TrafficStats

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")
_MERCHANTS = ("demo-shop", "other-shop")

Show = Callable[["TrafficStats"], None]
Progress = Literal["auto", "bar", "json", "none"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("traffic")(traffic)


def traffic(
    rate: Annotated[float, typer.Option(min=0.1, help="Events a second to offer.")] = 500.0,
    duration: Annotated[str | None, typer.Option("--for", help="End after 60s, 5m or 1h; unset: at Ctrl-C.")] = None,
    events: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same visitors.")] = 1,
    url: Annotated[
        str | None, typer.Option(help="The ingest tier; unset: CLICKGOOSE_INGEST__URL or the stack's.")
    ] = None,
    home: Annotated[Path | None, typer.Option(help="Home of the local stack, for API keys and certificate.")] = None,
    merchant: Annotated[str, typer.Option(help="Whose page it is, with CLICKGOOSE_API_KEY.")] = "demo-shop",
    honest_only: Annotated[bool, typer.Option("--honest-only", help="No attackers and no broken clients.")] = False,
    attackers: Annotated[str | None, typer.Option(help="Only these kinds, e.g. headless,spoofer.")] = None,
    attack_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of arrivals that are attacks; unset: 0.13.")
    ] = None,
    large: Annotated[bool, typer.Option("--large", help="Activity logs of up to 220 entries, not 60.")] = False,
    poll: Annotated[float, typer.Option(min=0, max=1, help="Share of requests whose score is polled.")] = 0.02,
    accepted_ids: Annotated[
        Path | None, typer.Option(help="Write the id of every event answered ok, a line each.")
    ] = None,
    stats_file: Annotated[Path | None, typer.Option(help="Keep the figures in this file, as JSON.")] = None,
    progress: Annotated[
        Progress, typer.Option(help="auto: a bar on a terminal; json: a line a second on standard output.")
    ] = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output at the end.")
    ] = False,
) -> None:
    """Send sealed events as browsers do: honest visitors, attackers, malformed and repeated events.

    Exit code 0: every event was answered; 1: something stood in the way; 2: wrong use.

    Examples:

      clickgoose traffic --rate 500 --for 60s

      clickgoose traffic --honest-only --events 1000 --json

      CLICKGOOSE_API_KEY=cg_… clickgoose traffic --url https://ingest.example --merchant my-shop --attackers spoofer
    """
    import uvloop

    from infra.settings import Settings
    from infra.traffic.client import TrafficConfig
    from infra.traffic.stats import TrafficStats

    seconds = _seconds(duration)
    mix = _mix(honest_only, attackers, attack_share)
    settings = Settings(home=home) if home else Settings()
    config = TrafficConfig(
        _api(settings, url, merchant), rate, seconds, events, seed, mix, small=not large, poll_share=poll
    )
    stats = TrafficStats()
    with ExitStack() as files:
        ids = None if accepted_ids is None else files.enter_context(_writable(accepted_ids))
        shows = _shows(config, progress, stats_file, files)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            failure = runner.run(_run(config, stats, ids, shows))
        for show in shows:
            show(stats)
    if as_json:
        typer.echo(json.dumps(report(stats)))
    else:
        _print(stats)
    if failure is not None:
        _refuse(failure, 1)
    raise typer.Exit(0 if stats.ok and not stats.unanswered else 1)


def report(stats: TrafficStats) -> dict[str, Any]:
    """Return the object of ``--json`` and of the stats file."""
    return {"retry": stats.retries.total(), "drop": stats.dropped.total(), **stats.snapshot()}


async def _run(config: TrafficConfig, stats: TrafficStats, ids: TextIO | None, shows: list[Show]) -> str | None:
    """Run until the end or a signal. Returns a sentence where the run could not go on."""
    from infra.traffic.api import TrafficError
    from infra.traffic.client import TrafficClient

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    client = TrafficClient(config, stats, None if ids is None else lambda event_id: _line(ids, event_id))
    shown = asyncio.ensure_future(_keep_showing(stats, shows))
    try:
        await client.run(stop)
    except TrafficError as error:
        return str(error)
    finally:
        shown.cancel()
    return None


def _line(ids: TextIO, event_id: str) -> None:
    ids.write(event_id + "\n")


async def _keep_showing(stats: TrafficStats, shows: list[Show]) -> None:
    while True:
        for show in shows:
            show(stats)
        await asyncio.sleep(1.0)


def _shows(config: TrafficConfig, progress: Progress, stats_file: Path | None, files: ExitStack) -> list[Show]:
    """Return what shows the figures every second."""
    shows: list[Show] = []
    if stats_file is not None:
        _keep(stats_file, "{}")
        shows.append(lambda stats: _keep(stats_file, json.dumps(report(stats))))
    if progress == "json":
        shows.append(lambda stats: print(json.dumps({"type": "progress", **report(stats)}), flush=True))  # noqa: T201 - asked for
    elif progress == "bar" or (progress == "auto" and sys.stderr.isatty()):
        shows.append(_bar(config, files))
    return shows


def _bar(config: TrafficConfig, files: ExitStack) -> Show:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"), TimeElapsedColumn())
    bar = files.enter_context(Progress(*columns, console=Console(stderr=True)))
    total = config.events or (config.seconds * config.rate if config.seconds else None)
    task = bar.add_task("traffic", total=total, words="")

    def show(stats: TrafficStats) -> None:
        words = (
            f"{stats.ok / max(stats.elapsed(), 0.001):,.0f} events/s  ok {stats.ok:,}  drop {stats.dropped.total():,}"
        )
        bar.update(task, completed=stats.offered, words=words + f"  retry {stats.retries.total():,}")

    return show


def _keep(path: Path, text: str) -> None:
    """Write a file whole or not at all, for whoever reads it meanwhile."""
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(text, "utf-8")
        fresh.replace(path)
    except OSError as error:
        _refuse(f"{path} cannot be written: {error.strerror}.", 2)


def _writable(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="ascii")
    except OSError as error:
        _refuse(f"{path} cannot be written: {error.strerror}.", 2)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        _refuse(f"--for {text!r} is no duration: give 60s, 5m or 1h.", 2)
    return float(match[1]) * _UNITS[match[2]]


def _mix(honest_only: bool, attackers: str | None, share: float | None) -> Mix:
    from infra.traffic.scenario import HONEST_ONLY, Mix

    if honest_only and (attackers or share):
        _refuse("--honest-only leaves no room for --attackers or --attack-share.", 2)
    if honest_only:
        return HONEST_ONLY
    kinds = {} if attackers is None else {"kinds": tuple(attackers.split(",")), "nuisances": 0.0}
    shares = {} if share is None else {"attacks": share}
    try:
        return Mix(**kinds, **shares)  # type: ignore[arg-type] # one type a name
    except ValueError as error:
        _refuse(f"{error}.", 2)


def _api(settings: Settings, url: str | None, merchant: str) -> ApiConfig:
    from infra.stack.child import StackError
    from infra.stack.secrets import load_secrets
    from infra.traffic.api import ApiConfig

    url = url or settings.ingest.url
    if not url:
        _refuse("No ingest tier is known: give --url, or set CLICKGOOSE_INGEST__URL.", 2)
    key = os.environ.get("CLICKGOOSE_API_KEY")
    if key:
        keys = {merchant: key}
    else:
        try:
            secrets = load_secrets(settings.home)
            keys = {name: secrets.api_key(name) for name in _MERCHANTS}
        except StackError as error:
            _refuse(f"{error} Or set CLICKGOOSE_API_KEY.", 1)
    own = settings.ingest.tls_certificate or settings.home / "tls" / "cert.pem"
    return ApiConfig(url.rstrip("/"), keys, own if url.startswith("https:") and own.is_file() else None)


def _print(stats: TrafficStats) -> None:
    from rich.console import Console
    from rich.table import Table

    found = report(stats)
    latency = found["scores"]["latency_ms"]
    table = Table(title=f"traffic, {found['seconds']} s", title_justify="left")
    table.add_column("")
    table.add_column("", justify="right")
    rows: list[tuple[str, object]] = [
        ("events offered", f"{stats.offered:,}"), ("answered ok", f"{stats.ok:,} ({found['events_per_s']:,}/s)"),
        ("sessions, requests", f"{stats.sessions:,}, {stats.requests:,}"),
        *((f"dropped: {reason}", f"{count:,}") for reason, count in found["dropped"].items()),
        *((f"retried: {reason}", f"{count:,}") for reason, count in found["retries"].items()),
        ("without an answer", f"{stats.unanswered:,}"),
        *((f"HTTP {status}", f"{count:,}") for status, count in found["statuses"].items() if int(status) >= 400),
        *((f"error: {name}", f"{count:,}") for name, count in found["errors"].items()),
        ("scores polled, missed", f"{stats.scores_polled:,}, {stats.scores_missed:,}"),
        *((f"decision: {name}", f"{count:,}") for name, count in stats.decisions.items()),
        ("seal to score, p50 and p99", "-" if latency["p50"] is None else f"{latency['p50']} and {latency['p99']} ms"),
    ]  # fmt: skip
    for name, value in rows:
        table.add_row(name, str(value))
    Console().print(table)


def _refuse(sentence: str, code: int) -> NoReturn:
    typer.echo(f"error: {sentence}", err=True)
    raise typer.Exit(code)
