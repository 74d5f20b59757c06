"""Appends records to Kafka and tells which are acknowledged: one future per request, not one per event.

The event loop looks for librdkafka's delivery reports itself, every millisecond while any is due: a thread that waits
for them takes the interpreter for each, and hands it to and fro with the loop. Records go out as one flight: what comes
while a flight is not all reported waits for its end, so that requests grow with the load, and a lone event goes at
once. With five events of a partition out and more behind them, the thread of an idempotent producer in librdkafka
spins on ``poll`` until they are answered: on a busy machine that was up to half of what the tier spent, and where
Kafka has no other core than this thread, Linux may give it no turn until the events time out and go to the spool.
(confluent-kafka's AIOProducer buffers messages for up to a second in Python, awaits a future per message and is marked
experimental, so it is not used here.)
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from enum import IntEnum
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from ingest_api.checks import Record

log = logging.getLogger("ingest.kafka")
_SOON: Final = 0.001
_IDLE: Final = 0.1  # errors are reported as well
_LONGEST_HOLD: Final = 0.05  # one partition that does not answer holds up those that do by so much
_PERMANENT = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD})


class Delivered(IntEnum):
    """What became of one record."""

    YES = 0
    NOT_NOW = 1
    NEVER = 2  # Kafka refuses this record whenever it is sent


class _Batch:
    """The records of one call, counted down by their delivery reports."""

    __slots__ = ("_left", "done", "outcomes")

    def __init__(self, size: int, done: asyncio.Future[None]) -> None:
        self.outcomes = [Delivered.NOT_NOW] * size
        self._left, self.done = size, done

    def report(self, index: int, error: KafkaError | None, _message: Any) -> None:
        """Take the report of one record."""
        if error is None:
            self.settle(index, Delivered.YES)
        else:
            self.settle(index, Delivered.NEVER if error.code() in _PERMANENT else Delivered.NOT_NOW)

    def settle(self, index: int, outcome: Delivered) -> None:
        """Note one outcome; the last one completes the batch."""
        self.outcomes[index] = outcome
        self._left -= 1
        if self._left == 0 and not self.done.done():
            self.done.set_result(None)

    def fail(self, bug: Exception) -> None:
        """Complete the batch with what should not have happened."""
        if not self.done.done():
            self.done.set_exception(bug)


class KafkaAppender:
    """An idempotent producer with acks from all replicas and a bounded queue.

    Sealed events are ciphertext, which does not compress (lz4 saves 0.2%, deflate 0.6%), so no time is spent on it.
    """

    def __init__(self, bootstrap: str, topic: str, timeout_ms: int) -> None:
        self._topic = topic
        self._conf: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "client.id": "clickgoose-ingest",
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 0.5,  # the time that it takes to hand a flight over
            "compression.type": "none",
            "message.timeout.ms": max(timeout_ms, 100),
            "queue.buffering.max.messages": 100_000,
            "queue.buffering.max.kbytes": 131_072,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1_000,
            "topic.metadata.refresh.interval.ms": 60_000,
            "log_level": 2,
            "error_cb": self._on_error,
        }
        self._producer = Producer(self._conf)
        self._broken = False
        self._replaced: list[Producer] = []  # with reports that are still to come
        self._timer: asyncio.TimerHandle | None = None
        self._soon = False
        self._held: list[tuple[Sequence[Record], _Batch]] = []
        self._held_since = 0.0

    def start(self) -> None:
        """Begin to look for what Kafka says, on the running event loop; the first record does so as well."""
        self._look(asyncio.get_running_loop(), _IDLE)

    async def append(self, records: Sequence[Record]) -> list[Delivered]:
        """Return one outcome per record, once Kafka has acknowledged or given up on each; never raises for Kafka."""
        loop = asyncio.get_running_loop()
        batch = _Batch(len(records), loop.create_future())
        if not self._held:
            self._held_since = loop.time()
            if not len(self._producer):
                loop.call_soon(self._hand_over)  # with what others bring in the same turn of the loop
        self._held.append((records, batch))
        if not self._soon:
            self._look(loop, _SOON)
        await batch.done
        return batch.outcomes

    def _hand_over(self) -> None:
        """Queue all that is held, as one flight; a bug with the records of one call is that call's alone."""
        held, self._held = self._held, []
        for records, batch in held:
            try:
                self._produce(records, batch)
            except Exception as bug:
                batch.fail(bug)

    def _hand_over_if_due(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin a flight where the last one has ended, or takes too long."""
        if self._held and (not len(self._producer) or loop.time() - self._held_since >= _LONGEST_HOLD):
            self._hand_over()

    def _produce(self, records: Sequence[Record], batch: _Batch) -> None:
        """Queue records."""
        produce, topic = self._producer.produce, self._topic
        refused: list[int] = []
        for index, (key, value) in enumerate(records):
            if refused:  # keep the order: what follows a refused record waits as well
                refused.append(index)
                continue
            try:
                produce(topic, value, key, on_delivery=partial(batch.report, index))
            except (BufferError, KafkaException):
                refused.append(index)
        for index in refused:
            batch.settle(index, Delivered.NOT_NOW)

    def _look(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Look for reports after so long."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self._poll, loop)
        self._soon = seconds == _SOON

    def _poll(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the reports that have come, and look again."""
        try:
            self._producer.poll(0)
            if self._broken:
                self._replace()
            self._hand_over_if_due(loop)
            for one in self._replaced:
                one.poll(0)
            self._release(loop)
        finally:
            self._look(loop, _SOON if self._held or len(self._producer) or self._replaced else _IDLE)

    def _release(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the producers whose last report has come, in a thread: they wait for their connections."""
        for one in [one for one in self._replaced if not len(one)]:
            self._replaced.remove(one)
            loop.run_in_executor(None, one.close)

    def _on_error(self, error: KafkaError) -> None:
        """An idempotent producer that met a fatal error never sends again: it has to be made anew."""
        if error.fatal() or error.code() == KafkaError._FATAL:
            self._broken = True

    def _replace(self) -> None:
        """Fail what is queued (it goes to the spool) and start over; duplicates are dropped by the flow."""
        log.error("kafka producer met a fatal error and is replaced")
        broken, self._producer, self._broken = self._producer, Producer(self._conf), False
        broken.purge(in_queue=True, in_flight=True)
        self._replaced.append(broken)

    async def alive(self, seconds: float) -> bool:
        """Tell whether Kafka answers a metadata request for the topic in time."""
        return await asyncio.to_thread(self._has_topic, seconds)

    def _has_topic(self, seconds: float) -> bool:
        try:
            found = self._producer.list_topics(self._topic, timeout=seconds).topics[self._topic]
        except (KafkaException, KeyError):
            return False
        return found.error is None and bool(found.partitions)

    async def close(self) -> None:
        """Hand over what is held and wait for all that is queued, at most as long as its own time limit, and stop."""
        ends = time.monotonic() + self._conf["message.timeout.ms"] / 1_000 + 1
        self._hand_over()
        while len(self._producer) and time.monotonic() < ends:
            self._producer.poll(0)
            await asyncio.sleep(_SOON)
        if self._timer is not None:
            self._timer.cancel()
