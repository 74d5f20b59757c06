"""How a writer groups rows, waits for more of them, retries and gives up."""

from __future__ import annotations

from dataclasses import dataclass

_LINGERS = 5.0  # of the time that the last block took


@dataclass(frozen=True, slots=True)
class WriterPolicy:
    """How a sink groups, waits, retries and gives up."""

    block_rows: int = 1_000
    slow_block_rows: int = 0  # while blocks take longer than slow_seconds; at least block_rows
    slow_seconds: float = 1.0
    linger_seconds: float = 0.0
    longest_linger_seconds: float = 0.0  # while a block takes long: five times as long as the last one took
    queue_rows: int = 20_000  # waiting and in flight; a single larger parcel still passes
    steady_rows: int = 0  # the same while blocks take no longer than steady_seconds; 0: queue_rows
    steady_seconds: float = 1.5
    queue_bytes: int = 512 * 1024**2  # the same
    attempts: int = 5
    give_up_seconds: float = 5.0  # after so long in all, the attempt under way is the last
    backoff_seconds: float = 0.1
    backoff_limit_seconds: float = 5.0
    spill_share: float = 0.75  # of the queue: above, the oldest go to the backup while a block hangs
    spill_after_seconds: float = 3.0  # so long a block may take before it counts as hanging
    probe_seconds: float = 2.0  # after giving up: how often the destination is asked whether it is back
    close_seconds: float = 10.0

    def backoff(self, failures: int, random_unit: float) -> float:
        """Return the pause after so many failures in a row: exponential, capped, half of it jitter."""
        full = min(self.backoff_limit_seconds, self.backoff_seconds * 2.0 ** min(failures - 1, 30))
        return full * (0.5 + 0.5 * random_unit)

    def linger(self, last_seconds: float) -> float:
        """Return how long rows wait for a block. A store that has much to do with each one gets fewer of them."""
        return max(self.linger_seconds, min(_LINGERS * last_seconds, self.longest_linger_seconds))

    def most_rows(self, steady: bool) -> int:
        """Return the rows that a queue may hold. What waits for a store that keeps taking blocks need not wait here."""
        return min(self.steady_rows or self.queue_rows, self.queue_rows) if steady else self.queue_rows

    @property
    def block_bytes(self) -> int:
        """Return the bytes at which a block is full, however few its rows."""
        return self.queue_bytes // 2
