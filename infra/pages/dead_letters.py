"""docs/dead-letters.md: the taxonomy."""

from __future__ import annotations

from infra.pages.markdown import GENERATED, table
from schemas.dead_letter import REASONS

_INTRO = """# Dead letters: the taxonomy

A row that does not go on becomes a dead letter on `events.dead_letter` and in ClickHouse's `dead_letters`, with one of
these reasons and no other. Disposition: **poison** never succeeds as it is, **transient** succeeds once the cause is
gone, **rejected** was refused on purpose. The payload is kept as received, except for `mask.*`, where it is redacted
first, and `sink.*`, where it is the scored record that the sink did not take.

Kafka headers carry the same facts, each as UTF-8 text: `clickgoose.reason`, `clickgoose.stage`,
`clickgoose.disposition`, `clickgoose.topic`, `clickgoose.partition`, `clickgoose.offset`, `clickgoose.event_id`,
`clickgoose.merchant`, `clickgoose.processor`, `clickgoose.attempts`, `clickgoose.first_failed_at`,
`clickgoose.payload_sha256`, `clickgoose.payload_format`.

"""


def dead_letters_page() -> str:
    """Return the page."""
    rows = [
        (f"`{reason.value}`", facts.stage, facts.fault, facts.disposition, facts.meaning, facts.remedy)
        for reason, facts in REASONS.items()
    ]
    return GENERATED + _INTRO + table(("reason", "stage", "fault", "disposition", "meaning", "what to do"), rows)
