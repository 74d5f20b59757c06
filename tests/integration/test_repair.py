"""Recovery files on the real ClickHouse engine: what is repaired, what stands, what a redrive reads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import typer
from typer.testing import CliRunner, Result

from flows.sinks.clickhouse import ClickHouse
from flows.sinks.tables import letter_columns
from infra.cli import deadletters
from infra.dead_letters import DeadLetters, Filter
from infra.letter_repairs import Applied, FileText, Repair, let_stand, repaired, write_file, write_repairs
from infra.letter_states import Move, move
from schemas.dead_letter import DeadLetter, Reason
from schemas.letter_state import LetterAddress, LetterState
from schemas.sealed import seal
from tests.migrated import migrate
from tests.stack_fixture import Namespace
from tests.wire import BAD, RING, digest, enveloped, header, payload, record, with_plaintext
from tests.wire import NOW as NOW_SENT

pytestmark = pytest.mark.stack
NOW = int(time.time() * 1000)
FILE = "f" * 64
app = typer.Typer()
deadletters.register(app)


def letter(row: int, reason: Reason = Reason.UNKNOWN_KEY, stage: str = "decode", **changes: Any) -> DeadLetter:
    given: dict[str, Any] = {
        "reason": reason, "stage": stage, "detail": "why", "topic": "events.raw", "partition": row % 2, "offset": row,
        "received_at": NOW, "first_failed_at": NOW, "payload": record(row), "payload_format": "envelope",
        "payload_sha256": f"{row:064x}", "event_id": f"{row:032x}", "merchant": "shop",
    }  # fmt: skip
    return DeadLetter(**(given | changes))


def address(row: int, stage: str = "decode") -> LetterAddress:
    return LetterAddress("events.raw", row % 2, row, stage)


@pytest.fixture
def store(namespace: Namespace) -> Any:
    migrate(namespace.clickhouse_url)
    write(namespace.clickhouse_url, [letter(row) for row in range(6)])
    with DeadLetters(namespace.clickhouse_url) as opened:
        yield opened


def write(url: str, letters: list[DeadLetter]) -> None:
    there = ClickHouse(url)
    there.insert({"dead_letters": letter_columns(letters)})
    there.close()


def applied(who: str = "me@here") -> Applied:
    return Applied(uuid4(), who, FILE)


def test_a_repair_stands_from_when_its_letter_is_fixed_by_the_same_command(store: DeadLetters) -> None:
    command = applied()
    payload = bytes(range(256))
    write_repairs(store, command, [Repair(address(1), payload, True, 1), Repair(address(2), b"two", False, 1)])
    asked = [address(row) for row in range(4)]
    assert repaired(store, asked) == {}  # what a killed command leaves behind
    assert let_stand(store, command, "recovery file ffff") == 2
    found = repaired(store, asked)
    assert {one: (made.payload, made.counts_unchanged, made.file, made.who) for one, made in found.items()} == {
        address(1): (payload, True, FILE, "me@here"),
        address(2): (b"two", False, FILE, "me@here"),
    }
    assert repaired(store, []) == {} == repaired(store, [address(1, "score")])
    assert store.count(Filter(states=(LetterState.FIXED,))) == 2


def test_only_new_letters_become_fixed_and_a_reopened_one_waits_for_its_next_repair(store: DeadLetters) -> None:
    move(store, Filter(addresses=(address(0),)), Move(LetterState.RESOLVED, "me", "closed"))
    first, second = applied(), applied()
    write_repairs(store, first, [Repair(address(row), b"first", True, 1) for row in range(2)])
    assert let_stand(store, first, "first") == 1
    assert list(repaired(store, [address(0), address(1)])) == [address(1)]
    move(store, Filter(addresses=(address(1),)), Move(LetterState.NEW, "me", "the fix was none"))
    move(store, Filter(addresses=(address(1),)), Move(LetterState.FIXED, "me", "fixed by hand"))
    assert repaired(store, [address(1)]) == {}  # as it was received
    move(store, Filter(addresses=(address(1),)), Move(LetterState.NEW, "me", "no"))
    write_repairs(store, second, [Repair(address(1), b"second", True, 1)])
    assert let_stand(store, second, "second") == 1
    assert repaired(store, [address(1)])[address(1)].payload == b"second"


def test_a_file_is_kept_once_and_many_addresses_are_asked_in_parts(store: DeadLetters) -> None:
    kept = FileText(FILE, "names", "me", "why", "the text\n")
    write_file(store, kept)
    write_file(store, kept)
    assert store.execute("SELECT file, name, author, why, text FROM recovery_files") == [tuple(kept)]
    command = applied()
    write_repairs(store, command, [Repair(address(row), b"%d" % row, True, 1) for row in range(6)])
    let_stand(store, command, "all")
    asked = [address(row) for row in range(2_500)]
    assert {one.offset: made.payload for one, made in repaired(store, asked).items()} == {
        row: b"%d" % row for row in range(6)
    }


KEY_NAME = """
name: key-names
author: Anna
why: the agent named a key that nobody has
steps:
  - when: {reason: decode.unknown_key, fields: {header.key_id: {equals: 77}}}
    do: [{re-key: {key_id: 2}}]
  - when: {reason: [normalize., internal.bug], fields: {screen.width: {range: [1, 100]}}}
    do: [{cast: {field: screen.width, to: milliseconds}}]
  - when: {reason: decode.bad_nested}
    do: [{remove: {unknown_signals: true}}]
  - when: {reason: mask.}
    do: [{remove: {field: page.title}}]
