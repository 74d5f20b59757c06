"""The fence: one flow a partition, wherever the others run and whatever state directory they have.

Beside its offsets a flow commits to its Kafka group who it is and a number that grows. A flow that starts and finds
somebody else's commit watches it for a while: it refuses where the number still grows, and takes over where it stands
still or where the other said that it ended. A flow whose commit was overwritten by another stops itself: of two that
start in the same moment one remains. See docs/delivery.md for what may happen in between.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

log = logging.getLogger("clickgoose.flow")
_BEATS_OF_PATIENCE = 3  # so many beats without a new number, and its owner is gone
_MARGIN_SECONDS = 1.0
_LOOK_SECONDS = 0.2
_SETTLE_SECONDS = 0.5
_KAFKA_SECONDS = 5.0  # an answer
_POLL_SECONDS = 0.02
_CLOSE_SECONDS = 2.0
_CLAIM_SECONDS = 15.0  # a broker that just started has no coordinator for some seconds
_KNOWN = 1  # the version of what is committed
_MOST_NAMED = 8


class Fenced(Exception):
    """Another flow reads partitions of this one. The message is one sentence for the user: the start is refused."""


class TakenOver(RuntimeError):
    """Another flow took partitions over while this one ran: it stops. The message is one sentence for the user."""


class FenceUnknown(Exception):
    """Kafka did not say, or did not take, who reads; the reason may pass."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who reads a partition. ``id`` names a state directory, ``run`` one process's life."""

    id: str
    host: str
    pid: int
    every: float  # seconds between two commits
    run: str = ""
    count: int = 0
    gone: bool = False

    def text(self) -> str:
        """Return it as the metadata of a committed offset."""
        fields = {
            "clickgoose": _KNOWN, "id": self.id, "run": self.run, "host": self.host, "pid": self.pid,
            "every": self.every, "count": self.count, "gone": self.gone,
        }  # fmt: skip
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def read(cls, text: str | None) -> Owner | None:
        """Return whom a metadata text names; None for what no flow of ours wrote."""
        try:
            found = json.loads(text or "")
            return cls(
                str(found["id"]), str(found["host"]), int(found["pid"]), float(found["every"]), str(found["run"]),
                int(found["count"]), bool(found["gone"]),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError):
            return None

    def same_run(self, other: Owner | None) -> bool:
        """Return whether both are one process's life."""
        return other is not None and (other.id, other.run) == (self.id, self.run)

    def same_place(self, other: Owner) -> bool:
        """Return whether both are of one state directory on one host, whose locks keep a second flow away."""
        return (other.id, other.host) == (self.id, self.host)

    def __str__(self) -> str:
        """Say who it is."""
        return f"process {self.pid} on {self.host} (state {self.id})"


