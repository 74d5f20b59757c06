"""``clickgoose up | down | status | doctor``: the local stack on the command line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.settings import Settings
from infra.stack import probes
from infra.stack.child import StackError
from infra.stack.doctor import Finding, examine
from infra.stack.home import holder_of, purge, read_state
from infra.stack.local import LocalStack, mask
from infra.stack.secrets import load_secrets
from infra.stack.supervisor import bring_down, detach, run

_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}
_SECTIONS = {"kafka": "bootstrap", "clickhouse": "url", "redis": "url"}


class Broker(StrEnum):
    """Which broker to start."""

    AUTO = "auto"
    APACHE = "apache"
    TANSU = "tansu"


Home = Annotated[Path | None, typer.Option("--home", help="Data directory of the stack.", show_default=".clickgoose")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the application."""
    for command in (up, down, status, doctor):
        app.command()(command)
    app.command("api-key")(api_key)


@contextmanager
def _plainly() -> Iterator[None]:
    """End with one sentence and exit code 1 where something stands in the way."""
    try:
        yield
    except StackError as error:
        Console(stderr=True).print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from None


def _say(sentence: str) -> None:
    """Tell progress on standard error."""
    Console(stderr=True).print(escape(sentence), soft_wrap=True, highlight=False)


def _home(chosen: Path | None) -> Path:
    """Return the home that was asked for, else that of the environment, else the default."""
    return (chosen or Path(os.environ.get("CLICKGOOSE_HOME") or ".clickgoose")).absolute()


def up(
    home: Home = None,
    detached: Annotated[bool, typer.Option("--detach", "-d", help="Return when ready.")] = False,
    kafka: Annotated[Broker | None, typer.Option("--kafka", help="Which broker to start.")] = None,
) -> None:
    """Start Kafka, Valkey and the ClickHouse engine on loopback, and wait until all answer.

    A part whose address is set (CLICKGOOSE_KAFKA__BOOTSTRAP, CLICKGOOSE_CLICKHOUSE__URL, CLICKGOOSE_REDIS__URL) is
    only probed.

    Examples:

        clickgoose up                    stay in the foreground until Ctrl-C

        clickgoose up --detach           return when ready; stop with `clickgoose down`

        clickgoose up --kafka tansu      use the small broker without a JDK
    """
    place = _home(home)
    with _plainly():
        if detached:
            detach(place, kafka, _say)
            _print_addresses(place)
        else:
            overrides: dict[str, Any] = {"stack": {"kafka": kafka.value}} if kafka else {}
            run(LocalStack(place, say=_say, **overrides), lambda: _ready(place))
            _say("The stack is down.")


def _ready(home: Path) -> None:
    """Say where everything is."""
    _print_addresses(home)
    _say("Ready. Ctrl-C stops it.")


def _print_addresses(home: Path) -> None:
    """Print the addresses of a running stack."""
    _show(_table(read_state(home), answers={}))


def _show(table: Table) -> None:
    """Print a table; where there is no terminal whose width counts, in full."""
    console = Console()
    console.print(table, width=None if console.is_terminal else 160)


def down(
    home: Home = None,
    purge_data: Annotated[bool, typer.Option("--purge", help="Remove all data, keys and logs too.")] = False,
) -> None:
    """Stop the stack of a home.

    Examples:

        clickgoose down                  stop; the data stays for the next `up`

        clickgoose down --purge          stop and remove the data
    """
    place = _home(home)
    with _plainly():
        stopped = bring_down(place)
        if purge_data:
            if holder_of(place):
                raise StackError(f"The stack in {place} could not be stopped, so its data was not removed.")
            purge(place)
    _say("The stack is down." if stopped else f"No stack runs in {place}.")
    if purge_data:
        _say(f"Its data in {place} is removed.")


