"""Encoded parcels as columns of the ClickHouse tables; ``packed_rows`` makes bytes of them for the backup.

A column is a NumPy array; text and ids are bytes. Ragged columns are rows of little-endian bytes, ``<name>_bytes``:
``unpacked`` makes the arrays of them for the table, and the table's defaults do so with what an older build packed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.sinks.encoded import EncodedParcel
from flows.sinks.joined import joined
from flows.sinks.rests import Rests
from flows.sinks.results import DECIMALS
from flows.sinks.written import WrittenResults
from schemas.batches import Decided
from schemas.card_tokens import hashed_card_token
from schemas.countries import COUNTRIES
from schemas.dead_letter import DeadLetter
from schemas.environment import BROWSERS, DENSITIES, DEVICES, ENGINES, GPU_DRIVERS, GPUS, SYSTEMS
from schemas.event_time import event_time
from schemas.result import DECISIONS, Result
from schemas.ruling import BY, encode_ruling
from schemas.travel import travel_kmh

Column = NDArray[Any]
Table = dict[str, Column]
SEPARATOR = ","  # between names: codes, rules and marks hold none
LINE = "\n"  # between sentences
UNIT = "\x1f"  # between texts that may hold anything that is written: tags, and whom rules alert


def objects(values: Iterable[bytes]) -> Column:
    """Return bytes as a column; NumPy's own bytes type would drop trailing zeros."""
    found = list(values)
    column = np.empty(len(found), object)
    column[:] = found
    return column


def _texts(values: Iterable[str]) -> Column:
    return objects(value.encode() for value in values)


_COUNTRIES = _texts(COUNTRIES)


def _shared(value: str, rows: int) -> Column:
    return objects([value.encode()] * rows)


def _rows_as_bytes(matrix: NDArray[Any]) -> Column:
    """Return each row's bytes, little-endian."""
    rows, width = matrix.shape
    data = np.ascontiguousarray(matrix, matrix.dtype.newbyteorder("<"))
    if not data.size:
        return objects([b""] * rows)
    return objects(data.view(f"V{width * data.itemsize}")[:, 0].tolist())


def _pieces(values: NDArray[Any], offsets: Sequence[int]) -> Column:
    """Return a ragged column's rows as bytes, little-endian."""
    data = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    whole, size = data.tobytes(), data.itemsize
    return objects(whole[first * size : last * size] for first, last in pairwise(offsets))


def _named(names: Sequence[str], codes: NDArray[np.uint8]) -> Column:
    return _texts(names)[codes]


def _milliseconds(values: NDArray[np.int64]) -> Column:
    return values.astype("datetime64[ms]")


def _optional_milliseconds(values: NDArray[np.int64]) -> Column:
    return np.where(values < 0, np.datetime64("NaT", "ms"), values.astype("datetime64[ms]"))


def event_columns(batch: Decided, results: Sequence[Result]) -> Table:
    """Return the columns of ``events``, one row an event."""
    return {
        **_identity(batch),
        **_origin(batch),
        **_environment(batch),
        **_counts(batch),
        **_history(batch),
        **_verdict(batch, results),
        **_grounds(batch),
        **_rules(batch),
        **_shadows(batch),
        **_activity(batch),
        **_ledger(batch),
    }


def _identity(batch: Decided) -> Table:
    event = batch.event
    return {
        "event_id": _rows_as_bytes(event.event_id),
        "session_id": _rows_as_bytes(event.session_id),
        "device_id": _rows_as_bytes(event.device_id),
        "address": _rows_as_bytes(event.address),
        "merchant": _texts(event.merchant),
        "transaction": _texts(event.transaction),
        "linked_id": _texts(event.linked_id),
        "card": _texts(map(hashed_card_token, event.merchant, event.card_token)),
        "event_type": _texts(event.event_type),
        "country": _COUNTRIES[batch.network.country],
        "asn": batch.network.asn,
        "key_id": event.key_id,
        "sequence": event.sequence,
        "occurred_at": _milliseconds(event.occurred_at),
        "received_at": _milliseconds(event.received_at),
        "catalogue": batch.signals.catalogue,
    }


