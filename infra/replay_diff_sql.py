"""The SQL of a diff: which rows of a side are meant, and what is read of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from replay.diff_rows import COUNTS, GROUPS, NOT_COMPARED
from replay.plan import Piece
from schemas.result import DECISIONS
from schemas.ruling import BY

HASHES: Final = 1 << 64
# Bytes in the order of memory, so that all of an id is read as numbers and no object is made of it.
ID: Final = """reinterpretAsUInt64(reverse(substring(event_id, 1, 8))) AS high,
       reinterpretAsUInt64(reverse(substring(event_id, 9, 8))) AS low"""
# Buckets are chosen by PREWHERE, which an id of the sorting key allows beside FINAL; nothing is sorted here, where it
# would drag all columns along.
_HEADS = """
SELECT sipHash64(event_id) AS hash, {id}, merchant, sipHash64(session_id), `partition`,
       `offset`, toUnixTimestamp64Milli(occurred_at), toUnixTimestamp64Milli(appended_at), score, {decision},
       {decided_by},
       concatWithSeparator('\\x1f', toString(model), toString(build), toString(ruleset), toString(policy)),
       {groups}{devices}
FROM {events} FINAL PREWHERE {bucket} WHERE {where}
"""
_DETAILS = """
SELECT {id}, merchant, `partition`, `offset`, arrayStringConcat(factors, ','), reinterpret(contributions, 'String'),
       arrayStringConcat(rules, ','), toString(smart_names), reinterpret(smart_results, 'String'),
       reinterpret(smart_confidences, 'String'), reinterpret([{counts}], 'String')
FROM {events} FINAL PREWHERE {bucket} WHERE {where}
"""
# An id that was sealed twice is one event, and the record that came first is the one that was scored first.
_FIRST = """ORDER BY sipHash64(event_id), event_id, merchant, appended_at, `partition`, `offset`
LIMIT 1 BY event_id, merchant"""
_SHOWN = """
SELECT merchant, lower(hex(event_id)), lower(hex(session_id)), event_type, `partition`, `offset`,
       toUnixTimestamp64Milli(occurred_at), score, decision, decided_by, model, build, ruleset, policy, review, deny,
       factors, factor_texts, contributions, rules, smart_names, smart_results, smart_confidences, [{counts}]
FROM {events} FINAL WHERE {where}
{first}
"""
_LETTERS = """
SELECT `partition`, `offset`, reason, stage, event_id, payload_sha256, detail FROM {letters} FINAL
WHERE {where} ORDER BY `partition`, `offset`, stage LIMIT 1 BY `partition`, `offset`
"""
SHOWN_NAMES: Final = (
    "merchant", "event_id", "session_id", "event_type", "partition", "offset", "occurred_at", "score", "decision",
    "decided_by", "model", "build", "ruleset", "policy", "review", "deny", "factors", "factor_texts", "contributions",
    "rules", "smart_names", "smart_results", "smart_confidences", "counts",
)  # fmt: skip
LABELLED: Final = "SELECT {id}, merchant, toInt8(fraud) FROM ({labelled})"
_EXTENT = """
SELECT count(), min(toUnixTimestamp64Milli(occurred_at)), max(toUnixTimestamp64Milli(occurred_at))
FROM {events} WHERE {where}
"""
_COUNTED = "SELECT count() FROM {table} WHERE {where}"
_WINDOWS = "SELECT DISTINCT `partition`, intDiv(`offset`, {size}) FROM {letters} WHERE {where}"
_DEVICE = """, reinterpretAsUInt64(substring(device_id, 1, 8)), reinterpretAsUInt64(substring(device_id, 9, 8))"""
COLUMNS: Final = """
SELECT name, type FROM system.columns
WHERE database = %(database)s AND table = 'events' AND default_kind NOT IN ('EPHEMERAL', 'ALIAS', 'MATERIALIZED')
"""


def text(value: str) -> str:
    """Return a text as SQL has it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def name(value: str) -> str:
    """Return a name as SQL has it."""
    return "`" + value.replace("\\", "\\\\").replace("`", "\\`") + "`"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which records are compared: offsets of a topic, and whose events; empty: all."""

    topic: str
    pieces: tuple[Piece, ...]
    merchants: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()  # hex
    places: frozenset[tuple[int, int]] | None = None
    sample: float = 1.0  # share of devices
    not_run: tuple[str, ...] = ()  # stages before the one that a side began at: it has no letters of them

    @property
    def whole_devices(self) -> bool:
        """Return whether letters can be told apart too: whose session and device a letter is of is not in the table."""
        return not self.sessions and self.sample >= 1

    def letters_sql(self) -> str:
        """Return the condition on ``dead_letters``."""
        found = self.places_sql() + self._merchants_sql()
        return found + (f" AND stage NOT IN ({', '.join(map(text, self.not_run))})" if self.not_run else "")

    def places_sql(self) -> str:
        """Return the condition on topic and place, of ``events`` and of ``dead_letters``."""
        pieces = " OR ".join(
            f"(`partition` = {one.partition} AND `offset` >= {one.first} AND `offset` < {one.next})"
            for one in self.pieces
        )
        found = f"topic = {text(self.topic)} AND ({pieces or '0'})"
        if self.places is not None:
            found += f" AND {places_in(sorted(self.places))}"
        return found

    def events_sql(self) -> str:
        """Return the condition on ``events``."""
        found = self.places_sql() + self._merchants_sql()
        if self.sessions:
            found += f" AND session_id IN ({', '.join(map(_id, self.sessions))})"
        return found

    def _merchants_sql(self) -> str:
        return f" AND merchant IN ({', '.join(map(text, self.merchants))})" if self.merchants else ""


def places_in(places: Sequence[tuple[int, int]]) -> str:
    """Return the condition that a row is at one of some places."""
    listed = ", ".join(f"({int(partition)}, {int(offset)})" for partition, offset in places)
    return f"(`partition`, `offset`) IN ({listed})" if listed else "0"


def ids_in(ids: Sequence[bytes]) -> str:
    """Return the condition that an event is one of some."""
    return f"event_id IN ({', '.join(_id(one.hex()) for one in ids)})"


def _id(digits: str) -> str:
    return f"toFixedString(unhex({text(digits)}), 16)"


def bounds(part: int, parts: int) -> tuple[int, int]:
    """Return the first and the last hash of one of so many buckets; those of a multiple lie within them."""
    return part * HASHES // parts, (part + 1) * HASHES // parts - 1


def hashes(part: int, parts: int) -> str:
    """Return the condition that an event is in one of so many buckets of its id's hash."""
    first, last = bounds(part, parts)
    return f"sipHash64(event_id) >= toUInt64({first}) AND sipHash64(event_id) <= toUInt64({last})"


