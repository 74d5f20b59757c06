"""Redrive by itself: rows that wait in the backup for a destination go back to it when it takes rows again.

One thread a destination and flow process, with a consumer group of its own on ``events.dead_letter``, so that the
processes share its partitions. Letters of other reasons are told by their headers and passed over. Offsets are
committed only below the lowest letter that is neither written nor left: after kill -9 some are written again, which
shows nothing twice, as with every write to these destinations.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from flows.sinks.destination import Redrivable
from flows.sinks.kafka import DEAD_LETTER
from flows.sinks.redelivery import Held, Redelivery, RedrivePolicy
from schemas.dead_letter import Reason, decode_dead_letter

log = logging.getLogger("clickgoose.redrive")
_HEADER = "clickgoose.reason"
_POLL_SECONDS = 0.25
_COMMIT_SECONDS = 1.0
FETCH_BYTES = 16 * 1024**2
GROUP = "clickgoose-redrive-"


class RedriveMetrics(Protocol):
    """What a redriver tells of itself; the label is the destination's name."""

    def on_redrive(self, sink: str, written: int, left: int) -> None:
        """Count letters that were written, and those that stay in the backup."""
        ...

    def on_backup(self, sink: str, waiting: int, oldest_seconds: float) -> None:
        """State how many records of the backup are still to be looked at, and the age of the oldest letter held."""
        ...


class LiveTraffic(Protocol):
    """The writer of the same destination in the same process, whose rows go first."""

    @property
    def pressed(self) -> bool:
        """Tell whether there is more to do than the destination takes."""
        ...

    @property
    def blocks_written(self) -> int:
        """Return how many blocks the destination took."""
        ...


@dataclass(frozen=True, slots=True)
class RedriveParts:
    """What a redriver works with. ``clock`` gives monotonic seconds, ``now`` Unix nanoseconds."""

    make: Callable[[], Redrivable]
    reason: Reason
    policy: RedrivePolicy
    metrics: RedriveMetrics
    live: Callable[[], LiveTraffic | None]
    clock: Callable[[], float]
    now: Callable[[], int]


def redrive_group(sink: str, topic: str = DEAD_LETTER) -> str:
    """Return the consumer group whose offsets say how far a destination's letters were dealt with."""
    return GROUP + sink if topic == DEAD_LETTER else f"{GROUP}{sink}-{topic}"


class Redriver:
    """One destination's thread. ``stop`` may be shared: the flow's, so that both end side by side."""

    def __init__(
        self, bootstrap: str, parts: RedriveParts, topic: str = DEAD_LETTER, stop: threading.Event | None = None
    ) -> None:
        self._bootstrap, self._topic = bootstrap, topic
        self._parts = parts
        self._stopping = stop or threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"redrive-{parts.reason.value}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Tell the thread to end, without waiting for it."""
        self._stopping.set()

    def join(self) -> None:
        """Stop, and wait for the end, bounded; what was not committed is redriven again."""
        self._stopping.set()
        self._thread.join(self._parts.policy.close_seconds)

    def _run(self) -> None:
        """Work until stopped; whatever goes wrong is said aloud, and begun anew from the committed offsets."""
        while not self._stopping.is_set():
            try:
                self._work()
            except Exception:
                log.exception("redrive of %s failed; it begins again", self._parts.reason)
                self._stopping.wait(self._parts.policy.backoff_limit_seconds)

    def _work(self) -> None:
        destination = self._parts.make()
        session = _Session(Consumer(_consumer_config(self._bootstrap, redrive_group(destination.name, self._topic))),
                           self._topic, destination, self._parts)  # fmt: skip
        try:
            while not self._stopping.is_set():
                session.step()
        finally:
            session.close()
            destination.close()