def _origin(batch: Decided) -> Table:
    origin = batch.origin
    return {
        "topic": _shared(origin.topic, len(batch)),
        "partition": origin.partition,
        "offset": origin.offset,
        "appended_at": _milliseconds(origin.appended_at),
        "polled_at": _milliseconds(origin.polled_at),
    }


def _environment(batch: Decided) -> Table:
    seen = batch.environment
    return {
        "browser": _named(BROWSERS, seen.browser),
        "browser_version": seen.browser_version,
        "engine": _named(ENGINES, seen.engine),
        "engine_version": seen.engine_version,
        "engine_at_least": seen.engine_at_least,
        "system": _named(SYSTEMS, seen.system),
        "system_version": seen.system_version,
        "device": _named(DEVICES, seen.device),
        "gpu": _named(GPUS, seen.gpu),
        "gpu_driver": _named(GPU_DRIVERS, seen.gpu_driver),
        "gpu_model": _texts(seen.gpu_model),
        "screen_pixels_wide": seen.screen_pixels_wide,
        "screen_pixels_high": seen.screen_pixels_high,
        "density": _named(DENSITIES, seen.density),
        "timezone_offset": seen.timezone_offset,
        "checks": seen.checks,
        "fingerprint": seen.fingerprint,
    }


def _counts(batch: Decided) -> Table:
    """Return what was counted; events as they are, the others as bytes that the table unpacks."""
    velocity, shared = batch.velocity, batch.shared.counts
    return {
        "events_5m": velocity.events_5m,
        "events_1h": velocity.events_1h,
        "events_24h": velocity.events_24h,
        "velocity_bytes": _rows_as_bytes(velocity.counts.reshape(len(batch), -1)),
        # 0 stands for what is not known: a known count holds the event itself.
        "shared_bytes": _rows_as_bytes(np.rint(np.nan_to_num(shared)).astype(np.uint32).reshape(len(batch), -1)),
    }


def _history(batch: Decided) -> Table:
    velocity, history, session = batch.velocity, batch.history, batch.session
    known = ~np.isnan(history.scores)
    ends = np.cumsum(known.sum(axis=1)).tolist()
    return {
        "first_seen_at": _milliseconds(velocity.first_seen_at),
        "previous_at": _optional_milliseconds(velocity.previous_at),
        "device_events": history.events,
        "scores_bytes": _pieces(history.scores[known], [0, *ends]),
        "travel_kmh": travel_kmh(batch.network, history, event_time(batch)),
        "session_events": session.events,
        "session_started_at": _milliseconds(session.started_at),
    }


def _verdict(batch: Decided, results: Sequence[Result]) -> Table:
    smart, rows = batch.smart, len(batch)
    return {
        "score": batch.score.score,
        "decision": _named(DECISIONS, batch.decision.decision),
        "model": _texts(batch.score.versions)[batch.score.model],
        **(_written(batch, results) if isinstance(results, WrittenResults) else _read(results)),
        "smart_names": _shared(SEPARATOR.join(smart.names), rows),
        "smart_results_bytes": _rows_as_bytes(smart.result),
        "smart_confidences_bytes": _rows_as_bytes(smart.confidence),
        "smart_reasons_bytes": _rows_as_bytes(smart.reasons),
        "smart_data": _shared(SEPARATOR.join(smart.data), rows),
    }


def _read(results: Sequence[Result]) -> Table:
    """Return what is taken from results: build, ruleset, factors, rules, and what could not be asked."""
    contributions = [np.array([factor.contribution for factor in r.factors], "<f4").tobytes() for r in results]
    return {
        "build": _texts(result.versions.build for result in results),
        "ruleset": _texts(result.versions.ruleset or "" for result in results),
        "factors_text": _texts(SEPARATOR.join([factor.code for factor in r.factors]) for r in results),
        "factor_texts_text": _texts(LINE.join([factor.text for factor in r.factors]) for r in results),
        "contributions_bytes": objects(contributions),
        "rules_text": _texts(SEPARATOR.join(result.rules.matched if result.rules else ()) for result in results),
        "degraded_text": _texts(SEPARATOR.join(result.degraded) for result in results),
    }


