"""``clickgoose deadletters``: wrong use is one sentence and exit code 2, before anything is read or changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from infra.cli import deadletters
from infra.cli.deadletters_tables import day_before, growth
from infra.letter_states import Move
from infra.letter_stats import Count
from schemas.letter_state import LetterState
from tests.wire import CANARY_EMAIL

app = typer.Typer()
deadletters.register(app)
NOWHERE = "clickhouse://default:hunter2@127.0.0.1:1/letters"
NOTE = ("--note", "why")


def run(tmp_path: Path, *words: str, url: str | None = NOWHERE) -> tuple[int, str, str]:
    env = {"CLICKGOOSE_HOME": str(tmp_path), "CLICKGOOSE_CLICKHOUSE__URL": url}
    result = CliRunner().invoke(app, ["deadletters", *words], env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "--reason", "mask.emial"], "'mask.emial' is no reason"),
        (["list", "--reason", "email"], "did you mean mask.email?"),
        (["list", "--reason", "nosuch."], "is no reason, nor the beginning of one"),
        (["list", "--state", "open"], "'open' is no state: give new, fixed, redriven, resolved"),
        (["list", "--since", "yesterday"], "is no time"),
        (["list", "--since", "1h", "--until", "2h"], "--since 1h is not before --until 2h"),
        (["list", "--event", "17"], "is no event id"),
        (["list", "--cluster", "xyz"], "is no cluster"),
        (["list", "--cursor", "5"], "is no cursor"),
        (["stats", "--by", "colour"], "--by colour is none of reason, stage"),
        (["show", "events.raw/1"], "is no address of a dead letter"),
        (["show", "F" * 32], "is no address of a dead letter"),
        (["export", "x.jsonl", "--format", "xml"], "--format xml is none"),
        (["resolve", *NOTE], "say which dead letters are meant"),
        (["resolve", "--all", "--note", " "], "the note is empty"),
        (["resolve", "--all", "--note", f"ask {CANARY_EMAIL}"], "personal data (mask.email)"),
        (["fixed", "--address", "events.raw", *NOTE], "is no address of a dead letter"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(tmp_path: Path, words: list[str], said: str) -> None:
    code, out, err = run(tmp_path, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert CANARY_EMAIL not in err


@pytest.mark.parametrize(
    "words",
    [["stats", "--backup", "none"], ["list"], ["show", "events.raw/0/1"], ["export", "x"], ["resolve", "--all", *NOTE]],
)
def test_a_database_that_is_away_or_not_named_is_one_sentence_without_its_password(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url in (NOWHERE, None):
        code, out, err = run(tmp_path, *words, url=url)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "hunter2" not in err
    assert "run `clickgoose up`" in err
    assert not list(tmp_path.iterdir())


def test_a_change_needs_a_note(tmp_path: Path) -> None:
    code, _, err = run(tmp_path, "resolve", "--all")
    assert code == 2
    assert "--note" in err


def test_growth_compares_the_last_day_with_the_one_before() -> None:
    assert [growth(Count(9, 0, 0, *days)) for days in ((15, 10), (5, 10), (10, 10), (4, 0), (0, 0), (0, 4))] == [
        "+50%", "-50%", "+0%", "new", "-", "-100%"
    ]  # fmt: skip


def test_a_day_is_compared_with_the_day_before_it_even_where_that_had_none() -> None:
    counts = {
        day: Count(letters, 0, 0, 0, 0) for day, letters in (("2026-03-01", 7), ("2026-02-28", 3), ("2026-02-26", 1))
    }
    assert day_before(counts) == {"2026-03-01": 3, "2026-02-28": 0, "2026-02-26": 0}


def test_a_move_without_a_reason_is_refused_wherever_it_is_made() -> None:
    with pytest.raises(ValueError, match="the note is empty"):
        Move(LetterState.RESOLVED, "ann", "")
