"""The account, read back from Kafka, ClickHouse and Redis: ``accepted == scored + dead-lettered + deduplicated``.

A is every record of events.raw that a client sent, S the origins of events.scored, D those of events.dead_letter (rows
that only wait for a destination aside). A record in neither whose event id an earlier copy already settled is
deduplicated; what remains is lost. A record that a redrive by hand sent again is the fate of the first one: scored at
last, that one is no dead letter any more (infra.account_fates). ClickHouse and Redis are then compared with S and D.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from confluent_kafka import Message
from numpy.typing import NDArray

from infra.account_backup import STORES, Backup, read_backup
from infra.account_books import (
    I64,
    U64,
    DeadBook,
    RawBook,
    ScoredBook,
    first_by_place,
    fold,
    place,
)
from infra.account_decisions import DecisionBook
from infra.account_fates import RawColumns, fates_of
from infra.account_stores import ClickHouseSide, clickhouse_side, missing_results
from infra.settings import Settings
from infra.topic_reader import AccountError, TopicReader
from infra.topics import DECIDED
from schemas.dead_letter import Reason
from schemas.result import DECISIONS

RAW, SCORED, DEAD_LETTER = "events.raw", "events.scored", "events.dead_letter"
TOPICS = (RAW, SCORED, DEAD_LETTER)
Offsets = Mapping[str, Mapping[int, int]]
_NO_BACKUP = Backup(np.empty(0, np.int64), np.empty(0, np.int64))

__all__ = [
    "Account",
    "AccountError",
    "Accountant",
    "bootstrap_of",
    "load_start",
    "read_account",
    "read_start",
    "wait_settled",
]


@dataclass(slots=True)
class Account:
    """The figures.

    ``waiting`` counts rows that lie in the backup and not yet where they belong, ``redriven`` those that were there
    and have arrived, both by reason. ``asked``: the account of decisions that merchants asked for
    (infra.account_decisions.DecisionAccount), none of which is an event of the figures above.
    """

    accepted: int
    scored: int
    dead_lettered: int
    deduplicated: int
    lost: int
    dead_by_reason: dict[str, int]
    decisions: dict[str, int]
    score_histogram: list[int]  # ten equal bins from 0 to 100
    latency_ms: dict[str, float]  # from accepted by the ingest tier to appended to events.scored: p50, p99
    scored_again: int  # replayed records in events.scored, which readers tell by the event id
    redrives: int = 0  # records of events.raw that a redrive by hand sent again: not accepted anew
    waiting: dict[str, int] = field(default_factory=dict)
    redriven: dict[str, int] = field(default_factory=dict)
    clickhouse_scored: int | None = None
    clickhouse_dead: int | None = None
    redis_results: int | None = None
    duplicated_for_users: int = 0
    asked: dict[str, int | None] = field(default_factory=dict)
    balanced: bool = False
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the account as one JSON object."""
        return asdict(self)