@dataclass(frozen=True, slots=True)
class Compared:
    """The columns that both sides have, and what is left out because only one has it."""

    types: Mapping[str, str]
    left_out: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, a: Mapping[str, str], b: Mapping[str, str]) -> Compared:
        """Return what two tables have in common."""
        left_out = tuple(sorted((a.keys() ^ b.keys()) - set(NOT_COMPARED)))
        return cls({column: a[column] for column in a if column in b}, left_out)

    def other(self) -> tuple[str, ...]:
        """Return the columns that no group names."""
        grouped = {column for columns in GROUPS.values() for column in columns}
        return tuple(sorted(self.types.keys() - grouped - set(NOT_COMPARED)))

    def heads(self, events: str, bucket: str, where: str, *, devices: bool = False) -> str:
        """Return the query of heads, on demand with the halves of the device ids as two more columns."""
        groups = ", ".join(self._hash(columns if group != "other" else self.other())
                           for group, columns in GROUPS.items())  # fmt: skip
        return _HEADS.format(
            id=ID, devices=_DEVICE if devices else "", decision=_code("decision", DECISIONS),
            decided_by=_code("decided_by", BY), groups=groups, events=events, bucket=bucket, where=where,
        )  # fmt: skip

    def details(self, events: str, bucket: str, where: str) -> str:
        """Return the query of details."""
        return _DETAILS.format(id=ID, counts=self._counts(), events=events, bucket=bucket, where=where)

    def shown(self, events: str, where: str) -> str:
        """Return the query of whole events, for examples."""
        return _SHOWN.format(counts=self._counts(), events=events, where=where, first=_FIRST)

    def _counts(self) -> str:
        return ", ".join(f"toUInt32(ifNull({column}, 0))" if column in self.types else "toUInt32(0)"
                         for column in COUNTS)  # fmt: skip

    def _hash(self, columns: Sequence[str]) -> str:
        """Return the hash of columns, which is never NULL."""
        known = [self._plain(column) for column in columns if column in self.types]
        return f"cityHash64({', '.join(known)})" if known else "toUInt64(0)"

    def _plain(self, column: str) -> str:
        kind, quoted = self.types[column], name(column)
        if not kind.startswith("Nullable("):
            return quoted
        if kind.startswith("Nullable(UInt"):  # counts, of which none that is known is 0
            return f"ifNull({quoted}, 0)"
        return f"ifNull(toString({quoted}), 'null')"


def extent(events: str, where: str) -> str:
    """Return the query of how many rows are meant at most, and of which event times."""
    return _EXTENT.format(events=events, where=where)


def counted(table: str, where: str = "1") -> str:
    """Return the query of how many rows there are."""
    return _COUNTED.format(table=table, where=where)


def windows(table: str, where: str, size: int) -> str:
    """Return the query of partitions and windows of so many offsets that have dead letters."""
    return _WINDOWS.format(letters=table, where=where, size=size)


def letters(table: str, where: str) -> str:
    """Return the query of dead letters, one a place."""
    return _LETTERS.format(letters=table, where=where)


def _code(column: str, names: Sequence[str]) -> str:
    """Return the number of a name, as many as there are names where it is none of them."""
    listed = ", ".join(map(text, names))
    return f"toUInt8(if(indexOf([{listed}], toString({column})) = 0, {len(names)}, " \
           f"indexOf([{listed}], toString({column})) - 1))"  # fmt: skip
