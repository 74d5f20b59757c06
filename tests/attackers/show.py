"""Print a recorded client: ``python -m tests.attackers.show CLIENT``; with another one, where their signals differ."""

from __future__ import annotations

import dataclasses
import json
import sys

from infra.traffic.recorded.corpus import FOLDER, Recorded, read


def full(recorded: Recorded) -> list[dict[str, object]]:
    """Return of each visit the signals of the last of its fullest events."""
    return [max(visit, key=lambda event: (len(event.signals), event.sequence)).signals for visit in recorded.visits]


def differences(one: Recorded, other: Recorded) -> dict[str, list[list[object]]]:
    """Return the signals of which no visit of the one shows what a visit of the other shows, with all values."""
    ours, theirs = full(one), full(other)
    names = sorted({name for signals in (*ours, *theirs) for name in signals})
    columns = {name: [[signals.get(name) for signals in side] for side in (ours, theirs)] for name in names}
    return {name: both for name, both in columns.items() if not set(map(repr, both[0])) & set(map(repr, both[1]))}


def main(names: list[str]) -> int:
    """Run the command line."""
    clients = [read(FOLDER / f"{name}.json.xz") for name in names]
    shown = dataclasses.asdict(clients[0]) if len(clients) == 1 else differences(*clients)
    sys.stdout.write(json.dumps(shown, indent=1, ensure_ascii=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
