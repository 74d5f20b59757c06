"""The two loads of ``clickgoose bench rules``: rules, and events with history.

In the first, rules and catalogues are each made for one of four event types, as those of the ready-made library are, so
an event looks at a quarter of them; in the second all are for one type, and every rule looks at every event. Six of ten
rules are velocity rules, with all eight functions over windows of 10 minutes to 7 days; the others are clauses on
fields, lists, smart signals and the model's score. Of the rules that an event looks at one in 25 matches, or fewer.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from scoring.rules.load import Loaded, load
from scoring.rules.places import Mistake
from scoring.rules.ruleset import Rulebook, Ruleset
from scoring.rules.texts import placed

ENTITIES: Final = ("user", "card", "device", "address")
EVENT_TYPES: Final = ("payment", "login", "sign_up", "pay_out")
ONE_TYPE: Final = EVENT_TYPES[:1]
_VALUES: Final = (None, ".data.amount", ".data.country", ".data.items", ".data.category")
_COUNTRIES: Final = ("ID", "SG", "NO", "DE", "BR", "US", "JP", "IN")
_CATEGORIES: Final = ("food", "travel", "games", "tickets", "transfer")
_VELOCITY_SHARE: Final = 0.6
_SPAN_MS: Final = 6 * 86_400_000  # how far back history reaches


class _Part(NamedTuple):
    """The rules and catalogues of one event type. ``event_type`` "": there are no others, and rules name none."""

    event_type: str = ""
    kinds_every: int = len(ENTITIES)  # so many catalogues keep the same kind of value before the next kind comes
    often: int = 10  # every so many velocity rules, one has a threshold that is often passed

    def name(self, name: str) -> str:
        return f"{self.event_type}_{name}" if self.event_type else name

    def kind(self, at: int) -> str | None:
        return _VALUES[at // self.kinds_every % len(_VALUES)]

    def rules(self, rules: int, catalogues: int) -> list[dict[str, Any]]:
        velocity = round(rules * _VELOCITY_SHARE) if catalogues else 0
        found = [_velocity(self, at, at % catalogues, at // catalogues) for at in range(velocity)]
        found += [_clause(self, at) for at in range(rules - velocity)]
        return [rule | {"event_types": [self.event_type]} for rule in found] if self.event_type else found

    def catalogues(self, count: int) -> dict[str, Any]:
        return {self.name(f"catalogue_{at}"): _catalogue(self, at) for at in range(count)}


def ruleset(rules: int, catalogues: int, event_types: Sequence[str] = ONE_TYPE) -> dict[str, Any]:
    """Return a file of rules as plain JSON: so many catalogues, and rules of which 6 in 10 ask them.

    Of several event types each has its share of both, with all kinds of values and of clauses.
    """
    if len(event_types) == 1:
        return {"catalogues": _Part().catalogues(catalogues), "rules": _Part().rules(rules, catalogues)}
    parts = [_Part(name, kinds_every=1, often=15) for name in event_types]
    kept: dict[str, Any] = {}
    asked = []
    for part, some, few in zip(parts, _shares(rules, len(parts)), _shares(catalogues, len(parts)), strict=True):
        kept |= part.catalogues(few)
        asked += part.rules(some, few)
    return {"catalogues": kept, "rules": asked}


def _shares(count: int, parts: int) -> list[int]:
    return [len(range(part, count, parts)) for part in range(parts)]


def book(rules: int, catalogues: int, event_types: Sequence[str] = ONE_TYPE) -> Rulebook:
    """Return the rules as they would be loaded from a file."""
    read = placed(json.dumps(ruleset(rules, catalogues, event_types)).encode(), "bench.yaml")
    said = Loaded((), (), (read,)) if isinstance(read, Mistake) else load([read], "global")
    return Rulebook(Ruleset.of(said, "global"))


def _catalogue(part: _Part, at: int) -> dict[str, Any]:
    said: dict[str, Any] = {"event_types": [part.event_type or ONE_TYPE[0]], "window": "7d"}
    said["entity"] = f".entities.{ENTITIES[at % len(ENTITIES)]}"
    value = part.kind(at)
    return said if value is None else said | {"value": value}


def _velocity(part: _Part, number: int, at: int, turn: int) -> dict[str, Any]:
    """Return a rule of a catalogue: what suits its values, of three turns each another function."""
    value = part.kind(at)
    often = number % part.often == 0
    few, many = (1, 1) if often else (1_000, 1_000_000)
    of_numbers = (("sum", "1d", many), ("avg", "7d", many), ("max", "1h", many))
    of_texts = (("distinct", "1d", few), ("last", "7d", None), ("count", "10m", few))
    of_nothing = (("count", "1h", few), ("since", "7d", None), ("count", "10m", few))
    choices = of_nothing if value is None else of_texts if value in (".data.country", ".data.category") else of_numbers
    function, over, least = choices[turn % len(choices)]
    asked: dict[str, Any] = {function: part.name(f"catalogue_{at}"), "over": over}
    if function == "since":
        asked["lt"] = "1ms"
    elif function == "last":
        asked["eq"] = "XX"
    else:
        asked["gt"] = least
    return {
        "id": part.name(f"velocity-{number}"),
        "description": f"The {function} of catalogue {at} over {over} is unusual",
        "when": {"all": [{"field": ".data.amount", "gt": 0}, asked]},
        "actions": ["review" if often else "deny", {"score": 5}, {"tag": "velocity"}],
        "priority": number % 7,
    }


def _clause(part: _Part, number: int) -> dict[str, Any]:
    clauses: tuple[dict[str, Any], ...] = (
        {"all": [{"field": ".data.amount", "gt": 5_000 + number}, {"field": ".data.country", "in": list(_COUNTRIES)}]},
        {"any": [{"field": ".data.country", "eq": "XX"}, {"field": ".data.items", "gt": 100}]},
        {"all": [{"not": {"field": ".data.country", "in": ["ID", "SG"]}}, {"field": ".data.amount", "gt": 9_000}]},
        {"field": ".data.currency", "ne": "EUR"},
        {"all": [{"field": ".data.note", "matches": "^(gift|loan)"}, {"field": ".data.amount", "gt": 900}]},
        {"list": f"list-{number}", "field": ".entities.card"},
        {"all": [{"signal": "vpn"}, {"field": ".data.amount", "gt": 100}]},
        {"any": [{"score": "model", "gte": 90}, {"field": ".data.shipping.country", "eq": "XX"}]},
        {"field": ".data.shipping.express", "eq": "yes"},
        {"all": [{"field": ".data.shipping.country", "ne": {"field": ".data.country"}},
                 {"field": ".data.amount", "gte": {"field": ".data.limit", "times": 2}}]},
    )  # fmt: skip
    return {"id": part.name(f"clause-{number}"), "when": clauses[number % len(clauses)], "actions": ["review"]}


def events(entities: int, seed: int, event_types: Sequence[str] = ONE_TYPE) -> Iterator[dict[str, Any]]:
    """Give events without end, with ids of their own and without a time; ``entities`` of each kind take part.

    Types come in turn, all with the same fields.
    """
    draw = random.Random(seed)  # noqa: S311 # a benchmark
    number = 0
    while True:
        number += 1
        country = draw.choice(_COUNTRIES)
        yield {
            "event_id": f"{seed:08x}-{number:012x}",
            "event_type": event_types[number % len(event_types)],
            "entities": {kind: f"{kind}-{draw.randrange(entities)}" for kind in ENTITIES},
            "data": {
                "amount": round(draw.lognormvariate(3, 1), 2),
                "currency": "EUR",
                "items": draw.randint(1, 9),
                "country": country,
                "category": draw.choice(_CATEGORIES),
                "limit": 10_000,
                "note": "thank you",
                "shipping": {"country": country, "express": "no"},
            },
        }


def earlier(count: int, now: int, seed: int) -> list[int]:
    """Return times of so many events before ``now``, in ms and ascending: the nearer, the more."""
    draw = random.Random(seed)  # noqa: S311 # a benchmark
    return sorted(now - 1_000 - int(_SPAN_MS * draw.random() ** 6) for _ in range(count))
