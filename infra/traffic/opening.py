"""A page's first events: the agent sends what it knows within a second, and again once all signals are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from random import Random
from typing import Final

from infra.traffic.signals import Signals
from infra.traffic.visits import Planned
from schemas.catalogue import load_catalogue

SHARE: Final = 0.15
"""Of the visits, honest or not. The agent does so on every page, which would drown what the other events are there to
show: docs/traffic.md has what other shares were measured to do."""
_QUICK = (
    "navigator", "page", "screen", "intl", "interface", "window_member", "navigator_member", "api", "css",
    "media_query", "css_property", "css_selector", "memory", "plugin", "client_hints", "client_hint", "maths",
    "maths_exact", "count", "navigation",
)  # fmt: skip
_QUICK_TOO = (
    "storage.local", "storage.session", "storage.indexed_db", "storage.heap_limit", "storage_detail.cookies_length",
    "storage_detail.cookies_writable", "storage_detail.cache_storage", "storage_detail.web_sql", "timing.page_age",
    "timing.error_stack_depth", "timing.eval_length",
)  # fmt: skip
_LATER = ("navigation.dom_complete", "navigation.load", "count.supported_")


@cache
def not_yet() -> Signals:
    """Return None for every signal that the agent collects after its first event."""
    return {
        name: None
        for name, signal in load_catalogue().by_name.items()
        if name.startswith(_LATER)
        or (signal.family not in _QUICK and name not in _QUICK_TOO and "screen_frame" not in name)
    }


def opened(events: Sequence[Planned], random: Random, share: float) -> tuple[Planned, ...]:
    """Return the events, of a share of the visits with those before them that have hardly any activity."""
    first = events[0] if events else None
    if first is None or random.random() >= share:
        return tuple(events)
    started = first.offset - float(first.changes["timing.page_age"] or 0)
    ages = [random.randint(350, 1_250)]
    if random.random() < 0.5:
        ages.append(ages[0] + random.randint(600, 2_800))
    early, log, told = [], first.log, 0
    for number, age in enumerate(ages):
        until = next((at for at, entry in enumerate(log) if entry[0] >= age), len(log))
        until = min(until, len(log) - 1)  # the event itself keeps something
        changes = {**first.changes, "timing.page_age": float(age), **(not_yet() if number == 0 else {})}
        early.append(Planned(max(0, int(started) + age), first.signals, changes, log[told:until]))
        told = max(told, until)
    return (*early, replace(first, log=log[told:]), *events[1:])