class Group(Protocol):
    """The committed offsets of a consumer group, with their metadata."""

    def read(self, partitions: Iterable[int], /) -> dict[int, str | None]:
        """Return each partition's metadata; FenceUnknown where Kafka does not say."""
        ...

    def write(self, offsets: Mapping[int, tuple[int, str]], /) -> None:
        """Commit offsets and metadata; FenceUnknown where Kafka does not take them in time."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Waits(NamedTuple):
    """How long the fence waits for what; tests are quicker."""

    look: float = _LOOK_SECONDS
    settle: float = _SETTLE_SECONDS
    margin: float = _MARGIN_SECONDS
    kafka: float = _CLAIM_SECONDS


class Fence:
    """One process's hold on its partitions. ``claim`` comes first, once; ``check`` as often as wanted."""

    def __init__(
        self,
        group: Group,
        me: Owner,
        watermark: Callable[[int], int],
        on_error: Callable[[], None] = lambda: None,
        waits: Waits | None = None,
    ) -> None:
        """``watermark`` gives the offset to commit; ``on_error`` counts what Kafka refused while the flow ran."""
        self._group = group
        self._me = replace(me, run=secrets.token_hex(8))
        self._watermark = watermark
        self._on_error = on_error
        self._waits = waits or Waits()
        self._partitions: tuple[int, ...] = ()
        self._taken: TakenOver | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._beat_for_ever, name="fence", daemon=True)

    def claim(self, partitions: Iterable[int]) -> None:
        """Take the partitions. Fenced where another flow reads one; FenceUnknown where Kafka does not say for a while.

        The caller holds the locks of its state. Returns at once where the last owner was of the same state and host,
        or ended in order; else it watches the owner for three of its commits.
        """
        wanted = tuple(partitions)
        self._patiently(lambda: self._seize(wanted))
        self._thread.start()

    def _patiently(self, action: Callable[[], None]) -> None:
        until = time.monotonic() + self._waits.kafka
        while True:
            try:
                return action()
            except FenceUnknown:
                if time.monotonic() > until:
                    raise
                time.sleep(self._waits.look)

    def _seize(self, wanted: tuple[int, ...]) -> None:
        strangers = self._strangers(wanted)
        if strangers:
            self._watch(wanted, strangers)
        mine_before = not strangers and self._all_mine(wanted)
        self._partitions = wanted
        self._commit()
        if not mine_before:
            time.sleep(self._waits.settle)
            if winners := self._others():
                self._partitions = ()
                raise Fenced(_sentence(winners))

    def _owners(self, partitions: Iterable[int]) -> dict[int, Owner]:
        texts = self._group.read(partitions)
        return {partition: owner for partition, text in texts.items() if (owner := Owner.read(text)) is not None}

    def _strangers(self, partitions: Iterable[int]) -> dict[int, Owner]:
        """Return owners that may still live: not of this state, and not ended in order."""
        owners = self._owners(partitions)
        return {p: owner for p, owner in owners.items() if not owner.gone and not self._me.same_place(owner)}

    def _all_mine(self, partitions: Iterable[int]) -> bool:
        """Return whether every partition was last read from this state: then no other flow can be starting on it."""
        owners = self._owners(partitions)
        return all(p in owners and self._me.same_place(owners[p]) for p in partitions)

    def _watch(self, partitions: tuple[int, ...], first: dict[int, Owner]) -> None:
        """Return when all strangers stood still for long enough; Fenced as soon as one moves."""
        patience = _BEATS_OF_PATIENCE * max(owner.every for owner in first.values()) + self._waits.margin
        log.info("fence: watching for %.1f s whether the last owners still read: %s", patience, _named(first))
        until = time.monotonic() + patience
        while time.monotonic() < until:
            time.sleep(self._waits.look)
            now = self._strangers(partitions)
            moving = {p: owner for p, owner in now.items() if owner != first.get(p)}
            if moving:
                raise Fenced(_sentence(moving))
            if not now:
                return
        log.warning("fence: taking over from owners that went silent: %s", _named(first))

    def _others(self) -> dict[int, Owner]:
        owners = self._owners(self._partitions)
        return {partition: owner for partition, owner in owners.items() if not self._me.same_run(owner)}

    def _commit(self, gone: bool = False) -> None:
        self._me = replace(self._me, count=self._me.count + 1, gone=gone)
        text = self._me.text()
        self._group.write({partition: (self._watermark(partition), text) for partition in self._partitions})

    def _beat_for_ever(self) -> None:
        away = False
        while not self._ending.wait(self._me.every) and self._taken is None:
            try:
                self._beat()
                away = False
            except FenceUnknown as error:
                self._on_error()
                if not away:  # once an outage
                    log.warning("fence: %s", error)
                away = True

    def _beat(self) -> None:
        if others := self._others():
            self._taken = TakenOver(f"another flow took over: {_named(others)}; this one stops, nothing is lost")
            log.error("fence: %s", self._taken)  # in a cluster nobody else would say it
            return
        self._commit()

    def check(self) -> None:
        """Raise TakenOver where another flow has the partitions now."""
        if self._taken is not None:
            raise self._taken

    def close(self) -> None:
        """Commit the last watermarks and say that this flow has ended, unless another took over. Twice is once."""
        if self._ending.is_set():
            return
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(3 * _KAFKA_SECONDS)
        try:
            if self._partitions and self._taken is None and not self._others():
                self._commit(gone=True)
        except FenceUnknown as error:
            log.warning("fence: the end was not said, so a start from another state will wait: %s", error)
        finally:
            self._group.close()


