"""``clickgoose replay diff``: what differs between two runs, or between a run and history; and a gate for CI."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from infra.replay_diff_sides import Sides
    from replay.diff_gate import Condition

_QUIET_SECONDS = 2.0  # a bar is worth its place where work takes longer


def register(group: typer.Typer) -> None:
    """Add the command to ``clickgoose replay``."""
    from replay.diff_gate import MEASURES

    lines = [f"{name}: {said}" for name, said in MEASURES.items()]
    group.command("diff", epilog="\n\n".join(["Conditions of --fail-on, alone or with >NUMBER or >PERCENT%:", *lines]))(
        diff
    )


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A run's name, or `history`: the live tables")],
    b: Annotated[str, typer.Argument(metavar="B", help="What A is compared with, the same")] = "history",
    fail_on: Annotated[
        list[str] | None,
        typer.Option("--fail-on", metavar="CONDITION", help="As 'changed', 'flips>0.5%' or 'score>1'; repeat it"),
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="A condition on labels does not fail where there are none")
    ] = False,
    examples: Annotated[int, typer.Option(min=0, max=1_000, help="Events that are shown, those that changed most")] = 5,
    partial: Annotated[
        bool, typer.Option("--partial", help="Compare what a run that is not done has done so far")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write one page with plots")] = None,
    url: Annotated[str | None, typer.Option(help="clickhouse://user:password@host:port/database, the live one")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output")] = False,
) -> None:
    """Say what differs between two runs of the same range, or between a run and what was live then.

    Every difference is A less B. Events are paired by merchant and id; identical means that all that came of every
    event is the same bit for bit, times of handling aside. See docs/replay.md#diff.

    Exit codes: 0 compared; 1 a condition of --fail-on holds; 2 wrong use, or there is nothing to compare.

    Examples:

      clickgoose replay diff june

      clickgoose replay diff june --fail-on 'flips>0.5%' --fail-on missing --fail-on 'recall-drop>1%' --html june.html

      clickgoose replay diff with_new_model with_old_model --json
    """
    from infra.replay_diff import diff as compared
    from infra.replay_diff_clickhouse import DiffError
    from infra.replay_diff_runs import sides_named
    from infra.settings import Settings

    conditions = _conditions(fail_on or [])
    if html is not None:
        from infra.cli.model_parts import needs_training

        needs_training()
    settings = Settings()
    address = url or settings.clickhouse.url or ""
    try:
        sides = sides_named(a, b, home=settings.home, url=address, partial=partial)
        found = _with_bar(sides, lambda told: compared(address, sides, examples=examples, progress=told))
    except DiffError as error:
        _refuse(str(error))
    _gate(found, conditions, allow_missing)
    _tell(found, as_json, html)
    for sentence in found["gate"]["failed"]:
        typer.echo(f"fail-on {sentence['condition']}: {sentence['why']}", err=True)
    if found["gate"]["failed"]:
        raise typer.Exit(1)


def _refuse(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(2)


def _conditions(texts: list[str]) -> list[Condition]:
    from replay.diff_gate import Condition, ConditionError

    try:
        return [Condition.read(text) for text in texts]
    except ConditionError as error:
        _refuse(f"--fail-on: {error}")


def _gate(found: dict[str, Any], conditions: list[Condition], allow_missing: bool) -> None:
    from replay.diff_gate import failures

    failed = failures(found, conditions, allow_missing=allow_missing)
    found["gate"] = {
        "conditions": [str(condition) for condition in conditions],
        "failed": [{"condition": str(condition), "why": why} for condition, why in failed],
    }


def _with_bar(sides: Sides, work: Callable[[Callable[[int, int], None]], dict[str, Any]]) -> dict[str, Any]:
    """Do work that tells how many events are done, with a bar on standard error once it takes long."""
    from infra.cli.deadletters_parts import progress

    began = time.monotonic()
    with progress() as bars:
        task = bars.add_task(f"{sides.a.name} and {sides.b.name}", total=None, visible=False)

        def told(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total, visible=time.monotonic() - began > _QUIET_SECONDS)

        return work(told)


def _tell(found: dict[str, Any], as_json: bool, html: Path | None) -> None:
    if html is not None:
        from infra.replay_diff_page import page

        try:
            html.write_text(page(found), "utf-8")
        except OSError as error:
            _refuse(f"{html} cannot be written: {error.strerror or error}")
    if as_json:
        typer.echo(json.dumps(found))
        return
    from infra.cli.replay_diff_tables import print_diff

    print_diff(found)
