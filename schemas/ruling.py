"""What rules and lists said of one event of the flow, as it is kept and shown. No personal data is in it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from schemas.result import RuleReason

BY: Final = ("model", "rules", "allow_list", "deny_list", "degraded")
"""What decided. Append only: the places are stored."""
BY_MODEL, BY_RULES, BY_ALLOW_LIST, BY_DENY_LIST, BY_DEGRADED = range(len(BY))
NO_DECISION: Final = 255
"""In columns of decisions: there is none."""
HISTORY, LISTS = "history", "lists"
"""In ``degraded``: what could not be asked."""


class RuleTrace(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule that matched, erred or was snoozed; of the first two, the condition as a tree with the values seen."""

    rule: str
    scope: str
    status: str
    shadow: bool = False
    fault: str = ""
    tree: dict[str, Any] | None = None


class Heard(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the stores answered, in the order in which the ruleset asks: enough to judge the event again.

    ``history``: value and whether it was truncated, None where there was no answer; a text is kept as its length in a
    list, since what it says may be personal. ``members``: the line of each list that has the value, as its name and
    until; ``standings``: what lists say of an entity; both by place, None where there was no answer.
    """

    history: list[tuple[bool | int | float | list[int] | None, bool] | None] = []
    members: dict[int, tuple[str, int | None] | None] = {}
    standings: dict[int, dict[str, Any] | None] = {}


class ShadowRuling(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a ruleset that is tried in the shadow said. ``place``: its column in the batch's section."""

    place: int
    ruleset: str
    matched: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()


class Ruling(msgspec.Struct, frozen=True, omit_defaults=True):
    """What rules said of an event. ``sets``: digests of the merchant's own ruleset and of the global one."""

    sets: tuple[str, str]
    matched: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    reasons: tuple[RuleReason, ...] = ()
    trace: tuple[RuleTrace, ...] = ()
    stopped_by: str | None = None
    degraded: tuple[str, ...] = ()
    heard: Heard | None = None
    shadows: tuple[ShadowRuling, ...] = ()


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Ruling)


def encode_ruling(ruling: Ruling) -> bytes:
    """Return the JSON."""
    return _ENCODER.encode(ruling)


def decode_ruling(data: bytes | str) -> Ruling:
    """Read the JSON back; msgspec.ValidationError says where it is wrong."""
    return _DECODER.decode(data)
