"""Answers that a generated function makes of a set's members, against each answer read by itself."""

from __future__ import annotations

from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_api.redis_replies import Gathering, Replies
from scoring.rules import recall
from scoring.rules.evaluate import Engine, Happening
from scoring.rules.history_keys import LAST_TIME
from scoring.rules.history_members import payload
from scoring.rules.history_sets import Reader
from scoring.rules.recall import Recalling
from scoring.rules.ruleset import Rulebook
from scoring.rules.selector_tokens import Fault
from tests.rule_history_kit import KEYS
from tests.rules_kit import NOON, ruleset

HOUR = 3_600_000
CATALOGUES: dict[str, dict[str, Any]] = {
    name: {"event_types": ["payment"], "entity": ".entities.user", "window": "2h"} | value
    for name, value in {
        "orders": {}, "amounts": {"value": ".data.amount"}, "places": {"value": ".data.place"},
        "items": {"value": ".data.items"},
    }.items()
}  # fmt: skip
OF_VALUES = ("count", "sum", "min", "max", "avg", "distinct", "last", "since")
ASKED = st.lists(
    st.tuples(
        st.sampled_from(list(CATALOGUES)), st.sampled_from(OF_VALUES), st.sampled_from(["10m", "1h", "2h"]),
        st.sampled_from([False, False, False, True]),
    ),
    min_size=1, max_size=14,
)  # fmt: skip
EDGES = (HOUR, 10**12 - 1, 10**12 + HOUR, 10**12 + 2 * HOUR, NOON, 10**13 - 1, 10**13, 10**13 + HOUR, LAST_TIME)
NUMBERS = st.sampled_from([0.0, 1.0, -2.5, 1e300, 0.1, 0.1, 7.0])
TEXTS = st.sampled_from(["", "ID", "SG", "Singapore", "ü" * 40])
SHAPES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {}, optional={"amounts": st.just(NUMBERS), "places": st.sampled_from([TEXTS, NUMBERS]), "items": st.just(TEXTS)}
)
BACK = st.sampled_from([-HOUR, -1, 0, 0, 1, 599_999, 600_000, 600_001, HOUR - 1, HOUR, 2 * HOUR - 1, 2 * HOUR])


@st.composite
def members(draw: st.DrawFn, names: dict[str, Any], at: int) -> list[tuple[int, bytes]]:
    """Return times and names of members, mostly of one shape; one may be the event's own."""
    shapes = draw(st.lists(SHAPES, min_size=1, max_size=2)) if draw(st.integers(0, 3)) == 0 else [draw(SHAPES)]
    found = {}
    for number in range(draw(st.integers(0, 9))):
        shape = draw(st.sampled_from(shapes))
        values = [(KEYS.slot("shop", names[one]), KEYS.value("shop", draw(some))) for one, some in shape.items()]
        event = "own" if draw(st.integers(0, 9)) == 0 else f"event {number}"
        found[event] = min(max(at - draw(BACK), 1), LAST_TIME), KEYS.id(event) + payload(values)
    floor = [(LAST_TIME + 1 + max(at - 2 * HOUR, 0), b"floor")] if draw(st.integers(0, 3)) == 0 else []
    return sorted(found.values()) + floor


def engine_of(asked: list[tuple[str, str, str, bool]]) -> Engine:
    rules = []
    for number, (name, function, over, includes) in enumerate(asked):
        known = function if "value" in CATALOGUES[name] or function == "since" else "count"
        ends: dict[str, dict[str, Any]] = {"last": {"exists": True}, "since": {"lt": "1m"}}
        then = ends.get(known, {"gt": 0})
        operand = {known: name, "over": over} | ({"include_self": True} if includes else {}) | then
        rules.append({"id": f"rule-{number}", "when": operand, "actions": ["review"]})
    return Engine(Rulebook(ruleset({"catalogues": CATALOGUES, "rules": rules})))


def plain(recalling: Recalling, replies: list[Any], at: int) -> list[Any]:
    """Return the answers, each read by itself."""
    found, first = list(recalling._found), 0
    for one, own, entity in recalling._waiting:
        seen = one.questions.seen(replies[first : first + one.questions.commands], at, own)
        first += one.questions.commands
        for number, included in enumerate(recalling._included(one, entity)):
            question, place = one.questions.asked[number], one.places[number]
            fault = isinstance(included, Fault)
            found[place] = included if fault else recalling._reader.value(seen, question, included)
    return found


