"""Records of a run's topics are appended once, also where the process was killed, or Kafka did not answer, in between.

Rows that lie beyond a checkpoint come again. What of them is in the topics already is read from there: everything
after the end offsets that the checkpoint kept. A record is known by the row that it is of, and a letter by its stage
too, not by its bytes. The same is done where an append failed: some of its records may be held all the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition

from flows.parcel import Span
from flows.sinks.destination import DestinationError
from flows.sinks.kafka import Appender, Record
from flows.sources.watermarks import watermarks
from replay.parts import Marks

ROWS: Final = "rows"
"""Of the marks: not a topic, but up to where rows of each partition of ``events.raw`` were written."""
_SECONDS: Final = 10.0
_SETTLED_SECONDS: Final = 0.25  # requests of a killed process that the broker has taken and not done yet


class Name(NamedTuple):
    """What a record is known by: its topic, and the row and the stage that it is of."""

    topic: str
    partition: int
    offset: int
    stage: str


class _Place(msgspec.Struct):
    partition: int
    offset: int


class _Placed(msgspec.Struct):
    origin: _Place


_PLACED: Final = msgspec.json.Decoder(_Placed)


def name_of(topic: str, value: bytes, headers: Any) -> Name | None:
    """Return what a record is known by; None where it is nothing that a replay writes."""
    said = dict(headers or ())
    stage = said.get("clickgoose.stage")
    try:
        if stage is not None:
            partition, offset = (int(said[f"clickgoose.{name}"]) for name in ("partition", "offset"))
            return Name(topic, partition, offset, bytes(stage).decode())
        origin = _PLACED.decode(value).origin
    except (KeyError, ValueError, TypeError):  # msgspec's own errors are ValueErrors
        return None
    return Name(topic, origin.partition, origin.offset, "")


class Tail:
    """What the topics hold beyond a checkpoint; shared by all that append to them."""

    def __init__(self, bootstrap: str, topics: Sequence[str]) -> None:
        self._bootstrap, self._topics = bootstrap, tuple(topics)
        self._lock = threading.Lock()
        self._marks: Marks = {}
        self._rows: dict[int, int] = {}
        self._rows_held: dict[int, int] = {}  # as the marks have it: rows up to there do not come again
        self._known: set[Name] = set()

    def resume(self, marks: Marks) -> None:
        """Begin after a checkpoint; DestinationError where Kafka cannot be asked."""
        self._rows = {int(partition): offset for partition, offset in marks.get(ROWS, {}).items()}
        self._rows_held = dict(self._rows)
        self._marks = {topic: dict(marks.get(topic, {})) for topic in self._topics}
        self.look()

    def look(self) -> None:
        """Read what lies beyond the marks, also of rows that were noted as written and wait to be appended."""
        with self._lock:
            self._known = _beyond(read_tail(self._bootstrap, self._marks), self._rows_held)

    def wrote(self, spans: Sequence[Span]) -> None:
        """Note up to where rows have come; they may still wait to be appended."""
        with self._lock:
            for span in spans:
                self._rows[span.partition] = max(span.next, self._rows.get(span.partition, 0))

    def fresh(self, records: Sequence[Record]) -> list[int]:
        """Return the places of the records that are not there yet."""
        with self._lock:
            if not self._known:
                return list(range(len(records)))
            return [place for place, record in enumerate(records) if not self._has(record)]

    def marks(self) -> Marks:
        """Return the marks for a checkpoint: all that was noted as written is held, and nothing else is on its way.

        While rows that are there already have not all come again, the marks stay before them.
        """
        with self._lock:
            self._known = _beyond(self._known, self._rows)
            self._rows_held = dict(self._rows)
            if not self._known:
                self._marks = _ends(self._bootstrap, self._topics)
            return {**self._marks, ROWS: {str(partition): offset for partition, offset in self._rows.items()}}

    def _has(self, record: Record) -> bool:
        name = name_of(record.topic, record.value, record.headers)
        return name is not None and name in self._known


def _beyond(names: set[Name], rows: Mapping[int, int]) -> set[Name]:
    return {name for name in names if name.offset >= rows.get(name.partition, 0)}


class OnceAppender(Appender):
    """Appends what the topics do not hold yet. One thread at a time."""

    def __init__(self, config: dict[str, Any], make: Callable[[dict[str, Any]], Any], tail: Tail) -> None:
        super().__init__(config, make)
        self._tail = tail
        self._unsure = False

    def append(self, records: Sequence[Record]) -> list[int]:
        """Append as ``Appender`` does, what is not there; after a failure look first what is."""
        if self._unsure:
            self._tail.look()
            self._unsure = False
        places = self._tail.fresh(records)
        try:
            refused = super().append([records[place] for place in places])
        except DestinationError:
            self._unsure = True
            self._forget()
            raise
        return [places[index] for index in refused]

    def _forget(self) -> None:
        """Drop the producer with all that it might still send: what is looked at later must not change any more."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            producer.poll(0)


