"""``clickgoose lists`` against a real Valkey and a real ClickHouse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from infra.cli import app
from infra.list_work import Importing
from tests.migrated import migrate
from tests.stack_fixture import Namespace

WHY = ["--reason", "chargeback", "--author", "ann"]
CARDS = ["--kind", "card", "--merchant", "shop"]


class Commands:
    """Runs commands on a test's own table and a Redis database of its own."""

    def __init__(self, namespace: Namespace) -> None:
        base = namespace.stack.redis_url.rpartition("/")[0]
        self.environment = {
            "CLICKGOOSE_REDIS__URL": f"{base}/7",
            "CLICKGOOSE_CLICKHOUSE__URL": namespace.clickhouse_url,
            "COLUMNS": "200",
        }
        self.redis = Redis.from_url(self.environment["CLICKGOOSE_REDIS__URL"])

    def __call__(self, *words: str, stdin: str | None = None) -> Result:
        """Run one command."""
        return CliRunner().invoke(app, ["lists", *words], env=self.environment, input=stdin)

    def said(self, *words: str, exit_code: int = 0) -> Any:
        """Run one with --json and return what it said."""
        result = self(*words, "--json")
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout)


@pytest.fixture
def lists(namespace: Namespace) -> Iterator[Commands]:
    """Return what runs commands."""
    migrate(namespace.clickhouse_url)
    commands = Commands(namespace)
    commands.redis.flushdb()
    yield commands
    commands.redis.flushdb()
    commands.redis.close()


def test_entries_are_added_shown_removed_and_told_of(lists: Commands) -> None:
    assert lists("add", "bad", "tok_1", *CARDS, *WHY).exit_code == 2  # what does a new list do?
    added = lists.said("add", "bad", "tok_1", "tok_2", " tok_1", "--mode", "deny", *CARDS, *WHY)
    assert added == {"done": {"added": 2, "renewed": 1}, "refused": []}
    assert lists("add", "bad", "tok_3", "--mode", "allow", *CARDS, *WHY).exit_code == 2
    piped = lists("add", "vips", "-", "--kind", "account", "--mode", "allow", "--everyone", *WHY, stdin="a\n\nb\n")
    assert piped.exit_code == 0 and "2 added" in piped.stdout
    assert lists.said("remove", "bad", "tok_2", "nobody", *CARDS, *WHY)["done"] == {"removed": 1, "absent": 1}
    assert lists.said("add", "bad", "x" * 300, *CARDS, *WHY, exit_code=1)["refused"] == [
        {"value": 1, "reason": "bad_value"}
    ]
    assert lists.said("show")["lists"] == [
        {"merchant": "", "mode": "allow", "name": "vips", "entries": 2},
        {"merchant": "shop", "mode": "deny", "name": "bad", "entries": 1},
    ]
    one, two = lists.said("show", "bad", "tok_1", "tok_2", *CARDS)["values"]
    assert (one["listed"], one["until"], one["author"], one["reason"]) == (True, "never", "ann", "chargeback")
    assert (two["listed"], two["until"]) == (False, "")
    life = lists.said("history", "bad", "tok_2", *CARDS)["changes"]
    assert [(one["action"], one["until"], one["before"]) for one in life] == [
        ("add", "never", "not there"),
        ("remove", "not there", "never"),
    ]
    assert lists("history", "bad", "unknown", *CARDS).exit_code == 1


def test_snoozes_have_an_end(lists: Commands) -> None:
    assert lists("snooze", "many-cards", "c1", "--kind", "account", "--merchant", "shop", *WHY).exit_code == 2
    snoozed = ["many-cards", "c1", "--kind", "account", "--merchant", "shop", *WHY]
    assert lists.said("snooze", *snoozed, "--for", "14d")["done"] == {"added": 1}
    assert lists.said("snooze", *snoozed, "--for", "400d", exit_code=1)["refused"] == [
        {"value": 1, "reason": "too_far"}
    ]
    assert lists.said("unsnooze", *snoozed)["done"] == {"removed": 1}
    life = lists.said("history", "many-cards", "c1", "--snooze", "--kind", "account", "--merchant", "shop")["changes"]
    assert [one["action"] for one in life] == ["add", "remove"]