def replies_to(commands: Any, members: list[tuple[int, bytes]], at: int, own: bytes, nested: bool) -> list[Any]:
    """Return what a store answers that has such members."""

    def between(low: Any, high: int) -> list[tuple[int, bytes]]:
        return [(time, name) for time, name in members if int(low[1:]) < time <= high]

    def written(some: list[tuple[int, bytes]]) -> list[Any]:
        if nested:
            return [[name, float(time)] for time, name in some]
        return [part for time, name in some for part in (name, b"%d" % time)]

    found: list[Any] = []
    for command in commands:
        if command[0] == b"ZRANGEBYSCORE":
            found.append(written(between(command[2], 2 * LAST_TIME + 2)))
        elif command[0] == b"ZCOUNT":
            found.append(len(between(command[2], command[3])))
        elif command[0] == b"ZREVRANGEBYSCORE":
            found.append(written(between(command[3], command[2])[::-1][:2]))
        elif command[0] == b"ZMSCORE":
            scores = {name[:16] if name != b"floor" else name: float(time) for time, name in members}
            found.append([scores.get(b"floor"), scores.get(own)])
    return [*[b"OK"] * (len(commands) - 1), found] if len(commands) > 1 else found


def compared(asked: list[tuple[str, str, str, bool]], at: int, data: st.DataObject) -> None:
    engine = engine_of(asked)
    event = {"entities": {"user": "u1"}, "data": data.draw(st.sampled_from([{}, {"amount": 3, "place": "ID"}]))}
    program = engine.program("shop", "payment")
    for _ in range(3):  # what was generated serves later events
        recalling = engine.plan("shop", Happening(event, "payment", "own", at)).recall(KEYS, "shop")
        kept = data.draw(members({one.name.id: one.name for one in program.written}, at))
        replies = replies_to(recalling.commands, kept, at, KEYS.id("own"), data.draw(st.booleans()))
        expected, found = plain(recalling, replies, at), recalling.read(replies)
        assert [(type(one), one) for one in found] == [(type(one), one) for one in expected]
        as_they_came = recalling.read_raw(raw(replies_to(recalling.commands, kept, at, KEYS.id("own"), nested=False)))
        assert [(type(one), one) for one in as_they_came] == [(type(one), one) for one in expected]


def encoded(reply: Any) -> bytes:
    """Return a reply as protocol 2 has it."""
    if isinstance(reply, list):
        return b"*%d\r\n" % len(reply) + b"".join(map(encoded, reply))
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if reply is None:
        return b"$-1\r\n"
    text = reply if isinstance(reply, bytes) else b"%.17g" % reply
    return b"$%d\r\n%b\r\n" % (len(text), text)


def raw(replies: list[Any]) -> Replies:
    """Return replies as they come from a socket, in two pieces."""
    whole = b"".join(map(encoded, replies))
    gathering = Gathering(len(replies))
    half = len(whole) // 2
    found = gathering.feed(whole[:half]) if half else None
    found = found or gathering.feed(whole[half:])
    assert found is not None and found.parsed(0, len(replies)) is not None
    return found


@given(ASKED, st.sampled_from(EDGES), st.data())
@settings(max_examples=150, deadline=None)
def test_all_at_once_is_as_one_by_one(asked: list[tuple[str, str, str, bool]], at: int, data: st.DataObject) -> None:
    compared(asked, at, data)


@given(ASKED, st.sampled_from([("_FUNCTIONS", 1), ("_MOST_GENERATED", 2), ("_PLANS", 1)]), st.data())
@settings(max_examples=40, deadline=None)
def test_bounds_change_no_answer(
    asked: list[tuple[str, str, str, bool]], bound: tuple[str, int], data: st.DataObject
) -> None:
    with mock.patch.object(recall, *bound):
        compared(asked, NOON, data)


def test_members_of_one_layout_are_read_at_once() -> None:
    names = {one.name.id: one.name for one in engine_of([]).program("shop", "payment").written}
    engine = engine_of(
        [("amounts", "sum", "1h", False), ("places", "last", "1h", False), ("orders", "count", "1h", False)]
    )
    recalling = engine.plan("shop", Happening({"entities": {"user": "u1"}}, "payment", "own", NOON)).recall(
        KEYS, "shop"
    )
    values = [
        (KEYS.slot("shop", names["amounts"]), KEYS.value("shop", 2)),
        (KEYS.slot("shop", names["places"]), KEYS.value("shop", "ID")),
    ]
    kept = [(NOON - back, KEYS.id(f"event {back}") + payload(values)) for back in (HOUR, HOUR - 1, 0)]
    with mock.patch.object(Reader, "value", side_effect=AssertionError("read one by one")):
        assert recalling.read(replies_to(recalling.commands, kept, NOON, b"", nested=False)) == [4.0, "ID", 2]


