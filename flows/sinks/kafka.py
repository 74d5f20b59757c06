"""Kafka as a destination: an appender that returns only when every record is acknowledged, and who uses it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence, Set
from functools import lru_cache, partial
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer

from flows.sinks.destination import Backup, DestinationError
from flows.sinks.encoded import EncodedParcel
from flows.sinks.letters import Undelivered
from flows.sinks.written import Head, head_of, heads_of
from schemas.dead_letter import DeadLetter, Reason, dead_letter_headers, encode_dead_letter
from schemas.result import Result

SCORED = "events.scored"
ALERTS = "events.alerts"
DEAD_LETTER = "events.dead_letter"


class OutputTopics(NamedTuple):
    """Where results, alerts and dead letters go; a replay has its own."""

    scored: str = SCORED
    alerts: str = ALERTS
    dead_letter: str = DEAD_LETTER


MAX_RECORD_BYTES = 4_194_304
_HEADERS_KEPT = 1_024  # merchants and decisions
_FLUSH_SECONDS = 0.1  # so long the client waits at once

# The broker will say so again however often the record is sent.
_REFUSED = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD})
Headers = list[tuple[str, str | bytes | None]]


class Record(NamedTuple):
    """One record to append."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers
    partition: int = -1  # by the key


def producer_config(
    bootstrap: str, *, linger_ms: int = 2, delivery_seconds: float = 10.0, codec: str = "zstd"
) -> dict[str, Any]:
    """Return the settings of a producer that loses nothing and whose queue is bounded."""
    return {
        "bootstrap.servers": bootstrap,
        "enable.idempotence": True,
        "acks": "all",
        "compression.codec": codec,
        # As small as with zstd's usual level 3, for a quarter less of the time where a parcel has few records.
        **({"compression.level": 1} if codec == "zstd" else {}),
        "linger.ms": linger_ms,
        "delivery.timeout.ms": int(delivery_seconds * 1000),
        "request.timeout.ms": min(5_000, int(delivery_seconds * 1000)),
        "queue.buffering.max.messages": 100_000,
        "queue.buffering.max.kbytes": 131_072,
        "message.max.bytes": MAX_RECORD_BYTES,
        "log_level": 0,  # what matters arrives as an error of a record
        "delivery.report.only.error": True,  # those that are held are counted by the client: ``Appender``
    }


class _Delivery:
    """What Kafka did not take of one append."""

    def __init__(self) -> None:
        self.refused: list[int] = []
        self.error: KafkaError | None = None

    def failed(self, index: int, error: KafkaError | None, _: object = None) -> None:
        """Take note of a report of the record at ``index``; of one that is held there may be none."""
        if error is None:
            return
        if error.code() in _REFUSED:
            self.refused.append(index)
        else:
            self.error = error


class Appender:
    """Appends records and waits for Kafka's word on each of them. One thread at a time.

    The client counts the reports: a record is in its queue until the one of it was looked at, and only a failure makes
    a call of ours (``delivery.report.only.error``), for each of which the thread would wait for the interpreter.
    """

    def __init__(self, config: dict[str, Any], make: Callable[[dict[str, Any]], Producer] = Producer) -> None:
        self._config = config
        self._make = make
        self._producer: Producer | None = None

    def append(self, records: Sequence[Record]) -> list[int]:
        """Return the indices of records that Kafka refuses for good; all others are held.

        DestinationError where any other record is not: then nothing is promised about any. Returns within the
        delivery timeout and a moment.
        """
        if not records:
            return []
        producer = self._open()
        delivery = _Delivery()
        produce, failed = producer.produce, delivery.failed
        for index, (topic, key, value, headers, partition) in enumerate(records):
            said = partial(failed, index)
            try:
                produce(topic, value, key or None, partition, headers=headers, on_delivery=said)
            except BufferError:
                self._produce_late(producer, records[index], said)
            except KafkaException as error:
                said(error.args[0], None)
        while producer.flush(_FLUSH_SECONDS):
            pass
        if delivery.error is not None:
            if delivery.error.fatal():  # an idempotent producer cannot go on after this
                self._producer = None
            raise DestinationError(f"Kafka: {delivery.error.name()}")
        return sorted(delivery.refused)

    def close(self) -> None:
        """Let go of the producer; what an unfinished append sent is not waited for."""
        self._producer = None

    def _open(self) -> Producer:
        if self._producer is None:
            self._producer = self._make(self._config)
        return self._producer

    @staticmethod
    def _produce_late(producer: Producer, record: Record, failed: Callable[[KafkaError | None, object], None]) -> None:
        """Wait until the client's queue has room: for reports of what is in it."""
        topic, key, value, headers, partition = record
        while True:
            producer.poll(0.1)
            try:
                producer.produce(topic, value, key or None, partition, headers=headers, on_delivery=failed)
            except BufferError:
                continue
            except KafkaException as error:
                failed(error.args[0], None)
            return


