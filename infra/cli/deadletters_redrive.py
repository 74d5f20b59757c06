"""``clickgoose deadletters redrive``: fixed letters are sent again to where they failed, counted first."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    Text,
    Until,
    Url,
    opened,
    progress,
    refuse,
)

if TYPE_CHECKING:
    from infra.dead_letters import DeadLetters, Filter
    from infra.letter_redrive import Limits, RedrivePlan
    from infra.letter_redrive_journal import Journal
    from infra.letter_redrive_run import Outcome, Pace
    from infra.letter_redrive_settle import Settled
    from infra.letter_redrive_sinks import SinkRedrive
    from infra.settings import Settings

Given = Annotated[list[str] | None, typer.Argument(help="Letters by address, as `list` shows them")]
Version = Annotated[
    list[str] | None, typer.Option("--version", help="Failed in this build, as `stats` names it; repeat it for more")
]
Rate = Annotated[float, typer.Option(min=0.1, max=100_000, help="Letters a second at most")]
Attempts = Annotated[int, typer.Option(min=2, max=255, help="Leave out rows that were tried so often")]
Most = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="Letters of one command at most")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for final scores; those that have one are resolved")]
Resume = Annotated[str, typer.Option(help="Go on with a redrive that was killed, by the id that it printed")]
Note = Annotated[str, typer.Option(help="Why, for whoever looks at it later")]
Who = Annotated[str | None, typer.Option(help="Who decided it; unset: the user and host of this command")]
Late = Annotated[bool, typer.Option("--late", help="Also events that are older than flow.lateness_seconds")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this, only say what would be sent")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("redrive")(redrive)


def redrive(
    letters: Given = None,
    reason: Reasons = None,
    stage: Stages = None,
    merchant: Merchants = None,
    since: Since = None,
    until: Until = None,
    event: Event = "",
    cluster: ClusterId = "",
    text: Text = "",
    version: Version = None,
    rate: Rate = 500.0,
    attempts: Attempts = 5,
    limit: Most = 100_000,
    late: Late = False,
    wait: Wait = 0.0,
    resume: Resume = "",
    note: Note = "redriven",
    who: Who = None,
    yes: Yes = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Send fixed dead letters again, each to where it failed. Without --yes it only says what would be sent.

    Events go back to events.raw, decisions to events.decisions; an event that was counted before it failed is not
    counted again. Rows for sinks (--reason sink.) go to that sink alone. What is sent becomes `redriven`, and with
    --wait `resolved` once its event is scored, or has failed again as a newer letter.

    A redrive that was killed is resumed by its id: nothing is missing then, and nothing counted twice.

    Exit codes: 0; 1 a letter could not be sent, failed again, or was not scored within --wait; 2 wrong use, or a part
    does not answer.

    Examples:

      clickgoose deadletters redrive --cluster 4f1d0c9a22

      clickgoose deadletters redrive --cluster 4f1d0c9a22 --yes --rate 200 --wait 60

      clickgoose deadletters redrive --resume 6f0c7a51-3f1b-4a55-8a41-7f6f0b8d9c11 --wait 60
    """
    from infra.settings import Settings

    settings = Settings()
    asked = Asked(reason, stage, merchant, since, until, None, event, cluster, text, letters, version)
    wanted = asked.checked()
    if resume and not wanted.whole:
        refuse("--resume goes on with what the redrive set out to do: name no other letters")
    if wanted.whole and not cluster and not resume:
        refuse("say which dead letters are meant: by address, or by filters as `list` takes them")
    command = _Command(settings, rate, wait, who or _author(), note, as_json)
    with opened(url) as store, _told():
        if resume:
            command.resume(store, resume)
        wanted = asked.filter(store)
        if _means_sinks(wanted):
            command.sinks(store, wanted, url or str(settings.clickhouse.url), yes)
        else:
            command.stages(store, wanted, _limits(settings, attempts, limit, late), yes)


def _author() -> str:
    from infra.storages import author

    return author().by