def _written(batch: Decided, results: WrittenResults) -> Table:
    """Return the same without reading the results."""
    said, there = batch.rules.said, results.factors >= 0
    contributions = np.round(batch.score.contribution.astype(np.float64), DECIMALS)[there].astype("<f4")
    factors = results.factors_said()
    return {
        "build": _shared(results.build, len(batch)),
        "ruleset": _texts(batch.rules.ruleset_of(row) if one else "" for row, one in enumerate(said)),
        "factors_text": _texts(SEPARATOR.join([code for code, _ in row]) for row in factors),
        "factor_texts_text": _texts(LINE.join([text for _, text in row]) for row in factors),
        "contributions_bytes": _pieces(contributions, [0, *np.cumsum(there.sum(axis=1)).tolist()]),
        "rules_text": _texts(SEPARATOR.join(one.matched) if one else "" for one in said),
        "degraded_text": _texts(map(SEPARATOR.join, results.degraded())),
    }


def _grounds(batch: Decided) -> Table:
    """Return what the decision rests on besides the score."""
    decision = batch.decision
    return {
        "policy": _shared(decision.policy, len(batch)),
        "review": decision.review,
        "deny": decision.deny,
        "margin": decision.margin,
        "before": _named(DECISIONS, decision.before),
        "by_policy": _named(DECISIONS, decision.by_policy),
        "decided_by": _named(BY, decision.by),
        "added": batch.rules.added,
    }


def _rules(batch: Decided) -> Table:
    """Return what rules said, of the rows that they look at; for most there is nothing."""
    said, rows = batch.rules.said, len(batch)
    if not any(said):
        nothing = ("tags_text", "alerts_text", "ruling", "tried_rulesets_text", "tried_decisions_text")
        return {name: _shared("", rows) for name in nothing}
    tried = np.array(DECISIONS)[batch.decision.shadow_rules].tolist()
    return {
        "tags_text": _texts(UNIT.join(one.tags) if one else "" for one in said),
        "alerts_text": _texts(UNIT.join(one.alerts) if one else "" for one in said),
        "ruling": objects(encode_ruling(one) if one else b"" for one in said),
        "tried_rulesets_text": _texts(
            SEPARATOR.join([shadow.ruleset for shadow in one.shadows]) if one else "" for one in said
        ),
        "tried_decisions_text": _texts(
            SEPARATOR.join([decisions[shadow.place] for shadow in one.shadows]) if one else ""
            for one, decisions in zip(said, tried, strict=True)
        ),
    }


def _shadows(batch: Decided) -> Table:
    """Return what each shadow model said; one that failed has no decision."""
    scores = batch.score.shadow_score
    if scores.shape[1]:
        names = np.where(np.isnan(scores), "", np.array(DECISIONS)[batch.decision.shadow])
        decisions = _texts(map(SEPARATOR.join, names.tolist()))
    else:
        decisions = _shared("", len(batch))
    return {
        "shadow_models_text": _shared(SEPARATOR.join(batch.score.shadows), len(batch)),
        "shadow_scores_bytes": _rows_as_bytes(scores),
        "shadow_decisions_text": decisions,
    }


def _activity(batch: Decided) -> Table:
    activity = batch.activity
    offsets = activity.offsets.tolist()
    return {
        "activity_time_bytes": _pieces(activity.time, offsets),
        "activity_code_bytes": _pieces(activity.code, offsets),
        "activity_target_bytes": _pieces(activity.target, offsets),
        "activity_value_bytes": _pieces(activity.value, offsets),
    }


def _ledger(batch: Decided) -> Table:
    return {
        "ledger_marks": _shared(SEPARATOR.join(batch.ledger.marks), len(batch)),
        "ledger_micros_bytes": _rows_as_bytes(batch.ledger.micros),
    }


