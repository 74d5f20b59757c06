"""What the flow's rules are asked with: published rules, the store of their history, and lists, each followed."""

from __future__ import annotations

import logging
import time

from flows.lookups.rule_backlog import RuleBacklog
from flows.lookups.rule_history import RuleHistory
from flows.metrics import FlowMetrics
from flows.redis_trip import connect
from infra.flow_shared import entity_key
from infra.rules_registry import watched_rules
from infra.settings import Settings
from infra.watchlists import FollowedLists, followed_lists
from scoring.judge import Judge
from scoring.rules.history_keys import HistoryKeys

log = logging.getLogger("clickgoose.flow")
_LISTS_SECONDS = 3.0


class FlowRules:
    """Follows them from the start, and lets go of them at ``close``.

    RegistryError where the rules' registry cannot be used; ValueError where no Redis is known.
    """

    def __init__(self, settings: Settings, redis_url: str, metrics: FlowMetrics) -> None:
        told = metrics.rules
        client = connect(redis_url, settings.redis.shared_timeout_ms / 1000)
        self.history = RuleHistory(client, HistoryKeys(entity_key(settings)))
        self.rules = watched_rules(settings, lambda taken: told.taken(taken.state), told.refused)
        self.lists: FollowedLists = followed_lists(settings)
        backlog = RuleBacklog(self.history)
        told.backlog.set_function(lambda: backlog.waiting)
        told.lost.set_function(lambda: backlog.lost)
        self.judge = Judge(self.rules, backlog, self.lists)

    def start(self, lists_seconds: float = _LISTS_SECONDS) -> None:
        """Follow the lists, and wait for a while until they were read: the first events should not be degraded."""
        self.lists.start()
        gives_up = time.monotonic() + lists_seconds
        while not self.lists.state().loaded:
            if time.monotonic() > gives_up:
                log.warning("lists are not known yet: events are degraded until they are")
                return
            time.sleep(0.01)

    def close(self) -> None:
        """Stop following."""
        self.rules.close()
        self.lists.close()
        self.history.close()