class Accountant:
    """Reads on from where it stopped, so that an account may be taken again and again. Close it after use."""

    def __init__(self, settings: Settings, since: Offsets | None = None) -> None:
        """``since`` gives first offsets by topic and partition (:func:`read_start`): only what came after counts."""
        self._settings = settings
        starts, bootstrap = since or {}, bootstrap_of(settings)
        self._bootstrap = bootstrap
        self._readers = {topic: TopicReader(bootstrap, topic, starts.get(topic)) for topic in (*TOPICS, DECIDED)}
        self._raw, self._scored, self._dead = RawBook(), ScoredBook(RAW), DeadBook(RAW)
        self._decided = DecisionBook(DECIDED)

    def close(self) -> None:
        """Let go of the consumers."""
        for reader in self._readers.values():
            reader.close()

    def read(self) -> int:
        """Read what is new; returns how many records that was."""
        # The raw records first: what is in flight meanwhile then shows as scored rather than as lost.
        return (
            self._readers[RAW].read(self._raw.visit)
            + self._readers[SCORED].read(self._scored.visit)
            + self._readers[DECIDED].read(self._decided.visit)
            + self._readers[DEAD_LETTER].read(self._visit_dead)
        )

    def _visit_dead(self, messages: Sequence[Message]) -> None:
        self._dead.visit(messages)
        self._decided.dead.visit(messages)

    def take(self, accepted_ids: Path | None = None) -> Account:
        """Return the account of what has been read. ``accepted_ids``: a file of event ids in hex, one a line."""
        view = _View(self._raw, self._scored, self._dead, self._readers[RAW])
        account = view.account()
        # How far redrives have come is asked before what the stores show: what was dealt with then shows now.
        backups = {
            reason: view.part_of(read_backup(self._bootstrap, DEAD_LETTER, reason, found))
            for reason, found in view.dead.backups.items()
            if reason in STORES
        }
        if accepted_ids is not None:
            _compare_told(account, view, accepted_ids)
        if self._settings.clickhouse.url is not None:
            side = clickhouse_side(self._settings.clickhouse.url, RAW, view.first, view.next)
            _compare_clickhouse(account, view, side, backups.get(Reason.SINK_CLICKHOUSE, _NO_BACKUP))
        if self._settings.redis.url is not None:
            ttl = self._settings.redis.result_ttl_seconds
            _compare_redis(account, view, self._settings.redis.url, ttl, backups.get(Reason.SINK_REDIS, _NO_BACKUP))
        asked = self._decided.account(self._settings.clickhouse.url)
        account.asked, account.problems = asked._asdict(), account.problems + asked.problems
        account.balanced = not account.problems
        return account


class _View:
    """The three books side by side, cut to the part of events.raw that was read."""

    def __init__(self, raw: RawBook, scored: ScoredBook, dead: DeadBook, reader: TopicReader) -> None:
        self.first, self.next = dict(reader.first), dict(reader.next)
        self.raw, self.scored_book, self.dead = raw, scored, dead
        places, rows = first_by_place(raw.places)
        self.raw_places, self.raw_ids = places, fold(raw.ids)[rows]
        self.raw_known = np.frombuffer(raw.known, np.bool_)[rows]
        self.raw_attempts = np.frombuffer(raw.attempts, np.uint8)[rows]
        found = first_by_place(scored.places)
        inside = self.within(found.places)
        self.scored_places, self.scored_rows = found.places[inside], found.rows[inside]
        self.scored_ids = fold(scored.ids)[self.scored_rows]
        self.scored_again = int(self.within(np.frombuffer(scored.places, np.int64)).sum()) - len(self.scored_places)
        found = first_by_place(dead.places)
        inside = self.within(found.places)
        self.dead_places, self.dead_rows = found.places[inside], found.rows[inside]

    def within(self, places: I64) -> NDArray[np.bool_]:
        """Tell which places lie in the part of events.raw that was read."""
        inside = np.zeros(len(places), np.bool_)
        for partition, low in self.first.items():
            inside |= (places >= place(partition, low)) & (places < place(partition, self.next[partition]))
        return inside

    def part_of(self, backup: Backup) -> Backup:
        """Return a backup without the rows of other parts of events.raw."""
        return Backup(backup.places[self.within(backup.places)], backup.open[self.within(backup.open)])

    def waiting(self) -> dict[str, int]:
        """Return how many rows the backup holds, by reason."""
        found = {reason: np.unique(np.array(rows.places, np.int64)) for reason, rows in self.dead.backups.items()}
        counts = {reason.value: int(self.within(places).sum()) for reason, places in found.items()}
        return {reason: count for reason, count in counts.items() if count}

    def account(self) -> Account:
        """Return the account of Kafka's side."""
        fates = fates_of(RawColumns(self.raw_places, self.raw_ids, self.raw_known, self.raw_attempts),
                         self.scored_places, self.dead_places)  # fmt: skip
        dead = np.isin(self.dead_places, self.raw_places[fates.dead], assume_unique=True)
        account = Account(
            accepted=int((self.raw_attempts == 0).sum()),
            scored=int(fates.scored.sum()),
            dead_lettered=int(dead.sum()),
            deduplicated=int(fates.repeated.sum()),
            lost=fates.lost,
            dead_by_reason=self._by_reason(self.dead_rows[dead]),
            redrives=int((self.raw_attempts > 0).sum()),
            scored_again=self.scored_again,
            waiting=self.waiting(),
            **self._scores(),
        )
        account.problems += self._kafka_problems(fates.lost)
        return account

    def _kafka_problems(self, lost: int) -> Iterator[str]:
        if lost:
            yield f"{lost} accepted events are neither scored nor dead-lettered nor deduplicated"
        nowhere = int((~np.isin(self.scored_places, self.raw_places)).sum())
        if nowhere:
            yield f"{nowhere} scored records name a place in events.raw that holds no record"
        unreadable = self.scored_book.unreadable + self.dead.unreadable
        if unreadable:
            yield f"{unreadable} records of {SCORED} and {DEAD_LETTER} cannot be read"

    def _by_reason(self, rows: NDArray[np.intp]) -> dict[str, int]:
        numbers, counts = np.unique(np.frombuffer(self.dead.reasons, np.uint8)[rows], return_counts=True)
        return {
            self.dead.reason_name(number): count
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)
        }

    def _scores(self) -> dict[str, Any]:
        book, rows = self.scored_book, self.scored_rows
        scores = np.frombuffer(book.scores, np.float32)[rows]
        decisions = np.bincount(np.frombuffer(book.decisions, np.uint8)[rows], minlength=len(DECISIONS))
        written, received = (np.frombuffer(column, np.int64)[rows] for column in (book.written_at, book.received_at))
        waits = written - received
        p50, p99 = np.percentile(waits, (50, 99)).tolist() if len(waits) else (0.0, 0.0)
        return {
            "decisions": dict(zip(DECISIONS, decisions.tolist(), strict=True)),
            "score_histogram": np.histogram(scores, bins=10, range=(0, 100))[0].tolist(),
            "latency_ms": {"p50": p50, "p99": p99},
        }


