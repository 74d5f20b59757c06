"""Decided parcels for the tests of sinks: fixed, small, with every column different from its default."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from enrichers.present import present
from flows.parcel import Parcel, Span
from flows.sinks.encoded import EncodedParcel, encoder
from schemas.batches import Decided, Decision, History, Ledger, Network, Rules, Score
from schemas.columns import widen
from schemas.countries import COUNTRIES
from schemas.dead_letter import DeadLetter, Reason, dead_letters
from schemas.result import Factor, RuleReason
from schemas.ruling import BY_MODEL, BY_RULES, NO_DECISION, Heard, RuleTrace, Ruling, ShadowRuling
from schemas.smart_signals import SMART_SIGNALS
from schemas.velocity import MEASURES, WINDOWS
from scoring.features import feature_schema
from scoring.stored_features import pack
from tests.builders import NOW, enriched

BUILD = "0.1.0"
MODELS = ("test-model", "test-candidate")
DATA = tuple("vpn 1.4; relay 2026.6.1" if name == "vpn" else "" for name in SMART_SIGNALS)


def explain(batch: Decided) -> list[list[Factor]]:
    """Return up to two factors a row, none for every third."""
    return [
        [Factor("velocity", f"{row} events from this device, in 5 minutes", 0.5), Factor("bot", "a robot", -0.25)][
            : row % 3
        ]
        for row in range(len(batch))
    ]


def _shared(row: int) -> dict[str, int]:
    """Return counts of the address for most rows, of the card for every third, none for every fourth."""
    if row % 4 == 3:
        return {}
    said = {f"address_{measure}_{window}": row + 2 for measure in MEASURES for window in WINDOWS}
    if row % 3 == 0:
        said |= {f"card_{measure}_{window}": 70 for measure in MEASURES for window in WINDOWS}
    return said | {"address_events_24h": 3_000_000 + row}


def _network(section: Network) -> Network:
    """Return Germany for every second row, nowhere for the rest."""
    rows = len(section)
    here = np.arange(rows) % 2 == 0
    return Network(
        country=np.where(here, COUNTRIES.index("DE"), 0).astype(np.uint16),
        asn=np.where(here, 3320, 0).astype(np.uint32),
        latitude=np.where(here, 51, np.nan).astype(np.float32),
        longitude=np.where(here, 10, np.nan).astype(np.float32),
        classes=np.where(here, 0, 1).astype(np.uint16),
    )


def _history(section: History) -> History:
    """Return a longer history; every second row has two earlier scores, and the rest were on the equator before."""
    scores, north, east = section.scores.copy(), section.latitude.copy(), section.longitude.copy()
    scores[1::2, :2] = (87.5, 3.25)
    north[::2, 0] = east[::2, 0] = 0.0
    return replace(
        section,
        events=np.arange(40, 40 + len(section), dtype=np.uint32),
        scores=scores,
        latitude=north,
        longitude=east,
        place_at=np.full_like(section.place_at, NOW - 3_600_000),
    )


def scored_batch(rows: int, *, first: int = 0, partition: int = 0, session: int | None = None) -> Decided:
    """Return rows with ids made from their offsets; one session for all if its number is given."""
    activity = [[{"code": 200 + row % 3, "t": 10 * at, "value": 0.5} for at in range(row % 4)] for row in range(rows)]
    base = enriched(
        [{"navigator.webdriver": row % 2 == 0} for row in range(rows)],
        activity=activity,
        velocity=[
            {
                "events_5m": 1 + row,
                "addresses_24h": 2 + row,
                "countries_1h": 3,
                "sessions_24h": 9,
                "previous_at": -1 if row % 2 else NOW - 5 * row,
            }
            for row in range(rows)
        ],
        environment=[
            {
                "browser": "chrome",
                "browser_version": 147.0,
                "system": "windows",
                "gpu_model": "GeForce RTX 3060",
                "checks": ["fonts_contradict_system"],
            }
        ]
        * rows,
        smart=[{SMART_SIGNALS[0]: 0.9, SMART_SIGNALS[1]: 0.1} if row % 2 else {} for row in range(rows)],
        times=[NOW + 1000 * row for row in range(rows)],
        shared=[_shared(row) for row in range(rows)],
    )
    offsets = np.arange(first, first + rows, dtype=np.int64)
    ids = np.zeros((rows, 16), np.uint8)
    ids[:, 0] = 1 + partition
    ids[:, 8:] = offsets.astype(">u8").view(np.uint8).reshape(rows, 8)
    sessions = base.event.session_id.copy()
    if session is not None:
        sessions[:] = session
    return widen(
        Decided,
        replace(
            base,
            origin=replace(base.origin, partition=np.full(rows, partition, np.int32), offset=offsets),
            values=tuple(b"sealed\0%d\0" % offset for offset in offsets.tolist()),
            ledger=Ledger(("received", "polled"), np.stack((offsets, offsets + 5), axis=1) + NOW * 1000),
            event=replace(
                base.event,
                event_id=ids,
                session_id=sessions,
                event_type=tuple(("payment", "login", "")[row % 3] for row in range(rows)),
                card_token=tuple("" if row % 2 else f"card_{row // 4}" for row in range(rows)),
            ),
            network=_network(base.network),
            history=_history(base.history),
            session=replace(base.session, events=np.full(rows, 3, np.uint32), started_at=base.session.started_at - 9),
            smart=replace(base.smart, data=DATA),
            shared=replace(base.shared, degraded=np.arange(rows) % 4 == 3),
        ),
        score=_score(rows),
        rules=_rules(rows),
        decision=_decision(_score(rows).score),
    )


def _score(rows: int) -> Score:
    """Return scores of a live model and a candidate, two shadows of which one failed on every fifth row, and features.

    Of the features, every number is its row's.
    """
    scores = (np.arange(rows) * 37 % 101).astype(np.float32)
    shadows = np.stack((100 - scores, scores / 2), axis=1)
    shadows[::5, 1] = np.nan
    features = np.full((rows, len(feature_schema())), np.nan, np.float32)
    features[:, feature_schema().numbers] = np.arange(rows)[:, None]
    return replace(
        Score.of(MODELS[0], scores),
        versions=MODELS,
        model=np.arange(rows, dtype=np.uint8) % 2,
        factor=np.zeros((rows, 2), np.int8),
        contribution=np.zeros((rows, 2), np.float32),
        shadows=("shadow-1", "shadow-2"),
        shadow_score=shadows,
        features=pack(features),
    )


RULING = Ruling(
    sets=("own-digest", "global-digest"),
    matched=("card-testing", "new-device"),
    tags=("velocity",),
    alerts=("fraud-team",),
    reasons=(RuleReason("card-testing", "Many cards, one device"), RuleReason("new-device", "Never seen")),
    trace=(RuleTrace("card-testing", "own", "match", tree={"of": "count", "is": True}),),
    degraded=("history",),
    heard=Heard([(6, False), None]),
    shadows=(ShadowRuling(0, "shadow-ruleset", ("tried",)),),
)
DENIED_BY_RULE_FROM, DENIED_BY_RULE = 2, 7  # the third row, and every seventh from there


def _rules(rows: int) -> Rules:
    """Return a rule that denies every seventh row, adds points and could not ask history, and nothing of the others."""
    found, chosen = Rules.none(rows, ("shadow-rulebook",)), np.arange(rows) % DENIED_BY_RULE == DENIED_BY_RULE_FROM
    return replace(
        found,
        rulesets=("ruleset-digest",) if chosen.any() else (),
        ruleset=np.where(chosen, 0, -1).astype(np.int16),
        override=np.where(chosen, 2, NO_DECISION).astype(np.uint8),
        by=np.where(chosen, BY_RULES, BY_MODEL).astype(np.uint8),
        added=np.where(chosen, 12.5, 0).astype(np.float32),
        degraded=chosen,
        said=tuple(RULING if one else None for one in chosen.tolist()),
    )


def _decision(scores: NDArray[np.float32]) -> Decision:
    rows = np.arange(len(scores))
    by_rule, by_policy = rows % DENIED_BY_RULE == DENIED_BY_RULE_FROM, np.digitize(scores, [60, 85]).astype(np.uint8)
    return Decision(
        policy="policy-digest",
        decision=np.where(by_rule, 2, by_policy).astype(np.uint8),
        by=np.where(by_rule, BY_RULES, BY_MODEL).astype(np.uint8),
        by_policy=by_policy,
        before=(rows % 3).astype(np.uint8),
        review=(60 + rows % 2).astype(np.float32),
        deny=(85 + rows % 2).astype(np.float32),
        margin=(3 + rows % 2).astype(np.float32),
        shadow=np.stack((rows % 3, (rows + 1) % 3), axis=1).astype(np.uint8),
        shadow_rules=(rows % 3).astype(np.uint8)[:, None],
    )


def letters_of(batch: Decided, rows: list[int], reason: Reason = Reason.OUT_OF_RANGE) -> tuple[DeadLetter, ...]:
    """Return dead letters for rows of a batch."""
    return tuple(dead_letters(batch, rows, reason, "normalize", "too far"))


def encoded_parcel(
    rows: int, *, first: int = 0, partition: int = 0, dead: int = 0, dropped: int = 0, session: int | None = None
) -> EncodedParcel:
    """Return a parcel of ``rows`` scored rows, then ``dead`` letters, then ``dropped`` rows."""
    whole = scored_batch(rows + dead, first=first, partition=partition, session=session)
    total = rows + dead + dropped
    errs = letters_of(whole, list(range(rows, rows + dead)))
    span = Span(partition, first, first + total)
    return encoder(explain, present, BUILD)(Parcel((span,), whole.take(np.arange(rows)), total, errs, dropped))
