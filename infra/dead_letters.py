"""Dead letters in ClickHouse: which of them are asked for, and where each stands. Rows for sinks wait in Kafka instead.

A letter's number (column ``letter``) is a hash of its address: 64 bits, so that a million changes join quickly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ErrorCodes, ServerException

from infra.clickhouse.migrate import one_line
from infra.letter_clusters import CLUSTER_PARAMETERS, PATTERN_SQL, STACK_SQL, Cluster, cluster_of
from schemas.dead_letter import REASONS
from schemas.letter_state import LetterAddress, LetterState

_FACTS = {reason.value: facts for reason, facts in REASONS.items()}
_SECONDS, _CONNECT_SECONDS = 60.0, 5.0
# The same letter written twice has the same day, so a day is merged alone.
_SETTINGS = {"do_not_merge_across_partitions_select_final": 1}
_UNKNOWN_HERE = {ErrorCodes.UNKNOWN_TABLE, ErrorCodes.UNKNOWN_DATABASE, ErrorCodes.UNKNOWN_IDENTIFIER}
# The newest change of each letter that has any.
STANDING = (
    "SELECT letter, argMax(to_state, changed_at) AS state, argMax(attempts, changed_at) AS tried"
    " FROM dead_letter_states GROUP BY letter"
)
FAILED_MS = "toUnixTimestamp64Milli(first_failed_at)"
_COUNT = "SELECT count() FROM dead_letters FINAL WHERE {where}"
_ROWS = """
SELECT letter, topic, partition, "offset", stage, reason, detail, merchant, event_id, processor,
    toUnixTimestamp64Milli(received_at), toUnixTimestamp64Milli(first_failed_at) AS failed, attempts,
    payload_format, payload_sha256{more}
FROM dead_letters FINAL WHERE {where}
"""
_NEWEST_FIRST = " ORDER BY failed DESC, letter"
_STANDING_ROWS = "SELECT l.*, w.state, w.tried FROM ({rows}) AS l LEFT JOIN ({standing}) AS w ON l.letter = w.letter"
_AFTER = " AND (failed < %(after_failed)s OR failed = %(after_failed)s AND letter > %(after_letter)s)"
_STATES_OF = """
SELECT letter, argMax(to_state, changed_at), argMax(attempts, changed_at) FROM dead_letter_states
WHERE letter IN %(letters)s GROUP BY letter
"""
_IN_STATES = "letter {no}IN (SELECT letter FROM ({standing}) WHERE state IN %(states)s)"


class DeadLettersError(Exception):
    """Something cannot be read or is not there; the text is one sentence."""


class Where(NamedTuple):
    """A condition and its parameters."""

    sql: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters are meant; empty: all. Times are of the first failure, in ms since the epoch, the end excluded."""

    reasons: tuple[str, ...] = ()  # whole ones, or all that begin with one that ends in a dot
    stages: tuple[str, ...] = ()
    merchants: tuple[str, ...] = ()
    processors: tuple[str, ...] = ()  # builds in which they failed, as a letter names them
    states: tuple[LetterState, ...] = ()
    since: int | None = None
    until: int | None = None
    event_id: str = ""
    addresses: tuple[LetterAddress, ...] = ()
    cluster: Cluster | None = None
    text: str = ""  # within the detail, in either case

    @property
    def whole(self) -> bool:
        """Tell whether all letters are meant."""
        return self == Filter()

    def where(self) -> Where:
        """Return it as SQL over ``dead_letters``."""
        parts: dict[str, Mapping[str, Any]] = {}
        for name in ("stage", "merchant", "processor"):
            wanted = getattr(self, f"{name}s")
            if wanted:
                parts[f"{name} IN %({name}s)s"] = {f"{name}s": wanted}
        if self.reasons:
            parts |= _reasons(self.reasons)
        if self.since is not None:
            parts["first_failed_at >= fromUnixTimestamp64Milli(%(since)s)"] = {"since": self.since}
        if self.until is not None:
            parts["first_failed_at < fromUnixTimestamp64Milli(%(until)s)"] = {"until": self.until}
        if self.event_id:
            parts["event_id = %(event_id)s"] = {"event_id": self.event_id}
        if self.addresses:
            parts |= _addresses(self.addresses)
        if self.cluster is not None:
            parts |= _cluster(self.cluster)
        if self.text:
            parts["positionCaseInsensitiveUTF8(detail, %(text)s) > 0"] = {"text": self.text}
        if self.states:
            parts |= _states(self.states)
        parameters = {name: value for given in parts.values() for name, value in given.items()}
        return Where(" AND ".join(f"({sql})" for sql in parts) or "1", parameters)