def _compare_told(account: Account, view: _View, file: Path) -> None:
    """Whoever was told `ok` must find the event in events.raw."""
    try:
        told = b"".join(bytes.fromhex(line) for line in file.read_text("ascii").split())
        folded = fold(told)
    except (OSError, ValueError) as error:
        raise AccountError(f"{file} does not hold event ids in hex, one a line") from error
    missing = int((~np.isin(np.unique(folded), view.raw_ids[view.raw_known])).sum())
    if missing:
        account.problems.append(f"{missing} events whose sender was told ok are not in {RAW}")


def _compare_clickhouse(account: Account, view: _View, side: ClickHouseSide, backup: Backup) -> None:
    """ClickHouse must show exactly what was scored and what died, each once."""
    account.clickhouse_scored, account.clickhouse_dead = len(side.event_ids), len(side.dead_places)
    account.duplicated_for_users = side.event_rows - len(side.event_ids) + side.dead_rows - len(side.dead_places)
    if account.duplicated_for_users:
        account.problems.append(f"ClickHouse shows {account.duplicated_for_users} rows twice")
    shown = view.scored_places[np.isin(view.scored_ids, side.event_ids)]
    _settle(account, Reason.SINK_CLICKHOUSE, backup, np.union1d(shown, side.dead_places))
    waits = np.isin(view.scored_places, backup.places)
    dead_waits = np.isin(view.dead_places, backup.places)
    _differ(account, "scored events", view.scored_ids[~waits], view.scored_ids, side.event_ids)
    _differ(account, "dead letters", view.dead_places[~dead_waits], view.dead_places, side.dead_places)


