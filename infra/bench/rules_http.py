"""A cheap load generator: raw sockets, requests made beforehand, one thread, keep-alive connections.

``fastest`` keeps every connection busy; ``steady`` sends at a rate whether answers came or not, and counts the time of
an answer from when its request was due.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

_BYTES: Final = 1 << 18
_SECONDS: Final = 10.0
Check = Callable[[int, bytes], str | None]
"""Says what is wrong with the answer to a request, given by its number: status line, headers and body."""


class AnswersWrong(RuntimeError):
    """An answer was wrong or lost: there is no rate to print."""


@dataclass(slots=True)
class Run:
    """What came of a run. ``latencies`` in seconds, in the order of the answers."""

    seconds: float
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Return answers a second."""
        return len(self.latencies) / self.seconds

    def percentile_ms(self, share: float) -> float:
        """Return a percentile of the latencies."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1_000


class _Connection:
    __slots__ = ("buffer", "due", "number", "socket")

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.due = 0.0
        self.number = -1

    def send(self, number: int, request: bytes, due: float) -> None:
        self.number, self.due = number, due
        self.socket.sendall(request)

    def answer(self) -> bytes | None:
        """Return a whole answer, or None where more is to come."""
        more = self.socket.recv(_BYTES)
        if not more:
            raise AnswersWrong("the service closed a connection")
        self.buffer += more
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return None
        at = self.buffer.find(b"content-length: ")
        if not 0 <= at < head:
            raise AnswersWrong("an answer has no length")
        length = int(self.buffer[at + 16 : self.buffer.index(b"\r\n", at)])
        if len(self.buffer) < head + 4 + length:
            return None
        whole, self.buffer = self.buffer, b""
        return whole


class Client:
    """Keep-alive connections to one service."""

    def __init__(self, url: str, connections: int, check: Check) -> None:
        self._connections = {one.socket.fileno(): one for one in (_Connection(url) for _ in range(connections))}
        self._check = check
        self._poll = select.poll()
        for number in self._connections:
            self._poll.register(number, select.POLLIN)

    def close(self) -> None:
        """Close the connections."""
        for one in self._connections.values():
            one.socket.close()

    def fastest(self, requests: Sequence[bytes], seconds: float) -> Run:
        """Send as fast as answers come, for so long, or until there are no more requests."""
        started = time.perf_counter()
        ends, sent, run = started + seconds, 0, Run(0.0)
        for one in self._connections.values():
            one.send(sent, requests[sent], time.perf_counter())
            sent += 1
        waiting = sent
        while waiting:
            for one in self._answered(run):
                now = time.perf_counter()
                waiting -= 1
                if sent < len(requests) and now < ends:
                    one.send(sent, requests[sent], now)
                    sent += 1
                    waiting += 1
        run.seconds = time.perf_counter() - started
        return run

    def steady(self, requests: Sequence[bytes], rate: float) -> Run:
        """Send all requests, ``rate`` a second."""
        started = time.perf_counter()
        idle, sent, run = deque(self._connections.values()), 0, Run(0.0)
        waiting = 0
        while waiting or sent < len(requests):
            now = time.perf_counter()
            while idle and sent < len(requests) and started + sent / rate <= now:
                idle.popleft().send(sent, requests[sent], started + sent / rate)
                sent += 1
                waiting += 1
            pause = started + sent / rate - time.perf_counter() if idle and sent < len(requests) else _SECONDS
            done = self._answered(run, max(pause, 0.0))
            waiting -= len(done)
            idle.extend(done)
        run.seconds = time.perf_counter() - started
        return run

    def _answered(self, run: Run, seconds: float = _SECONDS) -> list[_Connection]:
        ready = self._poll.poll(seconds * 1_000)
        if not ready and seconds >= _SECONDS:
            raise AnswersWrong(f"no answer came within {_SECONDS:g} s")
        done = []
        for number, _ in ready:
            one = self._connections[number]
            whole = one.answer()
            if whole is None:
                continue
            run.latencies.append(time.perf_counter() - one.due)
            if wrong := self._check(one.number, whole):
                raise AnswersWrong(wrong)
            done.append(one)
        return done
