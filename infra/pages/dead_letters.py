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
from schemas.dead_letter import OUR_FAULTS, REASONS
from schemas.letter_state import MEANINGS, NEXT, NOTE_CHARACTERS
from schemas.recovery import ENVELOPE, HEADER

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
Those that change something only count unless `--yes` is given. All take `--json`. Exit codes: 0, also where nothing is
found; 1 where `--fail-over` says so; 2 for wrong use, or where ClickHouse cannot be read.
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

_REDRIVE = """
## Redrive by hand

`clickgoose deadletters redrive` sends letters that are `fixed` again, each to where it failed and nowhere else, at
most `--rate` a second. It says first what it would send, and what it leaves out and why.

| reason | goes back to |
| --- | --- |
| of a stage, `internal.bug` | `events.raw`, keyed by the device, as a redriven record |
| `record.*` | `events.decisions` |
| `sink.kafka` | `events.scored`, and `events.alerts` where it belongs there |
| `sink.clickhouse`, `sink.redis` that the flow's own redrive has left | that store alone |

Left out: what is not `fixed`, was tried as often as `--attempts` says, is scored already, or has a redacted payload
that no recovery file repaired; an event that was never counted and is older than `flow.lateness_seconds` (`--late`
sends it); and what was counted by a build with another layout. A payload that stands repaired goes in place of the
one received.

**Nothing is counted twice.** A letter of a stage behind `velocity` carries `told`: what was counted of the event
before it failed, which is counts only. The redriven record takes it along (`schemas/redriven.py`), so the event goes
on with it and is not counted again; its score is the one that a run without the failure gives. An event that failed
before it was counted is counted when it comes again. In both cases each attempt goes on once. A repaired event that
has another merchant or id is a new event. One that failed in `relate` is told its shared counts when it comes again,
so later events are in them.

**What a redrive does not mend**: what later events saw of the one that failed. A device's events see scores at least
1,024 offsets back, networks get their reputation from decisions, and a session's standing decision holds for the
events after it, in the order in which they were decided; those were decided without it, and it is decided after them.
To have it all as if nothing had failed, replay the range ([replay](replay.md)).

**Killed and resumed.** What a command set out to do is kept in `<home>/redrives/<command>.json` before anything is
sent. A block is sent, then its letters become `redriven`. After `kill -9`, `--resume COMMAND` goes on: a block that
was sent and not recorded is sent again as the same attempt, which the flow lets pass once.

**The end.** With `--wait`, a letter whose event is scored becomes `resolved`, with score and decision in its note. An
event that fails again has a new letter, with one attempt more and the address of the redriven record; the older
letter becomes `resolved` and its note names the newer one, so an event has one open letter at most. `show` gives the
final score and the other letters of the event. `clickgoose account` takes a redriven record together with the first
one: it is not accepted anew.
"""


_REPAIR = """
## Repair

A **recovery file** (YAML) says which letters are meant and what is done to them; a letter is repaired by the first step
whose conditions it meets.

```yaml
name: key-of-tuesday
author: Anna, payments
why: The agent of 3 June sealed with key 2 and named it 7
steps:
  - when:
      reason: decode.unknown_key
      fields:
        header.key_id: {{equals: 7}}
    do:
      - re-key: {{key_id: 2}}
```

`when`: `reason`, `stage`, `version` (of the processor), `merchant`, `catalogue` (version or [low, high]), `detail` (a
pattern) and `fields`, each with `equals`, `in`, `matches` (RE2), `present` or `range`. Fields are signals by their name
in the [catalogue](signals.md), {envelope}, {header}. `do`, in turn:

- `replace: {{field, constant}}` puts a constant in; `{{field, pattern, by}}` replaces in a text what a pattern finds.
- `remove: {{field}}` takes a signal away, or a name that the merchant gave; `{{activity: 203}}` all entries of a log
  code; `{{unknown_signals: true}}` what nested JSON has and the catalogue has not.
- `cast: {{field, to}}` makes of a text a `number`, of a number a `boolean` or `text`; `milliseconds` or `seconds` of a
  number, or of `activity.t`, that is in the other.
- `re-key: {{key_id}}` opens and seals with this master key, whatever the header names; `{{merchant}}` gives the events
  of the merchants in `when.merchant` to a merchant's new name.

`clickgoose deadletters repair check FILE` says every mistake with its place; `repair schema` prints the JSON Schema
([recovery-file.schema.json](recovery-file.schema.json)); `repair try FILE` repairs letters in the process and runs them
through the flow's own stages with an empty state, and counts what is **recovered**, **fails again** (by reason),
is **unrecoverable** (and why) and is of no step; `repair apply FILE --yes` writes the recovered ones into
`dead_letter_repairs` with who, when and the file's digest, and marks the letters as `fixed`. Only new letters are
taken, so it may be run again. A redrive sends the repaired payload while the letter's newest change to `fixed` is that
of the repair; once reopened, it is sent as received.

The clear header stays but for the key id; the event is sealed under its session's own key with a fresh nonce. No
repair brings personal data in: constants are searched, and what is not clean for `verify_mask` is not recovered.
Unrecoverable are `mask.*` (the clear header is not kept, so that nothing could be sealed), what does not authenticate,
what cannot be unpacked, and records without an envelope.

## The circuit breaker

A flow stops where too many rows of a Kafka partition die by a fault of {faults}: never by what clients or merchants
send, unless `flow.dead_faults` says so. Limits and what to do: [operations](operations.md#the-circuit-breaker).
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
    names = {title: ", ".join(f"`{name}`" for name in of) for title, of in (("envelope", ENVELOPE), ("header", HEADER))}
    repair = _REPAIR.format(**names, faults=", ".join(OUR_FAULTS))
    return GENERATED + _INTRO + reasons + kept + states + commands + notes + _REDRIVE + repair


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
    yield "`dead_letter_repairs`", "payloads that a recovery file repaired", f"{days} days after they were written"
    yield "`recovery_files`", "the text of each recovery file that was applied, once", "without end: a few kB each"


def _states() -> Iterator[tuple[str, str, str]]:
    for state, after in NEXT.items():
        yield f"`{state}`", MEANINGS[state], ", ".join(f"`{one}`" for one in NEXT if one in after)


def _commands() -> Iterator[tuple[str, str]]:
    """Yield each command with the first paragraph of its help."""
    for command in deadletters_app.registered_commands:
        if command.name is not None and command.callback is not None:
            said = (inspect.getdoc(command.callback) or "").partition("\n\n")[0]
            yield f"`clickgoose deadletters {command.name}`", said
