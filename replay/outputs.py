"""Where the outcomes of a run go: into its namespace, through the flow's own sinks, each behind a bounded queue.

A store that is away is waited for, however long. One that answers, and refuses the rows again and again, fails the run:
a replay has no backup for what it writes, and what it replays is not lost by that. Writing rows again shows nothing
twice: ClickHouse and Redis keep the first by key, files are cut at the checkpoint, and for Kafka see
``replay.outputs_once``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from flows.progress import Progress
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.destination import Destination, DestinationError, RowsRefused
from flows.sinks.encoded import EncodedParcel
from flows.sinks.kafka import KafkaBackup, KafkaDeadLetters, KafkaScored, producer_config
from flows.sinks.letters import NamingBackup
from flows.sinks.redis_results import RedisResults
from flows.sinks.writer import Writer, WriterCrashed, WriterPolicy, WriterStopped
from replay.guards import clickhouse_maker, own_redis, producer_maker
from replay.namespace import Namespace, Part
from replay.outputs_files import FileResults
from replay.outputs_once import OnceAppender, Tail
from replay.parts import Marks, OutputFailed, OutputStopped

_REFUSALS: Final = 6
"""So often in a row a store may answer that it does not take rows: it may be a limit of its own that passes."""
_LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """Where a run's outcomes go, and how."""

    namespace: Namespace
    parts: frozenset[Part]
    kafka: str = ""
    redis: str = field(default="", repr=False)
    clickhouse: str = field(default="", repr=False)  # the live address: the run's database is put in its place
    result_ttl_seconds: int = 86_400
    quick: WriterPolicy = field(default_factory=WriterPolicy)
    bulk: WriterPolicy = field(default_factory=WriterPolicy)
    build: str = "clickgoose"  # that letters of records which Kafka refuses name


class _Strict:
    """A destination whose refusals end the run, and which says what it waits for."""

    def __init__(self, inner: Destination[EncodedParcel]) -> None:
        self._inner = inner
        self._refusals = 0
        self.trouble = ""

    @property
    def name(self) -> str:
        return self._inner.name

    def write(self, parcels: Sequence[EncodedParcel]) -> None:
        try:
            self._inner.write(parcels)
        except RowsRefused as error:
            self._refusals += 1
            self.trouble = str(error)
            if self._refusals >= _REFUSALS:
                raise OutputFailed(
                    f"{error}: it refuses the replay's rows; see to it and run the replay again with --resume"
                ) from error
            raise
        except DestinationError as error:
            self.trouble = str(error)
            raise
        self._refusals, self.trouble = 0, ""

    def close(self) -> None:
        self._inner.close()


class NamespaceOutput:
    """The output of a run. ``stop``, once set, bounds how long a store that is away is waited for."""

    def __init__(
        self, config: OutputConfig, stop: threading.Event, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config, self._stop, self._clock = config, stop, clock
        self._tail: Tail | None = None
        self._files: FileResults | None = None
        self._destinations: list[_Strict] = []
        self._writers: list[Writer[EncodedParcel]] = []

    @property
    def trouble(self) -> str:
        """Return what is waited for, in a few words; empty where all is well."""
        return next((one.trouble for one in self._destinations if one.trouble), "")

    def resume(self, marks: Marks) -> None:
        """Begin after a checkpoint."""
        if Part.KAFKA in self._config.parts:
            self._tail = Tail(self._config.kafka, self._config.namespace.topics)
            self._insist(lambda tail: tail.resume(marks), self._tail)
        if Part.FILES in self._config.parts:
            self._files = FileResults(self._config.namespace.directory, marks)
        made = list(self._made())
        self._destinations = [_Strict(destination) for destination, _ in made]
        progress = Progress(one.name for one in self._destinations)
        self._writers = [
            Writer(strict, progress, policy) for strict, (_, policy) in zip(self._destinations, made, strict=True)
        ]

    def write(self, parcel: EncodedParcel) -> None:
        """Take a parcel."""
        with _said_plainly():
            for writer in self._writers:
                writer.put(parcel, self._stop)
        if self._tail is not None:
            self._tail.wrote(parcel.spans)

    def flush(self) -> Marks:
        """Return once all is held."""
        patience = 0.0
        with _said_plainly():
            for writer in self._writers:
                while not writer.flush(_LOOK_SECONDS):
                    if self._stop.is_set():
                        patience = patience or self._clock() + self._config.quick.close_seconds
                    if patience and self._clock() >= patience:
                        raise OutputStopped(f"told to stop while {writer.name} did not take rows: {self.trouble}")
        found: Marks = {}
        if self._tail is not None:
            self._insist(lambda tail: found.update(tail.marks()), self._tail)
        if self._files is not None:
            found.update(self._files.sync())  # its writer has nothing left to do
        return found

    def close(self) -> None:
        """End the writers."""
        for writer in self._writers:
            with suppress(WriterStopped, WriterCrashed):
                writer.close()
        self._writers.clear()

    def _made(self) -> Iterator[tuple[Destination[EncodedParcel], WriterPolicy]]:
        config, names = self._config, self._config.namespace
        if self._tail is not None:
            scored, letters, backup = (
                OnceAppender(producer_config(config.kafka), producer_maker(names), self._tail) for _ in range(3)
            )
            dead = names.topics.dead_letter
            yield KafkaScored(scored, NamingBackup(KafkaBackup(backup, dead), config.build), names.topics), config.quick
            yield KafkaDeadLetters(KafkaBackup(letters, dead)), config.quick
        if self._files is not None:
            yield self._files, config.quick
        if Part.REDIS in config.parts:
            client = own_redis(config.redis, names)
            yield RedisResults(client, config.result_ttl_seconds, prefix=names.prefix), config.quick
        if Part.CLICKHOUSE in config.parts:
            url = names.clickhouse_url(config.clickhouse)
            # The archive of the live database has what was replayed: a copy of it would say nothing new.
            yield ClickHouse(url, archive=False, connect=clickhouse_maker(names)), config.bulk

    def _insist(self, do: Callable[[Tail], None], tail: Tail) -> None:
        """Ask Kafka until it answers, or the run is told to stop."""
        failures = 0
        while True:
            try:
                do(tail)
            except DestinationError as error:
                failures += 1
                if self._stop.wait(self._config.quick.backoff(failures, 1.0)):
                    raise OutputStopped(f"told to stop while Kafka was away: {error}") from error
            else:
                return


@contextmanager
def _said_plainly() -> Iterator[None]:
    """Raise what a writer's thread ended by."""
    try:
        yield
    except WriterStopped as stopped:
        raise OutputStopped(str(stopped)) from stopped
    except WriterCrashed as crashed:
        if crashed.__cause__ is not None:
            raise crashed.__cause__ from None
        raise
