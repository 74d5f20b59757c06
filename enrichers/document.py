"""docs/smart-signals.md, made from the code: ``python -m enrichers.document > docs/smart-signals.md``."""

from __future__ import annotations

import sys

from enrichers.registry import SIGNALS
from enrichers.signal import SmartSignal

_HEAD = """# Smart signals

<!-- Made by `python -m enrichers.document > docs/smart-signals.md`; a test keeps it current. -->

Each signal is computed for itself, column-wise, from what the browser showed, the checks of the normalisation, the
device's counts and the activity log. Its clues join by noisy-or: `confidence = 1 - (1 - w1)(1 - w2)...` over the
clues that are seen, which is the probability that the signal is true if the clues are independent. From the
threshold on the result is true. Where the inputs of a "no" are missing and no clue is seen, the result is `null`
(not computable), never false.

`level` is `none`, `low` (false, with a confidence of 0.2 or more), `medium` (true), `high` (true from 0.85 on), or
empty where not computable. Weights are stated judgements with their ground beside them, not learned values: the
model learns from results and confidences how much each signal is worth. No signal here uses outside data.

| signal | true when | threshold | version |
|---|---|---|---|
"""


def document() -> str:
    """Return the whole page."""
    rows = [f"| [{s.name}](#{s.name}) | {s.question} | {s.threshold:g} | {s.version} |" for s in SIGNALS]
    return _HEAD + "\n".join(rows) + "\n" + "".join(_section(signal) for signal in SIGNALS)


def _section(signal: SmartSignal) -> str:
    lines = [
        "",
        f"## {signal.name}",
        "",
        signal.question,
        "",
        f"- Inputs: {', '.join(f'`{name}`' for name in signal.inputs)}.",
        f"- Not computable unless: {(type(signal).computable.__doc__ or '').strip()}",
    ]
    if signal.held_down:
        lines.append(f"- Held down: {signal.held_down}")
    lines += ["", "| reason | weight | why |", "|---|---|---|"]
    lines += [f"| {clue.reason} | {clue.weight:g} | {clue.why} |" for clue in signal.clues]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