def _limits(settings: Settings, attempts: int, letters: int, late: bool) -> Limits:
    from infra.cli.deadletters_parts import now_ms
    from infra.letter_redrive import Limits

    return Limits(now_ms(), settings.flow.lateness_seconds * 1000, attempts, letters, late)


def _means_sinks(wanted: Filter) -> bool:
    from infra.letter_redrive_sinks import sinks_meant

    found = sinks_meant(wanted)
    if found and not all(one.startswith("sink.") for one in wanted.reasons):
        refuse("rows for sinks are redriven alone: name no other reasons beside them")
    return bool(found)


@contextmanager
def _told() -> Iterator[None]:
    """Say what does not answer in one sentence."""
    from flows.sinks.destination import DestinationError
    from infra.topic_reader import AccountError

    try:
        yield
    except (DestinationError, AccountError) as error:
        refuse(f"the redrive stopped: {error}; run it again, or resume it, once that answers")


class _Command:
    """What is the same whichever letters are meant."""

    def __init__(self, settings: Settings, rate: float, wait: float, who: str, note: str, as_json: bool) -> None:
        self._settings = settings
        self._rate, self._wait = rate, wait
        self._who, self._note = who, note
        self._json = as_json

    @property
    def _bootstrap(self) -> str:
        if self._settings.kafka.bootstrap is None:
            refuse("no Kafka: run `clickgoose up`, or set CLICKGOOSE_KAFKA__BOOTSTRAP")
        return self._settings.kafka.bootstrap

    def _pace(self) -> Pace:
        from infra.letter_redrive_run import Pace

        return Pace(self._rate, time.monotonic, time.sleep)

    def stages(self, store: DeadLetters, wanted: Filter, limits: Limits, yes: bool) -> None:
        """Redrive letters that ClickHouse has."""
        from infra.letter_redrive import plan_redrive
        from infra.letter_redrive_journal import Journal
        from infra.letter_states import Move
        from infra.topic_reader import need_topics
        from schemas.letter_state import LetterState

        try:
            made = Move(LetterState.REDRIVEN, self._who, self._note)
        except ValueError as error:
            refuse(str(error))
        plan = plan_redrive(store, wanted, limits)
        if not yes or not plan.letters:
            self._say_plan(plan)
            return
        need_topics(self._bootstrap, plan.destinations.keys())  # or a journal would be left of what never began
        journal = Journal.begin(made.who, made.note, limits.now, plan.letters)
        journal.write(self._settings.home)
        self._run(store, journal, plan)

    def resume(self, store: DeadLetters, command: str) -> None:
        """Go on with a redrive, and end the program."""
        from infra.letter_redrive_journal import Journal

        self._run(store, Journal.read(self._settings.home, command), None)

    def _run(self, store: DeadLetters, journal: Journal, plan: RedrivePlan | None) -> None:
        from flows.sinks.kafka import Appender, producer_config
        from infra.letter_redrive import Topics
        from infra.letter_redrive_run import Redrive

        typer.echo(f"redrive {journal.command}", err=True)  # before anything is sent: it can be resumed by this
        appender = Appender(producer_config(self._bootstrap))
        try:
            with _bar("redriving", len(journal.letters)) as told:
                outcome = Redrive(store, appender, journal, self._pace(), Topics(), told).run()
        finally:
            appender.close()
        self._end(journal, plan, outcome, self._settled(store, journal))

    def _settled(self, store: DeadLetters, journal: Journal) -> Settled:
        from infra.letter_redrive_settle import wait_settled

        with _waiting(self._wait):
            return wait_settled(store, journal, self._wait, time.monotonic, time.sleep) if self._wait else _unasked()

    def _end(self, journal: Journal, plan: RedrivePlan | None, outcome: Outcome, settled: Settled) -> None:
        left = dict(plan.left_out) if plan else {}
        told: dict[str, Any] = {
            "command": journal.command,
            "dry_run": False,
            "sent": outcome.sent,
            "sent_before": outcome.before,
            "not_sent": outcome.left,
            "left_out": left,
            "more": bool(plan and plan.more),
            "waited_seconds": self._wait,
            "scored": settled.scored,
            "failed_again": settled.failed_again,
            "not_scored_yet": settled.waiting,
        }
        if self._json:
            typer.echo(json.dumps(told))
        else:
            before = f" ({outcome.before:,} were before)" if outcome.before else ""
            typer.echo(f"{outcome.sent:,} dead letters are redriven, by {journal.who}{before}")
            _say_left(outcome.left, "not sent")
            _say_left(left, "left out")
            if self._wait:
                typer.echo(
                    f"{settled.scored:,} events are scored now, {settled.failed_again:,} failed again, "
                    f"{settled.waiting:,} are not scored yet"
                )
        raise typer.Exit(1 if outcome.left or settled.failed_again or settled.waiting else 0)

    def _say_plan(self, plan: RedrivePlan) -> None:
        if self._json:
            told = {
                "dry_run": True,
                "would_send": dict(plan.destinations),
                "left_out": dict(plan.left_out),
                "more": plan.more,
            }
            typer.echo(json.dumps(told))
            return
        if not plan.letters:
            typer.echo("no dead letter can be redriven")
        for topic, count in plan.destinations.items():
            more = ", and more beyond --limit" if plan.more else ""
            typer.echo(f"{count:,} dead letters would be sent to {topic}{more}: give --yes to do it")
        _say_left(plan.left_out, "left out")

    def sinks(self, store: DeadLetters, wanted: Filter, clickhouse: str, yes: bool) -> None:
        """Redrive rows for sinks, which lie in the backup topic."""
        from infra.letter_redrive_sinks import SinkRedrive

        redriven = SinkRedrive(store, self._bootstrap, wanted, self._who, self._note, self._rate)
        if yes:
            with self._destinations(clickhouse) as redriven.destinations:
                redriven.run()
        else:
            redriven.run()
        self._end_sinks(redriven, yes)

    def _end_sinks(self, redriven: SinkRedrive, yes: bool) -> None:
        if self._json:
            sent = {"sent" if yes else "would_send": dict(redriven.sent), "left_out": dict(redriven.left)}
            typer.echo(json.dumps({"command": str(redriven.command), "dry_run": not yes, **sent}))
        else:
            for name, count in redriven.sent.items():
                done = "were written to it" if yes else "would be written to it: give --yes to do it"
                typer.echo(f"{count:,} rows of {name} {done}")
            if not redriven.sent:
                typer.echo("no row for a sink can be redriven")
            _say_left(redriven.left, "left out")
        refused = any(why.startswith("it is refused") for why in redriven.left)
        raise typer.Exit(1 if refused else 0)

    @contextmanager
    def _destinations(self, clickhouse: str) -> Iterator[Any]:
        from flows.redis_trip import connect
        from flows.sinks.clickhouse import ClickHouse
        from flows.sinks.kafka import Appender, producer_config
        from flows.sinks.redis_results import RedisResults
        from infra.letter_redrive_sinks import ScoredAgain
        from schemas.dead_letter import Reason

        redis = self._settings.redis
        if redis.url is None:
            refuse("no Redis: run `clickgoose up`, or set CLICKGOOSE_REDIS__URL")
        rows, appender = ClickHouse(clickhouse), Appender(producer_config(self._bootstrap))
        results = RedisResults(connect(redis.url), redis.result_ttl_seconds, packed=redis.pack_results)
        try:
            yield {
                Reason.SINK_CLICKHOUSE: rows,
                Reason.SINK_REDIS: results,
                Reason.SINK_KAFKA: ScoredAgain(appender.append),
            }
        finally:
            for one in (rows, results, appender):
                one.close()


def _unasked() -> Settled:
    from infra.letter_redrive_settle import Settled

    return Settled()


def _say_left(left: Any, how: str) -> None:
    for why, count in sorted(left.items()):
        typer.echo(f"  {count:,} {how}: {why}")


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    with progress() as bar:
        task = bar.add_task(what, total=max(total, 1))
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def _waiting(seconds: float) -> Iterator[None]:
    """Say on a terminal what is waited for."""
    if seconds and sys.stderr.isatty():
        typer.echo(f"waiting up to {seconds:g} s for the final scores", err=True)
    yield