def status(home: Home = None, as_json: AsJson = False) -> None:
    """Tell whether the stack runs, where its parts are, and whether each answers.

    Exit code 0 if all parts answer, 1 if not.

    Examples:

        clickgoose status

        clickgoose status --json | python -m json.tool
    """
    place = _home(home)
    holder, state = holder_of(place), read_state(place)
    answers = {name: probes.PROBES[name](address) for name, address in _addresses(state).items()} if holder else {}
    good = bool(answers) and all(answers.values())
    if as_json:
        _print_json({"home": str(place), "running": holder is not None, "ready": good, **_report(state, answers)})
    elif holder is None:
        _say(f"No stack runs in {place}: start it with `clickgoose up`.")
    elif not state:
        _say(f"The stack in {place} (process {holder.pid}) is still starting.")
    else:
        _show(_table(state, answers))
    raise typer.Exit(0 if good else 1)


def _addresses(state: dict[str, Any]) -> dict[str, str]:
    """Return the address of each part."""
    settings = state.get("settings", {})
    return {name: settings[name][key] for name, key in _SECTIONS.items() if settings.get(name, {}).get(key)}


def _report(state: dict[str, Any], answers: dict[str, bool]) -> dict[str, Any]:
    """Return what ``status --json`` tells of each part; passwords stay in stack.json."""
    processes = state.get("processes", {})
    parts = {
        name: {"address": mask(address), "answers": answers.get(name, False), **processes.get(name, {})}
        for name, address in _addresses(state).items()
    }
    others = {name: process for name, process in processes.items() if name not in parts}
    return {"pid": state.get("pid"), "started_at": state.get("started_at"), "parts": parts, "others": others}


def api_key(
    merchant: Annotated[str, typer.Argument(help="A merchant of the local stack.")] = "demo-shop", home: Home = None
) -> None:
    """Print the API key that the local stack made for a merchant, for tours and tests.

    Example: KEY=$(clickgoose api-key demo-shop)
    """
    with _plainly():
        sys.stdout.write(load_secrets(home or Settings().home).api_key(merchant) + "\n")


def _print_json(value: dict[str, Any]) -> None:
    """Print one object on one line."""
    sys.stdout.write(json.dumps(value) + "\n")


def _table(state: dict[str, Any], answers: dict[str, bool]) -> Table:
    """Show the parts, their processes and logs."""
    table = Table(box=None, pad_edge=False)
    for column in ("part", "address", "process", "state"):
        table.add_column(column, overflow="fold")
    kinds, processes = state.get("parts", {}), state.get("processes", {})
    for name, address in _addresses(state).items():
        pid = processes.get(name, {}).get("pid", "-")
        kind = kinds.get(name, {}).get("kind", name)
        table.add_row(kind, escape(mask(address)), str(pid), _state(answers.get(name, True)))
    for name, process in processes.items():
        if name not in _SECTIONS:
            table.add_row(name, str(process.get("port") or "-"), str(process.get("pid")), "")
    return table


def _state(answers: bool) -> str:
    """Show whether a part answers."""
    return "[green]answers[/green]" if answers else "[red]does not answer[/red]"


def doctor(home: Home = None, as_json: AsJson = False) -> None:
    """Check what a local stack needs, and say what to do about what is missing.

    Exit code 0 if nothing fails, 1 if something does.

    Examples:

        clickgoose doctor

        clickgoose doctor --json
    """
    place = _home(home)
    findings = list(examine(place, Settings(home=place)))
    failed = any(finding.level == "fail" for finding in findings)
    if as_json:
        _print_json({"ok": not failed, "findings": [finding.as_dict() for finding in findings]})
    else:
        for finding in findings:
            _print_finding(finding)
    raise typer.Exit(1 if failed else 0)


def _print_finding(finding: Finding) -> None:
    """Print one line, and what to do below it."""
    style = _STYLES[finding.level]
    line = f"[{style}]{finding.level:<4}[/{style}] {finding.check}: {escape(finding.found)}"
    Console().print(line + (f". {escape(finding.advice)}" if finding.advice else ""), soft_wrap=True, highlight=False)
