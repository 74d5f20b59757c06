"""The batches between the stages, and the sections that they are made of.

``RawBatch -> Decoded -> Verified -> Normalized -> Counted -> Recognized -> Related -> Enriched -> Scored -> Judged ->
Decided``: each is the one before with more sections. ``n`` is the number of rows throughout; times are milliseconds
since the Unix epoch unless said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from schemas.columns import F32, I8, I32, I64, U8, U16, U32, U64, Bool, Chosen, Columns, segments
from schemas.ledger import Ledger
from schemas.verdicts import Decision, Rules, Score

__all__ = [
    "F32", "I8", "I32", "I64", "U8", "U16", "U32", "U64",
    "Activity", "Bool", "Counted", "Decided", "Decision", "Decoded", "Enriched", "Environment", "Event", "History",
    "Judged", "Ledger", "Network", "Normalized", "Origin", "RawBatch", "Recognition", "Recognized", "Related",
    "Rules", "Score", "Scored", "SessionSummary", "Shared", "Signals", "SmartSignals", "Texts", "Velocity", "Verified",
]  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Origin(Columns):
    """Where each row was read: Kafka's place and times."""

    topic: str
    partition: I32
    offset: I64
    appended_at: I64  # Kafka's own time stamp
    polled_at: I64  # when the source read it; the flow's only clock reading for a row


@dataclass(frozen=True, slots=True, eq=False)
class Event(Columns):
    """Who and when: the clear header, authenticated, and what the ingest tier attested."""

    event_id: U8  # [n, 16]
    session_id: U8  # [n, 16]
    device_id: U8  # [n, 16]
    address: U8  # [n, 16], IPv6 or IPv4-mapped
    key_id: U32
    sequence: U32
    occurred_at: I64  # event time: when the agent sealed it
    received_at: I64  # when the ingest tier accepted it
    merchant: tuple[str, ...]
    transaction: tuple[str, ...]
    linked_id: tuple[str, ...]  # the merchant's own account id, empty where it gave none
    card_token: tuple[str, ...]  # the merchant's own token of the card, empty where it gave none
    event_type: tuple[str, ...]  # what the visit is for, in the merchant's words (payment, login), empty where not said
    attempt: U8  # how often the row was tried before: 0 but for redriven records
    told: tuple[bytes, ...]  # schemas.told: what was counted of it before it failed, empty where nothing was


