"""``clickgoose replay run``: run a past range again, into a namespace of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli import replay_parts as parts
from infra.cli.deadletters_parts import Json, refuse
from infra.cli.replay_list import as_said, lines_of

if TYPE_CHECKING:
    from infra.replay_inputs import Inputs
    from infra.replay_run import Hooks, ReplayRun
    from infra.settings import Settings
    from replay.engine import Progress
    from replay.plan import Plan
    from replay.run_record import Run, RunOptions

_QUIET_SECONDS = 2.0
_LARGE_ROWS = 2_000_000

Name = Annotated[str, typer.Argument(help="Of the run and of its namespace: a-z, 0-9 and _, at most 40")]
PlanFile = Annotated[Path | None, typer.Option("--plan", help="Run a plan that `plan --save` wrote")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped or killed")]
ModelOption = Annotated[str, typer.Option("--model", help="A version, or a directory of one; unset: what scores now")]
PoliciesOption = Annotated[Path | None, typer.Option("--policies", help="A policies file; unset: the flow's")]
RulesOption = Annotated[
    str,
    typer.Option("--rules", help="live; none; a file or directory of rules; or a digest of `clickgoose rules list`"),
]
Build = Annotated[
    Path | None,
    typer.Option("--build", help="Another clickgoose executable, which runs the plan"),
]
Into = Annotated[str, typer.Option(help="Where outcomes go: some of kafka,clickhouse,redis,files")]
Counts = Annotated[
    str, typer.Option(help="Where counts and rules' history are: memory, or redis (of the namespace) for large ranges")
]
Order = Annotated[
    str, typer.Option(help="Of events of different partitions: appended; or history, as the live flow counted them")
]
Rate = Annotated[float, typer.Option(min=0, help="Events a second at most; 0: as fast as it goes")]
Speed = Annotated[float, typer.Option(min=0, help="10: ten times as fast as the events came; 0: as fast as it goes")]
Rows = Annotated[int, typer.Option(min=1, max=1_024, help="Events of a batch; part of what makes runs identical")]
Yes = Annotated[bool, typer.Option("--yes", help=f"Run it although it is larger than {_LARGE_ROWS:,} events")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("run")(run)
    app.command("plan-version", hidden=True)(plan_version)


def plan_version() -> None:
    """Print which plans this build reads: what `run --build` asks another one."""
    from replay.plan import PLAN_VERSION

    typer.echo(str(PLAN_VERSION))


def checked_options(
    model: str,
    policies: Path | None,
    rules: str,
    into: str,
    counts: str,
    order: str,
    rate: float,
    speed: float,
    rows: int,
) -> RunOptions:
    """Return the options of a run; exit code 2 where one cannot be meant."""
    from replay.namespace import Part
    from replay.run_record import RunOptions

    try:
        places = tuple(sorted({Part(part.strip()) for part in into.split(",")}))
    except ValueError:
        refuse(f"--into {into!r} is not some of {','.join(Part)}")
    if counts not in ("memory", "redis"):
        refuse(f"--counts {counts!r} is neither memory nor redis")
    if order not in ("appended", "history"):
        refuse(f"--order {order!r} is neither appended nor history")
    if rate and speed:
        refuse("--rate and --speed exclude each other: give one")
    return RunOptions(
        model, str(policies.absolute()) if policies else "", rules, places, counts, order, rate, speed, rows
    )


def run_plan(settings: Settings, plan: Plan, options: RunOptions, *, yes: bool, as_json: bool) -> None:
    """Run a plan into a new namespace, to the end of the command."""
    from infra.replay_run import RunRefused, begin

    rows = sum(map(len, (*plan.warm, *plan.range)))
    if rows > _LARGE_ROWS and not yes:
        refuse(f"{rows:,} events would be read, which takes a while: look at `clickgoose replay plan`, then say --yes")
    try:
        made = begin(settings, plan, options, _say_inputs(as_json))
    except RunRefused as error:
        refuse(str(error))
    work(settings, made, as_json=as_json)


def resume_run(settings: Settings, name: str, *, as_json: bool) -> None:
    """Go on with a run, to the end of the command."""
    from infra.replay_run import RunRefused, resume

    try:
        made = resume(settings, name)
    except RunRefused as error:
        refuse(str(error))
    work(settings, made, as_json=as_json)


def work(settings: Settings, made: ReplayRun, *, as_json: bool) -> None:
    """Work on a run until it ends or a signal comes; end with its exit code."""
    from infra.flow_serving import stop_on_signals
    from infra.replay_run import RunRefused

    stop_on_signals(made.stop.set)
    try:
        with _shown(made) as hooks:
            made.hooks = hooks
            run = made.work()
    except RunRefused as error:
        refuse(str(error))
    said = as_said(settings.home.absolute(), run)
    if as_json:
        typer.echo(json.dumps(said))
    else:
        typer.echo("\n".join(lines_of(run, said)))
    _end(run)


def _end(run: Run) -> None:
    from replay.run_record import State

    account = run.account
    if run.state is State.PAUSED:
        typer.echo(f"paused: `clickgoose replay run {run.name} --resume` goes on from here", err=True)
    elif run.state is State.FAILED:
        typer.echo(f"{run.sentence}; `clickgoose replay run {run.name} --resume` goes on from its checkpoint", err=True)
    elif account.read != account.scored + account.dead + account.dropped:
        typer.echo(f"the account does not balance: {account.read} rows were read", err=True)
    elif run.live is None or not run.live.unchanged:
        why = "is not known to be as it was" if run.live is None or run.live.unchanged is None else "changed"
        typer.echo(f"what is live {why} while the replay ran: see above", err=True)
    else:
        return
    raise typer.Exit(1)


def _say_inputs(as_json: bool) -> Any:
    def say(inputs: Inputs) -> None:
        if not as_json:
            said = inputs.versions
            typer.echo(f"{said.build}, model {said.model}, rules {said.rules}, lists {said.lists}", err=True)

    return say


@contextmanager
def _shown(made: ReplayRun) -> Iterator[Hooks]:
    """Show a bar with what is left, on standard error, once the run takes longer than two seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from infra.replay_run import Hooks

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(), TextColumn("{task.fields[trouble]}"),
    )  # fmt: skip
    began = time.monotonic()
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"replay {made.run.name}", total=None, visible=False, rate="", trouble="")

        def show(now: Progress) -> None:
            bar.update(
                task,
                description="warming up" if now.warming else f"replay {made.run.name}",
                total=now.offsets, completed=now.offsets_done, rate=f"{now.rate:,.0f} events/s",
                visible=time.monotonic() - began > _QUIET_SECONDS,
            )  # fmt: skip

        def say(trouble: str) -> None:
            if console.is_terminal:
                bar.update(task, trouble=f"waits: {trouble}" if trouble else "", visible=True)
            else:
                typer.echo(f"waits: {trouble}" if trouble else "goes on", err=True)

        yield Hooks(show, say)