class _Session:
    """A consumer in the group and the letters that it fetched."""

    def __init__(self, consumer: Consumer, topic: str, destination: Redrivable, parts: RedriveParts) -> None:
        self._consumer, self._topic, self._parts = consumer, topic, parts
        self._name = destination.name
        self._reason = parts.reason.value.encode()
        self._letters = Redelivery(destination, parts.policy, parts.clock, self._taken)
        self._next: dict[int, int] = {}  # what to read next, by partition
        self._committed: dict[int, int] = {}
        self._paused = False
        self._commit_at = self._measure_at = 0.0
        self._away_said = False
        consumer.subscribe([topic], on_revoke=self._revoked, on_lost=self._lost)

    def step(self) -> None:
        """Fetch, try what is due, commit, measure: at most about a quarter of a second, and one write."""
        self._fetch()
        if self._letters.due() and not self._yields():
            written, left = self._letters.deliver()
            self._tell(written, left)
        now = self._parts.clock()
        if now >= self._commit_at:
            self._commit(asynchronous=True)
            self._commit_at = now + _COMMIT_SECONDS
        if now >= self._measure_at:
            self._measure()
            self._measure_at = now + self._parts.policy.measure_seconds

    def close(self) -> None:
        """Commit and leave the group."""
        self._commit(asynchronous=False)
        self._consumer.close()

    def _taken(self) -> int:
        live = self._parts.live()
        return 0 if live is None else live.blocks_written

    def _yields(self) -> bool:
        live = self._parts.live()
        return live is not None and live.pressed

    def _fetch(self) -> None:
        """Poll, always: a member that does not is thrown out of its group. Full hands only pause it."""
        assigned = self._consumer.assignment()
        if self._letters.full and not self._paused and assigned:
            self._consumer.pause(assigned)
            self._paused = True
        elif self._paused and not self._letters.full:
            self._consumer.resume(assigned)
            self._paused = False
        wait = 0.01 if self._letters.due() and not self._yields() else _POLL_SECONDS
        for message in self._consumer.consume(self._parts.policy.letters_at_once, wait):
            self._take(message)

    def _take(self, message: Message) -> None:
        if message.error() is not None:
            log.debug("redrive of %s: %s", self._name, message.error())
            return
        partition, offset = message.partition() or 0, message.offset() or 0
        self._next[partition] = offset + 1
        if _reason(message) != self._reason:
            return
        try:
            letter = decode_dead_letter(message.value() or b"")
        except msgspec.MsgspecError:
            log.error("record %d of %s/%d is no dead letter: it stays there", offset, self._topic, partition)
            self._parts.metrics.on_redrive(self._name, 0, 1)
        else:
            self._letters.held.append(Held(letter, partition, offset))

    def _tell(self, written: int, left: list[Held]) -> None:
        if written or left:
            self._parts.metrics.on_redrive(self._name, written, len(left))
        for held in left:
            log.error(
                "sink %s refused row %d of %s/%d %d times while it took others: it stays in %s/%d at %d: %s",
                self._name, held.letter.offset, held.letter.topic, held.letter.partition, held.refusals,
                self._topic, held.partition, held.offset, held.detail,
            )  # fmt: skip
        away = self._letters.away
        if away is not None and not self._away_said:
            log.warning("redrive to %s waits: %s", self._name, away)
        elif written and not len(self._letters.held):
            log.info("redrive to %s: %d rows written, none held", self._name, written)
        self._away_said = away is not None

    def _commit(self, asynchronous: bool) -> None:
        """Commit below the lowest letter of each partition that is still held."""
        lowest = dict(self._next)
        for held in self._letters.held:
            lowest[held.partition] = min(lowest.get(held.partition, held.offset), held.offset)
        moved = {partition: offset for partition, offset in lowest.items() if self._committed.get(partition) != offset}
        if not moved:
            return
        offsets = [TopicPartition(self._topic, partition, offset) for partition, offset in moved.items()]
        try:
            if asynchronous:
                self._consumer.commit(offsets=offsets, asynchronous=True)
            else:
                self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:  # they are redriven again
            log.warning("redrive to %s: offsets not committed: %s", self._name, error.args[0].name())
        else:
            self._committed.update(moved)

    def _measure(self) -> None:
        try:
            waiting = sum(map(self._waiting, self._consumer.committed(self._consumer.assignment(), timeout=1.0)))
        except KafkaException:  # asked again soon
            return
        now = self._parts.now() // 1_000_000
        oldest = min((held.letter.first_failed_at for held in self._letters.held), default=now)
        self._parts.metrics.on_backup(self._name, waiting, max(0.0, (now - oldest) / 1000))

    def _waiting(self, committed: TopicPartition) -> int:
        """Return how many records of a partition come after the first that is not dealt with."""
        partition = committed.partition
        low, high = self._consumer.get_watermark_offsets(committed, timeout=1.0) or (0, 0)
        due = [held.offset for held in self._letters.held if held.partition == partition]
        due.append(self._next.get(partition, max(low, committed.offset)))  # negative: none was ever committed
        return max(0, high - min(due))

    def _revoked(self, _: Consumer, places: list[TopicPartition]) -> None:
        self._commit(asynchronous=False)
        self._lost(_, places)

    def _lost(self, _: Consumer, places: list[TopicPartition]) -> None:
        partitions = [place.partition for place in places]
        self._letters.drop(partitions)
        self._paused = False
        for partition in partitions:
            self._next.pop(partition, None)
            self._committed.pop(partition, None)


def _reason(message: Message) -> bytes | str | None:
    """Return the header that says why a letter was written, without a look at the letter."""
    for header in message.headers() or ():
        if header[0] == _HEADER:
            return header[1]
    return None


def _consumer_config(bootstrap: str, group: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 6_000,  # so long the letters of a process that was killed wait for another
        "heartbeat.interval.ms": 1_500,
        "socket.timeout.ms": 5_000,
        "fetch.max.bytes": FETCH_BYTES // 2,
        "queued.max.messages.kbytes": FETCH_BYTES // 1024,
        "reconnect.backoff.max.ms": 1_000,
        "log_level": 0,
    }