"""


def wrongly_named(row: int) -> bytes:
    """Return an event that was sealed with key 2 under a header that names 77."""
    head = header(row, key_id=77)
    key = RING.derive(2, head.session_id, "seal")
    assert key is not None
    return enveloped(row, seal(head, payload({"storage.quota": 5000 + row}), key, digest("nonce", row)[:12]))


def mixed() -> list[DeadLetter]:
    """Two of each fate: recovered, failing again, unrecoverable, and such that no step is for."""
    unknown = [letter(row, payload=wrongly_named(row), received_at=NOW_SENT + row) for row in (0, 1)]
    gone = [letter(row, payload=BAD[Reason.UNKNOWN_KEY](row)) for row in (2, 3)]
    bug = letter(4, Reason.BUG, "score", payload=record(4, {"screen.width": 1.5}))
    fine = letter(5, Reason.BUG, "score", payload=record(5))
    nested = letter(6, Reason.BAD_NESTED, payload=BAD[Reason.BAD_NESTED](6))
    broken = with_plaintext(7, b"\x03" + json.dumps({"signals": {"screen.width": "wide", "no.such": 1}}).encode())
    still = letter(7, Reason.BAD_NESTED, payload=broken)
    leak = letter(8, Reason.EMAIL, "verify_mask", payload=b"{}", payload_format="redacted")
    copy = letter(9, payload=wrongly_named(0))
    other = letter(10, Reason.BAD_LAYOUT, payload=BAD[Reason.BAD_LAYOUT](10))
    return [*unknown, *gone, bug, fine, nested, still, leak, copy, other]


@pytest.fixture
def tables(namespace: Namespace) -> Namespace:
    migrate(namespace.clickhouse_url)
    write(namespace.clickhouse_url, mixed())
    return namespace


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "names.yaml"
    path.write_text(KEY_NAME)
    return path


def run(tables: Namespace, *words: str) -> Result:
    masters = json.dumps({number: key.hex() for number, key in RING.masters.items()})
    env = {
        "CLICKGOOSE_HOME": "/nonexistent",
        "CLICKGOOSE_CLICKHOUSE__URL": tables.clickhouse_url,
        "CLICKGOOSE_MASTER_KEYS": masters,
    }
    result = CliRunner().invoke(app, ["deadletters", "repair", *words], env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_file_is_tried_then_applied_and_what_it_recovered_waits_for_a_redrive(tables: Namespace, file: Path) -> None:
    tried = run(tables, "try", str(file), "--json")
    assert tried.exit_code == 1, tried.output
    told = json.loads(tried.stdout)
    assert (told["looked_at"], told["recovered"]["letters"], told["not_matched"]["letters"]) == (11, 4, 2)
    assert {why: found["letters"] for why, found in told["failed"]["by"].items()} == {
        "decode.bad_nested: nested event: screen.width must be a number": 1,
        "a letter before it has the same event id": 1,
    }
    unrecoverable = {why: found["letters"] for why, found in told["unrecoverable"]["by"].items()}
    assert unrecoverable == {
        "it does not authenticate: altered, or sealed with another key": 2,
        "its payload was redacted, and neither the clear header nor what was taken out is kept": 1,
    }
    with DeadLetters(tables.clickhouse_url) as store:
        assert store.count(Filter(states=(LetterState.NEW,))) == 11  # nothing was written
        dry = run(tables, "apply", str(file))
        assert "4 would be marked as fixed: give --yes to do it" in dry.stdout
        assert store.execute("SELECT count() FROM dead_letter_repairs")[0][0] == 0

        done = run(tables, "apply", str(file), "--yes", "--who", "anna@shop", "--json")
        assert (json.loads(done.stdout)["fixed"], done.exit_code) == (4, 1)
        every = [one.address for one, _ in store.all(Filter())]
        found = repaired(store, every)
        assert [made.counts_unchanged for made in found.values()] == [False] * 4  # none was counted as it is now
        assert set(found) >= {address(1), address(4, "score"), address(6)}
        assert {made.who for made in found.values()} == {"anna@shop"}
        assert store.execute("SELECT name, author, text FROM recovery_files") == [("key-names", "Anna", KEY_NAME)]
        ((note,),) = store.execute("SELECT DISTINCT note FROM dead_letter_states")
        assert note == f"repaired by recovery file {found[address(1)].file} (key-names)"

        at, digest_of_file = str(address(1)), found[address(1)].file
        shown = CliRunner().invoke(app, ["deadletters", "show", at, "--url", tables.clickhouse_url, "--json"])
        repair = json.loads(shown.stdout)["letters"][0]["repair"]
        assert (repair["recovery_file"], repair["who"]) == (digest_of_file, "anna@shop")
        text = CliRunner().invoke(app, ["deadletters", "show", at, "--url", tables.clickhouse_url]).stdout
        assert f"repair  by recovery file {digest_of_file}, anna@shop, " in text

        again = json.loads(run(tables, "apply", str(file), "--yes", "--json").stdout)
        assert (again["fixed"], again["looked_at"]) == (1, 7)  # the copy is recovered by itself, the rest stays new
        assert json.loads(run(tables, "apply", str(file), "--yes", "--json").stdout)["fixed"] == 0


_KILLED_BEFORE_IT_STANDS = """
import os, signal
from infra import letter_repairs

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