def archive_columns(batch: Decided) -> Table:
    """Return the columns of ``raw_archive``: the records as received, for replays past Kafka's retention."""
    origin = _origin(batch)
    del origin["polled_at"]
    identity = {"event_id": _rows_as_bytes(batch.event.event_id), "merchant": _texts(batch.event.merchant)}
    return {**origin, **identity, "payload": objects(batch.values)}


def feature_columns(batch: Decided) -> Table:
    """Return the columns of ``features``: what the events were scored by, packed by scoring.stored_features."""
    from scoring.stored_features import schema_digest  # noqa: PLC0415 - loads what a sink without scores has no use for

    score = batch.score
    return {
        "merchant": _texts(batch.event.merchant),
        "occurred_at": _milliseconds(batch.event.occurred_at),
        "event_id": _rows_as_bytes(batch.event.event_id),
        "schema": _shared(schema_digest(), len(batch)),
        "model": _texts(score.versions)[score.model],
        "packed": _rows_as_bytes(score.features),
    }


def scored_tables(item: EncodedParcel, archive: bool) -> dict[str, Table]:
    """Return the columns of the tables that hold scored events, all of the same number of rows."""
    return _scored(item.parcel.batch, item.results, archive)


def _scored(batch: Decided, results: Sequence[Result], archive: bool) -> dict[str, Table]:
    found = {"events": event_columns(batch, results)}
    if batch.score.features.shape[1]:
        found["features"] = feature_columns(batch)
    if archive:
        found["raw_archive"] = archive_columns(batch)
    return found


_LETTER_COLUMNS: Mapping[str, Callable[[DeadLetter], bytes]] = {
    "reason": lambda letter: letter.reason.value.encode(),
    "stage": lambda letter: letter.stage.encode(),
    "detail": lambda letter: letter.detail.encode(),
    "topic": lambda letter: letter.topic.encode(),
    "event_id": lambda letter: (letter.event_id or "").encode(),
    "merchant": lambda letter: (letter.merchant or "").encode(),
    "processor": lambda letter: letter.processor.encode(),
    "payload_format": lambda letter: letter.payload_format.encode(),
    "payload_sha256": lambda letter: letter.payload_sha256.encode(),
    "payload": lambda letter: letter.payload,
    "told": lambda letter: letter.told,
}


def letter_columns(letters: Sequence[DeadLetter]) -> Table:
    """Return the columns of ``dead_letters``, one row a letter."""
    return {
        **{name: objects(map(read, letters)) for name, read in _LETTER_COLUMNS.items()},
        "partition": np.array([letter.partition for letter in letters], np.int32),
        "offset": np.array([letter.offset for letter in letters], np.int64),
        "received_at": _milliseconds(np.array([letter.received_at for letter in letters], np.int64)),
        "appended_at": _milliseconds(np.array([one.appended_at or one.received_at for one in letters], np.int64)),
        "first_failed_at": _milliseconds(np.array([letter.first_failed_at for letter in letters], np.int64)),
        "attempts": np.array([letter.attempts for letter in letters], np.uint16),
    }


def tables_of(parcels: Sequence[EncodedParcel], archive: bool = True, rests: Rests | None = None) -> dict[str, Table]:
    """Return the columns of every table that has rows, by table; with ``rests`` between those of small parcels."""
    found: dict[str, list[Table]] = {"events": [], "features": [], "raw_archive": [], "dead_letters": []}
    for batch, results in joined(parcels, rests or Rests.none()):
        for name, table in _scored(batch, results, archive).items():
            found[name].append(table)
    if letters := [letter for item in parcels for letter in item.parcel.errs]:
        found["dead_letters"].append(letter_columns(letters))
    return {name: join(parts) for name, parts in found.items() if parts}


def join(parts: Sequence[Table]) -> Table:
    """Return parts of one table as one. They are left empty: each column of theirs is freed as it is copied."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
