"""What is checked on each event's clear header. The payload stays sealed: only the flow can open it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from ingest_api.config import IngestConfig
from ingest_api.tokens import Session
from schemas.envelope import wrap
from schemas.sealed import HEADER_DTYPE, SEALED_MIN_BYTES, Header, read_header


class Status(StrEnum):
    """What the client is to do: nothing, send again later, or forget the event."""

    OK = "ok"
    RETRY = "retry"
    DROP = "drop"


class Reason(StrEnum):
    """Why; a closed set, also a label of the metrics."""

    APPENDED = "appended"
    SPOOLED = "spooled"
    BAD_HEADER = "bad_header"
    SESSION_MISMATCH = "session_mismatch"
    DEVICE_MISMATCH = "device_mismatch"
    UNKNOWN_KEY = "unknown_key"
    TOO_LARGE = "too_large"
    CLOCK_SKEW = "clock_skew"
    TOO_OLD = "too_old"
    SESSION_EXPIRED = "session_expired"
    SPOOL_FULL = "spool_full"
    SPOOL_UNAVAILABLE = "spool_unavailable"


STATUS_OF: dict[Reason, Status] = {
    Reason.APPENDED: Status.OK,
    Reason.SPOOLED: Status.OK,
    Reason.BAD_HEADER: Status.DROP,
    Reason.SESSION_MISMATCH: Status.DROP,
    Reason.DEVICE_MISMATCH: Status.DROP,
    Reason.UNKNOWN_KEY: Status.DROP,
    Reason.TOO_LARGE: Status.DROP,
    Reason.CLOCK_SKEW: Status.DROP,
    Reason.TOO_OLD: Status.DROP,
    Reason.SESSION_EXPIRED: Status.DROP,
    Reason.SPOOL_FULL: Status.RETRY,
    Reason.SPOOL_UNAVAILABLE: Status.RETRY,
}


class Record(NamedTuple):
    """One record for Kafka: the device id as key, the envelope as value."""

    key: bytes
    value: bytes


class Checked(NamedTuple):
    """A request's events after the checks. ``reasons[i]`` is None where event i goes on, as the next of ``records``."""

    event_ids: list[str | None]
    reasons: list[Reason | None]
    records: list[Record]


def _place(field: str) -> slice:
    fields: Any = HEADER_DTYPE.fields
    kind, at = fields[field]
    return slice(at, at + kind.itemsize)


_DEVICE_ID, _EVENT_ID = _place("device_id"), _place("event_id")
_BEFORE_DEVICE, _SENT_AT = _DEVICE_ID.start, _place("sent_at").start
_read_time = struct.Struct("<Q").unpack_from


class Checks:
    """The checks with their limits."""

    def __init__(self, config: IngestConfig) -> None:
        self._known_keys = frozenset(config.keys.masters)
        self._max_bytes = config.max_event_bytes
        self._skew_ms = config.max_skew_seconds * 1_000
        self._age_ms = config.max_age_seconds * 1_000

    def __call__(self, session: Session, sealed: Sequence[bytes], address: bytes, now_ms: int) -> Checked:
        """Check and wrap all events of a request, in order."""
        checked = Checked([], [], [])
        envelope = wrap(session.attested, now_ms, address, b"")  # the same in front of every event of the request
        oldest, latest = now_ms - self._age_ms, now_ms + self._skew_ms
        last = session.expires_at * 1_000 + self._skew_ms
        usual, device, newest = self._usual_start(session), session.device_id, min(latest, last)
        for one in sealed:
            if (
                one.startswith(usual)
                and SEALED_MIN_BYTES <= len(one) <= self._max_bytes
                and oldest <= _read_time(one, _SENT_AT)[0] <= newest
                and (device is None or one[_DEVICE_ID] == device)
            ):
                checked.event_ids.append(one[_EVENT_ID].hex())
                checked.reasons.append(None)
                checked.records.append(Record(one[_DEVICE_ID], envelope + one))
            else:
                self._check(checked, session, one, envelope, (oldest, latest, last))
        return checked

    @staticmethod
    def _usual_start(session: Session) -> bytes:
        """Return how the events of a session begin that are sealed under the key of its token: almost all.

        What passes at a glance passes the checks in full; everything else is for them to judge.
        """
        return Header(session.key_id, session.session_id, b"", b"", 0, 0).pack()[:_BEFORE_DEVICE]

    def _check(
        self, into: Checked, session: Session, sealed: bytes, envelope: bytes, bounds: tuple[int, int, int]
    ) -> None:
        """Check one event. ``bounds`` of its time, in Unix ms: the oldest and latest now, the last of its session."""
        oldest, latest, last = bounds
        header = read_header(sealed)
        if header is None:
            into.event_ids.append(None)
            into.reasons.append(Reason.TOO_LARGE if len(sealed) > self._max_bytes else Reason.BAD_HEADER)
            return
        reason = None
        if header.session_id != session.session_id:
            reason = Reason.SESSION_MISMATCH
        elif header.key_id not in self._known_keys:
            reason = Reason.UNKNOWN_KEY
        elif session.device_id is not None and header.device_id != session.device_id:
            reason = Reason.DEVICE_MISMATCH
        elif len(sealed) > self._max_bytes:
            reason = Reason.TOO_LARGE
        elif header.sent_at > latest:
            reason = Reason.CLOCK_SKEW
        elif header.sent_at < oldest:
            reason = Reason.TOO_OLD
        elif header.sent_at > last:
            reason = Reason.SESSION_EXPIRED
        into.event_ids.append(header.event_id.hex())
        into.reasons.append(reason)
        if reason is None:
            into.records.append(Record(header.device_id, envelope + sealed))
