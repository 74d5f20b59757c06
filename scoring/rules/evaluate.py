"""Judge an event: plan what must be asked, then decide by the answers.

**Precedence**: an allow list, then a deny list, then rules, then the model. A list decides at once and no rule is
evaluated. Of matching live rules those of the highest priority with a decision decide, of these the strictest, even
where the model's score says otherwise. Without any of these the event is allowed.

A question is asked once however many rules need it, nothing is written here, and no clock is read: the event's own time
is the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

from schemas.result import DECISIONS
from scoring.rules.answers import Answers, Entity, Entry, Found, Membership, Query, Standing, Unanswered, Write
from scoring.rules.conditions import fault_in
from scoring.rules.document import Rule
from scoring.rules.gathered import Gathered
from scoring.rules.history import HistoryLimits
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.history_sets import Reader
from scoring.rules.outcome import DecidedBy, Outcome, Reason, Status, Traced
from scoring.rules.program import Asked, Happening, Program, Programs, Ready, Signal, View, multiplied, of_signal
from scoring.rules.recall import NOT_ASKED, Recalling, Recollected
from scoring.rules.remember import Remembering
from scoring.rules.ruleset import Joined, Rulebook
from scoring.rules.selector_tokens import Fault

__all__ = ["Engine", "Happening", "Judgement", "Plan", "Signal"]
_NO_LIST: Final = Fault("the list could not be asked")
_NOBODY: Final = frozenset[str]()


class Judgement(NamedTuple):
    """What is known of the session: its smart signals, the model's score, and what a score decides (the policy)."""

    signals: Mapping[str, Signal] = {}
    score: float | None = None  # 0 to 100
    decide: Callable[[float], str] | None = None


_NOTHING_KNOWN: Final = Judgement()


class Engine:
    """Judges events by a rulebook. Safe to share between threads; a changed rulebook is a new engine.

    ``before``: the engine whose place it takes; what did not change is not compiled again.
    """

    def __init__(self, book: Rulebook, before: Engine | None = None) -> None:
        self.book = book
        common: Programs | None = before._common if before else None
        own: Mapping[str, Programs] = before._of_merchant if before else {}
        self._common: Programs = _programs(book.of(""), common)
        self._of_merchant: dict[str, Programs] = {
            merchant: _programs(book.of(merchant), own.get(merchant)) for merchant in book.of_merchant
        }

    def event_types(self, merchant: str) -> tuple[str, ...]:
        """Return the event types that a merchant's rules and catalogues name."""
        return self._of_merchant.get(merchant, self._common).event_types

    def program(self, merchant: str, event_type: str) -> Program:
        """Return the rules for a merchant's events of a type."""
        return self._of_merchant.get(merchant, self._common).of(event_type)

    def plan(self, merchant: str, happening: Happening) -> Plan:
        """Return what must be asked to judge an event, and what it writes."""
        program = self.program(merchant, happening.event_type)
        seen, row = program.walk(happening.event)
        return Plan(program, View(happening, seen), row)


def _programs(joined: Joined, before: Programs | None) -> Programs:
    return before if before is not None and before.fit(joined) else Programs(joined)


