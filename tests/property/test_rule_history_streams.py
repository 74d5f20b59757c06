"""Catalogues that share a set in the store, and questions that were compiled, against every query made anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hiredis
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from redis import Redis

from flows.lookups.rule_history import RuleHistory
from scoring.rules.answers import Found, Query, Unanswered
from scoring.rules.evaluate import Engine, Happening
from scoring.rules.history import HistoryLimits, Step, Written, plan_writes
from scoring.rules.memory_history import MemoryHistory
from scoring.rules.recall import NOT_ASKED
from scoring.rules.ruleset import Rulebook
from tests.rule_history_kit import KEYS
from tests.rules_kit import NOON, ruleset
from tests.valkey_part import Valkey

FUNCTIONS = ("count", "sum", "min", "max", "avg", "distinct", "last", "since")
LIMITS = HistoryLimits(members=1_000, late_ms=3_600_000)
CATALOGUES: dict[str, dict[str, Any]] = {
    "orders": {"event_types": ["payment"], "entity": ".entities.user", "window": "2h"},
    "amounts": {"event_types": ["payment"], "entity": ".entities.user", "value": ".data.amount", "window": "2h"},
    "places": {"event_types": ["payment"], "entity": ".entities.user", "value": ".data.country", "window": "2h"},
    "cards": {"event_types": ["payment"], "entity": ".entities.user", "dedupe": ".data.card", "window": "2h"},
    "by_card": {
        "event_types": ["payment"], "entity": ".entities.user", "dedupe": ".data.card", "value": ".data.amount",
        "window": "2h",
    },
    "dated": {
        "event_types": ["payment"], "entity": ".entities.user", "value": ".data.amount", "time": ".data.at",
        "window": "2h",
    },
    "of_device": {"event_types": ["payment"], "entity": ".entities.device", "value": ".data.country", "window": "2h"},
}  # fmt: skip
EVENTS = st.fixed_dictionaries(
    {
        "entities": st.fixed_dictionaries(
            {}, optional={"user": st.sampled_from(["u1", "u1", "u2", True]), "device": st.just("u1")}
        ),
        "data": st.fixed_dictionaries(
            {},
            optional={
                "amount": st.sampled_from([0, 1, 2.5, -3, "many", True, [1]]),
                "country": st.sampled_from(["ID", "SG", "", 1]),
                "card": st.sampled_from(["c1", "c2"]),
                "at": st.sampled_from([NOON, NOON - 60_000, "yesterday"]),
            },
        ),
    }
)  # fmt: skip
STEPS = st.lists(st.tuples(EVENTS, st.sampled_from([0, 1, 600_000, -60_000]), st.booleans()), min_size=1, max_size=12)


@st.composite
def questions(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return operands: any function of any catalogue that is allowed, over a short or a long window."""
    found = []
    for _ in range(draw(st.integers(1, 12))):
        name = draw(st.sampled_from(list(CATALOGUES)))
        valued = "value" in CATALOGUES[name]
        function = draw(st.sampled_from(FUNCTIONS if valued else ("count", "since", "count")))
        asked: dict[str, Any] = {function: name, "over": draw(st.sampled_from(["10m", "1h", "2h"]))}
        if draw(st.integers(0, 3)) == 0:
            asked["include_self"] = True
        asked |= {"last": {"exists": True}, "since": {"lt": "1m"}}.get(function, {"gt": 0})
        found.append(asked)
    return found


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with Valkey(tmp_path_factory.mktemp("valkey"), appendonly="no") as server, server.client() as one:
        yield one


def engine_of(asked: list[dict[str, Any]]) -> Engine:
    rules = [{"id": f"rule-{number}", "when": operand, "actions": ["review"]} for number, operand in enumerate(asked)]
    return Engine(Rulebook(ruleset({"catalogues": CATALOGUES, "rules": rules})))


def value_of(found: Found | Unanswered) -> Any:
    return found.value if isinstance(found, Found) else NOT_ASKED


@given(questions(), STEPS)
@settings(max_examples=60, deadline=None)
def test_what_is_compiled_answers_as_memory_does(client: Redis, asked: list[dict[str, Any]], steps: Any) -> None:
    client.flushdb()
    engine, store, memory = engine_of(asked), RuleHistory(client, KEYS, LIMITS), MemoryHistory(LIMITS, KEYS)
    at, event_id, event = NOON, "", {}
    for number, (another, later, again) in enumerate(steps):
        if not (again and event_id):
            at, event_id, event = at + later, f"event {number}", another
        plan = engine.plan("shop", Happening(event, "payment", event_id, at))
        expected = memory.read("shop", plan.queries)
        assert store.read("shop", plan.queries) == expected
        recalled = store.recall(plan.recall(KEYS, "shop"))
        assert not isinstance(recalled, Unanswered)
        view, program = plan._view, engine.program("shop", "payment")
        made = [view.query(one.operand) for one in program.history]
        assert list(recalled) == [value_of(expected[one]) if isinstance(one, Query) else one for one in made]
        became = dict(zip((one.catalogue.id for one in plan.writes), memory.write("shop", plan.writes), strict=True))
        if number % 2:
            remembering = plan.remember(KEYS, "shop", LIMITS, at + 3_600_000)
            assert remembering.unfit == plan.unwritten
            assert not remembering.ahead
            assert sorted(remembering.catalogues) == sorted(became)
            expected_status = {name: how for name, how in became.items() if how is not Written.COUNTED}
            assert store.remember(remembering) == expected_status
        else:
            written = store.exchange([Step("shop", (), plan.writes)])
            assert isinstance(written, list)
            assert list(written[0].written) == list(became.values())


