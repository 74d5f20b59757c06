"""``clickgoose replay diff``: its conditions, what it refuses, and which rows two sides have in common."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from infra.cli import replay_diff
from infra.replay_diff_clickhouse import DiffError
from infra.replay_diff_sides import Side, Sides, common, sides_of
from replay.diff import Differences
from replay.diff_gate import MEASURES, Condition, ConditionError, failures
from replay.plan import Piece, Plan, Selection, Start


def figures(**events: int) -> dict[str, Any]:
    """Return the JSON of a diff of nothing, with other counts of events."""
    found = Differences().as_json()
    found["events"] |= {"both": 200, **events}
    found["flips"]["flips"] = 3
    for key, name in (("a", "june"), ("b", "history")):
        found[key] |= {"name": name, "database": "db", "state": "done", "ran_with": None}
    return {**found, "verdict": "different", "notes": [], "examples": [], "reasons": {}, "range": {}}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("changed", True), ("changed>8", False), ("changed>7", True), ("changed>3.9%", True), ("changed>4%", False),
        ("flips>2", True), ("flips > 3", False), ("flips>1.4%", True), ("flips>1.5%", False), ("missing", False),
        ("score>0.5", False), ("letters", False),
    ],
)  # fmt: skip
def test_a_condition_holds_where_its_measure_is_greater(text: str, holds: bool) -> None:
    assert bool(failures(figures(changed=8), [Condition.read(text)])) == holds


def test_a_drop_is_what_b_had_more_and_without_labels_it_cannot_be_refuted() -> None:
    found = figures()
    drop = [Condition.read("recall-drop>1%")]
    assert "has no value" in failures(found, drop)[0][1] and not failures(found, drop, allow_missing=True)
    found["labelled"]["measures"] = {"recall_review": {"a": 0.80, "b": 0.82, "delta": -0.02}}
    assert failures(found, drop)[0][1] == "recall-drop is 2%, and must not be more than 1%"
    assert not failures(found, [Condition.read("recall-drop>0.03")])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flip", "'flip' is no measure of a diff; did you mean flips"),
        ("flips>=1", "is no condition: write a measure"),
        ("flips<1", "is no condition"),
        ("flips>-1", "is no condition"),
        ("", "is no condition"),
        ("flips>" + "9" * 100, "is no condition"),
        ("score>1%", "cannot be in percent"),
    ],
)
def test_what_is_no_condition_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ConditionError, match=said) as refused:
        Condition.read(text)
    assert "\n" not in str(refused.value)


def test_every_measure_has_a_value_in_the_figures_of_any_diff() -> None:
    for name in MEASURES:
        Condition.read(f"{name}>1").said(figures())
        assert str(Condition.read(f"{name}>1")) == f"{name}>1"


def run(*arguments: str, home: Path) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    replay_diff.register(app)
    known = {"CLICKGOOSE_HOME": str(home), "COLUMNS": "120"}
    return CliRunner().invoke(app, ["diff", *arguments, "--url", "clickhouse://a:b@127.0.0.1:1/x"], env=known)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("june", "--fail-on", "flip"), "--fail-on: 'flip' is no measure"),
        (("june",), "there is no replay june"),
        (("June!",), "'June!' is no name of a replay"),
        (("history",), "history cannot be compared with itself"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments, home=tmp_path)
    assert result.exit_code == 2 and said in result.stderr and result.stderr.count("\n") == 1, result.output


def test_conditions_that_hold_are_named_and_end_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.replay_diff_runs.sides_named", lambda a, b, **_: sides(a, b))
    monkeypatch.setattr("infra.replay_diff.diff", lambda *_, **__: figures(changed=8))
    result = run(
        "june", "--fail-on", "changed", "--fail-on", "flips>10", "--fail-on", "flips>1%", "--json", home=tmp_path
    )
    assert result.exit_code == 1
    said = [line.partition(":")[0] for line in result.stderr.splitlines()]
    assert said == ["fail-on changed", "fail-on flips>1%"]
    assert [one["condition"] for one in json.loads(result.stdout)["gate"]["failed"]] == ["changed", "flips>1%"]
    text = run("june", "--fail-on", "flips>10", home=tmp_path)
    assert text.exit_code == 0 and "june and history differ" in text.stdout


def plan(*pieces: Piece, selection: Selection | None = None, topic: str = "events.raw") -> Plan:
    return Plan("june", topic, Start.SEALED, (), pieces, selection or Selection())


def sides(a: str = "june", b: str = "history") -> Sides:
    return sides_of(Side(a, "x", "done", plan(Piece(0, 0, 9))), Side(b, "y"), "y")


def test_two_runs_are_compared_over_what_both_ran() -> None:
    first, second = (Piece(0, 0, 10), Piece(0, 10, 20), Piece(1, 5, 9)), (Piece(0, 8, 30), Piece(2, 0, 5))
    assert common(first, second) == (Piece(0, 8, 20),)
    found = sides_of(Side("a", "x", "done", plan(*first)), Side("b", "y", "done", plan(*second)), "live")
    assert found.chosen.pieces == (Piece(0, 8, 20),) and "different ranges" in found.notes[0]


def test_sides_without_anything_in_common_are_refused() -> None:
    a = Side("a", "x", "done", plan(Piece(0, 0, 10), selection=Selection(merchants=("shop",))))
    with pytest.raises(DiffError, match="no offsets in common"):
        sides_of(a, Side("b", "y", "done", plan(Piece(0, 10, 20))), "live")
    with pytest.raises(DiffError, match="no merchants in common"):
        sides_of(a, Side("b", "y", "done", plan(Piece(0, 0, 9), selection=Selection(merchants=("other",)))), "live")
    with pytest.raises(DiffError, match="different topics"):
        sides_of(a, Side("b", "y", "done", plan(Piece(0, 0, 9), topic="other")), "live")
