"""docs/dead-letters.md: the taxonomy, how long letters are kept, where they may stand, and the commands."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from infra.cli.deadletters import deadletters_app
from infra.cli.deadletters_backup import NEWEST_RECORDS, NEWEST_SECONDS
from infra.clickhouse.tiers import KEPT_AT_MOST
from infra.letter_clusters import CLUSTER_DIGITS
from infra.pages.markdown import GENERATED, table
from infra.settings import KafkaSettings
from infra.topics import TOPICS
from schemas.dead_letter import REASONS
from schemas.letter_state import MEANINGS, NEXT, NOTE_CHARACTERS

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

_AFTER_KEPT = """
`clickgoose clickhouse tiers --keep-days` can make the tables' time less, not more. A letter that is only in ClickHouse
can still be redriven: its payload is there. Rows for sinks are only in Kafka: bring the sink back within its time.

## Where a letter stands

"""

_COMMANDS = """
A letter's address is `topic/partition/offset/stage`: which record failed, and where. Each change is a row of
`dead_letter_states` with who, when, from, to, attempts and a note of at most {note} characters, without personal
data; rows are only added. The newest change says where a letter stands, also where two people changed it at the
same moment.

## The commands
"""

_NOTES = """
The last three only count unless `--yes` is given. All take `--json`. Exit codes: 0, also where nothing is found; 1
where `--fail-over` says so; 2 for wrong use, or where ClickHouse cannot be read.
[Operations](operations.md#reviewing-dead-letters) has an example from the first look to the last change.

**Clusters.** Failures are alike where reason, stage and detail are the same once numbers and ids in the detail are
masked as `#`, and, for `internal.bug`, where the place in the code (`stack`) is the same. A cluster's name is
{digits} hexadecimal digits of the SHA-256 of these, so it is the same tomorrow and in another database.

**Payloads.** `show` prints an envelope's and a sealed event's clear headers and sizes, never names that a merchant
gave. `--open` opens the event with the master keys, by the flow's own stage; every text is redacted as
`verify_mask` does it, a card number in pieces too. Rows and results are shown as JSON, redacted likewise, and bytes
as their size.

**Rows for sinks** (`sink.*`) wait in Kafka alone: ClickHouse cannot list what it did not take. `stats` reads the
headers of the newest {records:,} records of each partition, for {seconds:g} s (`--backup all`: of all), says how many
wait, and how many the redrive's consumer group has dealt with; what was not looked at is said. `show` finds one there
by its address or event id.
"""


def dead_letters_page() -> str:
    """Return the page."""
    rows = [
        (f"`{reason.value}`", facts.stage, facts.fault, facts.disposition, facts.meaning, facts.remedy)
        for reason, facts in REASONS.items()
    ]
    reasons = table(("reason", "stage", "fault", "disposition", "meaning", "what to do"), rows)
    kept = "\n## How long they are kept\n\n" + table(("where", "what", "how long"), _kept()) + _AFTER_KEPT
    states = table(("state", "meaning", "may become"), _states())
    commands = _COMMANDS.format(note=NOTE_CHARACTERS) + "\n" + table(("command", "what it does"), _commands())
    notes = _NOTES.format(digits=CLUSTER_DIGITS, records=NEWEST_RECORDS, seconds=NEWEST_SECONDS)
    return GENERATED + _INTRO + reasons + kept + states + commands + notes


def _kept() -> Iterator[tuple[str, str, str]]:
    (topic,) = (topic for topic in TOPICS if topic.name == "events.dead_letter")
    hours = topic.retention * KafkaSettings().retention_hours
    yield (
        "`events.dead_letter`",
        "every letter, and rows for sinks (`sink.*`)",
        f"{hours} h ({hours / 24:g} days): {topic.retention} times `kafka.retention_hours`",
    )
    days = KEPT_AT_MOST["dead_letters"]
    yield "`dead_letters`", "every letter but rows for sinks", f"{days} days after it was written"
    days = KEPT_AT_MOST["dead_letter_states"]
    yield "`dead_letter_states`", "every change of a letter", f"{days} days after the change: never before its letter"


def _states() -> Iterator[tuple[str, str, str]]:
    for state, after in NEXT.items():
        yield f"`{state}`", MEANINGS[state], ", ".join(f"`{one}`" for one in NEXT if one in after)


def _commands() -> Iterator[tuple[str, str]]:
    """Yield each command with the first paragraph of its help."""
    for command in deadletters_app.registered_commands:
        if command.name is not None and command.callback is not None:
            said = (inspect.getdoc(command.callback) or "").partition("\n\n")[0]
            yield f"`clickgoose deadletters {command.name}`", said
