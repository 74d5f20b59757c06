"""docs/smart-signals.md, made from the code and from what was measured: ``clickgoose docs`` writes it."""

from __future__ import annotations

import sys
from typing import Any

from enrichers.measured import read_measured
from enrichers.registry import SIGNALS
from enrichers.signal import SmartSignal

RARE = 0.005  # a signal that is true of more of people's events than this has to say why
_HEAD = """# Smart signals

<!-- Made by `clickgoose docs`; a test keeps it current. -->

Each signal is computed for itself, column-wise, from what the browser showed, the checks of the normalisation, the
device's counts, the network, what traffic is recognised by, and the log of the session so far (`activity.`). Its clues
join by noisy-or: `confidence = 1 - (1 - w1)(1 - w2)...` over the clues that are seen, which is the probability that the
signal is true if the clues are independent. From the threshold on the result is true. Where the inputs of a "no" are
missing and no clue is seen, the result is `null` (not computable), never false.

A result has for each signal:

| field | meaning |
|---|---|
| `result` | true, false, or null: not computable |
| `confidence` | 0 to 1 that it is true, null where not computable |
| `level` | `none`, `low` (false, but a confidence of 0.2 and more), `medium` (true), `high` (true from 0.85 on), "" |
| `reasons` | codes of the clues that were seen, also where they do not suffice; left out where none |
| `details` | where true, up to 8 facts that help a person to judge; never an address, an id or a whole user agent |
| `version` | of the rule: it rises when clues, weights or inputs change |
| `data` | kinds and versions of the data that it rests on, such as `hosting 1.4; vpn 1.4`; left out where none |

Weights are stated judgements with their ground beside them, except where the ground gives counts: those are learned
(`clickgoose signals learn`; `enrichers/behaviour.py` has the formula). The model learns from results and confidences
how much each signal is worth.
"""
_MEASURED = """
## Measured

{people:,} events of people and {attackers:,} of attackers, simulated from the repaired population of real browsers
(`clickgoose signals measure`, seed {seed}, code of the signals `{signals}`, of the traffic `{traffic}`). The traffic is
semi-synthetic: a rate here is what the population gives, not a promise. One clock of one machine: all {count} signals
take {us:.1f} µs an event in batches of 256, and {ms:.2f} ms for a batch of 64.

| signal | true when | threshold | true of people | null of people | µs an event |
|---|---|---|---|---|---|
"""
_KINDS = """
### Which attackers they are true of

In percent of the attackers' events; a dot is under 0.5.

"""


def document(measured: dict[str, Any] | None = None) -> str:
    """Return the whole page, by what ``read_measured`` gives unless said."""
    found = read_measured() if measured is None else measured
    return _HEAD + _rates(found) + _attackers(found) + "".join(_section(signal, found) for signal in SIGNALS)


def share(found: dict[str, Any], name: str, kind: str = "honest") -> float:
    """Return of which share of a kind's events a signal was true."""
    return float(found["true"][kind][name] / found["events"][kind])


def _rates(found: dict[str, Any]) -> str:
    people = found["events"]["honest"]
    head = _MEASURED.format(
        people=people,
        attackers=sum(found["events"].values()) - people,
        count=len(SIGNALS),
        us=found["cost"]["us_per_event_of_256"],
        ms=found["cost"]["ms_per_batch_of_64"],
        **{name: found[name] for name in ("seed", "signals", "traffic")},
    )
    rows = [
        f"| [{s.name}](#{s.name}) | {s.question} | {s.threshold:g} | {share(found, s.name):.2%} "
        f"| {found['null'][s.name] / people:.1%} | {found['cost']['stages'][s.name]:.2f} |"
        for s in SIGNALS
    ]
    return head + "\n".join(rows) + "\n"


def _attackers(found: dict[str, Any]) -> str:
    kinds = [kind for kind in found["events"] if kind != "honest"]
    lines = [
        "| signal | " + " | ".join(kind.replace("_", " ") for kind in kinds) + " |",
        "|---" * (len(kinds) + 1) + "|",
    ]
    for signal in SIGNALS:
        shares = [round(100 * share(found, signal.name, kind)) for kind in kinds]
        lines.append(f"| {signal.name} | " + " | ".join(str(one) if one else "." for one in shares) + " |")
    return _KINDS + "\n".join(lines) + "\n"


def _section(signal: SmartSignal, found: dict[str, Any]) -> str:
    rate = share(found, signal.name)
    data = found["data"].get(signal.name) or ", ".join(signal.data_kinds)
    lines = [
        "",
        f"## {signal.name}",
        "",
        signal.question,
        "",
        f"- Version {signal.version}, true from a confidence of {signal.threshold:g} on.",
        f"- Inputs: {', '.join(f'`{name}`' for name in signal.inputs)}.",
        f"- Not computable unless: {_not_computable(signal)}",
        f"- Data: {data or 'none'}.",
        f"- True of {rate:.2%} of people's events." + (f" {signal.honest_true}" if signal.honest_true else ""),
    ]
    if signal.held_down:
        lines.append(f"- Held down: {signal.held_down}")
    lines += ["", "| reason | weight | why |", "|---|---|---|"]
    lines += [f"| {clue.reason} | {clue.weight:g} | {clue.why} |" for clue in signal.clues]
    return "\n".join(lines) + "\n"


def _not_computable(signal: SmartSignal) -> str:
    return " ".join((type(signal).computable.__doc__ or "").split())


if __name__ == "__main__":
    sys.stdout.write(document())