class Plan:
    """One event on its way: ``queries``, ``memberships`` and ``entities`` are to be answered, each once.

    ``row``: what ``program.walk`` gave of the event, where that is to be seen as it is.
    """

    def __init__(self, program: Program, view: View, row: list[Any] | None = None) -> None:
        self._program = program
        self._view = view
        fields = program.other_fields
        if row is None:
            row, fields = [None] * len(program.operands), program.fields
        for slot, operand in fields:
            row[slot] = multiplied(view.look(operand.selector), operand.times)
        self._row = row

    @cached_property
    def _history(self) -> list[tuple[Asked, Query | Fault | None]]:
        return [(asked, self._view.query(asked.operand)) for asked in self._program.history]

    @cached_property
    def _lists(self) -> list[tuple[int, Membership | Fault | None]]:
        return [(slot, self._view.membership(operand)) for slot, operand in self._program.lists]

    def recall(self, keys: HistoryKeys, merchant: str, *, packed: bool = False) -> Recalling:
        """Return the questions to history as commands: the quick way, instead of ``queries``.

        ``packed``: commands are the bytes that are sent, where they can be.
        """
        return self._program.recall.ask(self._view, Reader(keys, merchant), packed)

    def remember(
        self, keys: HistoryKeys, merchant: str, limits: HistoryLimits, latest: int, *, packed: bool = False
    ) -> Remembering:
        """Return the writes as commands: the quick way, instead of ``writes``; none of a time after ``latest``."""
        return self._program.remember.of(self._view, Reader(keys, merchant), limits, latest, packed)

    @cached_property
    def queries(self) -> tuple[Query, ...]:
        """Return the questions to history."""
        return tuple([query for _, query in self._history if isinstance(query, Query)])

    @cached_property
    def memberships(self) -> tuple[Membership, ...]:
        """Return the questions to lists that rules name."""
        return tuple([one for _, one in self._lists if isinstance(one, Membership)])

    @cached_property
    def entities(self) -> tuple[Entity, ...]:
        """Return of whom allow and deny lists and snoozes are asked."""
        return self._view.entities()

    @cached_property
    def writes(self) -> tuple[Write, ...]:
        """Return what the event adds to history, after its reads."""
        found = [self._view.write(catalogue) for catalogue in self._program.written]
        return tuple(write for write in found if isinstance(write, Write))

    @cached_property
    def unwritten(self) -> Mapping[str, str]:
        """Return the catalogues that this event should have written but does not fit, each with why."""
        found = {one.name.id: self._view.write(one) for one in self._program.written}
        return {name: fault.said for name, fault in found.items() if isinstance(fault, Fault)}

    def decide(self, answers: Answers, known: Judgement | None = None, all_trees: bool = False) -> Outcome:
        """Return what comes of the event. ``all_trees``: explain rules that do not match too."""
        known = known or _NOTHING_KNOWN
        run = _Run(self._program, known)
        listed = not isinstance(answers, Gathered) or bool(answers.lists)  # else lists need not be asked
        snoozed = self._standing(answers, run) if listed else _NOBODY
        if run.listed is None:
            run.rules(self._filled(answers, known, run, listed), snoozed, all_trees)
        return run.outcome()

    def _standing(self, answers: Answers, run: _Run) -> frozenset[str]:
        """Look at the lists that decide by themselves; return the rules that are snoozed."""
        at = self._view.happening.at
        snoozed: set[str] = set()
        for entity in self.entities:
            found = answers.standing(entity)
            if isinstance(found, Unanswered):
                run.degraded["lists"] = None
                continue
            run.note(entity, found, at)
            snoozed.update(rule for rule, until in found.snoozed.items() if at < until)
        return frozenset(snoozed)

    def _filled(self, answers: Answers, known: Judgement, run: _Run, listed: bool) -> list[Any]:
        """Return the row: what fields gave, and the answers."""
        row = self._row.copy()
        self._fill_history(row, answers, run)
        if listed:
            self._fill_lists(row, answers, run)
        else:
            for slot, operand in self._program.lists:
                found = self._view.entity(operand.selector)
                row[slot] = found if isinstance(found, Fault) else False
        if known.score is not None:
            for slot, times in self._program.scores:
                row[slot] = multiplied(known.score, times)
        if known.signals:
            for slot, signal in self._program.signals:
                row[slot] = of_signal(signal, known.signals)
        return row

    def _fill_history(self, row: list[Any], answers: Answers, run: _Run) -> None:
        whole = False
        if isinstance(answers, Gathered) and isinstance(answers.queries, Recollected):
            recalled: list[Any] = answers.queries
            whole = answers.queries.whole
        else:
            recalled = [self._answered(answers, query) for _, query in self._history]
        if len(recalled) != len(self._program.history):
            raise ValueError("these are the answers to another plan")
        row[: len(recalled)] = recalled
        for slot, place, times in self._program.multiplied:
            row[slot] = multiplied(recalled[place], times)
        if not whole and NOT_ASKED in recalled:
            run.degraded["history"] = None

    def _answered(self, answers: Answers, query: Query | Fault | None) -> Any:
        if not isinstance(query, Query):
            return query  # a fault, or None where the event has no such entity
        found = answers.history(query)
        return found.value if isinstance(found, Found) else NOT_ASKED

    def _fill_lists(self, row: list[Any], answers: Answers, run: _Run) -> None:
        at = self._view.happening.at
        for slot, membership in self._lists:
            if not isinstance(membership, Membership):
                row[slot] = membership or False  # what is not there is in no list
                continue
            entry = answers.member(membership)
            if isinstance(entry, Unanswered):
                run.degraded["lists"] = None
                row[slot] = _NO_LIST
            else:
                row[slot] = entry is not None and entry.holds(at)


