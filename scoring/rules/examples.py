"""Run the examples that are kept beside rules: each must come out as it says, and the others must not matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from scoring.rules.answers import Entry, Found, Membership, Query
from scoring.rules.document import Example, Rule
from scoring.rules.evaluate import Engine, Judgement, Plan
from scoring.rules.given import GivenAnswers
from scoring.rules.memory_history import MemoryHistory
from scoring.rules.outcome import Traced
from scoring.rules.program import Happening, Signal
from scoring.rules.ruleset import Rulebook, Ruleset
from scoring.rules.times import duration, time_of

USUAL_TIME: Final = 1_772_366_400_000  # 2026-03-01T12:00:00Z, where an example's event has no time
_MERCHANT: Final = "example"


class Checked(NamedTuple):
    """What came of an example. ``trace``: what the rule said; None where no rule of that name was evaluated."""

    rule: Rule
    example: Example
    trace: Traced | None

    @property
    def good(self) -> bool:
        """Return whether it came out as the example says; an error never does."""
        return self.trace is not None and self.trace.status == ("match" if self.example.matches else "no_match")


def check_examples(rules: Ruleset) -> list[Checked]:
    """Run every example of every rule, each rule alone: as if it were live, and before the others."""
    return [checked for rule in rules.rules for checked in _check_rule(rules, rule)]


def _check_rule(rules: Ruleset, rule: Rule) -> Iterable[Checked]:
    alone = Rulebook(everyone=replace(rules, rules=(replace(rule, status="live"),)))
    engine = Engine(alone)
    for example in rule.examples:
        yield Checked(rule, example, _run(engine, example))


def _run(engine: Engine, example: Example) -> Traced | None:
    at = time_of(example.event.get("occurred_at")) or USUAL_TIME
    plan = engine.plan(_MERCHANT, _happening(example.event, at, "the event"))
    queries = _answers(engine, example, at, plan)
    lists = {Membership(name, value): Entry(name) for name, values in example.lists.items() for value in values}
    answers = GivenAnswers(queries, lists)
    signals = {name: _signal(said) for name, said in example.signals.items()}
    outcome = plan.decide(answers, Judgement(signals, example.score), all_trees=True)
    return outcome.trace[0] if outcome.trace else None


def _answers(engine: Engine, example: Example, at: int, plan: Plan) -> Mapping[Query, Any]:
    """Replay the events before, and let answers that the example gives itself stand over what came of them."""
    history = MemoryHistory()
    for number, before in enumerate(example.history):
        if "catalogue" not in before:
            event, when = _earlier(before, at)
            history.write(_MERCHANT, engine.plan(_MERCHANT, _happening(event, when, f"before {number}")).writes)
    found: dict[Query, Any] = dict(history.read(_MERCHANT, plan.queries))
    given = [before for before in example.history if "catalogue" in before]
    for query in plan.queries:
        said = [
            one[query.function] for one in given if one["catalogue"] == query.catalogue.id and query.function in one
        ]
        if said:
            found[query] = Found(said[-1])
    return found


def _earlier(before: Mapping[str, Any], at: int) -> tuple[Mapping[str, Any], int]:
    """Return an event of the history with its time: its own, ``ago`` before the example's, or a second before."""
    event = {name: value for name, value in before.items() if name != "ago"}
    ago = duration(before.get("ago"))
    own = time_of(before.get("occurred_at"))
    return event, own if own is not None else at - (1_000 if ago is None else ago)


def _happening(event: Mapping[str, Any], at: int, name: str) -> Happening:
    given = event.get("event_id")
    return Happening(event, str(event["event_type"]), given if isinstance(given, str) and given else name, at)


def _signal(said: Any) -> Signal:
    if isinstance(said, bool):
        return Signal(said, 1.0 if said else 0.0)
    return Signal(said >= 0.5, float(said))
