"""judge: the stage that asks rules and lists about scored events, with the same engine as POST /v1/decisions.

What is in force is taken once a batch. Events of a merchant and type that no rule, catalogue or list looks at are
passed over by column. All history of a batch is one round trip, in the order of the rows: an event sees what those
before it wrote, in its own batch too, and catalogues are shared with the merchant's decisions over HTTP.

**A batch that comes again**, as after kill -9, is judged as it was: an event never sees itself, by its id, nor what
happened later, by event time. What may differ is what others changed meanwhile: rules, lists, and members that were
written after the event though they happened before it. Then the first result stands, as Redis and ClickHouse keep it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from schemas.batches import Judged, Rules, Scored, SmartSignals
from schemas.columns import Rows, widen
from schemas.event_time import event_time
from schemas.result import DECISIONS, RuleReason
from schemas.ruling import BY, BY_MODEL, NO_DECISION, Heard, RuleTrace, Ruling, ShadowRuling
from schemas.stage import StageOut
from scoring.judge_events import VISIT, Event, events_of, parts_of
from scoring.judge_heard import Hearing
from scoring.rules.answers import Unanswered
from scoring.rules.evaluate import Engine, Happening, Judgement, Plan, Signal
from scoring.rules.gathered import Gathered
from scoring.rules.history import Outcome as Exchanged
from scoring.rules.history import Step
from scoring.rules.in_force import NO_RULES, CurrentRules, InForce, joined_writes
from scoring.rules.lists import Lists, MerchantLists, NoLists
from scoring.rules.outcome import Outcome
from scoring.rules.program import Program

_PAIRS_KEPT: Final = 4_096  # merchants with event types; event types are what merchants say: it must be bounded
_DECIDING: Final = frozenset(("allow_list", "deny_list", "rules"))
_NO_ROWS: Final = np.empty(0, np.intp)
_TOLD: Final = frozenset(("match", "error", "snoozed"))
_NO_STORE: Final = Unanswered("there is no store of the rules' history")
CurrentLists = Callable[[], Lists]
"""Gives the lists as they are now. It must not block."""


class HistoryLookup(Protocol):
    """The store of the rules' history, as ``flows.lookups.rule_history.RuleHistory`` asks it."""

    def exchange(self, steps: Sequence[Step]) -> list[Exchanged] | Unanswered:
        """Answer and write step by step, in one round trip: a step sees what the ones before it wrote."""


class NoHistory:
    """There is no store: rules that need one err, and the event is degraded."""

    def exchange(self, steps: Sequence[Step]) -> Unanswered:
        """Return that nothing is known."""
        return _NO_STORE


def no_rules() -> InForce:
    """Return that no rule is in force: for tests, benchmarks and training."""
    return NO_RULES


def no_lists() -> Lists:
    """Return that there are no lists."""
    return _NO_LISTS


_NO_LISTS: Final = NoLists()


class Route(NamedTuple):
    """What looks at a merchant's events of a type."""

    live: Engine
    shadows: tuple[tuple[int, Engine], ...]  # those that judge this merchant otherwise, with their columns
    sets: tuple[str, str]  # digests of the merchant's own live ruleset and of the global one
    idle: bool  # no rule is evaluated and no catalogue written
    parts: frozenset[str]  # of the event that selectors look at
    signals: frozenset[str]


class Routes:
    """The routes of what is in force, found once for each merchant and event type."""

    def __init__(self, rules: InForce) -> None:
        self.rules = rules
        self.shadows = tuple(shadow.book.digest for shadow in rules.shadows)
        self.silent = all(_is_empty(engine) for engine in (rules.live, *rules.shadows))
        self._known: dict[tuple[str, str], Route] = {}

    def of(self, merchant: str, event_type: str) -> Route:
        """Return what looks at events of a merchant and a type."""
        route = self._known.get((merchant, event_type))
        if route is None:
            if len(self._known) >= _PAIRS_KEPT:
                self._known.clear()
            route = self._known[merchant, event_type] = self._find(merchant, event_type or VISIT)
        return route

    def _find(self, merchant: str, event_type: str) -> Route:
        rules = self.rules
        others = rules.shadows_of(merchant)
        shadows = tuple((place, shadow) for place, shadow in enumerate(rules.shadows) if shadow in others)
        programs = [engine.program(merchant, event_type) for engine in (rules.live, *others)]
        joined = programs[0].joined
        return Route(
            rules.live,
            shadows,
            (joined.own.digest, joined.everyone.digest),
            all(map(_is_idle, programs)),
            frozenset[str]().union(*map(parts_of, programs)),
            frozenset(operand.signal for program in programs for _, operand in program.signals),
        )