@pytest.mark.parametrize(
    "words",
    [
        ["add", "bad", "1", "--kind", "card", "--mode", "deny", *WHY],
        ["add", "bad", "1", *CARDS, "--everyone", "--mode", "deny", *WHY],
        ["add", "bad", "1", *CARDS, "--mode", "block", *WHY],
        ["add", "bad", "1", *CARDS, "--mode", "deny", "--for", "soon", *WHY],
        ["add", "bad", "1", *CARDS, "--mode", "deny"],
        ["show", "none", "1", *CARDS],
        ["import", "bad", "/nowhere/cards.txt", *CARDS, "--mode", "deny", *WHY],
    ],
)
def test_wrong_use_is_told_and_changes_nothing(lists: Commands, words: list[str]) -> None:
    result = lists(*words)
    assert result.exit_code == 2 and result.stderr
    assert lists.said("show")["lists"] == []


def test_a_file_is_imported_and_goes_on_where_it_stopped(
    lists: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.list_work.ROWS_AT_ONCE", 100)
    file = tmp_path / "cards.txt"
    rows = [f"tok_{number}" for number in range(450)]
    rows[7], rows[444] = "x" * 300, "y" * 300
    file.write_text("\n".join(rows) + "\n")
    words = ["bad", str(file), "--mode", "deny", *CARDS, *WHY]
    asked = []

    real = Importing.note

    def stopped(self: Importing, line: int) -> None:
        real(self, line)
        asked.append(line)
        if len(asked) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr(Importing, "note", stopped)
        result = lists("import", *words)
        assert result.exit_code == 1 and "goes on where it was" in result.stderr
    went_on = lists.said("import", *words, exit_code=1)
    assert went_on == {"after_line": 300, "lines": 150, "refused": [{"line": 445, "reason": "bad_value"}]}
    assert lists.said("show")["lists"][0]["entries"] == 448
    assert list(tmp_path.iterdir()) == [file]
    again = lists("import", *words)
    assert again.exit_code == 1 and "line 8 is refused: bad_value" in again.stderr and "x" * 300 not in again.output


def test_a_csv_says_kind_end_and_reason_of_each_row(lists: Commands, tmp_path: Path) -> None:
    file = tmp_path / "mixed.csv"
    file.write_text("value,kind,until,reason\ntok_1,card,2100-01-01T00:00:00Z,sold\nc1,account,,\n,card,,\n\udcff,card,,\n",
                    errors="surrogateescape")  # fmt: skip
    words = ["bad", str(file), "--mode", "deny", "--merchant", "shop", *WHY]
    assert lists.said("import", *words, exit_code=1)["refused"] == [
        {"line": 4, "reason": "bad_value"},
        {"line": 5, "reason": "bad_value"},
    ]
    (card,) = lists.said("show", "bad", "tok_1", *CARDS)["values"]
    assert (card["until"], card["reason"]) == ("2100-01-01T00:00:00+00:00", "sold")
    file.write_text("card,kind\n1,card\n")
    assert lists("import", *words).exit_code == 2


def test_redis_is_made_again_from_clickhouse_and_both_are_compared(lists: Commands) -> None:
    lists.said("add", "bad", *(f"tok_{number}" for number in range(40)), "--mode", "deny", *CARDS, *WHY)
    lists.said("remove", "bad", "tok_3", *CARDS, *WHY)
    assert lists("verify").exit_code == 0
    lists.redis.flushdb()
    assert lists("verify").exit_code == 1
    proof = lists.said("restore")
    assert (proof["entries"], proof["brought"], proof["removed"], proof["good"]) == (39, 40, 0, True)
    assert [(one["truth"], one["copy"]) for one in proof["lists"]] == [(39, 39)]
    assert lists.said("restore")["brought"] == 0
    bucket = next(key for key in lists.redis.scan_iter("l:*:[0-3][0-9a-f]"))
    kept: Any = lists.redis.hgetall(bucket)
    (field, value), *_ = kept.items()
    lists.redis.hset(bucket, field[:9] + bytes(15), value[:8] + bytes(7) + b"\x01")
    assert lists.said("verify", exit_code=1)["lists"][0]["extra"] == 1
    assert lists.said("restore")["removed"] == 1
    assert lists.said("verify")["good"] is True


def test_a_store_that_is_away_is_told_with_exit_code_1(lists: Commands) -> None:
    lists.environment["CLICKGOOSE_REDIS__URL"] = "redis://:secret@127.0.0.1:9/0"
    result = lists("show")
    assert result.exit_code == 1 and "secret" not in result.output and "run the same command again" in result.stderr
