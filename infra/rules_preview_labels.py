"""What merchants said afterwards of decisions that they had asked for.

A label is of an event, a session or a transaction. Records hold a transaction as the digest of an entity, so the
labels of transactions are read once and kept by their digests: the newest ``MOST_TRANSACTIONS``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from clickhouse_driver import Client

from schemas.decision_record import DecisionRecord
from schemas.labels import FRAUD_LABELS, TARGETS
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.recorded import entity_digest

MOST_TRANSACTIONS: Final = 1_000_000
_TRANSACTION: Final = "transaction"
_LABELS: Final = """
SELECT merchant, target, id, label, toUnixTimestamp64Micro(received_at) FROM labels FINAL
WHERE (target = 'event' AND id IN %(events)s) OR (target = 'session' AND id IN %(sessions)s)
"""
_TRANSACTIONS: Final = """
SELECT merchant, id, label, toUnixTimestamp64Micro(received_at) FROM labels FINAL
WHERE target = 'transaction' AND (%(merchant)s = '' OR merchant = %(merchant)s) ORDER BY received_at DESC LIMIT %(most)s
"""
_Label = tuple[int, int, int]  # when it was received, how narrow its target is, and fraud


class DecisionLabels:
    """Labels of decisions, asked for a slice at a time."""

    def __init__(self, merchant: str, keys: HistoryKeys) -> None:
        self._merchant, self._keys = merchant, keys
        self._transactions: dict[tuple[str, str], _Label] | None = None

    def of(self, client: Client, records: Sequence[DecisionRecord]) -> list[int | None]:
        """Return what is said of each decision: 1 fraud, 0 genuine, None nothing."""
        if not records:
            return []
        asked = {
            "events": tuple({record.event_id for record in records}),
            "sessions": tuple({record.session_id for record in records}),
        }
        found: dict[tuple[str, str, str], _Label] = {}
        for merchant, target, name, label, at in client.execute(_LABELS, asked):
            found[_text(merchant), _text(target), _text(name)] = _label(_text(target), _text(label), at)
        if any(_TRANSACTION in record.entities for record in records) and self._transactions is None:
            self._transactions = self._read_transactions(client)
        return [_latest(self._said(record, found)) for record in records]

    def _said(self, record: DecisionRecord, found: dict[tuple[str, str, str], _Label]) -> Iterator[_Label | None]:
        yield found.get((record.merchant, "event", record.event_id))
        yield found.get((record.merchant, "session", record.session_id))
        digest = record.entities.get(_TRANSACTION)
        if self._transactions and isinstance(digest, str):
            yield self._transactions.get((record.merchant, digest))

    def _read_transactions(self, client: Client) -> dict[tuple[str, str], _Label]:
        asked: dict[str, Any] = {"merchant": self._merchant, "most": MOST_TRANSACTIONS}
        return {
            (_text(merchant), entity_digest(self._keys, _text(merchant), _text(name))): _label(
                _TRANSACTION, _text(label), at
            )
            for merchant, name, label, at in client.execute(_TRANSACTIONS, asked)
        }


def _label(target: str, label: str, at: int) -> _Label:
    return int(at), -TARGETS.index(target), int(label in FRAUD_LABELS)


def _latest(said: Iterator[_Label | None]) -> int | None:
    """Return what was received last, of what came together the narrowest."""
    best = max((one for one in said if one is not None), default=None)
    return None if best is None else best[2]


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
