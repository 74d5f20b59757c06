"""``clickgoose replay list | show | drop``: the replays that are kept here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.deadletters_parts import Json, moment, progress, refuse, screen, table

if TYPE_CHECKING:
    from replay.run_record import Run

Name = Annotated[str, typer.Argument(help="Name of a replay, as `list` shows it")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this, only say what would be removed")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("list")(list_runs)
    app.command("show")(show)
    app.command("drop")(drop)


def list_runs(
    keys: Annotated[bool, typer.Option("--keys", help="Look for other replays among all keys of Redis too")] = False,
    as_json: Json = False,
) -> None:
    """List the replays that are kept here: what each ran with, how far it is, and whether what is live changed.

    Below them stand topics, databases and keys of replays that are not kept here: another host's, or of a lost home.

    Exit codes: 0; 1 a record cannot be read by this build.

    Examples:

      clickgoose replay list

      clickgoose replay list --json
    """
    from infra.replay_orphans import orphans
    from infra.settings import Settings
    from replay.run_record import RecordError, runs_in

    settings = Settings()
    home = settings.home.absolute()
    elsewhere = orphans(settings, keys=keys)
    found = list(runs_in(home))
    runs = [run for _, run in found if not isinstance(run, RecordError)]
    faults = {name: str(run) for name, run in found if isinstance(run, RecordError)}
    if as_json:
        typer.echo(json.dumps({"replays": [as_said(home, run) for run in runs], "unreadable": faults,
                               "not_kept_here": elsewhere.found}))  # fmt: skip
    elif not found:
        typer.echo("no replay is kept here: `clickgoose replay run NAME --last 1h` makes one")
    else:
        _print(home, runs)
    for name, places in elsewhere.found.items() if not as_json else ():
        typer.echo(f"{name} is not kept here, perhaps another host's: {', '.join(places)}")
    for sentence in (*faults.values(), *elsewhere.faults):
        typer.echo(sentence, err=True)
    if faults:
        raise typer.Exit(1)


def _print(home: Any, runs: list[Run]) -> None:
    shown = table(
        "Replays", "name", "state", "range", "rows", "of", "events/s", "build", "model", "live unchanged",
        "begun (UTC)", right=("rows", "of", "events/s"),
    )  # fmt: skip
    for run in runs:
        said = as_said(home, run)
        shown.add_row(
            run.name, said["state"], said["range"], f"{run.rows:,}", f"{said['offsets']:,}", f"{run.rate:,.0f}",
            run.versions.build.removeprefix("clickgoose "), run.versions.model, said["live_unchanged"],
            moment(run.begun_at),
        )  # fmt: skip
    screen().print(shown)


def as_said(home: Any, run: Run) -> dict[str, Any]:
    """Return a record as users see it: a run that nobody works on is not running."""
    import msgspec

    from replay.namespace import directory_of
    from replay.run_record import State, is_running

    said: dict[str, Any] = msgspec.to_builtins(run)
    if run.state is State.RUNNING and not is_running(directory_of(home, run.name)):
        said["state"] = "killed"  # it is resumed as one that was paused
    said["rows"], said["rate"] = run.rows, round(run.rate, 1)
    said["offsets"] = sum(map(len, run.plan.range))
    said["range"] = ", ".join(f"{one.partition}:{one.first}-{one.next}" for one in run.plan.range[:4])
    said["range"] += ", ..." if len(run.plan.range) > 4 else ""
    unchanged = run.live.unchanged if run.live else None
    said["files"] = _files(home, run)
    said["live_unchanged"] = {None: "not known" if run.live else "not asked yet", True: "yes", False: "no"}[unchanged]
    return said


def _files(home: Any, run: Run) -> dict[str, Any] | None:
    """Return where the files of a run lie and how many bytes of them count; None where it writes none."""
    from replay.checkpoint import ReplayRefused, read_checkpoint
    from replay.namespace import Part, directory_of
    from replay.result_files import DIRECTORY, ResultFiles

    if Part.FILES not in run.options.into:
        return None
    directory = directory_of(home, run.name)
    try:
        checkpoint = read_checkpoint(directory)
    except ReplayRefused as error:
        return {"directory": str(directory / DIRECTORY), "bytes": None, "fault": str(error)}
    held = ResultFiles(directory, checkpoint.marks if checkpoint else {})
    return {"directory": str(directory / DIRECTORY), "bytes": held.bytes}


def show(name: Name, as_json: Json = False) -> None:
    """Show a replay: its plan, what it ran with, what came of its rows, and what is live beside it.

    Exit codes: 0; 2 there is no such replay.

    Examples:

      clickgoose replay show june
    """
    from infra.settings import Settings
    from replay.run_record import RecordError, read_named

    home = Settings().home.absolute()
    try:
        run = read_named(home, name)
    except RecordError as error:
        refuse(str(error))
    said = as_said(home, run)
    if as_json:
        typer.echo(json.dumps(said))
        return
    for line in lines_of(run, said):
        typer.echo(line)


def lines_of(run: Run, said: dict[str, Any]) -> list[str]:
    """Return a record as lines of text."""
    plan, versions, account = run.plan, run.versions, run.account
    warm = sum(map(len, plan.warm))
    found = [
        f"replay {run.name}: {said['state']}" + (f": {run.sentence}" if run.sentence else ""),
        f"  range      {said['range']} of {plan.topic}, from {plan.start}, {said['offsets']:,} offsets",
        f"  warm-up    {warm:,} offsets" + (f", from the snapshot {plan.snapshot}" if plan.snapshot else ""),
        f"  build      {versions.build}; model {versions.model}"
        + (f", candidate {versions.candidate} at {versions.percent:g}%" if versions.candidate else ""),
        f"  policies   {versions.policies or 'each model its own'}; rules {versions.rules or 'none'}; "
        f"lists {versions.lists} ({versions.list_entries:,} entries)",
        f"  into       {', '.join(run.options.into)}; counts in {run.options.counts}",
        f"  begun      {moment(run.begun_at)} on {run.host}"
        + (f", resumed {run.resumed} times" if run.resumed else ""),
        f"  rows       {account.warmed:,} warmed up, {account.read:,} read == {account.scored:,} scored + "
        f"{account.dead:,} dead + {account.dropped:,} dropped",
        f"  written    {account.written:,} results, {account.written_dead:,} dead letters",
        f"  rate       {run.rate:,.0f} events/s over {run.seconds:,.1f} s",
        f"  live unchanged: {said['live_unchanged']}",
    ]
    if files := said["files"]:
        held = f"{files['bytes']:,} bytes" if files["bytes"] is not None else files["fault"]
        found.insert(6, f"  files      {files['directory']}: {held}")
    return found + [f"    {line}" for line in (run.live.sentences if run.live else ())]


def drop(
    name: Name,
    orphan: Annotated[
        bool, typer.Option("--orphan", help="What stores have of a replay that no home keeps any more, by its name")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove all that a replay wrote: its topics, database, keys and directory, and nothing else.

    Exit codes: 0; 2 there is no such replay, it is running, or a store does not answer.

    Examples:

      clickgoose replay drop june --yes

      clickgoose replay drop lost --orphan --yes
    """
    from infra.replay_orphans import drop_orphan, found_of
    from infra.replay_run import RunRefused, namespace_of
    from infra.replay_run import drop as remove
    from infra.settings import Settings
    from replay.namespace import BadName

    settings = Settings()
    try:
        if orphan and not yes:
            refuse(f"this removes {', '.join(found_of(settings, name))}: see that nobody runs it, and say --yes")
        if not yes:
            names = namespace_of(settings, name)
            if not names.directory.is_dir():
                refuse(f"there is no replay {name} here: `clickgoose replay list` names them")
            refuse(
                f"this removes the topics {', '.join(names.topics)}, the database {names.database}, the keys "
                f"{names.prefix}* and {names.directory} with all that is in it: say --yes"
            )
        with progress() as bar:
            task = bar.add_task("keys", total=None)
            said = (drop_orphan if orphan else remove)(settings, name, lambda keys: bar.update(task, completed=keys))
    except (RunRefused, BadName) as error:
        refuse(str(error))
    if as_json:
        typer.echo(json.dumps({"dropped": said}))
    else:
        typer.echo(f"dropped {name}: " + ", ".join(said))