def _reasons(wanted: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    exact = tuple(reason for reason in wanted if not reason.endswith("."))
    begin = [reason for reason in wanted if reason.endswith(".")]
    parameters: dict[str, Any] = {"reasons": exact} if exact else {}
    parameters |= {f"reason_{place}": reason for place, reason in enumerate(begin)}
    any_of = ["reason IN %(reasons)s"] if exact else []
    any_of += [f"startsWith(reason, %(reason_{place})s)" for place in range(len(begin))]
    return {" OR ".join(any_of): parameters}


def _addresses(wanted: Sequence[LetterAddress]) -> dict[str, Mapping[str, Any]]:
    """Return any of them; each of its own, so that the table's key is used."""
    parts: list[str] = []
    parameters: dict[str, Any] = {}
    for place, one in enumerate(wanted):
        names = [name for name in one._fields if name != "stage" or one.stage]
        parts.append(" AND ".join(f'"{name}" = %({name}_{place})s' for name in names))
        parameters |= {f"{name}_{place}": getattr(one, name) for name in names}
    return {" OR ".join(f"({part})" for part in parts): parameters}


def _cluster(wanted: Cluster) -> dict[str, Mapping[str, Any]]:
    sql = (
        "reason = %(cluster_reason)s AND stage = %(cluster_stage)s"
        f" AND {PATTERN_SQL} = %(cluster_pattern)s AND {STACK_SQL} = %(cluster_stack)s"
    )
    parameters = {f"cluster_{name}": getattr(wanted, name) for name in ("reason", "stage", "pattern", "stack")}
    return {sql: {**parameters, **CLUSTER_PARAMETERS}}


def _states(wanted: Sequence[LetterState]) -> dict[str, Mapping[str, Any]]:
    """Letters without a change are new: asked for them, those of all other states are left out."""
    new = LetterState.NEW in wanted
    named = tuple(state.value for state in LetterState if (state in wanted) is not new)
    if not named:
        return {}
    return {_IN_STATES.format(no="NOT " if new else "", standing=STANDING): {"states": named}}


class Listed(NamedTuple):
    """One letter without its payload. Times are in ms since the epoch."""

    letter: int
    address: LetterAddress
    reason: str
    detail: str
    merchant: str
    event_id: str
    processor: str
    received_at: int
    first_failed_at: int
    attempts: int
    payload_format: str = ""
    payload_sha256: str = ""
    state: LetterState = LetterState.NEW

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it, with what the registry of reasons says."""
        facts = _FACTS.get(self.reason)
        return {
            "address": str(self.address),
            "reason": self.reason,
            "stage": self.address.stage,
            "detail": self.detail,
            "fault": facts.fault if facts else None,
            "disposition": facts.disposition if facts else None,
            "state": self.state.value,
            "cluster": cluster_of(self.reason, self.address.stage, self.detail).id,
            "merchant": self.merchant or None,
            "event_id": self.event_id or None,
            "processor": self.processor,
            "received_at": self.received_at,
            "first_failed_at": self.first_failed_at,
            "attempts": self.attempts,
            "payload_format": self.payload_format,
            "payload_sha256": self.payload_sha256,
        }


class Cursor(NamedTuple):
    """Where a page ended: what comes next failed earlier, or at the same time with a higher number."""

    first_failed_at: int
    letter: int

    def __str__(self) -> str:
        return f"{self.first_failed_at}.{self.letter}"

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Read what a page before gave. ValueError in one sentence."""
        parts = text.split(".")
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) <= 20 for part in parts):
            raise ValueError(f"{text!r} is no cursor: give the one that the page before ended with")
        return cls(*map(int, parts))


class Page(NamedTuple):
    """Some letters, newest failure first; ``next`` is None on the last page."""

    letters: tuple[Listed, ...]
    next: Cursor | None