letter_repairs.let_stand = die
from infra.cli import app
app()
"""


def test_what_a_killed_command_wrote_stands_for_nothing_and_it_is_applied_again(tables: Namespace, file: Path) -> None:
    masters = json.dumps({number: key.hex() for number, key in RING.masters.items()})
    env = {**os.environ, "CLICKGOOSE_HOME": "/nonexistent", "CLICKGOOSE_MASTER_KEYS": masters}
    env["CLICKGOOSE_CLICKHOUSE__URL"] = tables.clickhouse_url
    words = ("deadletters", "repair", "apply", str(file), "--yes")
    killed = subprocess.run([sys.executable, "-c", _KILLED_BEFORE_IT_STANDS, *words], env=env, check=False)
    assert killed.returncode == -signal.SIGKILL
    with DeadLetters(tables.clickhouse_url) as store:
        assert store.execute("SELECT count() FROM dead_letter_repairs")[0][0] == 4  # the payload rows are there
        every = [one.address for one, _ in store.all(Filter())]
        assert repaired(store, every) == {}
        assert store.count(Filter(states=(LetterState.NEW,))) == len(every) == 11
        assert json.loads(run(tables, "apply", str(file), "--yes", "--json").stdout)["fixed"] == 4
        assert len(repaired(store, every)) == 4


def test_filters_and_a_limit_say_which_letters_are_looked_at(tables: Namespace, file: Path) -> None:
    told = json.loads(run(tables, "try", str(file), "--reason", "internal.bug", "--json").stdout)
    assert (told["looked_at"], told["recovered"]["letters"], told["not_matched"]["letters"]) == (2, 1, 1)
    assert json.loads(run(tables, "try", str(file), "--limit", "3", "--json").stdout)["looked_at"] == 3
    shown = run(tables, "try", str(file), "--reason", "internal.bug")
    assert "recovered" in shown.stdout and "events.raw/0/4/score" in shown.stdout


@pytest.mark.parametrize("words", [("check",), ("try",), ("apply", "--yes")])
def test_a_file_with_an_error_writes_nothing_and_says_where_it_is(
    tables: Namespace, file: Path, words: tuple[str, ...]
) -> None:
    file.write_text(KEY_NAME.replace("screen.width: {range", "screen.widht: {range"))
    result = run(tables, words[0], str(file), *words[1:])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"{file}:8:57: steps[1].when.fields has no field 'screen.widht'; did you mean screen.width?\n"
    )
    with DeadLetters(tables.clickhouse_url) as store:
        assert store.execute("SELECT count() FROM dead_letter_repairs")[0][0] == 0
        assert store.count(Filter(states=(LetterState.NEW,))) == 11
    missing = run(tables, words[0], str(file.with_name("none.yaml")), *words[1:])
    assert (missing.exit_code, missing.stderr.count("\n")) == (2, 1)
