"""Rows for sinks, counted in Kafka while ClickHouse counts the letters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.letter_backup import BackupCount

_PATIENCE_SECONDS = 8.0  # of a Kafka that does not answer
NEWEST_SECONDS, _ALL_SECONDS = 0.6, 3_600.0  # the whole command shall stay under two seconds
NEWEST_RECORDS = 5_000  # of each partition


@dataclass(frozen=True, slots=True)
class Looked:
    """What Kafka says of rows for sinks, or why it says nothing."""

    count: BackupCount | None
    why_not: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"not_read": self.why_not} if self.count is None else self.count.as_json()


@contextmanager
def counting(look: str) -> Iterator[Callable[[], Looked]]:
    """Begin to count, on a thread; what is given waits for the end and returns the counts."""
    if look == "none":
        yield lambda: Looked(None, "it was not asked for")
        return
    found: list[Looked] = []
    progress = _Progress()
    thread = threading.Thread(target=lambda: found.append(_looked(look, progress.told)), daemon=True)
    thread.start()

    def result() -> Looked:
        with progress.shown(look == "all"):
            thread.join(None if look == "all" else _PATIENCE_SECONDS)
        return found[0] if found else Looked(None, f"Kafka did not answer within {_PATIENCE_SECONDS:g} s")

    yield result


def _looked(look: str, on_progress: Callable[[int, int], None]) -> Looked:
    from infra.letter_backup import Limits, count_backup
    from infra.settings import Settings
    from infra.topic_reader import AccountError

    bootstrap = Settings().kafka.bootstrap
    if bootstrap is None:
        return Looked(None, "no Kafka: run `clickgoose up`, or set CLICKGOOSE_KAFKA__BOOTSTRAP")
    limits = Limits(None, _ALL_SECONDS) if look == "all" else Limits(NEWEST_RECORDS, NEWEST_SECONDS)
    try:
        return Looked(count_backup(bootstrap, limits, on_progress))
    except AccountError as error:
        return Looked(None, str(error))


class _Progress:
    """How far the thread is, shown by the one that waits for it."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._last = (0, 0)

    def told(self, done: int, total: int) -> None:
        """Take in how far it is."""
        self._last = (done, total)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=max(total, 1))

    @contextmanager
    def shown(self, wanted: bool) -> Iterator[None]:
        """Show a bar where somebody looks."""
        from infra.cli.deadletters_parts import progress

        if not wanted:
            yield
            return
        with progress() as bar:
            done, total = self._last
            self._task = bar.add_task("reading the backup", completed=done, total=max(total, 1))
            self._bar = bar
            yield