class DeadLetters:
    """The letters of one database. Use it in a ``with`` statement; DeadLettersError says what cannot be read."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc.rpartition("@")[2]
        self._client = Client.from_url(_bounded(url))

    def __enter__(self) -> DeadLetters:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()

    def execute(self, sql: str, parameters: Mapping[str, Any] | None = None, **settings: Any) -> list[Any]:
        """Run one statement and return its rows."""
        with self._told():
            found = self._client.execute(sql, dict(parameters or {}), settings={**_SETTINGS, **settings})
            return found if isinstance(found, list) else []

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Append rows."""
        named = ", ".join(f"`{column}`" for column in columns)
        with self._told():
            self._client.execute(f"INSERT INTO {table} ({named}) VALUES", rows)

    def stream(self, sql: str, parameters: Mapping[str, Any]) -> Iterator[Any]:
        """Yield the rows of a query as they come, texts as bytes."""
        with self._told():
            settings = {**_SETTINGS, "strings_as_bytes": True}
            yield from self._client.execute_iter(sql, dict(parameters), settings=settings)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (Error, OSError, EOFError) as error:
            if isinstance(error, ServerException) and error.code in _UNKNOWN_HERE:
                said = "has no tables of dead letters, or older ones: run `clickgoose clickhouse migrate`"
                raise DeadLettersError(f"ClickHouse at {self._host} {said}") from error
            raise DeadLettersError(f"cannot read ClickHouse at {self._host}: {one_line(error)}") from error

    def count(self, wanted: Filter) -> int:
        """Return how many letters are meant."""
        sql, parameters = wanted.where()
        return int(self.execute(_COUNT.format(where=sql), parameters)[0][0])

    def page(self, wanted: Filter, rows: int, after: Cursor | None = None) -> Page:
        """Return up to ``rows`` letters, newest failure first."""
        sql, parameters = wanted.where()
        given = dict(parameters)
        if after is not None:
            sql += _AFTER
            given |= {"after_failed": after.first_failed_at, "after_letter": after.letter}
        query = _ROWS.format(where=sql, more="") + _NEWEST_FIRST
        found = self.execute(f"{query} LIMIT {rows + 1:d}", given)
        letters = self.with_states([_listed(row) for row in found[:rows]])
        last = letters[-1] if len(found) > rows else None
        return Page(letters, None if last is None else Cursor(last.first_failed_at, last.letter))

    def all(self, wanted: Filter, *, payloads: bool = False) -> Iterator[tuple[Listed, bytes]]:
        """Yield every letter, newest failure first; with payloads as they are stored, for sorting would hold them all.

        Without payloads they are empty.
        """
        sql, parameters = wanted.where()
        rows = _ROWS.format(where=sql, more=", payload" if payloads else ", ''")
        query = _STANDING_ROWS.format(rows=rows, standing=STANDING) + ("" if payloads else _NEWEST_FIRST)
        for row in self.stream(query, parameters):
            *facts, payload, state, tried = row
            letter = _listed(list(map(_text, facts)))
            standing = {"state": LetterState(_text(state)), "attempts": tried} if state else {}
            yield letter._replace(**standing), payload

    def with_states(self, letters: Sequence[Listed]) -> tuple[Listed, ...]:
        """Return letters with where they stand."""
        if not letters:
            return ()
        numbers = tuple(letter.letter for letter in letters)
        rows = self.execute(_STATES_OF, {"letters": numbers})
        found = {number: (LetterState(state), tried) for number, state, tried in rows}
        return tuple(
            letter._replace(state=found[letter.letter][0], attempts=found[letter.letter][1])
            if letter.letter in found
            else letter
            for letter in letters
        )


def _bounded(url: str) -> str:
    """Return the URL with bounded waits."""
    parts = urlsplit(url)
    waits = {"connect_timeout": f"{_CONNECT_SECONDS:g}", "send_receive_timeout": f"{_SECONDS:g}"}
    return urlunsplit(parts._replace(query=urlencode(dict(parse_qsl(parts.query)) | waits)))


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _listed(row: Sequence[Any]) -> Listed:
    letter, topic, partition, offset, stage, *rest = row
    return Listed(letter, LetterAddress(topic, partition, offset, stage), *rest)


def in_state(wanted: Filter, *states: LetterState) -> Filter:
    """Return a filter that asks for these states only."""
    return replace(wanted, states=states)
