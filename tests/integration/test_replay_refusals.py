"""What `clickgoose replay` and `deadletters` refuse: one sentence, exit code 2, and nothing is written anywhere."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.cimpl import NewTopic
from typer.testing import CliRunner

from flows.sinks.clickhouse import ClickHouse
from flows.sinks.tables import letter_columns
from infra.cli import app
from infra.dead_letters import DeadLetters, Filter
from infra.letter_states import Move, move
from infra.replay_namespace import ReplayNamespace, Stores
from infra.replay_plan import planned
from infra.stack.local import LocalStack
from infra.stack.ports import free_port
from replay.plan import PLAN_VERSION, Piece, Plan, Start, encode_plan
from schemas.dead_letter import DeadLetter, Reason
from schemas.letter_state import LetterState
from tests.replay_commands import Replays
from tests.stack_fixture import Namespace
from tests.wire import NOW, digest, record

pytestmark = pytest.mark.stack
ROWS, GONE = 60, 4  # records of the topic; those of each partition that retention took
RECOVERY = """
name: names
author: Anna
why: a field that nobody has
steps:
  - when: {reason: internal.bug, fields: {screen.widht: {range: [1, 100]}}}
    do: [{cast: {field: screen.width, to: milliseconds}}]
"""


class World(Replays):
    """Live stores with events and dead letters, of which nothing may change, and commands that are refused."""

    admin: AdminClient

    def listing(self) -> dict[str, Any]:
        """Return the names of all topics, tables with their rows, Redis keys, and files of the home."""
        tables = self.live.execute(
            "SELECT database, name, total_rows FROM system.tables WHERE startsWith(database, %(own)s) ORDER BY 1, 2",
            {"own": self.namespace.database},
        )
        return {
            "topics": self.ends(),
            "databases": self.live.execute("SELECT name FROM system.databases ORDER BY name"),
            "tables": tables,
            "keys": set(self.redis.scan_iter(count=10_000)),
            "files": sorted((str(path), path.is_file() and path.read_bytes()) for path in self.home.rglob("*")),
        }

    def ends(self) -> dict[tuple[str, int], int]:
        """Return where all partitions of all topics end; one that was just created has no leader yet."""
        gives_up = time.monotonic() + 120
        while True:
            try:
                return self._ends()
            except KafkaException:
                if time.monotonic() > gives_up:
                    raise
                time.sleep(0.1)

    def _ends(self) -> dict[tuple[str, int], int]:
        topics = self.admin.list_topics(timeout=60).topics
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {
            TopicPartition(name, number): latest
            for name, found in topics.items() if not name.startswith("__") and not self.of_another_test(name)
            for number in found.partitions
        }  # fmt: skip
        return {(place.topic, place.partition): found.result(60).offset
                for place, found in self.admin.list_offsets(asked).items()}  # fmt: skip

    def of_another_test(self, topic: str) -> bool:
        """Say whether a topic is of a test before these: Kafka may be done with it at any time."""
        own = re.search("t[0-9a-f]{12}", topic)
        return own is not None and own[0] != self.namespace.prefix

    def file(self, name: str, text: str | bytes) -> str:
        path = self.home.parent / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def plan_of(self, *pieces: Piece, **changes: Any) -> str:
        made = Plan("x", self.topic, Start.SEALED, (), pieces or (Piece(0, GONE, ROWS // 3),))
        return self.file("plan.json", encode_plan(replace(made, **changes)))


@pytest.fixture(scope="module")
def world(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    namespace = Namespace(stack)
    made = World(stack, namespace, tmp_path_factory.mktemp("refusals") / "home")
    made.home.mkdir()
    made.admin = AdminClient({"bootstrap.servers": stack.bootstrap})
    made.send(ROWS)
    letters = [
        DeadLetter(
            reason=Reason.BUG, stage="enrich", detail="why", topic="events.raw", partition=0, offset=row,
            received_at=NOW, first_failed_at=NOW, payload=record(row), payload_format="envelope",
            payload_sha256=f"{row:064x}", event_id=digest("event", row)[:16].hex(), merchant="shop-1",
        )
        for row in range(3)
    ]  # fmt: skip
    with closing(ClickHouse(namespace.clickhouse_url)) as there:
        there.insert({"dead_letters": letter_columns(letters)})
    with DeadLetters(namespace.clickhouse_url) as store:
        move(store, Filter(reasons=(Reason.BUG.value,)), Move(LetterState.FIXED, "Anna", "mended"))
    for future in made.admin.delete_records([TopicPartition(made.topic, 0, GONE)]).values():
        future.result(30)
    try:
        yield made
    finally:
        namespace.close()


@pytest.fixture(autouse=True)
def environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(planned, "__defaults__", (None, world.topic))


def refused(world: World, capfd: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that is refused: return its sentence, once nothing was found to be written."""
    before = world.listing()
    found = CliRunner().invoke(app, words)
    assert found.exception is None or isinstance(found.exception, SystemExit), repr(found.exception)
    assert (found.exit_code, found.stdout, found.stderr.count("\n")) == (2, "", 1), (found.exit_code, found.output)
    assert capfd.readouterr() == ("", "")  # what a client library says of its own
    assert more(before, world.listing()) == {}
    return found.stderr.strip()


