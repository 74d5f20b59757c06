"""The account of decisions: ``on events.decisions == recorded + dead-lettered + repeated``.

A record is recorded when ClickHouse shows a decision of its merchant, event id and event time; a repeated one is of a
decision that an earlier record told. What is neither, and does not wait in the backup for ClickHouse, is lost.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
import numpy as np
from clickhouse_driver import Client
from clickhouse_driver.errors import Error
from confluent_kafka import Message

from flows.sinks.clickhouse import client_url
from infra.account_books import DeadBook, first_by_place, place
from infra.clickhouse.migrate import one_line
from infra.topic_reader import AccountError
from infra.topics import DECIDED
from schemas.dead_letter import Reason
from schemas.decision_record import VERSION

_SECONDS: Final = 60.0
_SHOWN: Final = """
SELECT merchant, event_id, toUnixTimestamp64Milli(occurred_at) FROM decisions FINAL
WHERE topic = %(topic)s AND received_at >= fromUnixTimestamp64Milli(toInt64(%(since)s))
"""


class _Known(msgspec.Struct):
    version: int
    merchant: str
    event_id: str
    occurred_at: int
    received_at: int


class DecisionAccount(NamedTuple):
    """The figures; ``recorded`` and ``lost`` are None where there is no ClickHouse to compare with."""

    accepted: int
    recorded: int | None
    dead_lettered: int
    repeated: int
    waiting: int
    lost: int | None

    @property
    def problems(self) -> list[str]:
        """Return what does not balance."""
        return [f"{self.lost} decisions are neither recorded nor dead-lettered"] if self.lost else []


class DecisionBook:
    """The records of events.decisions: 16 bytes each."""

    def __init__(self, topic: str = DECIDED) -> None:
        self.topic = topic
        self.dead = DeadBook(topic)
        self._decoder = msgspec.json.Decoder(_Known)
        self._places = array("q")
        self._names = array("q")
        self._unread = array("q")
        self._since = 0

    def visit(self, messages: Sequence[Message]) -> None:
        """Note records."""
        for message in messages:
            at = place(message.partition() or 0, message.offset() or 0)
            try:
                known = self._decoder.decode(message.value() or b"")
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                self._unread.append(at)
                continue
            if known.version != VERSION:
                self._unread.append(at)
                continue
            self._places.append(at)
            self._names.append(_name(known.merchant, known.event_id, known.occurred_at))
            self._since = min(self._since or known.received_at, known.received_at)

    def account(self, url: str | None) -> DecisionAccount:
        """Return the account of what was read; ``url``: ClickHouse's."""
        places, rows = first_by_place(self._places)
        names = np.frombuffer(self._names, np.int64)[rows]
        unread = np.unique(np.frombuffer(self._unread, np.int64))
        dead = np.unique(np.frombuffer(self.dead.places, np.int64))
        alive = ~np.isin(places, dead)
        own = np.unique(names[alive])
        dead_here = int(np.isin(dead, np.union1d(places, unread)).sum())
        waits = self._waiting(places, names)
        accepted, repeated = len(places) + len(unread), int(alive.sum()) - len(own)
        if url is None:
            return DecisionAccount(accepted, None, dead_here, repeated, len(waits), None)
        shown = np.isin(own, self._shown(url))
        waiting = int((~shown & np.isin(own, waits)).sum())
        lost = int((~shown).sum()) - waiting + int((~np.isin(unread, dead)).sum())
        return DecisionAccount(accepted, int(shown.sum()), dead_here, repeated, waiting, lost)

    def _waiting(self, places: np.ndarray, names: np.ndarray) -> np.ndarray:
        """Return the decisions of which rows were put into the backup."""
        backup = self.dead.backups.get(Reason.SINK_CLICKHOUSE)
        held = np.array(backup.places if backup else (), np.int64)
        return np.unique(names[np.isin(places, held)])

    def _shown(self, url: str) -> np.ndarray:
        if not len(self._places):
            return np.empty(0, np.int64)
        client = Client.from_url(client_url(url, _SECONDS, _SECONDS))
        values: Mapping[str, object] = {"topic": self.topic, "since": self._since}
        try:
            columns: Iterable[Iterable[Any]] = client.execute(_SHOWN, values, columnar=True) or ((), (), ())
        except (Error, OSError, EOFError) as error:
            host = urlsplit(url).netloc.rpartition("@")[2]
            raise AccountError(f"cannot read ClickHouse at {host}: {one_line(error)}") from error
        finally:
            client.disconnect()
        merchants, ids, times = columns
        found = [
            _name(merchant.decode("utf-8", "replace"), event_id.decode("utf-8", "replace"), int(at))
            for merchant, event_id, at in zip(merchants, ids, times, strict=True)
        ]
        return np.unique(np.array(found, np.int64))


def _name(merchant: str, event_id: str, occurred_at: int) -> int:
    """Return 64 bits that stand for a decision, of a family drawn anew by every process."""
    return hash((merchant, event_id, occurred_at))
