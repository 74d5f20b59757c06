"""``clickgoose deadletters repair schema | check | try | apply``: recovery files, tried before anything is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.deadletters_parts import (
    Asked,
    ClusterId,
    Event,
    Json,
    Merchants,
    Reasons,
    Since,
    Stages,
    States,
    Text,
    Until,
    Url,
    opened,
    progress,
    refuse,
    screen,
    table,
)
from infra.cli.deadletters_states import Addresses, Who, Yes

if TYPE_CHECKING:
    from infra.dead_letters import DeadLetters, Filter
    from infra.letter_repair_run import Outcome, Repairer, Tally
    from infra.letter_repairs import Repair
    from schemas.recovery import RecoveryFile

repair_app = typer.Typer(help="Repair dead letters by a recovery file.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="A recovery file (YAML)")]
Limit = Annotated[int | None, typer.Option(min=1, help="Look at so many letters at most")]
_NOTE = "repaired by recovery file {digest} ({name})"


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(repair_app, name="repair")


@repair_app.callback()
def group() -> None:
    """Repair dead letters by a recovery file: see docs/dead-letters.md."""


@repair_app.command("schema")
def schema() -> None:
    """Print the JSON Schema of recovery files, which editors complete and check by.

    Example: clickgoose deadletters repair schema > recovery.schema.json
    """
    from infra.pages.recovery import recovery_schema

    typer.echo(recovery_schema(), nl=False)


@repair_app.command("check")
def check(file: File, as_json: Json = False) -> None:
    """Check a recovery file: every mistake with its line and what to do.

    Exit codes: 0 the file is good; 2 it has mistakes, or cannot be read.

    Examples:

      clickgoose deadletters repair check names.yaml

      clickgoose deadletters repair check names.yaml --json
    """
    from infra.recovery_file import RecoveryRefused, read_recovery

    try:
        made = read_recovery(file)
    except OSError as error:
        refuse(f"{file} cannot be read: {error.strerror or error}")
    except RecoveryRefused as refused:
        if as_json:
            problems = [mistake._asdict() for mistake in refused.mistakes]
            typer.echo(json.dumps({"file": str(file), "digest": None, "problems": problems}))
            raise typer.Exit(2) from None
        refuse("\n".join(map(str, refused.mistakes)))
    if as_json:
        typer.echo(json.dumps({**_file(made, file), "problems": []}))
    else:
        steps = f"{len(made.steps)} step{'' if len(made.steps) == 1 else 's'}"
        typer.echo(f"{file}: {made.name}, {steps}, digest {made.digest}")


@repair_app.command("try")
def attempt(
    file: File,
    reason: Reasons = None,
    stage: Stages = None,
    merchant: Merchants = None,
    since: Since = None,
    until: Until = None,
    state: States = None,
    event: Event = "",
    cluster: ClusterId = "",
    text: Text = "",
    address: Addresses = None,
    limit: Limit = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Repair letters here and run them through the flow's stages, with an empty state. Nothing is written.

    Without --state, new letters are looked at. It counts those that would be scored now (recovered), those that fail
    again, those that nothing can be made of, and those that no step is for.

    Exit codes: 0; 1 where a letter that a step is for was not recovered; 2 wrong use, a file with a mistake, or stores
    that cannot be read.

    Examples:

      clickgoose deadletters repair try names.yaml

      clickgoose deadletters repair try names.yaml --reason decode.bad_nested --since 1d --limit 1000 --json
    """
    made = _read(file)
    asked = Asked(reason, stage, merchant, since, until, state, event, cluster, text, address)
    asked.checked()
    with opened(url) as store:
        wanted = asked.filter(store)
        repairer = _repairer(made)
        for _ in _repaired(store, wanted if wanted.states else _only_new(wanted), made, repairer, limit):
            pass
    _say(made, file, repairer.tally, as_json, {})
    raise typer.Exit(1 if repairer.tally.failed or repairer.tally.unrecoverable else 0)


