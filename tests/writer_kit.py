"""For tests of the writer: a destination and a backup that do as they are told, and a writer for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flows.progress import Progress
from flows.sinks.destination import Backup, DestinationError
from flows.sinks.encoded import EncodedParcel
from flows.sinks.writer import Report, Writer, WriterPolicy
from schemas.dead_letter import DeadLetter, Reason
from tests.scored_parcels import encoded_parcel, letters_of
from tests.waiting import SECONDS

QUICK = WriterPolicy(
    block_rows=4, queue_rows=8, attempts=3, backoff_seconds=0.001, probe_seconds=0.05, close_seconds=SECONDS
)
WHOLE = encoded_parcel(20)


def parcel(first: int, rows: int = 2) -> EncodedParcel:
    return encoded_parcel(rows, first=first)


class Fake:
    """A destination whose behaviour is given: what to do at each write."""

    name = "fake"

    def __init__(self, act: Callable[[int], None] = lambda _: None) -> None:
        self.blocks: list[list[int]] = []
        self.calls = 0
        self.closed = False
        self.probes = 0
        self.answers = True
        self._act = act

    def write(self, parcels: Sequence[EncodedParcel]) -> None:
        self.calls += 1
        self._act(self.calls)
        self.blocks.append([item.spans[0].first for item in parcels])

    def probe(self) -> bool:
        self.probes += 1
        return self.answers

    def letters(self, parcels: Sequence[EncodedParcel], detail: str) -> list[DeadLetter]:
        return [
            letter
            for item in parcels
            for letter in letters_of(item.parcel.batch, list(range(len(item.records))), Reason.SINK_CLICKHOUSE)
        ]

    def close(self) -> None:
        self.closed = True


class FakeBackup:
    def __init__(self, failures: int = 0) -> None:
        self.letters: list[DeadLetter] = []
        self.failures = failures

    def append(self, letters: Sequence[DeadLetter]) -> None:
        if self.failures:
            self.failures -= 1
            raise DestinationError("Kafka: away")
        self.letters += letters


def refuse(*calls: int) -> Callable[[int], None]:
    def act(call: int) -> None:
        if not calls or call in calls:
            raise DestinationError("away")

    return act


def started(
    fake: Fake, policy: WriterPolicy = QUICK, backup: Backup | None = None, reports: list[Report] | None = None
) -> tuple[Writer[EncodedParcel], Progress]:
    progress = Progress(["fake"])
    progress.begin(0, 0)
    report = None if reports is None else reports.append
    return Writer(fake, progress, policy, None if backup is None else (fake, backup), report), progress