@dataclass(slots=True)
class _Reading:
    """How far a topic's partitions are read."""

    ends: dict[tuple[str, int], int]
    open: set[tuple[str, int]] = field(default_factory=set)


def read_tail(bootstrap: str, marks: Mapping[str, Mapping[str, int]]) -> set[Name]:
    """Return what topics hold beyond their marks, once nothing is added any more."""
    with _consumer(bootstrap) as consumer:
        ends = _settled(consumer, tuple(marks))
        first = {(topic, number): marks[topic].get(str(number), 0) for topic, number in ends}
        reading = _Reading(ends, {place for place, end in ends.items() if end > first[place]})
        if not reading.open:
            return set()
        consumer.assign([TopicPartition(*place, first[place]) for place in reading.open])
        return _read(consumer, reading)


def _read(consumer: Consumer, reading: _Reading) -> set[Name]:
    found: set[Name] = set()
    gives_up = time.monotonic() + _SECONDS
    while reading.open:
        for message in consumer.consume(1_000, 0.2):
            if error := message.error():
                raise DestinationError(f"Kafka: {error.name()}")
            gives_up = time.monotonic() + _SECONDS
            name = name_of(message.topic() or "", message.value() or b"", message.headers())
            if name is not None:
                found.add(name)
        at = {(place.topic, place.partition): place.offset for place in consumer.position(_places(reading.open))}
        reading.open = {place for place in reading.open if at.get(place, -1) < reading.ends[place]}
        if time.monotonic() > gives_up:
            raise DestinationError("Kafka does not give what it holds")
    return found


def _places(places: set[tuple[str, int]]) -> list[TopicPartition]:
    return [TopicPartition(*place) for place in places]


def _settled(consumer: Consumer, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    """Return the ends of the topics once they stand still."""
    ends = _ends_of(consumer, topics)
    while True:
        time.sleep(_SETTLED_SECONDS)
        before, ends = ends, _ends_of(consumer, topics)
        if ends == before:
            return ends


def _ends(bootstrap: str, topics: Sequence[str]) -> Marks:
    marks: Marks = {topic: {} for topic in topics}
    with _consumer(bootstrap) as consumer:
        for (topic, number), end in _ends_of(consumer, topics).items():
            marks[topic][str(number)] = end
    return marks


def _ends_of(consumer: Consumer, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    try:
        return {
            (topic, number): watermarks(consumer, topic, number, _SECONDS)[1]
            for topic in topics
            for number in consumer.list_topics(topic, timeout=_SECONDS).topics[topic].partitions
        }
    except KafkaException as error:
        raise DestinationError(f"Kafka: {error.args[0].name()}") from error


class _consumer:  # noqa: N801 - read as a function
    """A consumer in no group, closed at the end."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": "clickgoose-replay", "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "log_level": 0,
        })  # fmt: skip

    def __enter__(self) -> Consumer:
        return self._consumer

    def __exit__(self, *_: object) -> None:
        self._consumer.close()