ENTITIES = ("user", "card", "device")


def engine_of_several() -> Engine:
    """Return rules that ask a set of each kind of entity for numbers, whole numbers and texts."""
    catalogues = {
        f"{name}_{entity}": known | {"entity": f".entities.{entity}"}
        for name, known in CATALOGUES.items()
        for entity in ENTITIES
    }
    asked = [("amounts", "sum", "2h"), ("places", "last", "1h"), ("amounts", "min", "10m"), ("items", "distinct", "1h")]
    asked += [("orders", "count", "1h"), ("orders", "since", "2h"), ("amounts", "last", "1h"), ("places", "last", "2h")]
    ends: dict[str, dict[str, Any]] = {"last": {"exists": True}, "since": {"lt": "1m"}}
    rules = [
        {"id": f"rule-{entity}-{number}", "actions": ["review"]}
        | {"when": {function: f"{name}_{entity}", "over": over} | ends.get(function, {"gt": 0})}
        for number, (name, function, over) in enumerate(asked)
        for entity in ENTITIES
    ]
    return Engine(Rulebook(ruleset({"catalogues": catalogues, "rules": rules})))


def recalled(engine: Engine, kinds: tuple[str, ...]) -> Recalling:
    event = {"entities": {kind: f"{kind} 1" for kind in kinds}, "data": {}}
    return engine.plan("shop", Happening(event, "payment", "own", NOON)).recall(KEYS, "shop")


def names_of(engine: Engine, entity: str) -> dict[str, Any]:
    written = {one.name.id: one.name for one in engine.program("shop", "payment").written}
    return {name: written[f"{name}_{entity}"] for name in CATALOGUES}


@st.composite
def members_of(draw: st.DrawFn, names: dict[str, Any], shape: dict[str, Any]) -> list[tuple[int, bytes]]:
    """Return times and names of members of one shape; one may be the event's own, and the floor may be there."""
    found = []
    for number in range(draw(st.integers(0, 6))):
        values = [(KEYS.slot("shop", names[one]), KEYS.value("shop", draw(some))) for one, some in shape.items()]
        event = "own" if number == draw(st.integers(0, 9)) else f"event {number}"
        found.append((NOON - draw(BACK), KEYS.id(event) + payload(values)))
    floor = [(LAST_TIME + 1 + NOON - 2 * HOUR, b"floor")] if draw(st.booleans()) else []
    return sorted(found) + floor


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_several_sets_together_are_as_one_by_one(data: st.DataObject) -> None:
    engine = engine_of_several()
    shapes = {entity: data.draw(SHAPES) for entity in ENTITIES}
    for _ in range(6):
        entity = data.draw(st.sampled_from(ENTITIES))
        shapes[entity] = data.draw(SHAPES) if data.draw(st.integers(0, 4)) == 0 else shapes[entity]
        kinds = ENTITIES if data.draw(st.integers(0, 4)) else (entity,)
        recalling = recalled(engine, kinds)
        replies: list[Any] = []
        for command, kind in zip(recalling.commands, kinds, strict=True):
            kept = data.draw(members_of(names_of(engine, kind), shapes[kind]))
            replies += replies_to((command,), kept, NOON, KEYS.id("own"), nested=False)
        expected, found = plain(recalling, replies, NOON), recalling.read_raw(raw(replies))
        assert [(type(one), one) for one in found] == [(type(one), one) for one in expected]


def test_several_sets_are_read_together_once_two_events_had_members_of_the_same_layouts() -> None:
    engine = engine_of_several()
    for number in range(4):
        recalling = recalled(engine, ENTITIES)
        replies: list[Any] = []
        for command, entity in zip(recalling.commands, ENTITIES, strict=True):
            slots = {name: KEYS.slot("shop", one) for name, one in names_of(engine, entity).items()}
            values = [(slots["amounts"], KEYS.value("shop", 2)), (slots["places"], KEYS.value("shop", entity))]
            kept = [(NOON - back, KEYS.id(f"event {back}") + payload(values)) for back in (HOUR, HOUR - 1, 0)]
            replies += replies_to((command,), kept, NOON, b"", nested=False)
        expected = plain(recalling, replies, NOON)
        with mock.patch.object(Recalling, "_read_apart", autospec=True, side_effect=Recalling._read_apart) as apart:
            assert recalling.read_raw(raw(replies)) == expected
        assert apart.called == (number < 2)
