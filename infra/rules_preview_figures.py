"""What is counted while a draft of rules is tried on past events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from scoring.rules.past_view import HIDDEN

_MOST_FAULTS: Final = 3  # of each rule, the most frequent
_LIST_FAULT: Final = "the list could not be asked"


@dataclass(slots=True)
class RuleSeen:
    """What a rule did. ``fraud``, ``genuine``: labelled events among its matches; ``missed``: fraud beside them."""

    rule: str
    scope: str
    status: str
    matched: int = 0
    not_matched: int = 0
    errors: int = 0
    unjudged: int = 0  # it asks what was not kept, or a list
    fraud: int = 0
    genuine: int = 0
    missed: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def note(self, status: str, fault: str, label: int | None) -> None:
        """Count an event."""
        if status == "match":
            self.matched += 1
            self.fraud += label == 1
            self.genuine += label == 0
        elif status == "no_match":
            self.not_matched += 1
            self.missed += label == 1
        elif status == "error":
            self.faults[fault] += 1
            if is_unjudged(fault):
                self.unjudged += 1
            else:
                self.errors += 1

    def as_json(self) -> dict[str, Any]:
        """Return the figures; ratios are None where nothing is labelled."""
        return {
            "rule": self.rule, "scope": self.scope, "status": self.status, "matched": self.matched,
            "not_matched": self.not_matched, "errors": self.errors, "unjudged": self.unjudged, "fraud": self.fraud,
            "genuine": self.genuine, "precision": _share(self.fraud, self.fraud + self.genuine),
            "recall": _share(self.fraud, self.fraud + self.missed),
            "faults": dict(self.faults.most_common(_MOST_FAULTS)),
        }  # fmt: skip


@dataclass(slots=True)
class Quality:
    """How decisions other than allow fit the labels."""

    fraud_stopped: int = 0
    fraud_allowed: int = 0
    genuine_stopped: int = 0
    genuine_allowed: int = 0

    def note(self, decision: str, label: int | None) -> None:
        """Count a labelled event."""
        if label is None:
            return
        name = f"{'fraud' if label else 'genuine'}_{'allowed' if decision == 'allow' else 'stopped'}"
        setattr(self, name, getattr(self, name) + 1)

    def as_json(self) -> dict[str, Any]:
        """Return the figures."""
        stopped = self.fraud_stopped + self.genuine_stopped
        return {
            "fraud_stopped": self.fraud_stopped, "fraud_allowed": self.fraud_allowed,
            "genuine_stopped": self.genuine_stopped, "genuine_allowed": self.genuine_allowed,
            "precision": _share(self.fraud_stopped, stopped),
            "recall": _share(self.fraud_stopped, self.fraud_stopped + self.fraud_allowed),
        }  # fmt: skip


@dataclass(slots=True)
class Flips:
    """Events that the draft decides otherwise, of one kind: from a decision to another one."""

    events: int = 0
    fraud: int = 0
    genuine: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)


def is_unjudged(fault: str) -> bool:
    """Return whether a fault says that a rule cannot be judged again, rather than that it errs."""
    return fault in (HIDDEN.said, _LIST_FAULT)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