def _is_empty(engine: Engine) -> bool:
    book = engine.book
    return not any(one.rules or one.catalogues for one in (book.everyone, *book.of_merchant.values()))


def _is_idle(program: Program) -> bool:
    return not program.written and all(ready.off is not None for ready in program.rules)


class _Asked(NamedTuple):
    """One event on its way."""

    row: int
    merchant: str
    lists: MerchantLists
    plan: Plan
    shadows: tuple[tuple[int, Plan], ...]
    sets: tuple[str, str]


class Judge:
    """The stage. Every row goes on."""

    name = "judge"

    def __init__(
        self,
        rules: CurrentRules = no_rules,
        history: HistoryLookup | None = None,
        lists: CurrentLists = no_lists,
    ) -> None:
        self._rules = rules
        self._history = NoHistory() if history is None else history
        self._lists = lists
        self._routes = Routes(NO_RULES)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without what is found again."""
        return {**self.__dict__, "_routes": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickle."""
        self.__dict__.update(state, _routes=Routes(NO_RULES))

    def __call__(self, batch: Scored, /) -> StageOut[Judged]:
        """Return the batch with what rules and lists say of each event."""
        routes, lists = self._current(), self._lists()
        rows = self._rows(routes, lists, batch)
        section = self._judged(routes, lists, batch, rows) if len(rows) else Rules.none(len(batch), routes.shadows)
        return StageOut(widen(Judged, batch, rules=section))

    def _current(self) -> Routes:
        rules = self._rules()
        routes = self._routes
        if routes.rules is not rules:  # a batch keeps the one that it took, whatever another thread does
            routes = self._routes = Routes(rules)
        return routes

    @staticmethod
    def _rows(routes: Routes, lists: Lists, batch: Scored) -> Rows:
        """Return the rows that a rule, a catalogue or a list looks at."""
        event = batch.event
        if routes.silent:
            listed = {merchant for merchant in set(event.merchant) if lists.of(merchant)}
            if not listed:
                return _NO_ROWS
            return np.flatnonzero([merchant in listed for merchant in event.merchant])
        pairs = list(zip(event.merchant, event.event_type, strict=True))
        wanted = {pair for pair in set(pairs) if not routes.of(*pair).idle or lists.of(pair[0])}
        return np.flatnonzero([pair in wanted for pair in pairs])

    def _judged(self, routes: Routes, lists: Lists, batch: Scored, rows: Rows) -> Rules:
        asked, needed = self._plans(routes, lists, batch, rows)
        answers = self._exchange(asked)
        known = _known_of(batch, rows, needed)
        verdicts = _Verdicts(len(batch), routes.shadows)
        for one, history, judgement in zip(asked, answers, known, strict=True):
            verdicts.take(one, history, judgement)
        return verdicts.section()

    @staticmethod
    def _plans(routes: Routes, lists: Lists, batch: Scored, rows: Rows) -> tuple[list[_Asked], frozenset[str]]:
        """Return what is to be asked for each row, and the smart signals that rules look at."""
        event = batch.event
        at = event_time(batch)[rows]
        of_rows = [routes.of(event.merchant[row], event.event_type[row]) for row in rows.tolist()]
        found = set(of_rows)
        events = events_of(batch, rows, at, frozenset[str]().union(*(route.parts for route in found)))
        views = {merchant: lists.of(merchant) for merchant in set(event.merchant)}
        asked = [
            _ask(row, event.merchant[row], views[event.merchant[row]], route, said)
            for row, route, said in zip(rows.tolist(), of_rows, events, strict=True)
        ]
        return asked, frozenset[str]().union(*(route.signals for route in found))

    def _exchange(self, asked: Sequence[_Asked]) -> list[Any]:
        """Return the answers to the history questions of each event; writes go with them, in the order of rows."""
        steps = [Step(one.merchant, _queries(one), joined_writes(_plans(one))) for one in asked]
        busy = [place for place, step in enumerate(steps) if step.queries or step.writes]
        found: list[Any] = [{}] * len(steps)
        outcomes = self._history.exchange([steps[place] for place in busy]) if busy else []
        for number, place in enumerate(busy):
            found[place] = outcomes if isinstance(outcomes, Unanswered) else outcomes[number].answers
        return found


