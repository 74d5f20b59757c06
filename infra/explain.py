"""One decision explained offline: what is stored of it is read, and every part of it is made again and compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from clickhouse_driver.errors import Error

from infra.clickhouse.migrate import one_line
from infra.recompute import (
    Outcome,
    Part,
    decision_part,
    factors_part,
    payload_part,
    place_of,
    score_part,
    smart_part,
    standing_part,
)
from infra.recompute_rules import rules_part
from ingest_api.clickhouse_link import Connection, connector
from schemas.batches import F32
from schemas.keys import KeyRing
from scoring.explain import say
from scoring.features import feature_schema
from scoring.groups import GROUPS
from scoring.judge_again import EVENT_QUERY, Seen
from scoring.model import Model, ModelError
from scoring.provenance import (
    FEATURES_QUERY,
    PAYLOAD_QUERY,
    PREDECESSOR_QUERY,
    Predecessor,
    StoredDecision,
    StoredFeatures,
    event_query,
    same_bits,
)
from scoring.registry import Registry
from scoring.rules.registry import RulesRegistry
from scoring.stored_features import FeaturesError, unpack

_SECONDS = 60.0
_SHOWN = 8  # groups on the page


class ExplainError(Exception):
    """There is nothing to explain; the text is one sentence."""


class NoSuchEvent(ExplainError):
    """Nobody knows the event, or more than one merchant does."""


class Share(NamedTuple):
    """What one factor group adds, in log-odds: positive raises the score."""

    code: str
    text: str
    contribution: float


class Basis(NamedTuple):
    """What the parts are made again with; None where it is not to be had, and then a sentence says why."""

    features: F32 | None  # [F]
    model: Model | None
    lacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where decisions are read and models are. ``keys`` None: payloads stay sealed, ``no_keys`` says why."""

    url: str
    registry: Callable[[], Registry]
    keys: KeyRing | None
    rules: Callable[[], RulesRegistry]
    no_keys: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """One decision, with what came of making it again."""

    stored: StoredDecision
    schema: str  # digest of the features' schema; empty where no features are kept
    parts: tuple[Part, ...]
    shares: tuple[Share, ...]  # what the graph says of the strongest groups
    exact: tuple[Share, ...]  # TreeSHAP, where it was asked for
    no_exact: str

    @property
    def verdict(self) -> str:
        """Return identical; differs; or incomplete, where score, rules or decision could not be made again."""
        outcomes = {part.name: part.outcome for part in self.parts}
        if Outcome.DIFFERS in outcomes.values():
            return "differs"
        whole = all(outcomes[name] is Outcome.SAME for name in ("score", "rules", "decision"))
        return "identical" if whole else "incomplete"


def explain_event(sources: Sources, event_id: str, merchant: str | None, exact: bool) -> Explained:
    """Read an event and make its decision again. ExplainError, or NoSuchEvent, where that cannot begin."""
    connection = connector(sources.url, _SECONDS)()
    try:
        stored = _event(connection, event_id, merchant)
        row = _first(connection.execute(FEATURES_QUERY, stored.key))
        archived = _first(connection.execute(PAYLOAD_QUERY, stored.key))
        before = _first(connection.execute(PREDECESSOR_QUERY, stored.key))
        seen = _first(connection.execute(EVENT_QUERY, stored.key)) if stored.ruling else None
    except (Error, OSError, EOFError) as error:
        host = urlsplit(sources.url).netloc.rpartition("@")[2]
        raise ExplainError(f"cannot read ClickHouse at {host}: {one_line(error)}") from error
    finally:
        connection.disconnect()
    kept = StoredFeatures.of_row(row) if row else None
    basis = _basis(sources, stored, kept)
    parts = (
        *_parts_of_features(stored, kept, basis),
        rules_part(stored, Seen.of_row(seen) if seen else None, sources.rules),
        standing_part(stored, Predecessor.of_row(before) if before else None),
        _payload(sources, stored, basis, archived[0] if archived else None),
    )
    shares = _shares(basis) if basis.model is not None and basis.features is not None else ()
    found, why = _exact(sources, basis) if exact else ((), "")
    return Explained(stored, kept.schema if kept else "", parts, shares, found, why)