def more(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return what is not as it was; Redis keys of tests before these may expire meanwhile."""
    changed = {name: after[name] for name in before if name != "keys" and after[name] != before[name]}
    keys = after["keys"] - before["keys"]
    return {**changed, "keys": keys} if keys else changed


PLANS = {
    "an empty range of time": ("--from 2001-01-01 --to 2001-01-02", "lies in that range: nothing to replay"),
    "an empty range of offsets": ("--offsets 0:9-9", "lies in that range: nothing to replay"),
    "a range that ends before it begins": ("--from 2026-01-02 --to 2026-01-01", "--from must be before --to"),
    "offsets that retention took": ("--offsets 0:0-9", "offsets 0 to 3 of partition 0 can no longer be read"),
    "offsets that are not there yet": ("--offsets 0:9-99", "offset 99 of partition 0 is beyond its end, which is 20"),
    "an unknown partition": ("--last 1h --partitions 7", "has no partition 7: it has 0 to 2"),
    "a reason that no letter has": ("--reason decode.", "died of decode."),
    "a snapshot without a state": ("--offsets 0:9-19 --from-snapshot /nonexistent", "/nonexistent"),
    "no range": ("", "say what to replay"),
    "a stage that is none": ("--last 1h --start scored", "is none of sealed, extracted, enriched"),
    "no time": ("--from yesterdy", "yesterdy"),
}


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize("case", PLANS)
def test_a_range_that_cannot_be_replayed(
    world: World, capfd: pytest.CaptureFixture[str], command: str, case: str
) -> None:
    words, said = PLANS[case]
    assert said in refused(world, capfd, "replay", command, "x", *words.split())


RULE = """
rules:
  - name: one
    when: no_such_field > 1
    then: review
"""
INPUTS = {
    "a model": ("--model", "goose-ffffffff", "there is no model goose-ffffffff in "),
    "a ruleset": ("--rules", "0123456789ab", "there is no ruleset 0123456789ab in "),
    "a ruleset of a namespace": ("--rules", "nosuch/rules.yaml", "there is no ruleset nosuch/rules.yaml in "),
    "policies": ("--policies", "/nonexistent.yaml", "/nonexistent.yaml"),
    "a model's directory": ("--model", "{home}", "{home}"),
    "a build": ("--build", "/nonexistent", "/nonexistent"),
    "a plan": ("--plan", "/nonexistent.json", "cannot read the plan /nonexistent.json"),
    "a place": ("--into", "kafka,s3", "'kafka,s3' is not some of"),
}


@pytest.mark.parametrize("case", INPUTS)
def test_what_a_run_should_work_with_and_is_not_there(
    world: World, capfd: pytest.CaptureFixture[str], case: str
) -> None:
    option, value, said = (word.format(home=world.home.parent) for word in INPUTS[case])
    plan = () if option == "--plan" else ("--plan", world.plan_of())
    assert said in refused(world, capfd, "replay", "run", "x", *plan, option, value)


def test_files_with_a_mistake(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    run = ("replay", "run", "x", "--plan")
    known = json.loads(Path(world.plan_of()).read_bytes())
    other = world.file("other.json", json.dumps({**known, "plan_version": PLAN_VERSION + 1}))
    assert refused(world, capfd, *run, other) == (
        f"{other}: the plan is of version {PLAN_VERSION + 1} and this build reads version {PLAN_VERSION}: make it "
        "again with `clickgoose replay plan`"
    )
    for text in (b"", b"{", b"\xff\xfe", b"[]", json.dumps({**known, "plan": {}}).encode()):
        assert "this is no plan of a replay: " in refused(world, capfd, *run, world.file("no.json", text))
    assert str(world.home) in refused(world, capfd, *run, str(world.home))  # a directory
    rules = world.file("rules.yaml", RULE)
    assert refused(world, capfd, *run, world.plan_of(), "--rules", rules).startswith(f"{rules}:")
    policies = world.file("policies.yaml", "nothing: 1\n")
    assert policies in refused(world, capfd, *run, world.plan_of(), "--policies", policies)
    assert "say --yes" in refused(world, capfd, *run, world.plan_of(Piece(0, 0, 2_000_001)))


def test_a_plan_whose_records_went_since_it_was_made(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    run = ("replay", "run", "x", "--plan")
    assert "offsets 0 to 3 of partition 0 can no longer be read" in refused(
        world, capfd, *run, world.plan_of(Piece(0, 0, 9))
    )
    assert "offset 99 of partition 1 is beyond its end" in refused(world, capfd, *run, world.plan_of(Piece(1, 0, 99)))
    assert "has no partition 8" in refused(world, capfd, *run, world.plan_of(Piece(8, 0, 9)))
    assert "no topic events.nosuch" in refused(world, capfd, *run, world.plan_of(topic="events.nosuch"))
    warm = world.plan_of(Piece(1, 5, 9), warm=(Piece(0, 0, 5),))
    assert "offsets 0 to 3 of partition 0 can no longer be read" in refused(world, capfd, *run, warm)


def test_a_namespace_in_use_is_left_as_it_is(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    names = world.names("x")
    run = ("replay", "run", "x", "--plan", world.plan_of())
    world.admin.create_topics([NewTopic(names.topics.alerts, 1, 1)])[names.topics.alerts].result(30)
    said = refused(world, capfd, *run)
    assert f"in use by a run that is not kept here, perhaps another host's (topic {names.topics.alerts})" in said
    world.live.execute(f"CREATE DATABASE {names.database}")
    world.redis.set(f"{names.prefix}run", json.dumps({"run": "1", "host": "elsewhere"}))
    said = refused(world, capfd, *run)
    assert f"database {names.database}, keys {names.prefix}* of a run on elsewhere" in said
    names.directory.mkdir(parents=True)
    assert refused(world, capfd, *run).startswith("the namespace x is in use by a replay that is")
    names.directory.rmdir()
    names.directory.parent.rmdir()
    world.live.execute(f"DROP DATABASE {names.database}")
    world.redis.delete(f"{names.prefix}run")
    world.admin.delete_topics([names.topics.alerts])[names.topics.alerts].result(30)
    for name in ("X", "history", "a" * 41, "../x"):
        assert f"'{name}' " in refused(world, capfd, "replay", "run", name, "--plan", world.plan_of())


def test_what_a_lost_home_left_is_listed_and_dropped_by_its_name_alone(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    name = f"{world.namespace.prefix}_lost"
    names = world.names(name)
    stores = Stores(world.stack.bootstrap, world.stack.redis_url, world.namespace.clickhouse_url)
    before = world.listing()
    ReplayNamespace(names, stores).create("1", 2)
    world.redis.set(f"{names.prefix}score:x", 1)
    for words, keys in (((), []), (("--keys",), [f"keys {names.prefix}*"])):
        listed = world.here("list", *words, "--json")["not_kept_here"][name]
        assert listed == [f"database {names.database}", *keys, *sorted(f"topic {one}" for one in names.topics)]
    assert "there is no replay" in refused(world, capfd, "replay", "drop", name, "--yes")
    said = refused(world, capfd, "replay", "drop", name, "--orphan")
    assert said.endswith("see that nobody runs it, and say --yes")
    assert f"database {names.database}" in said and names.topics.scored in said
    never = f"{name}_never"
    said = refused(world, capfd, "replay", "drop", never, "--orphan", "--yes")
    assert f"no store has anything of a replay {never}" in said
    names.directory.mkdir(parents=True)
    assert "is kept here" in refused(world, capfd, "replay", "drop", name, "--orphan", "--yes")
    names.directory.rmdir()
    names.directory.parent.rmdir()
    world.here("drop", name, "--orphan", "--yes", "--json")
    world.until(lambda: more(before, world.listing()) == {})  # Kafka is done with a topic some time later


def test_runs_that_are_not_there(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    for words in ("run x --resume", "show x", "drop x", "drop x --yes", "diff x", "diff history x"):
        assert refused(world, capfd, "replay", *words.split()).startswith("there is no replay x")
    for words in ("show ../x", "drop ../x --yes", "diff ../x", "run ../x --resume"):
        assert "is no name of a replay" in refused(world, capfd, "replay", *words.split())
    assert "--fail-on" in refused(world, capfd, "replay", "diff", "x", "--fail-on", "everything>1")
    assert refused(world, capfd, "replay", "diff", "history", "history")


def test_a_recovery_file_with_an_error(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    file = world.file("names.yaml", RECOVERY)
    for words in (("check",), ("try",), ("apply",), ("apply", "--yes")):
        said = refused(world, capfd, "deadletters", "repair", words[0], file, *words[1:])
        assert said == f"{file}:6:43: steps[0].when.fields has no field 'screen.widht'; did you mean screen.width?"
        missing = refused(world, capfd, "deadletters", "repair", words[0], f"{file}.no", *words[1:])
        assert missing.startswith(f"{file}.no cannot be read: ")


def test_redrives_of_what_is_not_meant_or_not_there(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        ("", "say which dead letters are meant"),
        ("events.raw/0", "events.raw/0"),
        ("--reason internal.bgu", "'internal.bgu' is no reason"),
        ("--cluster zz", "'zz' is no cluster"),
        ("--cluster 0123456789", "0123456789"),
        ("--reason sink. --reason internal.bug", "rows for sinks are redriven alone"),
        ("--resume 6f0c7a51-3f1b-4a55-8a41-7f6f0b8d9c11", "there is no redrive 6f0c7a51-3f1b-4a55-8a41-7f6f0b8d9c11"),
        ("--resume ../x", "'../x' is no id of a redrive"),
        ("--since 1h --until 2h", "is not before"),
    ):
        assert said in refused(world, capfd, "deadletters", "redrive", *words.split(), "--yes"), words


@pytest.mark.parametrize("store", ["kafka", "clickhouse", "redis"])
def test_a_store_that_is_away(
    world: World, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    gone = f"127.0.0.1:{free_port(set())}"
    variable, value, called = {
        "kafka": ("CLICKGOOSE_KAFKA__BOOTSTRAP", gone, "Kafka"),
        "clickhouse": ("CLICKGOOSE_CLICKHOUSE__URL", f"clickhouse://default:secret@{gone}/default", "ClickHouse"),
        "redis": ("CLICKGOOSE_REDIS__URL", f"redis://:secret@{gone}/0", "Redis"),
    }[store]
    monkeypatch.setenv(variable, value)
    for place in ("infra.topics._SECONDS", "infra.replay_stores._SECONDS", "infra.topic_reader._SECONDS"):
        monkeypatch.setattr(place, 0.5)
    run = ["replay run x --plan " + world.plan_of()]
    plans = ["replay plan x --offsets 0:5-9"]
    good = world.file("good.yaml", RECOVERY.replace("widht", "width"))
    letters = ["deadletters redrive --reason internal.bug --late --yes"]
    sinks = ["deadletters redrive --reason sink. --yes"]
    letters += [f"deadletters repair {one} {good}" for one in ("try", "apply", "apply --yes")]
    asks = {"kafka": plans + run + letters[:1] + sinks, "clickhouse": plans + run + letters, "redis": run}[store]
    for words in asks:
        said = refused(world, capfd, *words.split())
        assert (called in said or gone in said) and "secret" not in said, said