def run(
    name: Name,
    plan: PlanFile = None,
    resume: Resume = False,
    since: parts.From = None,
    until: parts.To = None,
    last: parts.Last = None,
    offsets: parts.OffsetRanges = None,
    partitions: parts.Partitions = None,
    merchants: parts.Merchants = None,
    sessions: parts.Sessions = None,
    reasons: parts.Reasons = None,
    sample: parts.Sample = None,
    start: parts.StartAt = "sealed",
    warm: parts.Warm = None,
    snapshot: parts.Snapshot = None,
    store: parts.StoreChoice = "auto",
    model: ModelOption = "",
    policies: PoliciesOption = None,
    rules: RulesOption = "live",
    build: Build = None,
    into: Into = "kafka,clickhouse,redis",
    counts: Counts = "memory",
    order: Order = "appended",
    rate: Rate = 0.0,
    speed: Speed = 0.0,
    rows: Rows = 512,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Run a past range again, into topics, keys, tables and a directory of its own. What is live is not touched.

    The range is said as to `clickgoose replay plan`, or by a plan that it saved. The state is warmed up before it.
    Model, policies, rules and lists are copied when the run begins; --resume goes on with these.

    Exit codes: 0 done, and what is live is as it was; 1 it failed, was stopped by a signal, or live data changed; 2
    wrong use, and nothing was written.

    Examples: the last hour as it was; a day with another model, and one with other rules; a plan that was looked at
    before; with another build, paced; after a kill:

      clickgoose replay run again --last 1h

      clickgoose replay run june --from 2026-06-01 --to 2026-06-02 --model goose-1a2b3c4d

      clickgoose replay run strict --last 7d --rules drafts/ --into clickhouse

      clickgoose replay run june --plan june.json --counts redis --yes

      clickgoose replay run next --last 1h --build /opt/next/bin/clickgoose --rate 500

      clickgoose replay run june --resume
    """
    from infra.settings import Settings

    settings = Settings()
    wanted = parts.Wanted(
        name,
        since,
        until,
        last,
        offsets,
        partitions,
        merchants,
        sessions,
        reasons,
        sample,
        start,
        warm,
        snapshot,
        store,
    )
    asks = wanted != parts.Wanted(name)
    if sum((plan is not None, resume, asks)) > 1:
        refuse("a range, --plan and --resume exclude each other: give one")
    if resume:
        resume_run(settings, name, as_json=as_json)
        return
    options = checked_options(model, policies, rules, into, counts, order, rate, speed, rows)
    made = _planned(settings, wanted, plan, options)
    if build is not None:
        _run_elsewhere(build, made, options, yes=yes, as_json=as_json)
    else:
        run_plan(settings, made, options, yes=yes, as_json=as_json)


def _planned(settings: Settings, wanted: parts.Wanted, file: Path | None, options: RunOptions) -> Plan:
    """Return the plan of a file, or of what is asked for: as far as the rules of the run look back."""
    from dataclasses import replace

    from infra.replay_inputs import InputsRefused, rules_of
    from infra.replay_plan import make_plan
    from replay.namespace import BadName, check_name
    from replay.ranges import PlanRefused

    try:
        check_name(wanted.name)
        if file is not None:
            return replace(parts.read_plan(file), name=wanted.name)
        return make_plan(wanted.asked(), settings, rules_of(settings, options.rules))
    except (PlanRefused, BadName, InputsRefused) as error:
        refuse(str(error))


def _run_elsewhere(build: Path, plan: Plan, options: RunOptions, *, yes: bool, as_json: bool) -> None:
    """Run a plan with another executable, and end with its exit code; refuse one that reads other plans."""
    import signal
    import subprocess
    import tempfile

    from replay.plan import PLAN_VERSION, encode_plan

    try:
        asked = subprocess.run(
            [build, "replay", "plan-version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        refuse(f"{build} does not run: {error}")
    said = asked.stdout.strip()
    if asked.returncode or said != str(PLAN_VERSION):
        found = f"reads plans of version {said}" if said.isdecimal() else "has no replays"
        refuse(f"{build} {found}, and this build makes version {PLAN_VERSION}: run the replay with it alone")
    with tempfile.TemporaryDirectory(prefix="clickgoose-replay-") as folder:
        file = Path(folder) / "plan.json"
        file.write_bytes(encode_plan(plan))
        words = [str(build), "replay", "run", plan.name, "--plan", str(file), *words_of(options)]
        words += [*(["--yes"] if yes else []), *(["--json"] if as_json else [])]
        child = subprocess.Popen(words)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda heard, _: child.send_signal(heard))
        code = child.wait()
    raise typer.Exit(code if code >= 0 else 1)


def words_of(options: RunOptions) -> list[str]:
    """Return options as they are typed."""
    words = ["--rules", options.rules, "--into", ",".join(options.into), "--counts", options.counts]
    words += ["--order", options.order, "--rate", str(options.rate), "--speed", str(options.speed)]
    words += ["--rows", str(options.rows)]
    words += ["--model", options.model] if options.model else []
    return words + (["--policies", options.policies] if options.policies else [])
