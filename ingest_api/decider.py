"""Decides about a merchant's event: one round trip to ask, the rules, one to keep what came of it, then the record.

What is answered is recorded first, also where the answer stood already: whoever was killed between may not have done
it, and the same record twice is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
import numpy as np

from ingest_api.checks import Reason, Record
from ingest_api.decision_answer import Event, Trace, Uncounted, answer_of, replayed
from ingest_api.decision_metrics import DecisionMetrics
from ingest_api.decision_request import Asked
from ingest_api.decision_store import DecisionStore, Session, Settled, Taken
from ingest_api.decision_writes import Became, Writing
from ingest_api.decision_writes import asked as asked_of_history
from ingest_api.delivery import Delivery
from ingest_api.errors import ApiError, Code
from ingest_api.redis_link import RedisAway
from ingest_api.rule_history import RuleHistory
from schemas.decision_record import DecisionRecord, Limits, RuleSaid, encode_record, record_key
from schemas.redaction import redact_json
from schemas.result import DECISIONS
from scoring.policy import CurrentPolicies, FixedPolicies, Policy, decide
from scoring.rules.answers import Unanswered
from scoring.rules.evaluate import Judgement, Plan
from scoring.rules.gathered import Gathered
from scoring.rules.history import Written
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.in_force import NO_RULES, CurrentRules, InForce
from scoring.rules.lists import Lists, NoLists
from scoring.rules.outage import settled as after_outage
from scoring.rules.outcome import Outcome
from scoring.rules.recorded import Request, digested, record_of, told_of
from scoring.rules.watchlist_desk import ListDesk

log = logging.getLogger("ingest.decisions")
_RETRY_SECONDS: Final = 1
_QUIET_SECONDS: Final = 10.0
_NO_LISTS: Final = NoLists()
_NO_SESSION: Final = (Judgement(), None)
_COUNTED: Final = frozenset(("match", "error"))
_AHEAD: Final = Uncounted("ahead", "its time lies ahead of our clock")
_UNWRITTEN: Final = Uncounted("unwritten", "history could not be written")
_WHY: Final[Mapping[Written, Uncounted]] = {
    Written.TOO_OLD: Uncounted("too_old", "its time is before what is kept"),
    Written.REFUSED: Uncounted("unfit", "its time or value cannot be kept"),
}


@dataclass(frozen=True, slots=True)
class Sources:
    """What decisions are made by, each asked anew for every one of them; none may wait.

    ``thresholds`` gives those of a model itself, by its version. ``close`` ends what follows them.
    """

    rules: CurrentRules = lambda: NO_RULES
    lists: Callable[[], Lists] = lambda: _NO_LISTS
    desk: ListDesk | None = None  # where lists are changed; None: nowhere
    policies: CurrentPolicies = field(default_factory=FixedPolicies)
    thresholds: Callable[[str], Policy] = lambda _: Policy()
    close: Callable[[], None] = lambda: None


class _Request(NamedTuple):
    """One request on its way."""

    merchant: str
    asked: Asked
    now_ms: int
    started: float
    trace: Trace
    in_force: InForce
    plans: Sequence[Plan]  # of the live engine, then of the shadows


class _Known(NamedTuple):
    """What was found out before anything is decided."""

    answers: Gathered
    session: Session | None
    away: bool  # what stands, and the session, could not be asked


@dataclass(slots=True)
class _Case:
    """What came of a request, to be told and recorded."""

    request: _Request
    session: Session | None
    known: Judgement
    limits: Limits | None
    policy: str
    outcome: Outcome
    told: tuple[RuleSaid, ...]  # by the rules of the outcome
    shadows: Sequence[Outcome]
    writing: Writing
    uncounted: dict[str, Uncounted]  # catalogues that do not take the event

    def settled(self, keys: HistoryKeys) -> Settled:
        """Return the answer and the record."""
        merchant, asked, now_ms, started, trace, in_force, _ = self.request
        happening = asked.happening
        event = Event(happening.id, happening.event_type, happening.at, now_ms, asked.session_id)
        joined = in_force.live.program(merchant, happening.event_type).joined
        answer = answer_of(event, self.outcome, self.told, joined, self.session, self.shadows, self.uncounted, trace)
        record = record_of(
            Request(merchant, happening, now_ms, asked.session_id or ""),
            self.outcome,
            self.known,
            keys=keys,
            told=self.told,
            shadows=self.shadows,
            limits=self.limits,
            policy=self.policy,
            microseconds=int((time.perf_counter() - started) * 1e6),
        )
        return Settled(answer, record)

    def lacks(self, what: str) -> None:
        """Note what was not to be had."""
        self.outcome = self.outcome._replace(degraded=(*self.outcome.degraded, what))


class Decider:
    """Decides, keeps and records. Safe for many requests at once in one event loop."""

    def __init__(
        self,
        sources: Sources,
        store: DecisionStore,
        history: RuleHistory,
        delivery: Delivery,
        keys: HistoryKeys,
        metrics: DecisionMetrics,
        max_skew_ms: int,
    ) -> None:
        self.delivery = delivery
        self._sources = sources
        self._store = store
        self._history = history
        self._keys = keys
        self._metrics = metrics
        self._max_skew = max_skew_ms
        self._quiet_until = 0.0

    async def answer(self, merchant: str, asked: Asked, now_ms: int, trace: Trace) -> bytes:
        """Return the answer as JSON; ApiError 409 or 503."""
        started = time.perf_counter()
        in_force = self._sources.rules()
        plans = [engine.plan(merchant, asked.happening) for engine in (in_force.live, *in_force.shadows_of(merchant))]
        request = _Request(merchant, asked, now_ms, started, trace, in_force, plans)
        taken, known = await self._ask(request)
        if settled := self._standing(asked, taken):
            return await self._again(request, settled)
        case = self._judge(request, known)
        settled, others = await (self._keep_alone(case) if known.away else self._keep(case))
        if others is not None:
            return await self._again(request, others)
        await self._record(settled.record)
        self._count(case)
        return settled.answer

    async def close(self) -> None:
        """Stop: records that wait go to Kafka or to disk, and nothing is followed any more."""
        await self.delivery.close()
        await asyncio.to_thread(self._sources.close)

    async def _ask(self, request: _Request) -> tuple[Taken | None, _Known]:
        """Ask everything in one round trip: both requests are queued before the link sends."""
        merchant, asked = request.merchant, request.asked
        reading = asked_of_history(self._history, self._keys, merchant, request.plans)
        taken, session, away = None, None, False
        try:
            taken, session = await self._store.begin(merchant, asked.happening.id, asked.digest, asked.session_id)
        except RedisAway:
            away = True
        return taken, _Known(Gathered(await reading, self._sources.lists().of(merchant)), session, away)

    def _standing(self, asked: Asked, taken: Taken | None) -> Settled | None:
        """Return the answer that stands, if any; ApiError 409 where the event id is another body's."""
        if taken is not None and taken.digest != asked.digest:
            self._metrics.conflict()
            raise ApiError(Code.EVENT_ID_TAKEN)
        return taken.settled if taken is not None else None

    def _judge(self, request: _Request, found: _Known) -> _Case:
        """Decide, by the live rules and by the shadows, as far as could be asked."""
        policies = self._sources.policies()
        known, limits = self._judgement(request, found.session)
        live, *shadows = request.plans
        outcomes = [live.decide(found.answers, known, request.trace == "all")]
        outcomes += [plan.decide(found.answers, known) for plan in shadows]
        if found.away and request.asked.session_id is not None:
            outcomes = [one._replace(degraded=(*one.degraded, "session")) for one in outcomes]
        when_degraded = policies.when_degraded(request.merchant)
        outcome, *others = [after_outage(one, when_degraded) for one in outcomes]
        latest = request.now_ms + self._max_skew
        writing = Writing(self._history, self._keys, request.merchant, request.plans, latest)
        uncounted: dict[str, Uncounted] = {}
        if writing.unfit or writing.ahead:
            uncounted = {name: Uncounted("unfit", why) for name, why in writing.unfit.items()}
            uncounted.update(dict.fromkeys(writing.ahead, _AHEAD))
        told = told_of(outcome)
        return _Case(request, found.session, known, limits, policies.digest, outcome, told, others, writing, uncounted)

    def _judgement(self, request: _Request, session: Session | None) -> tuple[Judgement, Limits | None]:
        """Return what rules may know of the session, and the thresholds that decide about its score."""
        if session is None:
            return _NO_SESSION
        policy = self._sources.policies().find(request.merchant, request.asked.happening.event_type)
        policy = policy or self._sources.thresholds(session.model)
        before = DECISIONS.index(session.decision)

        def decided(score: float) -> str:
            return DECISIONS[int(decide(np.float32(score), policy.review, policy.deny, policy.margin, before))]

        limits = Limits(policy.review, policy.deny, policy.margin, session.decision)
        return Judgement(session.signals, session.score, decided), limits

    async def _keep(self, case: _Case) -> tuple[Settled, Settled | None]:
        """Write history and let the answer stand, in one round trip; return it, and another that stood before it."""
        settled = case.settled(self._keys)
        writing, others, away = case.writing.start(), None, False
        try:
            others = await self._settle(case, settled)
        except RedisAway:
            away = True
        finally:
            became = await writing
        if away:
            case.lacks("answers")
            self._note(case, became)
            return case.settled(self._keys), None
        return (settled, others) if others else (await self._noted(case, settled, became), None)

    async def _keep_alone(self, case: _Case) -> tuple[Settled, Settled | None]:
        """Do the same where it is not known what stands: nothing is written before that is."""
        case.lacks("answers")
        settled = case.settled(self._keys)
        try:
            others = await self._settle(case, settled)
        except RedisAway:
            self._note(case, Unanswered(_UNWRITTEN.text))
            return case.settled(self._keys), None
        if others:
            return settled, others
        return await self._noted(case, settled, await case.writing.start()), None

    async def _settle(self, case: _Case, settled: Settled) -> Settled | None:
        """Let the answer stand, or return the one that does; ApiError 409, RedisAway."""
        asked = case.request.asked
        taken = await self._store.settle(case.request.merchant, asked.happening.id, asked.digest, settled)
        return self._standing(asked, taken)

    async def _noted(self, case: _Case, settled: Settled, became: Became) -> Settled:
        """Return the answer with what became of the writes; where that is worth a word, it stands instead."""
        if not self._note(case, became):
            return settled
        better, asked = case.settled(self._keys), case.request.asked
        with contextlib.suppress(RedisAway):
            await self._store.amend(case.request.merchant, asked.happening.id, asked.digest, settled, better)
        return better

    def _note(self, case: _Case, became: Became) -> bool:
        """Note which catalogues did not take the event; tell whether there are any."""
        if not became:  # all of it was counted
            return False
        if isinstance(became, Unanswered):
            found = dict.fromkeys(case.writing.catalogues, _UNWRITTEN)
        else:
            found = {name: _WHY[how] for name, how in became.items() if how in _WHY}
        case.uncounted.update(found)
        return bool(found)

    async def _again(self, request: _Request, settled: Settled) -> bytes:
        """Give an answer that stands; its body came again, so its record can be made whole."""
        happening = request.asked.happening
        entities, hidden = digested(happening.event["entities"], self._keys, request.merchant)
        data = redact_json(happening.event["data"])
        places = (*hidden, *(f"/data{place}" for place in data.places))
        await self._record(msgspec.structs.replace(settled.record, entities=entities, data=data.value, redacted=places))
        self._metrics.replayed(time.perf_counter() - request.started)
        return replayed(settled.answer)

    async def _record(self, record: DecisionRecord) -> None:
        """Record; ApiError 503 where neither Kafka nor the disk takes it."""
        (reason,) = await self.delivery.deliver([Record(record_key(record), encode_record(record))])
        if reason not in (Reason.APPENDED, Reason.SPOOLED):
            raise ApiError(Code.DECISION_UNRECORDED, retry_after=_RETRY_SECONDS)

    def _count(self, case: _Case) -> None:
        outcome, request = case.outcome, case.request
        seconds = time.perf_counter() - request.started
        self._metrics.decided(outcome.decision, outcome.by, outcome.degraded, seconds)
        if outcome.degraded and time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _QUIET_SECONDS
            log.warning("decisions are made without %s; this is said every ten seconds", ", ".join(outcome.degraded))
        live = [one for one in case.told if one.status in _COUNTED and not one.shadow]
        if live:
            matched = [(one.scope, one.rule) for one in live if one.status == "match"]
            self._metrics.rules(matched, len(live) - len(matched))
        for why in case.uncounted.values():
            self._metrics.uncounted(why.code)