def sent(command: Any) -> bytes:
    """Return a command as it is sent."""
    return command if isinstance(command, bytes) else hiredis.pack_command(command)


def parts_of(commands: tuple[tuple[Any, ...], ...]) -> list[tuple[bytes, tuple[Any, ...]]]:
    """Return keys with what the script is told of each."""
    found = []
    for _, _, count, *rest in commands:
        keys, told = rest[:count], rest[count:]
        found += [(key, tuple(told[6 * at : 6 * at + 6])) for at, key in enumerate(keys)]
    return sorted(found)


@given(STEPS, st.sampled_from([None, 1e300, 1e301, -0.0, 10**400, "x" * 256, "x" * 257, "\ud800"]))
@settings(max_examples=100, deadline=None)
def test_what_is_compiled_sends_the_bytes_of_single_writes(steps: Any, odd: Any) -> None:
    engine = engine_of([])
    for number, (event, _, _) in enumerate(steps):
        data = event["data"] if odd is None or number % 2 else event["data"] | {"amount": odd, "country": odd}
        plan = engine.plan("shop", Happening(event | {"data": data}, "payment", f"event {number}", NOON))
        compiled = plan.remember(KEYS, "shop", LIMITS, NOON)
        assert parts_of(compiled.commands) == parts_of(plan_writes(KEYS, LIMITS, "shop", plan.writes).commands)
        packed = plan.remember(KEYS, "shop", LIMITS, NOON, packed=True).commands
        assert list(map(sent, packed)) == list(map(sent, compiled.commands))
        asked, again = plan.recall(KEYS, "shop", packed=True).commands, plan.recall(KEYS, "shop").commands
        assert list(map(sent, asked)) == list(map(sent, again))
        assert sorted(compiled.catalogues) == sorted(write.catalogue.id for write in plan.writes)
        assert compiled.unfit == plan.unwritten


def test_nothing_is_written_of_a_time_that_lies_ahead() -> None:
    event = {"entities": {"user": "u1"}, "data": {"amount": 5, "at": NOON + 2}}
    plan = engine_of([]).plan("shop", Happening(event, "payment", "event", NOON))
    remembering = plan.remember(KEYS, "shop", LIMITS, NOON + 1)
    assert remembering.ahead == ["dated"]
    assert "dated" not in remembering.catalogues
    assert "amounts" in remembering.catalogues


PLAIN = {
    name: {"event_types": ["payment"], "entity": f".entities.{kind}", "window": "7d"} | value
    for name, kind, value in (
        ("users", "user", {}),
        ("amounts", "user", {"value": ".data.amount"}),
        ("cards", "card", {"value": ".data.country"}),
        ("devices", "device", {}),
    )
}
NAMES = st.sampled_from([None, "", "same", "other", "é", "x" * 256, "x" * 257, 7, True, ["same"]])


@given(
    st.fixed_dictionaries(dict.fromkeys(("user", "card", "device"), NAMES)),
    st.fixed_dictionaries(
        {"amount": st.sampled_from([None, 5, -0.5, "5", [5]]), "country": st.sampled_from([None, "NO"])}
    ),
    st.sampled_from([1, NOON, NOON + 1, 10**14 - 1]),
)
@example({"user": "same", "card": "x" * 257, "device": "other"}, {"amount": None, "country": None}, 1)
@settings(max_examples=150, deadline=None)
def test_sets_of_one_time_are_sent_packed_as_their_commands_say(entities: Any, data: Any, at: int) -> None:
    """Whoever is not there, is named twice or is no entity, and what is of a time that lies ahead, too."""
    asked = [{"count": "users", "gt": 0}, {"sum": "amounts", "gt": 0}, {"distinct": "cards", "gt": 0}]
    rules = [{"id": f"rule-{number}", "when": one, "actions": ["review"]} for number, one in enumerate(asked)]
    engine = Engine(Rulebook(ruleset({"catalogues": PLAIN, "rules": rules})))
    plan = engine.plan("shop", Happening({"entities": entities, "data": data}, "payment", "an event", at))
    packed, plain = (plan.remember(KEYS, "shop", LIMITS, NOON, packed=one) for one in (True, False))
    assert list(map(sent, packed.commands)) == list(map(sent, plain.commands))
    for name in ("catalogues", "unfit", "ahead"):
        assert list(getattr(packed, name)) == list(getattr(plain, name))
    odd = [[Written.REPEATED] * len(command_keys) for _, command_keys in _keys_of(plain.commands)]
    assert packed.read(odd) == plain.read(odd) == dict.fromkeys(plain.catalogues, Written.REPEATED)
    assert list(map(sent, plan.recall(KEYS, "shop", packed=True).commands)) == list(
        map(sent, plan.recall(KEYS, "shop").commands)
    )


def _keys_of(commands: Any) -> list[tuple[bytes, tuple[bytes, ...]]]:
    return [(command[1], tuple(command[3 : 3 + command[2]])) for command in commands]
