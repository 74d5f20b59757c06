"""A ruleset compiled for events of one type: every value that its rules look at once, in a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from scoring.rules.conditions import Check, Explain, all_operands, compile_condition, explainer, true_explainer
from scoring.rules.document import (
    FieldOperand,
    HistoryOperand,
    ListOperand,
    Operand,
    ScoreOperand,
    SignalOperand,
)
from scoring.rules.outcome import Reason, Traced
from scoring.rules.paths import plain_paths, walker
from scoring.rules.recall import Recall
from scoring.rules.remember import Remember
from scoring.rules.ruleset import Joined, Scoped
from scoring.rules.selector_tokens import Fault
from scoring.rules.verdicts import generated
from scoring.rules.view import Asked, Happening, View, entity_text

__all__ = ["Asked", "Happening", "Program", "Programs", "Ready", "Signal", "View", "entity_text"]

_NO_NUMBER = Fault("only a number can be multiplied")


class Ready(NamedTuple):
    """A rule with its condition compiled, and what is most often said of it."""

    scoped: Scoped
    check: Check
    off: Traced | None  # where it is not evaluated
    no_match: Traced
    explain: Explain
    explain_true: Explain  # the same where the condition is known to be true
    reason: Reason


class Signal(NamedTuple):
    """A smart signal of the session. None: not computable."""

    result: bool | None
    confidence: float | None


class Program:
    """Rules of a joined set that look at events of a type, and the catalogues that such events write."""

    def __init__(self, joined: Joined, event_type: str) -> None:
        self.joined = joined
        self.operands: dict[Operand, int] = {}
        looking = [one for one in joined.rules if not one.rule.event_types or event_type in one.rule.event_types]
        evaluated = [scoped.rule for scoped in looking if scoped.rule.status != "off"]
        used = dict.fromkeys(operand for rule in evaluated for operand in all_operands(rule.when))
        for one in used:
            if isinstance(one, HistoryOperand):
                self.slot(replace(one, times=1.0))  # answers of history are first in a row, in their order
        self.rules = tuple(self._ready(scoped) for scoped in looking)
        self.fields = tuple((self.slot(one), one) for one in used if isinstance(one, FieldOperand))
        self.lists = tuple((self.slot(one), one) for one in used if isinstance(one, ListOperand))
        self.signals = tuple((self.slot(one), one) for one in used if isinstance(one, SignalOperand))
        self.scores = tuple((self.slot(one), one.times) for one in used if isinstance(one, ScoreOperand))
        self.history = self._asked([one for one in used if isinstance(one, HistoryOperand)])
        self.multiplied = tuple(
            (slot, place, times)
            for place, asked in enumerate(self.history)
            for slot, times in asked.slots
            if times != 1.0
        )
        self.recall = Recall(self.history)
        self.written = tuple(one for one in joined.catalogues if event_type in one.event_types)
        self.remember = Remember(self.written)
        self.nothing = tuple(ready.off or ready.no_match for ready in self.rules)  # what is said where no rule matches
        self.judge = generated([None if ready.off else ready.scoped.rule.when for ready in self.rules], self.slot)
        paths = plain_paths(self._selectors())
        plain = {slot: one.selector for slot, one in self.fields if one.times == 1 and one.selector in paths}
        self.walk = walker(paths, plain, len(self.operands))
        self.other_fields = tuple((slot, one) for slot, one in self.fields if slot not in plain)

    def _selectors(self) -> Iterator[str]:
        """Give the texts of the selectors that are run for most events."""
        yield from (operand.selector for _, operand in self.fields)
        yield from (asked.operand.of for asked in self.history)
        yield from (operand.selector for _, operand in self.lists)
        for one in self.written:
            yield from (text for text in (one.entity, one.value, one.time, one.dedupe) if text is not None)

    def _ready(self, scoped: Scoped) -> Ready:
        rule, scope = scoped.rule, scoped.scope
        off = Traced(rule.id, scope, "off") if rule.status == "off" else None
        no_match = Traced(rule.id, scope, "no_match", rule.status == "shadow")
        return Ready(
            scoped,
            compile_condition(rule.when, self.slot),
            off,
            no_match,
            explainer(rule.when, self.slot),
            true_explainer(rule.when, self.slot),
            Reason(rule.id, rule.description or rule.id),
        )

    def _asked(self, operands: list[HistoryOperand]) -> tuple[Asked, ...]:
        slots: dict[HistoryOperand, list[tuple[int, float]]] = {}
        for one in operands:
            slots.setdefault(replace(one, times=1.0), []).append((self.slot(one), one.times))
        return tuple(Asked(one, tuple(places)) for one, places in slots.items())

    def slot(self, operand: Operand) -> int:
        """Return where an operand's value is in a row."""
        return self.operands.setdefault(operand, len(self.operands))


class Programs:
    """Compiles the programs of a joined set, one for each event type that it names and one for all others."""

    def __init__(self, joined: Joined) -> None:
        self._joined = joined
        named = [scoped.rule.event_types for scoped in joined.rules]
        named += [catalogue.event_types for catalogue in joined.catalogues]
        self._named = {event_type for some in named for event_type in some}
        self._made: dict[str, Program] = {}

    @property
    def event_types(self) -> tuple[str, ...]:
        """Return the event types that have a program of their own."""
        return tuple(sorted(self._named))

    def fit(self, joined: Joined) -> bool:
        """Return whether these are the programs of a joined set, so that none need be compiled again."""
        return joined.own is self._joined.own and joined.everyone is self._joined.everyone

    def of(self, event_type: str) -> Program:
        """Return the program for events of a type."""
        known = event_type if event_type in self._named else ""
        program = self._made.get(known)
        if program is None:
            program = self._made[known] = Program(self._joined, known)
        return program


def multiplied(value: Any, times: float) -> Any:
    """Return a number times a factor, a Fault where it is none."""
    if times == 1 or value is None or isinstance(value, Fault):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return _NO_NUMBER
    return value * times


def of_signal(operand: SignalOperand, signals: Mapping[str, Signal]) -> Any:
    """Return what a smart signal says, None where it is not computable or there is no session."""
    signal = signals.get(operand.signal)
    if signal is None:
        return None
    return signal.result if operand.part == "result" else signal.confidence