@dataclass(frozen=True, slots=True, eq=False)
class Texts(Columns):
    """The string tail, still as bytes. ``start`` and ``length`` are [n, T]; length -1 means absent."""

    blob: tuple[bytes, ...]
    start: I32
    length: I32

    def column(self, position: int) -> list[bytes | None]:
        """Return one text of every row as bytes, None where absent."""
        starts = self.start[:, position].tolist()
        lengths = self.length[:, position].tolist()
        return [
            None if size < 0 else blob[at : at + size]
            for blob, at, size in zip(self.blob, starts, lengths, strict=True)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Signals(Columns):
    """What the browser showed, in the catalogue's wire order, by kind."""

    catalogue: U16  # the catalogue version that the agent spoke
    numbers: F32  # [n, N], NaN where absent
    known: Bool  # [n, B]
    booleans: Bool  # [n, B], False where not known
    categories: U32  # [n, C], 0 where absent
    texts: Texts


@dataclass(frozen=True, slots=True, eq=False)
class Activity(Columns):
    """The activity log, ragged: the entries of row i are ``offsets[i]:offsets[i + 1]`` of the four columns."""

    offsets: I64  # [n + 1]
    time: U32  # ms since the page opened
    value: F32
    code: U16
    target: U8

    def __len__(self) -> int:
        """Return the number of rows (not of entries)."""
        return len(self.offsets) - 1

    def _take(self, rows: Chosen) -> Self:
        if isinstance(rows, slice):
            bounds = self.offsets[rows.start : rows.stop + 1]
            entry = slice(bounds[0], bounds[-1])
            return type(self)(
                bounds - bounds[0], self.time[entry], self.value[entry], self.code[entry], self.target[entry]
            )
        lengths = np.diff(self.offsets)[rows]
        entries = segments(self.offsets[:-1][rows], lengths)
        offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
        return type(self)(offsets, self.time[entries], self.value[entries], self.code[entries], self.target[entries])

    @classmethod
    def _concat(cls, parts: Sequence[Self]) -> Self:
        lengths = np.concatenate([np.diff(part.offsets) for part in parts])
        offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))

        def joined(name: str) -> NDArray[Any]:
            return np.concatenate([getattr(p, name)[p.offsets[0] : p.offsets[-1]] for p in parts])

        return cls(offsets, joined("time"), joined("value"), joined("code"), joined("target"))

    def rows(self) -> I64:
        """Return the row of every entry, int64[entries]."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


@dataclass(frozen=True, slots=True, eq=False)
class Environment(Columns):
    """What normalisation made of the signals: parsed, reconciled and checked. Codes are in schemas.environment."""

    browser: U8  # schemas.environment.BROWSERS
    browser_version: F32  # major version, NaN where unknown
    engine: U8  # schemas.environment.ENGINES, by what the browser can do and not by what it says
    engine_version: F32  # the version of its engine that the user agent names, NaN where it names none
    engine_at_least: F32  # the least version of that engine that can do what this one does, NaN where not known
    system: U8  # schemas.environment.SYSTEMS
    system_version: F32  # major.minor, by client hints where the user agent is frozen, NaN where unknown
    device: U8  # schemas.environment.DEVICES
    gpu: U8  # schemas.environment.GPUS
    gpu_driver: U8  # schemas.environment.GPU_DRIVERS
    gpu_model: tuple[str, ...]  # "GeForce RTX 3060", empty where unknown
    screen_pixels_wide: F32  # device pixels
    screen_pixels_high: F32
    density: U8  # schemas.environment.DENSITIES
    timezone_offset: F32  # minutes west of UTC by the zone's own rules at the event's time, NaN where unknown
    checks: U64  # bit i set: schemas.environment.CHECKS[i] failed
    fingerprint: U64  # a hash of what the machine draws, plays and names; 0 where too little is known


@dataclass(frozen=True, slots=True, eq=False)
class Network(Columns):
    """Where the address lies, by the lookup that was injected."""

    country: U16  # schemas.countries.COUNTRIES, 0 where unknown
    asn: U32  # number of the autonomous system, 0 where unknown
    latitude: F32  # degrees north of the country's middle, NaN where unknown
    longitude: F32  # degrees east
    classes: U16  # bit i set: it is a schemas.networks.NETWORK_CLASSES[i]


@dataclass(frozen=True, slots=True, eq=False)
class Velocity(Columns):
    """What the device did in the windows that end at the event, the event itself included."""

    counts: U32  # [n, schemas.velocity.KINDS, schemas.velocity.WINDOWS]: events, and distinct values of the others
    first_seen_at: I64  # event time of the device's first event
    previous_at: I64  # event time of the device's previous event, -1 where none

    @property
    def events_5m(self) -> U32:
        """Return the events of 5 minutes, uint32[n]."""
        return self.counts[:, 0, 0]

    @property
    def events_1h(self) -> U32:
        """Return the events of an hour, uint32[n]."""
        return self.counts[:, 0, 1]

    @property
    def events_24h(self) -> U32:
        """Return the events of 24 hours, uint32[n]."""
        return self.counts[:, 0, 2]


@dataclass(frozen=True, slots=True, eq=False)
class History(Columns):
    """What is remembered of the device for as long as it is, up to the event."""

    events: U32  # of its life, this one included
    hours: U8  # [n, 24]: its events before this one by hour of the day in UTC; all halved when one would pass 255
    scores: F32  # [n, schemas.velocity.SCORES_KEPT]: of events SCORE_LAG offsets and more ago, newest first, NaN
    latitude: F32  # [n, schemas.velocity.PLACES_KEPT]: where it was before this event, newest first, NaN where fewer
    longitude: F32  # [n, schemas.velocity.PLACES_KEPT]
    place_at: I64  # [n, schemas.velocity.PLACES_KEPT]: event time when it was last seen there, -1 where fewer


@dataclass(frozen=True, slots=True, eq=False)
class SessionSummary(Columns):
    """The session so far: all its events that were counted before this one, and this one."""

    events: U32
    started_at: I64  # event time of its earliest event
    statistics: F32  # [n, schemas.activity_statistics.STATISTICS] of all its entries so far


@dataclass(frozen=True, slots=True, eq=False)
class Recognition(Columns):
    """What the partition's traffic so far says of the event: how usual it looks, and what came of others like it."""

    tail: F32  # [n, schemas.recognition.COMBINATIONS]: share of traffic whose combination is as rare or rarer, or NaN
    seen: F32  # [n, COMBINATIONS]: decayed count of earlier events with that combination, NaN where it is not shown
    denied: F32  # [n, schemas.recognition.REPUTED]: share of events expected to be denied or fraud, NaN where unknown
    weight: F32  # [n, REPUTED]: decayed count of earlier events that this share rests on, the prior left out
    replayed: U8  # bits of schemas.recognition: why it is a copy of an earlier event, 0 where it is none