@dataclass(slots=True)
class _Run:
    """What is found while an event is judged."""

    program: Program
    known: Judgement
    listed: tuple[DecidedBy, Reason] | None = None
    matched: list[Ready] = field(default_factory=list)
    trace: list[Traced] = field(default_factory=list)
    stopped_by: str | None = None
    degraded: dict[str, None] = field(default_factory=dict)

    def note(self, entity: Entity, standing: Standing, at: int) -> None:
        """Take in what lists say of an entity; allow stays over deny."""
        if standing.allow is not None and standing.allow.holds(at):
            if self.listed is None or self.listed[0] == "deny_list":
                self.listed = _listed("allow_list", entity, standing.allow)
        elif standing.deny is not None and standing.deny.holds(at) and self.listed is None:
            self.listed = _listed("deny_list", entity, standing.deny)

    def rules(self, row: list[Any], snoozed: frozenset[str], all_trees: bool) -> None:
        """Evaluate the rules in their order."""
        judge = self.program.judge
        if judge is None or snoozed or all_trees:
            self._one_by_one(row, snoozed, all_trees)
            return
        trace = list(self.program.nothing)
        for number, said in judge(row):
            ready = self.program.rules[number]
            trace[number] = self._traced(ready, said, row)
            if said and self._matches(ready):
                del trace[number + 1 :]
                break
        self.trace = trace

    def _one_by_one(self, row: list[Any], snoozed: frozenset[str], all_trees: bool) -> None:
        trace = self.trace
        for ready in self.program.rules:
            rule = ready.scoped.rule
            if ready.off is not None:
                trace.append(ready.off)
                continue
            if rule.id in snoozed:
                trace.append(Traced(rule.id, ready.scoped.scope, "snoozed"))
                continue
            said = ready.check(row)
            if said is False and not all_trees:
                trace.append(ready.no_match)
                continue
            trace.append(self._traced(ready, said, row))
            if said and self._matches(ready):
                return

    def _traced(self, ready: Ready, said: bool | None, row: list[Any]) -> Traced:
        rule = ready.scoped.rule
        if said:
            shadow = rule.status == "shadow"
            return Traced(rule.id, ready.scoped.scope, "match", shadow, "", ready.explain_true(row))
        tree = ready.explain(row)
        status: Status = "error" if said is None else "no_match"
        fault = fault_in(tree) if said is None else ""
        return Traced(rule.id, ready.scoped.scope, status, rule.status == "shadow", fault, tree)

    def _matches(self, ready: Ready) -> bool:
        """Take in a match; return whether later rules are not evaluated."""
        rule = ready.scoped.rule
        if rule.status != "live":
            return False
        self.matched.append(ready)
        if rule.stop_on_match:
            self.stopped_by = rule.id
        return rule.stop_on_match

    def outcome(self) -> Outcome:
        """Return what comes of all."""
        if not self.matched and self.listed is None:
            return self._of_no_match()
        rules = [ready.scoped.rule for ready in self.matched]
        added = sum([rule.actions.score for rule in rules])
        score = self.known.score
        if score is not None or added:
            score = min(max((score or 0.0) + added, 0.0), 100.0)
        decision, by = self._decision(rules, score)
        reasons = (self.listed[1],) if self.listed else tuple([ready.reason for ready in self.matched])
        return Outcome(
            decision,
            by,
            score,
            added,
            tuple([rule.id for rule in rules]),
            _once([rule.actions.tags for rule in rules]),
            _once([rule.actions.alerts for rule in rules]),
            reasons,
            tuple(self.trace),
            self.stopped_by,
            self.program.joined.digest,
            tuple(sorted(self.degraded)) if self.degraded else (),
        )

    def _of_no_match(self) -> Outcome:
        """Return what comes of an event, as of most, that no rule matches and no list decides about."""
        score = self.known.score
        if score is not None:
            score = min(max(score, 0.0), 100.0)
        decision, by = self._decision([], score)
        degraded = tuple(sorted(self.degraded)) if self.degraded else ()
        rulesets = self.program.joined.digest
        return Outcome(decision, by, score, 0, (), (), (), (), tuple(self.trace), None, rulesets, degraded)

    def _decision(self, rules: list[Rule], score: float | None) -> tuple[str, DecidedBy]:
        if self.listed is not None:
            return ("allow" if self.listed[0] == "allow_list" else "deny"), self.listed[0]
        deciding = [rule for rule in rules if rule.actions.decision]
        if deciding:
            first = [rule.actions.decision for rule in deciding if rule.priority == deciding[0].priority]
            return max((decision for decision in first if decision), key=DECISIONS.index), "rules"
        if score is not None and self.known.decide is not None:
            return self.known.decide(score), "model"
        return "allow", "default"


def _once(several: list[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the texts of several rows, each once."""
    found = [one for some in several for one in some]
    return tuple(dict.fromkeys(found)) if found else ()


def _listed(by: DecidedBy, entity: Entity, entry: Entry) -> tuple[DecidedBy, Reason]:
    said = "allowed" if by == "allow_list" else "denied"
    return by, Reason(by, f"the {entity.kind} is {said} by list {entry.list}")
