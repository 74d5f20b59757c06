"""Exact explanations of past events: on the threads of a ClickHouse link, few and bounded in what waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ingest_api.clickhouse_link import ClickHouseLink, Connection
from ingest_api.errors import Code

if TYPE_CHECKING:
    from ingest_api.explained import EventExplainer
    from scoring.registry import Registry

EXPLAIN_SECONDS = 10.0
OpenRegistry = Callable[[], "Registry"]


class Explanations:
    """Explains past events. What that needs is imported with the first one: most tiers do without."""

    def __init__(self, link: ClickHouseLink, registry: OpenRegistry | None) -> None:
        """``registry`` opens the registry of models; None: the models that came with clickgoose."""
        self._link, self._registry = link, registry
        self._explainer: EventExplainer | None = None
        self._lock = threading.Lock()

    @staticmethod
    def installed() -> bool:
        """Tell whether this tier has what exact contributions need."""
        return find_spec("xgboost") is not None

    async def explain(self, merchant: str, event_id: str) -> bytes | Code:
        """Return the answer's JSON, or why there is none; ClickHouseAway, ClickHouseBusy."""
        return await self._link.run(partial(self._explain, merchant, event_id), EXPLAIN_SECONDS)

    def _explain(self, merchant: str, event_id: str, connection: Connection) -> bytes | Code:
        with self._lock:
            if self._explainer is None:
                from ingest_api.explained import EventExplainer  # noqa: PLC0415 -- it brings ONNX Runtime and XGBoost

                self._explainer = EventExplainer(self._registry)
        return self._explainer(connection, merchant, event_id)