@dataclass(frozen=True, slots=True, eq=False)
class Shared(Columns):
    """What devices share: counts of the event's address, network, account and so on, the event itself included."""

    counts: F32  # [n, schemas.velocity.ENTITIES, MEASURES, WINDOWS], NaN where not known
    degraded: Bool  # [n]: the store of these counts could not be asked


@dataclass(frozen=True, slots=True, eq=False)
class SmartSignals(Columns):
    """All smart signals, column-wise. S signals in the order of ``names``."""

    names: tuple[str, ...]
    result: I8  # [n, S]: 1 true, 0 false, -1 not computable
    confidence: F32  # [n, S]: 0 to 1, NaN where not computable
    reasons: U32  # [n, S]: bit i is the signal's own reason i
    data: tuple[str, ...] = ()  # by signal, the version of the data that it used, "" where it used none

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.result)

    def _take(self, rows: Chosen) -> Self:
        return type(self)(self.names, self.result[rows], self.confidence[rows], self.reasons[rows], self.data)

    @classmethod
    def _concat(cls, parts: Sequence[Self]) -> Self:
        if any((part.names, part.data) != (parts[0].names, parts[0].data) for part in parts):
            raise ValueError("cannot join batches with different smart signals")
        result, confidence, reasons = (
            np.concatenate([getattr(p, c) for p in parts]) for c in ("result", "confidence", "reasons")
        )
        return cls(parts[0].names, result, confidence, reasons, parts[0].data)

    def column(self, name: str) -> int:
        """Return the column of a smart signal."""
        return self.names.index(name)


@dataclass(frozen=True, slots=True, eq=False)
class RawBatch(Columns):
    """Opaque records as read from ``events.raw``."""

    origin: Origin
    values: tuple[bytes, ...]
    ledger: Ledger

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.values)


@dataclass(frozen=True, slots=True, eq=False)
class Decoded(RawBatch):
    """Authenticated, decrypted and laid out in columns."""

    event: Event
    signals: Signals
    activity: Activity


@dataclass(frozen=True, slots=True, eq=False)
class Verified(Decoded):
    """Proved free of unmasked personal data."""


@dataclass(frozen=True, slots=True, eq=False)
class Normalized(Verified):
    """With the environment parsed, every number inside its range, and the address located."""

    environment: Environment
    network: Network


@dataclass(frozen=True, slots=True, eq=False)
class Counted(Normalized):
    """With the counts and the history of the device and of the session, and without duplicates."""

    velocity: Velocity
    history: History
    session: SessionSummary


@dataclass(frozen=True, slots=True, eq=False)
class Recognized(Counted):
    """With how usual it looks and what came of others like it."""

    recognition: Recognition


@dataclass(frozen=True, slots=True, eq=False)
class Related(Recognized):
    """With the counts of what devices share."""

    shared: Shared


@dataclass(frozen=True, slots=True, eq=False)
class Enriched(Related):
    """With the smart signals."""

    smart: SmartSignals


@dataclass(frozen=True, slots=True, eq=False)
class Scored(Enriched):
    """With score and factors."""

    score: Score


@dataclass(frozen=True, slots=True, eq=False)
class Judged(Scored):
    """With what rules and lists say."""

    rules: Rules


@dataclass(frozen=True, slots=True, eq=False)
class Decided(Judged):
    """With the decision."""

    decision: Decision
