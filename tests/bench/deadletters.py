"""``python -m tests.bench.deadletters [--letters 1000000] [--json]``: how long the commands for dead letters take.

A ClickHouse engine of its own on loopback is filled with letters, a tenth of them settled; then each command runs as
a process of its own, three times, and the median counts. What the command's own start takes is printed beside it, and
processor time, which other work on the machine stretches less than the clock.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import psutil
import typer
from clickhouse_driver import Client

from infra.clickhouse.migrate import migrate
from infra.stack.ports import free_port
from infra.stack.probes import clickhouse_answers

COMMANDS: Mapping[str, Sequence[str]] = {
    "the command's start alone": ("deadletters", "--help"),
    "stats --by reason --json": ("deadletters", "stats", "--by", "reason", "--json"),
    "list --reason mask.email": ("deadletters", "list", "--reason", "mask.email"),
    "list --reason mask. --state new": ("deadletters", "list", "--reason", "mask.", "--state", "new"),
    "stats": ("deadletters", "stats"),
}
LIMIT_SECONDS = 2.0  # of issue 8: a million dead letters listed by reason
_ROWS_OF_A_BLOCK = 100_000
_LETTERS = """
INSERT INTO dead_letters (reason, stage, detail, topic, partition, offset, event_id, merchant, processor, received_at,
    first_failed_at, attempts, payload_format, payload_sha256, payload)
WITH 1 + n % 7 AS kind
SELECT
    ['decode.unknown_key', 'decode.not_authentic', 'mask.card_number', 'mask.email', 'normalize.out_of_range',
     'velocity.too_late', 'internal.bug'][kind],
    ['decode', 'decode', 'verify_mask', 'verify_mask', 'normalize', 'velocity', 'score'][kind],
    concat(['the event names a master key', 'does not authenticate', 'found in page.url; redacted',
            'found in page.title; redacted', 'screen.width lies outside', 'older than allowed',
            'the stage raised KeyError'][kind], ' in row ', toString(n % 512)),
    'events.raw', n % 4, intDiv(n, 4), lower(hex(sipHash128(n))), concat('shop-', toString(n % 50)), 'clickgoose',
    now64(3) - INTERVAL (n % 2419200) SECOND, now64(3) - INTERVAL (n % 2419200) SECOND, 1, 'envelope',
    lower(hex(SHA256(toString(n)))), randomString(256)
FROM (SELECT number AS n FROM numbers({first}, {rows}))
"""
_STATES = """
INSERT INTO dead_letter_states (topic, partition, offset, stage, from_state, to_state, attempts, who, note, command)
SELECT topic, partition, offset, stage, 'new', 'resolved', 1, 'bench', 'a tenth is settled', generateUUIDv4()
FROM dead_letters FINAL WHERE offset % 10 = 0
"""


def fill(url: str, letters: int) -> None:
    """Write letters over 28 days into a migrated database, and settle a tenth of them."""
    client = Client.from_url(url)
    try:
        for first in range(0, letters, _ROWS_OF_A_BLOCK):
            rows = min(_ROWS_OF_A_BLOCK, letters - first)
            client.execute(_LETTERS.format(first=first, rows=rows), settings={"max_partitions_per_insert_block": 1_000})
        client.execute(_STATES)
    finally:
        client.disconnect()


class Took(NamedTuple):
    """Seconds: by the clock, and of processor time in the command and in the engine, which others do not stretch."""

    clock: float
    command: float
    engine: float


def timed(words: Sequence[str], env: Mapping[str, str]) -> tuple[float, str]:
    """Return the seconds that a command took as a process, and what it printed."""
    begun = time.perf_counter()
    argv = [sys.executable, "-m", "infra.cli", *words]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    return time.perf_counter() - begun, done.stdout


def measured(words: Sequence[str], env: Mapping[str, str], engine: psutil.Process) -> Took:
    """Return what a command took."""
    before = (_children_seconds(), sum(engine.cpu_times()[:2]))
    clock, _ = timed(words, env)
    return Took(clock, _children_seconds() - before[0], sum(engine.cpu_times()[:2]) - before[1])


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def environment(url: str, home: Path) -> dict[str, str]:
    """Return the environment of a command that knows ClickHouse alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLICKGOOSE_")}
    return {**kept, "CLICKGOOSE_HOME": str(home), "CLICKGOOSE_CLICKHOUSE__URL": url}


@contextmanager
def engine(home: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run a ClickHouse engine; give the address of a migrated database, and the process."""
    port = free_port(set())
    url = f"clickhouse://default@127.0.0.1:{port}/letters"
    argv = [sys.executable, "-m", "infra.stack.gateway", "--path", str(home / "engine"), "--port", str(port)]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as gateway:
        try:
            ends = time.monotonic() + 30
            while not clickhouse_answers(url.replace("/letters", "/default")):
                if gateway.poll() is not None or time.monotonic() > ends:
                    raise RuntimeError("the ClickHouse engine did not start")
                time.sleep(0.05)
            migrate(url)
            yield url, psutil.Process(gateway.pid)
        finally:
            gateway.terminate()
            gateway.wait(15)


def main(
    letters: Annotated[int, typer.Option(min=1)] = 1_000_000,
    runs: Annotated[int, typer.Option(min=1)] = 3,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Print what each command takes; exit code 1 where one of a reason takes over two seconds."""
    with tempfile.TemporaryDirectory(prefix="clickgoose-letters-") as folder, engine(Path(folder)) as (url, process):
        fill(url, letters)
        env = environment(url, Path(folder) / "home")
        took = {
            name: Took(*map(statistics.median, zip(*(measured(words, env, process) for _ in range(runs)), strict=True)))
            for name, words in COMMANDS.items()
        }
    slow = [name for name in ("stats --by reason --json", "list --reason mask.email") if took[name][0] > LIMIT_SECONDS]
    if as_json:
        seconds = {name: {kind: round(value, 3) for kind, value in one._asdict().items()} for name, one in took.items()}
        found = {"letters": letters, "seconds": seconds, "limit_seconds": LIMIT_SECONDS, "too_slow": slow}
        typer.echo(json.dumps(found))
    else:
        typer.echo(f"{letters:,} dead letters; median of {runs} runs, whole processes; seconds")
        typer.echo("   clock  CPU command  CPU engine")
        for name, one in took.items():
            typer.echo(f"  {one.clock:6.2f}       {one.command:6.2f}      {one.engine:6.2f}  {name}")
    raise typer.Exit(1 if slow else 0)


if __name__ == "__main__":
    typer.run(main)
