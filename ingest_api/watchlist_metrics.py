"""What is counted of changes of lists. Labels come from closed sets, so that no client can make new series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter

from ingest_api.watchlist_items import Refusal
from scoring.rules.watchlist_desk import Status
from scoring.rules.watchlists import MODES, Mode


class ListMetrics:
    """The series of one process, in the registry that it is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        name = "clickgoose_ingest_list_entries"
        entries = Counter(name, "Entries of lists that were answered", ["mode", "status", "reason"], registry=registry)
        self._done = {(mode, status): entries.labels(mode, status, "") for mode in MODES for status in get_args(Status)}
        self._refused = {
            (mode, reason): entries.labels(mode, "refused", reason.value) for mode in MODES for reason in Refusal
        }

    def changed(self, mode: Mode, done: Mapping[Status, int], refused: Mapping[Refusal, int]) -> None:
        """Count the entries of a request."""
        for status, count in done.items():
            self._done[mode, status].inc(count)
        for reason, count in refused.items():
            self._refused[mode, reason].inc(count)
