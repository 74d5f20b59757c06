"""Record the corpus: ``python -m tests.attackers.record [CLIENT ...]`` visits with each client and writes its file."""

from __future__ import annotations

import argparse
import logging
import sys
import time

from tests.attackers.clients import BY_NAME, CLIENTS, Client
from tests.attackers.collector import Collector, collecting
from tests.attackers.corpus import Recorded, shown_of, write
from tests.attackers.programs import ProgramError, closed_port, display, need_programs
from tests.attackers.visits import Live, visit

VISITS = 2
_TRIES = 2


def record(client: Client, live: Live, collector: Collector, visits: int = VISITS) -> Recorded:
    """Visit several times, each with a seed of its own. ProgramError where a visit fails twice."""
    made, version = [], ""
    for seed in range(1, visits + 1):
        for attempt in range(_TRIES):
            try:
                done = visit(client, live, collector, seed)
                break
            except ProgramError:
                collector.take()
                if attempt == _TRIES - 1:
                    raise
        version = done.version
        made.append(shown_of(done.events))
    return Recorded(client.name, client.kind, version, made)


def main() -> int:
    """Record what is named, or all; return 1 where a client could not visit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clients", nargs="*", help="names of clients; none: all")
    wanted = [BY_NAME[name] for name in parser.parse_args().clients] or list(CLIENTS)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # a page that leaves lets its calls go
    failed = 0
    try:
        with closed_port() as proxy, display() as name, collecting() as collector:
            live = Live(need_programs(), name, proxy)
            for client in wanted:
                started = time.monotonic()
                try:
                    path = write(record(client, live, collector))
                    said = f"{path.stat().st_size:,} bytes"
                except ProgramError as error:
                    failed, said = failed + 1, str(error)
                sys.stderr.write(f"{client.name}: {said} ({time.monotonic() - started:.0f} s)\n")
    except ProgramError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