def _settle(account: Account, reason: Reason, backup: Backup, shown: I64) -> None:
    """Say what became of the rows of the backup."""
    found = backup.found(shown)
    account.waiting.pop(reason, None)
    if found.waiting:
        account.waiting[reason.value] = found.waiting
    if found.redriven:
        account.redriven[reason.value] = found.redriven
    problem = found.problem(reason)
    if problem:
        account.problems.append(problem)


def _differ(account: Account, what: str, due: I64 | U64, known: I64 | U64, found: I64 | U64) -> None:
    missing = len(np.setdiff1d(due, found))
    extra = len(np.setdiff1d(found, known))
    if missing:
        account.problems.append(f"ClickHouse lacks {missing} {what}")
    if extra:
        account.problems.append(f"ClickHouse holds {extra} {what} that Kafka does not")


def _compare_redis(account: Account, view: _View, url: str, ttl_seconds: int, backup: Backup) -> None:
    """Redis must answer for everything scored within the results' time to live."""
    book = view.scored_book
    rows = view.scored_rows
    alive = time.time() * 1000 - ttl_seconds * 1000
    fresh = np.frombuffer(book.written_at, np.int64)[rows] > alive
    names = book.merchant_names
    keys = ((names[book.merchants[row]], bytes(book.ids[16 * row : 16 * row + 16])) for row in rows[fresh])
    missing = np.zeros(len(rows), np.bool_)
    missing[fresh] = missing_results(url, keys)
    account.redis_results = int((fresh & ~missing).sum())
    # Whether a rejection arrived is not compared: it is taken as shown once the redrive has dealt with it.
    rejected = np.setdiff1d(view.dead_places, backup.open)
    _settle(account, Reason.SINK_REDIS, backup, np.union1d(view.scored_places[~missing], rejected))
    lacks = int((missing & ~np.isin(view.scored_places, backup.places)).sum())
    if lacks:
        account.problems.append(f"Redis has no result for {lacks} scored events")


def bootstrap_of(settings: Settings) -> str:
    """Return Kafka's address; AccountError where there is none."""
    if settings.kafka.bootstrap is None:
        raise AccountError("no Kafka: run `clickgoose up`, or set CLICKGOOSE_KAFKA__BOOTSTRAP")
    return settings.kafka.bootstrap


def read_account(settings: Settings, since: Offsets | None = None, accepted_ids: Path | None = None) -> Account:
    """Read everything once and return the account. AccountError says what cannot be read."""
    accountant = Accountant(settings, since)
    try:
        accountant.read()
        return accountant.take(accepted_ids)
    finally:
        accountant.close()


def wait_settled(
    settings: Settings,
    since: Offsets | None,
    timeout: float,
    accepted_ids: Path | None = None,
    *,
    still_seconds: float = 10.0,
) -> Account:
    """Return the account once it balances and nothing waits in the backup, or when the time is over.

    That is after ``timeout``, or once nothing has moved for ``still_seconds``.
    """
    accountant = Accountant(settings, since)
    try:
        ends = time.monotonic() + timeout
        still_since, before = time.monotonic(), None
        while True:
            accountant.read()
            account = accountant.take(accepted_ids)
            now = time.monotonic()
            if account.as_dict() != before:
                still_since, before = now, account.as_dict()
            settled = account.balanced and not any(reason in account.waiting for reason in STORES)
            if settled or now >= ends or now - still_since >= still_seconds:
                return account
            time.sleep(0.2)
    finally:
        accountant.close()


def read_start(bootstrap: str) -> dict[str, dict[int, int]]:
    """Return the present ends of the topics: the ``since`` of an account of what comes from now on."""
    found = {}
    for topic in (*TOPICS, DECIDED):
        reader = TopicReader(bootstrap, topic)
        found[topic] = reader.ends()
        reader.close()
    return found


def load_start(file: Path) -> dict[str, dict[int, int]]:
    """Read a start back; AccountError where the file is none."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, dict[int, int]])
    except (msgspec.MsgspecError, OSError) as error:
        raise AccountError(f"{file} does not hold the offsets that `clickgoose account --mark` writes") from error