@repair_app.command("apply")
def apply(
    file: File,
    reason: Reasons = None,
    stage: Stages = None,
    merchant: Merchants = None,
    since: Since = None,
    until: Until = None,
    event: Event = "",
    cluster: ClusterId = "",
    text: Text = "",
    address: Addresses = None,
    limit: Limit = None,
    who: Who = None,
    yes: Yes = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Repair new letters, and mark as fixed those that would be scored now. Without --yes it only counts.

    The repaired payloads lie in ClickHouse beside the letters, with who, when and the file; a redrive sends them. A
    letter that is not recovered stays as it is. Run again, it finds what is still new.

    Exit codes: 0; 1 where a letter that a step is for was not recovered; 2 wrong use, a file with a mistake, or stores
    that cannot be read.

    Examples:

      clickgoose deadletters repair apply names.yaml

      clickgoose deadletters repair apply names.yaml --merchant demo-shop --yes
    """
    made = _read(file)
    asked = Asked(reason, stage, merchant, since, until, None, event, cluster, text, address)
    asked.checked()
    with opened(url) as store, opened(url) as beside:
        wanted = _only_new(asked.filter(store))
        repairer = _repairer(made)
        found = _repaired(store, wanted, made, repairer, limit)
        fixed = _write(beside, made, who, found) if yes else sum(map(len, found))
    _say(made, file, repairer.tally, as_json, {"fixed": fixed if yes else 0, "dry_run": not yes})
    if not as_json:
        note = (
            f"{fixed:,} dead letters are fixed" if yes else f"{fixed:,} would be marked as fixed: give --yes to do it"
        )
        typer.echo(note)
    raise typer.Exit(1 if repairer.tally.failed or repairer.tally.unrecoverable else 0)


def _read(file: Path) -> RecoveryFile:
    from infra.recovery_file import RecoveryRefused, read_recovery

    try:
        return read_recovery(file)
    except OSError as error:
        refuse(f"{file} cannot be read: {error.strerror or error}")
    except RecoveryRefused as refused:
        refuse(str(refused))


def _repairer(made: RecoveryFile) -> Repairer:
    from infra.flow import load_model, pipeline_of
    from infra.flow_serving import FlowRefused
    from infra.keys import key_ring
    from infra.letter_repair_run import Repairer
    from infra.settings import Settings
    from scoring.deployment import only

    settings = Settings()
    try:
        return Repairer(made, key_ring(settings), pipeline_of(settings, only(load_model(settings))))
    except (FlowRefused, ValueError) as error:
        refuse(str(error))


def _only_new(wanted: Filter) -> Filter:
    from schemas.letter_state import LetterState

    return replace(wanted, states=(LetterState.NEW,))


def _repaired(
    store: DeadLetters, wanted: Filter, made: RecoveryFile, repairer: Repairer, limit: int | None
) -> Iterator[list[Repair]]:
    """Give the repairs, a part at a time, with a progress bar. Letters of reasons that no step has are counted only."""
    total = store.count(wanted)
    narrowed = wanted if wanted.reasons or not made.reasons else replace(wanted, reasons=made.reasons)
    looked = store.count(narrowed) if narrowed is not wanted else total
    if limit is None:
        repairer.tally.not_matched.letters += total - looked
    with progress() as bar:
        task = bar.add_task("repairing", total=min(looked, limit or looked))
        before = repairer.tally.looked_at
        letters = islice(store.all(narrowed, payloads=True), limit)
        yield from repairer.run(letters, lambda done: bar.update(task, completed=done - before))


def _write(store: DeadLetters, made: RecoveryFile, who: str | None, parts: Iterable[list[Repair]]) -> int:
    """Write payloads as they come, and let all stand at the end: a killed command leaves nothing that stands."""
    from uuid import uuid4

    from infra.letter_repairs import Applied, FileText, let_stand, write_file, write_repairs
    from infra.storages import author

    applied = Applied(uuid4(), who or author().by, made.digest)
    written = 0
    for part in parts:
        if part and not written:
            write_file(store, FileText(made.digest, made.name, made.author, made.why, made.text))
        write_repairs(store, applied, part)
        written += len(part)
    return let_stand(store, applied, _NOTE.format(digest=made.digest, name=made.name)) if written else 0


def _file(made: RecoveryFile, file: Path) -> dict[str, Any]:
    return {"file": str(file), "name": made.name, "digest": made.digest, "steps": len(made.steps)}


def _say(made: RecoveryFile, file: Path, tally: Tally, as_json: bool, more: dict[str, Any]) -> None:
    if as_json:
        typer.echo(json.dumps({**_file(made, file), **tally.as_json(), **more}))
        return
    shown = table(f"{made.name}: {tally.looked_at:,} dead letters", "outcome", "letters", "as", right=("letters",))
    for outcome, found in _outcomes(tally):
        shown.add_row(outcome, f"{found.letters:,}", " ".join(found.examples))
    screen().print(shown)


def _outcomes(tally: Tally) -> Iterator[tuple[str, Outcome]]:
    yield "recovered", tally.recovered
    for title, outcomes in (("fails again", tally.failed), ("unrecoverable", tally.unrecoverable)):
        for why, found in sorted(outcomes.items(), key=lambda one: -one[1].letters):
            yield f"{title}: {why}", found
    yield "no step is for it", tally.not_matched
