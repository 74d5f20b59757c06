"""The live attackers: ``make test-attackers`` visits with each client, judges it and prints the table.

With ``--record`` what was collected becomes the corpus. Exit code 0 where at least nine attackers in ten are caught on
every visit for a right reason and no control is accused; 1 where not, or where a client could not visit; 2 where a
program is missing.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from infra.traffic.recorded.corpus import Recorded, Shown, write
from tests.attackers.clients import BY_NAME, CLIENTS, Client
from tests.attackers.collector import Collector, collecting
from tests.attackers.judge import Judged, judge, pipeline, table
from tests.attackers.programs import ProgramError, closed_port, display, need_programs
from tests.attackers.visits import Live, Visited, visit
from tests.e2e.opened import Opened

VISITS = 2
LEAST_CAUGHT = 0.9
_TRIES = 2


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="make test-attackers", description=__doc__)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help="names of clients; none: all")
    parser.add_argument("--record", action="store_true", help="write infra/traffic/recorded/clients/ anew")
    parser.add_argument("--visits", type=int, default=VISITS, help="visits a client")
    parser.add_argument("--minutes", type=float, default=40.0, help="begin no client after this time")
    parser.add_argument("--attackers-table", type=Path, metavar="FILE", help="write the table there as well")
    words = parser.parse_args()
    if unknown := sorted(set(words.clients) - set(BY_NAME)):
        parser.error(f"there is no client {', '.join(unknown)}; there are {', '.join(BY_NAME)}")
    wanted = [BY_NAME[name] for name in words.clients] or list(CLIENTS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that every browser is ended on the way out
    try:
        made, failed = _visit_all(wanted, words.visits, words.minutes, words.record)
    except ProgramError as error:
        _say(str(error))
        return 2
    stages = pipeline()
    judged = [judge(recorded, stages) for recorded in made]
    text = table(judged)
    sys.stdout.write(text)
    if words.attackers_table is not None:
        words.attackers_table.write_text(text, "utf-8")
    return 1 if _fails(judged, failed) else 0


def _visit_all(
    clients: Sequence[Client], visits: int, minutes: float, keep: bool
) -> tuple[list[Recorded], dict[str, str]]:
    """Return what was recorded, and by name why a client could not visit."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # a page that is left lets its calls go
    made, failed = [], {}
    until = time.monotonic() + 60 * minutes
    programs = need_programs()
    with closed_port() as proxy, display() as name, collecting() as collector:
        live = Live(programs, name, proxy)
        for client in clients:
            started = time.monotonic()
            if started > until:
                failed[client.name] = f"not begun: the {minutes:g} minutes were over"
                continue
            try:
                made.append(record(client, live, collector, visits))
                if keep:
                    write(made[-1])
                _say(f"{client.name}: {visits} visits in {time.monotonic() - started:.0f} s")
            except ProgramError as error:
                failed[client.name] = str(error)
                _say(str(error))
    return made, failed


def record(client: Client, live: Live, collector: Collector, visits: int) -> Recorded:
    """Visit several times, each with a seed of its own. ProgramError where a visit fails twice."""
    done = [_visit(client, live, collector, seed) for seed in range(1, visits + 1)]
    return Recorded(client.name, client.kind, done[-1].version, [shown_of(one.events) for one in done])


def shown_of(events: Sequence[Opened]) -> list[Shown]:
    """Return opened events of one visit as they are recorded."""
    return [Shown(one.header.sent_at, one.header.sequence, one.signals, one.entries) for one in events]


def _visit(client: Client, live: Live, collector: Collector, seed: int, tries: int = _TRIES) -> Visited:
    try:
        return visit(client, live, collector, seed)
    except ProgramError as error:
        collector.take()  # what a failed visit sent is nobody's
        if tries == 1:
            raise
        _say(f"{error} Once more.")
    return _visit(client, live, collector, seed, tries - 1)


def _fails(judged: Sequence[Judged], failed: dict[str, str]) -> bool:
    """Say in one sentence each what is not as it should be."""
    attackers = [one for one in judged if one.kind == "attacker"]
    missed = [one.name for one in attackers if not one.caught()]
    accused = [one.name for one in judged if one.kind == "control" and one.accused()]
    wrong = []
    if len(missed) > (1 - LEAST_CAUGHT) * len(attackers):
        wrong.append(f"{len(missed)} of {len(attackers)} attackers are not caught: {', '.join(missed)}.")
    if accused:
        wrong.append(f"Controls are accused: {', '.join(accused)}.")
    if failed:
        wrong.append(f"Clients that could not visit: {', '.join(failed)}.")
    for sentence in wrong:
        _say(sentence)
    return bool(wrong)


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


if __name__ == "__main__":
    sys.exit(main())