def _named(owners: Mapping[int, Owner]) -> str:
    """Say which partitions belong to whom."""
    by_owner: dict[str, list[int]] = {}
    for partition, owner in sorted(owners.items()):
        by_owner.setdefault(str(owner), []).append(partition)
    return "; ".join(f"partitions {_numbers(numbers)} by {name}" for name, numbers in by_owner.items())


def _numbers(numbers: list[int]) -> str:
    more = " and more" if len(numbers) > _MOST_NAMED else ""
    return ", ".join(map(str, numbers[:_MOST_NAMED])) + more


def _sentence(owners: Mapping[int, Owner]) -> str:
    return f"another flow reads the same partitions: {_named(owners)}: stop that one, or give this one other partitions"


class KafkaGroup:
    """The offsets of one topic and group in Kafka.

    All is asked of a consumer. The admin client of librdkafka 2.16 aborts the process (an assertion of
    ``rd_kafka_enq_once_del_source_return``) when Kafka goes away while it writes a group's offsets: so ended two of
    three runs of the fault "kill -9 of Kafka".
    """

    def __init__(self, bootstrap: str, topic: str, group: str, seconds: float = _KAFKA_SECONDS) -> None:
        """``seconds`` bounds each answer."""
        self._topic, self._seconds = topic, seconds
        self._answers: list[tuple[KafkaError | None, list[TopicPartition]]] = []
        config: dict[str, Any] = {
            "bootstrap.servers": bootstrap, "reconnect.backoff.max.ms": 1_000, "log_level": 0, "group.id": group,
            "enable.auto.commit": False, "on_commit": lambda error, places: self._answers.append((error, places)),
        }  # fmt: skip
        self._consumer = Consumer(config)

    def read(self, partitions: Iterable[int], /) -> dict[int, str | None]:
        """Return each partition's metadata."""
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        try:
            found = self._consumer.committed(places, timeout=self._seconds)
        except KafkaException as error:
            raise FenceUnknown(f"Kafka does not say who reads {self._topic}: {error.args[0].str()}") from error
        self._heed("say", found)
        return {place.partition: place.metadata for place in found}

    def write(self, offsets: Mapping[int, tuple[int, str]], /) -> None:
        """Commit, and wait for the answer."""
        if not offsets:
            return
        places = [TopicPartition(self._topic, p, offset, text) for p, (offset, text) in offsets.items()]
        self._answers.clear()
        try:
            self._consumer.commit(offsets=places, asynchronous=True)
            error, answered = self._answer({(place.partition, place.metadata) for place in places})
        except KafkaException as refused:
            raise FenceUnknown(f"Kafka does not take who reads {self._topic}: {refused.args[0].str()}") from refused
        if error is not None:
            raise FenceUnknown(f"Kafka does not take who reads {self._topic}: {error.str()}")
        self._heed("take", answered)

    def _answer(self, wanted: set[tuple[int, str | None]]) -> tuple[KafkaError | None, list[TopicPartition]]:
        """Return the answer to a commit; those to earlier ones, which were waited for in vain, may come first."""
        until = time.monotonic() + self._seconds
        while time.monotonic() < until:
            self._consumer.poll(_POLL_SECONDS)
            for error, places in self._answers:
                if {(place.partition, place.metadata) for place in places} == wanted:
                    return error, places
        raise FenceUnknown(f"Kafka does not take who reads {self._topic}: no answer within {self._seconds:g} s")

    def _heed(self, verb: str, places: Iterable[TopicPartition]) -> None:
        for place in places:
            if place.error is not None:
                raise FenceUnknown(f"Kafka does not {verb} who reads {self._topic}: {place.error.str()}")

    def close(self) -> None:
        """Let go of the connection: within a bounded time, although a consumer waits for answers to its commits.

        It would wait for up to 45 s while Kafka is away, so a thread that nobody waits for does.
        """
        closing = threading.Thread(target=self._consumer.close, name="fence-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
