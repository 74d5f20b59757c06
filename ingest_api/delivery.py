"""Where an accepted event goes: to Kafka, or to the disk spool and from there to Kafka, in order.

While anything waits in the spool, new events queue up behind it, so that a device's events keep their order.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from ingest_api.appender import Delivered
from ingest_api.checks import Reason, Record
from ingest_api.spool import Spool, SpoolError, SpoolState

log = logging.getLogger("ingest.spool")
_DRAIN_ROWS = 500
_DRAIN_BYTES = 8 * 1024**2
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
T = TypeVar("T")


class Appender(Protocol):
    """What takes records to Kafka."""

    async def append(self, records: Sequence[Record]) -> list[Delivered]:
        """Return one outcome per record."""

    async def alive(self, seconds: float) -> bool:
        """Tell whether Kafka answers."""

    async def close(self) -> None:
        """Stop, after what is queued."""


class Counts(Protocol):
    """What is told of a delivery."""

    def produced(self, seconds: float) -> None:
        """Note how long Kafka took for a request's records."""

    def spool(self, state: SpoolState) -> None:
        """Note how full the spool is."""


class Delivery:
    """Kafka first, then the spool; a background task empties the spool."""

    def __init__(self, appender: Appender, spool: Spool, metrics: Counts) -> None:
        self.appender = appender
        self._spool, self._metrics = spool, metrics
        self._disk = ThreadPoolExecutor(1, "spool")
        self._waiting: list[tuple[Sequence[Record], asyncio.Future[Reason]]] = []
        self._committer: asyncio.Task[None] | None = None
        self._drainer: asyncio.Task[None] | None = None
        self._spooled = asyncio.Event()

    async def start(self) -> None:
        """Begin to drain what an earlier process left."""
        if not self._spool.empty:
            self._spooled.set()
        await self._publish()
        self._drainer = asyncio.create_task(self._drain(), name="spool-drain")

    async def deliver(self, records: Sequence[Record]) -> list[Reason]:
        """Return one reason per record; only APPENDED and SPOOLED are promises."""
        if self._spooled.is_set() or self._storing:
            return [await self._store(records)] * len(records)
        started = time.perf_counter()
        outcomes = await self.appender.append(records)
        self._metrics.produced(time.perf_counter() - started)
        if outcomes.count(Delivered.YES) == len(records):
            return [Reason.APPENDED] * len(records)
        failed = [record for record, outcome in zip(records, outcomes, strict=True) if outcome is Delivered.NOT_NOW]
        stored = await self._store(failed) if failed else Reason.APPENDED
        meaning = {Delivered.YES: Reason.APPENDED, Delivered.NOT_NOW: stored, Delivered.NEVER: Reason.TOO_LARGE}
        return [meaning[outcome] for outcome in outcomes]

    @property
    def _storing(self) -> bool:
        return self._committer is not None and not self._committer.done()

    async def _store(self, records: Sequence[Record]) -> Reason:
        """Put records on disk; what many requests bring meanwhile shares one sync."""
        future: asyncio.Future[Reason] = asyncio.get_running_loop().create_future()
        self._waiting.append((records, future))
        if not self._storing:
            self._committer = asyncio.create_task(self._commit(), name="spool-commit")
        return await future

    async def _commit(self) -> None:
        """Write what waits until nothing waits."""
        while self._waiting:
            taken, self._waiting = self._waiting, []
            reasons = await self._write([records for records, _ in taken])
            for (_, future), reason in zip(taken, reasons, strict=True):
                if not future.done():
                    future.set_result(reason)

    async def _write(self, batches: list[Sequence[Record]]) -> list[Reason]:
        try:
            stored = await self._on_disk_thread(lambda: self._spool.append(batches))
        except SpoolError as error:
            log.error("spool not writable", extra={"detail": str(error)})
            return [Reason.SPOOL_UNAVAILABLE] * len(batches)
        if any(stored):
            self._spooled.set()
        return [Reason.SPOOLED if done else Reason.SPOOL_FULL for done in stored]

    async def _on_disk_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)

    async def _drain(self) -> None:
        """Send the spool's rows in order, for ever. After a failure one row at a time, with growing pauses."""
        rows, pause = _DRAIN_ROWS, _FIRST_PAUSE
        while True:
            await self._spooled.wait()
            try:
                sent = await self._drain_once(rows)
                await self._publish()
            except SpoolError as error:
                log.error("spool not readable", extra={"detail": str(error)})
                sent = False
            except Exception:
                # A drain that ended for good would leave accepted events on disk, unseen.
                log.exception("draining the spool met a bug and goes on")
                sent = False
            if sent:
                rows, pause = min(rows * 8, _DRAIN_ROWS), _FIRST_PAUSE
            else:
                await asyncio.sleep(pause)
                rows, pause = 1, min(pause * 2, _LONGEST_PAUSE)

    async def _drain_once(self, rows: int) -> bool:
        """Send the oldest rows and forget those that arrived, up to the first that did not; tell whether all did."""
        oldest = await self._on_disk_thread(lambda: self._spool.first(rows, _DRAIN_BYTES))
        outcomes = await self.appender.append([record for _, record in oldest]) if oldest else []
        arrived = next((i for i, one in enumerate(outcomes) if one is not Delivered.YES), len(outcomes))
        if arrived:
            await self._on_disk_thread(lambda: self._spool.remove(oldest[:arrived]))
        if arrived < len(outcomes) and outcomes[arrived] is Delivered.NEVER:
            log.error("kafka refuses a spooled record for good; it is kept in the spool, out of the way")
            await self._on_disk_thread(lambda: self._spool.park(oldest[arrived][0]))
            return True
        if self._spool.empty and not self._storing:
            self._spooled.clear()
            if oldest:
                log.info("spool drained")
        return arrived == len(outcomes)

    async def _publish(self) -> None:
        self._metrics.spool(await self.spool_state())

    async def spool_state(self) -> SpoolState:
        """Return how full the spool is."""
        return await self._on_disk_thread(self._spool.state)

    @property
    def spool_writable(self) -> bool:
        """Tell whether the spool has room."""
        return not self._spool.full

    async def close(self) -> None:
        """Stop draining, flush Kafka's queue, store what waits, close the file."""
        if self._drainer is not None:
            self._drainer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._drainer
        await self.appender.close()
        if self._committer is not None:
            await self._committer
        await self._on_disk_thread(self._spool.close)
        self._disk.shutdown()