class KafkaScored:
    """Appends every result to ``events.scored``; to ``events.alerts`` what is not allowed, and what a rule alerts of.

    There is no backup for Kafka itself: while it is away the writer retries. A record that Kafka refuses for good
    (too large) goes to the dead letters, so that it does not hold up the rest.
    """

    name = "scored"

    def __init__(self, appender: Appender, backup: Backup, topics: OutputTopics | None = None) -> None:
        self._appender = appender
        self._backup = backup
        self._topics = topics or OutputTopics()

    def write(self, parcels: Sequence[EncodedParcel]) -> None:
        """Append the results, keyed by device, in order."""
        records: list[Record] = []
        for item in parcels:
            records += _records_of(heads_of(item.results), item.records, self._topics)
        refused = self._appender.append(records)
        if refused:
            self._bury(parcels, frozenset(refused))

    def _bury(self, parcels: Sequence[EncodedParcel], refused: Set[int]) -> None:
        """Take the results of which Kafka refuses a record, on either topic, to the backup: ``refused`` are indices."""
        why = Undelivered(Reason.SINK_KAFKA, self.name, "Kafka refused the record: too large or invalid", "scored")
        letters: list[DeadLetter] = []
        end = 0
        for item in parcels:
            rows = list[int]()
            for row, (head, value) in enumerate(zip(heads_of(item.results), item.records, strict=True)):
                first, end = end, end + len(_records_of((head,), (value,), self._topics))
                if not refused.isdisjoint(range(first, end)):
                    rows.append(row)
            made = why.scored(item, item.records) if rows else []
            letters += [made[row] for row in rows]
        self._backup.append(letters)

    def close(self) -> None:
        """Let go of the producer."""
        self._appender.close()


def scored_records(result: Result, value: bytes, topics: OutputTopics) -> list[Record]:
    """Return the records of one result: for ``events.scored``, and for ``events.alerts`` where one should see it."""
    return _records_of((head_of(result),), (value,), topics)


def _records_of(heads: Sequence[Head], values: Sequence[bytes], topics: OutputTopics) -> list[Record]:
    records: list[Record] = []
    add, to_bytes = records.append, bytes.fromhex
    for head, value in zip(heads, values, strict=True):
        decision, alerts = head.decision, head.alerts
        key, headers = to_bytes(head.device_id), _headers(head.merchant, decision, alerts)
        add(Record(topics.scored, key, value, headers))
        if alerts or decision != "allow":
            add(Record(topics.alerts, key, value, headers))
    return records


@lru_cache(_HEADERS_KEPT)
def _headers(merchant: str, decision: str, alerts: tuple[str, ...]) -> Headers:
    """Return the headers of a result, which nobody changes: many of a merchant have the same."""
    return [
        ("clickgoose.merchant", merchant.encode()),
        ("clickgoose.decision", decision.encode()),
        *(("clickgoose.alert", alert.encode()) for alert in alerts),
    ]


class KafkaBackup:
    """Appends letters to ``events.dead_letter``; used by the writers of all sinks, one at a time."""

    def __init__(self, appender: Appender, topic: str = DEAD_LETTER) -> None:
        self._appender = appender
        self._topic = topic
        self._lock = threading.Lock()

    def append(self, letters: Sequence[DeadLetter]) -> None:
        """Return once Kafka holds every letter; DestinationError otherwise."""
        records = [
            Record(self._topic, letter_key(letter), encode_dead_letter(letter), list(dead_letter_headers(letter)))
            for letter in letters
        ]
        with self._lock:
            refused = self._appender.append(records)
        if refused:
            raise DestinationError(f"Kafka: {len(refused)} dead letters are over the limit of {self._topic}; raise it")

    def close(self) -> None:
        """Let go of the producer."""
        self._appender.close()


def letter_key(letter: DeadLetter) -> bytes:
    """Return the record's key: the event id, or the place where an unreadable record lies."""
    return (letter.event_id or f"{letter.topic}:{letter.partition}:{letter.offset}").encode()


class KafkaDeadLetters:
    """Appends the parcels' dead letters to the backup topic. There is no backup for the backup: the writer retries."""

    name = "dead_letter"

    def __init__(self, backup: KafkaBackup) -> None:
        self._backup = backup

    def concerned(self, parcel: EncodedParcel) -> bool:
        """Tell whether there are letters."""
        return bool(parcel.parcel.errs)

    def write(self, parcels: Sequence[EncodedParcel]) -> None:
        """Append the letters."""
        self._backup.append([letter for item in parcels for letter in item.parcel.errs])

    def close(self) -> None:
        """Let go of the producer."""
        self._backup.close()
