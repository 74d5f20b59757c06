"""Records of decisions for tests."""

from __future__ import annotations

from typing import Any

from schemas.decision_record import DecisionRecord, encode_record

NOON = 1_772_366_400_000  # 2026-03-01T12:00:00Z


def decided(number: int = 0, **more: Any) -> DecisionRecord:
    """Return the record of a payment, one a second from noon on."""
    usual: dict[str, Any] = {
        "merchant": "shop",
        "event_id": f"payment-{number}",
        "event_type": "payment",
        "occurred_at": NOON + 1_000 * number,
        "received_at": NOON + 1_000 * number + 40,
        "entities": {"user": f"digest-{number % 3}"},
        "data": {"amount": 10 * number, "note": "a bird, and a goose"},
        "decision": ("allow", "review", "deny")[number % 3],
        "by": "rules",
        "matched": ("large",) if number % 3 else (),
        "rulesets": "0123456789abcdef",
        "microseconds": 900 + number,
    }
    return DecisionRecord(**usual | more)


def encoded(count: int, first: int = 0) -> list[bytes]:
    return [encode_record(decided(number)) for number in range(first, first + count)]
