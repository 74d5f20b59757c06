"""The registry of rules of the settings, and the watch by which every process follows it."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from infra.settings import Settings
from infra.storages import storage_of
from scoring.rules.in_force import InForce
from scoring.rules.registry import RulesRegistry
from scoring.rules.watch import WatchedRules
from scoring.storage import DirectoryStorage


def rules_registry_of(settings: Settings, root: str | None = None) -> RulesRegistry:
    """Return the registry of the settings, or at another root. RegistryError where an address is wrong."""
    storage = storage_of(root or settings.rules.root or str(settings.home / "rules"), "rules")
    if isinstance(storage, DirectoryStorage):
        return RulesRegistry(storage)
    return RulesRegistry(storage, DirectoryStorage(_kept(settings, storage.address)))


def watched_rules(
    settings: Settings,
    taken: Callable[[InForce], None] = lambda _: None,
    refused: Callable[[str], None] = lambda _: None,
    root: str | None = None,
) -> WatchedRules:
    """Return a watch that is started: call it for what is in force, and ``close`` it at the end.

    ``taken`` and ``refused`` are for metrics: told of each InForce, and of each ruleset that cannot be used, once.
    Where nothing was published it gives no rules. RegistryError where an address is wrong, or an object store is away
    of which nothing is kept here.
    """
    watch = WatchedRules(rules_registry_of(settings, root), settings.rules.watch_seconds, taken, refused)
    watch.start()
    return watch


def _kept(settings: Settings, address: str) -> Path:
    """Return a directory of this address's own."""
    return settings.home / "rules-kept" / sha256(address.encode()).hexdigest()[:16]
