"""What the ingest tier decides by: published rules, lists and policies, each followed by a thread of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge

from infra.policies import WatchedPolicies
from infra.rules_registry import watched_rules
from infra.settings import Settings
from infra.watchlists import followed_lists
from ingest_api.decider import Sources
from scoring.policy import Policy
from scoring.rules.in_force import InForce
from scoring.storage import RegistryError

log = logging.getLogger("clickgoose.decisions")
_VERSIONS = 64
_LISTS_SECONDS = 3.0


class SourceMetrics:
    """What is told of the sources, under the names that the flow uses too."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.policies_info = Gauge(
            "clickgoose_policies_info", "1 for the policies that decide", ("digest",), registry=registry
        )
        self.policies_loads = Counter(
            "clickgoose_policies_loads", "Changes of the policies file", ("outcome",), registry=registry
        )
        self.policies_refused = Gauge(
            "clickgoose_policies_refused", "1 while the policies file as it is now cannot be used", registry=registry
        )
        self.rules_info = Gauge("clickgoose_rules_info", "1 for the rules in force", ("state",), registry=registry)
        self.rules_loads = Counter(
            "clickgoose_rules_loads", "Changes of what is in force", ("outcome",), registry=registry
        )

    def show_policies(self, digest: str) -> None:
        """State which policies decide."""
        self.policies_info.clear()
        self.policies_info.labels(digest).set(1)

    def rules_taken(self, in_force: InForce) -> None:
        """State which rules are in force."""
        self.rules_loads.labels("taken").inc()
        self.rules_info.clear()
        self.rules_info.labels(in_force.state).set(1)

    def rules_refused(self, _sentence: str) -> None:
        """Count a ruleset that cannot be used; the watch logs why."""
        self.rules_loads.labels("refused").inc()


class DecisionSources:
    """Follows them from the start; ValueError or RegistryError where one cannot be used at all."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        metrics = SourceMetrics(registry)
        self._policies = WatchedPolicies(settings.flow.policies_file, metrics)
        self._rules = watched_rules(settings, metrics.rules_taken, metrics.rules_refused)
        self._lists = followed_lists(settings, registry)
        self._policies.start()
        self._lists.start()
        self._await_lists()
        self.sources = Sources(
            rules=self._rules,
            lists=self._lists,
            desk=self._lists.desk,
            policies=self._policies,
            thresholds=thresholds(settings),
            close=self.close,
        )

    def _await_lists(self) -> None:
        """Give the lists a moment to be read: until then every decision that asks them is degraded."""
        gives_up = time.monotonic() + _LISTS_SECONDS
        while not self._lists.state().loaded:
            if time.monotonic() > gives_up:
                log.warning("the lists cannot be read yet: decisions that ask them are degraded until they are")
                return
            time.sleep(0.01)

    def close(self) -> None:
        """Stop following."""
        self._rules.close()
        self._lists.close()
        self._policies.close()


def thresholds(settings: Settings) -> Callable[[str], Policy]:
    """Return what gives the thresholds that a model was measured at; its manifest is read once."""

    @lru_cache(_VERSIONS)
    def read(version: str) -> Policy:
        from infra.models import registry_of  # noqa: PLC0415 -- most tiers are given no model's score for a while

        registry = registry_of(settings)
        manifest = registry.manifest(version or registry.rollout().roles.live)
        return Policy.usual(manifest.review, manifest.deny)

    def of(version: str) -> Policy:
        try:
            return read(version)
        except RegistryError as error:
            log.warning("the thresholds of a model cannot be read (%s): the usual ones decide", error)
            return Policy()

    return of