def _ask(row: int, merchant: str, lists: MerchantLists, route: Route, event: Event) -> _Asked:
    happening = Happening(event, event["event_type"], event["event_id"], event["occurred_at"])
    shadows = tuple((place, shadow.plan(merchant, happening)) for place, shadow in route.shadows)
    return _Asked(row, merchant, lists, route.live.plan(merchant, happening), shadows, route.sets)


def _plans(one: _Asked) -> list[Plan]:
    return [one.plan, *(plan for _, plan in one.shadows)]


def _queries(one: _Asked) -> Sequence[Any]:
    if not one.shadows:
        return one.plan.queries
    return tuple(dict.fromkeys(query for plan in _plans(one) for query in plan.queries))


def _known_of(batch: Scored, rows: Rows, signals: frozenset[str]) -> list[Judgement]:
    """Return what is known of each row: its score, and of the smart signals those that rules look at."""
    scores = batch.score.score[rows].tolist()
    names = [name for name in batch.smart.names if name in signals]
    if not names:
        return [Judgement({}, score) for score in scores]
    columns = [_signal_column(batch.smart, name, rows) for name in names]
    return [
        Judgement(dict(zip(names, seen, strict=True)), score)
        for seen, score in zip(zip(*columns, strict=True), scores, strict=True)
    ]


def _signal_column(smart: SmartSignals, name: str, rows: Rows) -> list[Signal]:
    column = smart.column(name)
    results, confidences = smart.result[rows, column].tolist(), smart.confidence[rows, column].tolist()
    return [
        Signal(None, None) if result < 0 else Signal(result == 1, confidence)
        for result, confidence in zip(results, confidences, strict=True)
    ]


class _Verdicts:
    """The section, being filled."""

    def __init__(self, rows: int, shadows: tuple[str, ...]) -> None:
        self._rows, self._shadows = rows, shadows
        self._rulesets: dict[str, int] = {}
        self._places: list[int] = []
        self._said: list[Ruling | None] = [None] * rows
        self._columns: list[tuple[int, int, int, float, bool]] = []  # ruleset, override, by, added, degraded
        self._tried: list[tuple[int, int, int, float]] = []  # row, column, override and added of a shadow

    def take(self, one: _Asked, history: Any, known: Judgement) -> None:
        """Judge an event by the answers to it."""
        gathered = Gathered(history, one.lists)
        hearing = Hearing(gathered)
        outcome = one.plan.decide(hearing, known)
        tried = [(place, plan.decide(gathered, known)) for place, plan in one.shadows]
        number = self._rulesets.setdefault(outcome.rulesets, len(self._rulesets))
        self._places.append(one.row)
        self._columns.append((number, *_override(outcome), outcome.added, bool(outcome.degraded)))
        self._tried += [(one.row, place, _override(shadow)[0], shadow.added) for place, shadow in tried]
        self._said[one.row] = _ruling(one, outcome, hearing.heard(one.plan), tried)

    def section(self) -> Rules:
        """Return it."""
        section = replace(Rules.none(self._rows, self._shadows), rulesets=tuple(self._rulesets), said=tuple(self._said))
        columns: tuple[Any, ...] = (section.ruleset, section.override, section.by, section.added, section.degraded)
        for column, values in zip(columns, zip(*self._columns, strict=True), strict=True):
            column[self._places] = values
        if self._tried:
            row, place, override, added = map(list, zip(*self._tried, strict=True))
            section.shadow_override[row, place] = override
            section.shadow_added[row, place] = added
        return section


def _override(outcome: Outcome) -> tuple[int, int]:
    """Return what a list or a rule decides, and which of both."""
    if outcome.by not in _DECIDING:
        return NO_DECISION, BY_MODEL
    return DECISIONS.index(outcome.decision), BY.index(outcome.by)


def _ruling(one: _Asked, outcome: Outcome, heard: Heard | None, tried: Sequence[tuple[int, Outcome]]) -> Ruling:
    return Ruling(
        sets=one.sets,
        matched=outcome.matched,
        tags=outcome.tags,
        alerts=outcome.alerts,
        reasons=tuple([RuleReason(*reason) for reason in outcome.reasons]),
        trace=tuple([RuleTrace(*traced) for traced in outcome.trace if traced.status in _TOLD]),
        stopped_by=outcome.stopped_by,
        degraded=outcome.degraded,
        heard=heard,
        shadows=tuple([ShadowRuling(place, said.rulesets, said.matched, said.degraded) for place, said in tried]),
    )
