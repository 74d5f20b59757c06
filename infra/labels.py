"""Which stored events merchants' labels speak of, and what they say: the one query that everybody asks.

A label is of an event, or of all events of a session or a transaction; of several that an event has, the one that was
received last says how it ended, and of labels received together the narrowest.
"""

from __future__ import annotations

from schemas.labels import FRAUD_LABELS, TARGETS

_ID_OF = {
    "event": "lower(hex(event_id))",
    "session": "lower(hex(session_id))",
    "transaction": "transaction",
}
_FRAUD = ", ".join(f"'{label}'" for label in FRAUD_LABELS)
# The sorting key of events finds transactions; the Bloom filters of event and session ids find those.
_FOUND = {
    "event": "event_id IN (SELECT toFixedString(unhex(id), 16) FROM {labels} WHERE target = 'event' AND {hex})",
    "session": "session_id IN (SELECT toFixedString(unhex(id), 16) FROM {labels} WHERE target = 'session' AND {hex})",
    "transaction": "(merchant, transaction) IN (SELECT merchant, id FROM {labels} WHERE target = 'transaction')",
}
_HEX = "match(id, '^[0-9a-f]{32}$')"
_OF_TARGET = """
SELECT e.merchant AS merchant, e.event_id AS event_id, {outer} l.fraud AS fraud, l.received_at AS received_at,
       toUInt8({rank}) AS rank
FROM (SELECT merchant, event_id, {inner} {id} AS id FROM {events} FINAL WHERE ({where}) AND {found}) AS e
INNER JOIN (
    SELECT merchant, id, label IN ({fraud}) AS fraud, received_at FROM {labels} FINAL WHERE target = '{target}'
) AS l ON e.merchant = l.merchant AND e.id = l.id
"""
_LAST = """
SELECT merchant, event_id, {columns} argMax(fraud, (received_at, rank)) AS fraud
FROM ({all}) GROUP BY merchant, event_id
"""


def labelled_events(where: str, *columns: str, events: str = "events", labels: str = "labels") -> str:
    """Return the SQL of labelled events: merchant, event_id, the columns of ``events`` asked for, and fraud, 1 or 0.

    ``where`` is a condition on ``events``, and holds the query's parameters, if any. One row an event. ``events`` and
    ``labels`` name the tables: a replay has events of its own, and no labels.
    """
    parts = [
        _OF_TARGET.format(
            rank=len(TARGETS) - place, target=target, id=_ID_OF[target], fraud=_FRAUD,
            found=_FOUND[target].format(hex=_HEX, labels=labels), events=events, labels=labels, where=where,
            inner=_list(columns), outer=_list([f"e.{name} AS {name}" for name in columns]),
        )
        for place, target in enumerate(TARGETS)
    ]  # fmt: skip
    chosen = _list([f"any({name}) AS {name}" for name in columns])
    return _LAST.format(all=" UNION ALL ".join(parts), columns=chosen)


def _list(items: tuple[str, ...] | list[str]) -> str:
    return "".join(f"{item}, " for item in items)