def _event(connection: Connection, event_id: str, merchant: str | None) -> StoredDecision:
    rows = connection.execute(*event_query(event_id, merchant))
    found = [StoredDecision.of_row(row) for row in rows]
    if not found:
        whose = f" of {merchant}" if merchant else ""
        raise NoSuchEvent(
            f"ClickHouse knows no scored event {event_id}{whose}; `clickgoose account` says what it holds"
        )
    if len(found) > 1:
        raise NoSuchEvent(
            f"{len(found)} merchants have an event {event_id}: {', '.join(one.merchant for one in found)}; "
            "name one with --merchant"
        )
    return found[0]


def _first(rows: Any) -> Any:
    return rows[0] if rows else None


def _basis(sources: Sources, stored: StoredDecision, kept: StoredFeatures | None) -> Basis:
    """Return the stored features and the model, as far as they are to be had."""
    lacks = []
    features: F32 | None = None
    model: Model | None = None
    if kept is None:
        lacks.append("its features are not kept, or not any more")
    elif kept.schema != feature_schema().digest():
        lacks.append(f"its features are of another schema ({kept.schema[:16]}): ask the build that scored it")
    else:
        try:
            features = unpack([kept.packed])[0]
        except FeaturesError as error:
            lacks.append(f"its features cannot be read: {error}")
    try:
        model = sources.registry().load(stored.model)
    except ModelError as error:
        lacks.append(str(error))
    return Basis(features, model, tuple(lacks))


def _parts_of_features(stored: StoredDecision, kept: StoredFeatures | None, basis: Basis) -> list[Part]:
    """Make everything again that rests on the stored features."""
    features, model = basis.features, basis.model
    if features is None or model is None:
        not_made = [Part(name, "stored features", Outcome.NOT_MADE, basis.lacks) for name in ("score", "factors")]
        smart = smart_part(stored, features) if features is not None else not_made[0]._replace(name="smart signals")
        return [*not_made, smart, decision_part(stored, None)]
    score = model.run(features[None]).score[0]
    made = score_part(stored, score)
    if kept is not None and kept.model != stored.model:
        note = f"the row says {stored.model}, and the features say {kept.model}"
        made = made._replace(outcome=Outcome.DIFFERS, notes=(*made.notes, note))
    return [made, factors_part(stored, features, model), smart_part(stored, features), decision_part(stored, score)]


def _payload(sources: Sources, stored: StoredDecision, basis: Basis, payload: bytes | None) -> Part:
    source = f"raw archive, {place_of(stored)}"
    why = (
        "no features to compare it with" if basis.features is None
        else "the raw archive does not hold it, or not any more" if payload is None
        else sources.no_keys if sources.keys is None
        else ""
    )  # fmt: skip
    if basis.features is None or payload is None or sources.keys is None:
        return Part("signals", source, Outcome.NOT_MADE, (why,))
    return payload_part(stored, basis.features, payload, sources.keys)


def _shares(basis: Basis) -> tuple[Share, ...]:
    """Return what the graph says of all groups at the leaves where the event ends, the strongest few."""
    assert basis.model is not None and basis.features is not None  # noqa: S101 -- for the types
    (found,) = basis.model.session.run(["contributions"], {"features": basis.features[None]})
    return _strongest(found[0], basis.features)


def _exact(sources: Sources, basis: Basis) -> tuple[tuple[Share, ...], str]:
    """Return TreeSHAP of the strongest groups, or why there is none."""
    if basis.features is None or basis.model is None:
        return (), "; ".join(basis.lacks)
    if find_spec("xgboost") is None:
        return (), "this needs XGBoost: pip install 'clickgoose[train]'"
    from scoring.shap import ExactExplainer, ShapError, check_score  # noqa: PLC0415 -- XGBoost need not be installed

    try:
        exact = ExactExplainer.load(basis.model.directory, sources.registry().trust)(basis.features[None])
        check_score(exact, basis.model.score(basis.features[None]))
    except (ModelError, ShapError) as error:
        return (), str(error)
    return _strongest(exact.groups[0], basis.features), ""


def _strongest(contributions: Any, features: F32) -> tuple[Share, ...]:
    order = np.argsort(-np.abs(contributions), kind="stable")[:_SHOWN].tolist()
    return tuple(
        Share(GROUPS[group].code, say(group, features), float(contributions[group]))
        for group in order
        if not same_bits(np.float32(contributions[group]), np.float32(0))
    )
