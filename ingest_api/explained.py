"""One past event explained exactly: read what is stored of it, and let the model that scored it say why."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ingest_api.clickhouse_link import Connection
from ingest_api.errors import Code
from schemas.batches import F32
from scoring.exact_factors import DIGITS, group_shares
from scoring.features import feature_schema
from scoring.model import MODELS, Model, ModelError
from scoring.provenance import FEATURES_QUERY, StoredDecision, StoredFeatures, decide_again, event_query, same_bits
from scoring.registry import Registry
from scoring.shap import Exact, ExactExplainer, check_score
from scoring.storage import DirectoryStorage, StorageAway
from scoring.stored_features import FeaturesError, unpack

log = logging.getLogger("ingest.explain")
_MODELS_KEPT = 3
_QUERY_SECONDS = 5
_DIGITS = 4  # of a score, as in results


class _Loaded(NamedTuple):
    """One model twice: the graph that gives the same bits, and the trees behind it."""

    model: Model
    exact: ExactExplainer


class EventExplainer:
    """Explains events of one merchant at a time. The models that were used last are kept."""

    def __init__(self, registry: Callable[[], Registry] | None) -> None:
        self._open = registry or (lambda: Registry(DirectoryStorage(MODELS)))
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, connection: Connection, merchant: str, event_id: str) -> bytes | Code:
        """Return the answer's JSON, or why there is none; the merchant is part of every question to ClickHouse."""
        stored, features = _read(connection, merchant, event_id)
        if stored is None or stored.merchant != merchant:
            return Code.NOT_FOUND
        if features is None:
            return Code.FEATURES_GONE
        if features.schema != feature_schema().digest():
            return Code.MODEL_GONE
        return self._computed(stored, features)

    def _computed(self, stored: StoredDecision, features: StoredFeatures) -> bytes | Code:
        try:
            loaded = self._model(stored.model)
            row = unpack([features.packed])
        except StorageAway:
            return Code.EXPLANATIONS_UNAVAILABLE
        except (ModelError, FeaturesError) as error:
            log.warning("cannot explain", extra={"model": stored.model, "error": str(error)})
            return Code.MODEL_GONE
        with self._lock:  # trees take one call at a time
            exact = loaded.exact(row)
        return msgspec.json.encode(_answer(stored, features, loaded.model, row, exact))

    def _model(self, version: str) -> _Loaded:
        """Return a model, loaded once; ModelError."""
        with self._lock:
            found = self._loaded.get(version)
            if found is None:
                registry = self._open()
                model = registry.load(version)
                found = _Loaded(model, ExactExplainer.load(registry.path(version), registry.trust))
                self._loaded[version] = found
            self._loaded.move_to_end(version)
            if len(self._loaded) > _MODELS_KEPT:
                self._loaded.popitem(last=False)
            return found


def _read(connection: Connection, merchant: str, event_id: str) -> tuple[StoredDecision | None, StoredFeatures | None]:
    bounded = {"max_execution_time": _QUERY_SECONDS}
    query, parameters = event_query(event_id, merchant)
    events = connection.execute(query, parameters, settings=bounded)
    if not events:
        return None, None
    stored = StoredDecision.of_row(events[0])
    rows = connection.execute(FEATURES_QUERY, stored.key, settings=bounded)
    return stored, StoredFeatures.of_row(rows[0]) if rows else None


def _answer(stored: StoredDecision, features: StoredFeatures, model: Model, row: F32, exact: Exact) -> dict[str, Any]:
    scores = model.score(row)
    check_score(exact, scores)
    score = scores[0]
    decision = decide_again(stored, score)
    manifest = model.manifest
    return {
        "event_id": stored.event_id,
        "session_id": stored.session_id,
        "transaction": stored.transaction,
        "event_type": stored.event_type,
        "occurred_at": stored.occurred_at,
        "method": "tree_shap",
        "base": round(exact.base, DIGITS),
        "margin": round(float(exact.margin[0]), DIGITS),
        "calibration": {"slope": manifest.slope, "offset": manifest.offset},
        "score": _rounded(score),
        "decision": decision,
        "given": {
            "score": _rounded(stored.score),
            "decision": stored.decision,
            "decided_by": stored.decided_by,
            "added": _rounded(stored.added),
            "factors": [
                {"code": code, "text": text, "contribution": round(float(share), _DIGITS)}
                for code, text, share in zip(stored.factors, stored.factor_texts, stored.contributions, strict=False)
            ],
        },
        "equal": same_bits(score, stored.score) and decision in (None, stored.decision),
        "thresholds": _thresholds(stored) if decision is not None else None,
        "factors": group_shares(exact, row[0]),
        "versions": {
            "model": stored.model,
            "features": features.schema,
            "policy": stored.policy or None,
            "ruleset": stored.ruleset or None,
            "catalogue": stored.catalogue,
            "build": stored.build,
        },
        "origin": {"topic": stored.topic, "partition": stored.partition, "offset": stored.offset},
    }


def _thresholds(stored: StoredDecision) -> dict[str, Any]:
    limits = {name: round(float(getattr(stored, name)), _DIGITS) for name in ("review", "deny", "margin")}
    return {**limits, "before": stored.before}


def _rounded(score: np.float32) -> float:
    return round(float(score), _DIGITS)
