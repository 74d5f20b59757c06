"""replay: a range of Kafka replayed into files and into real stores, beside the pipeline benchmark on the same events.

The stack is started for the measurement in a directory that goes away. All are processes of their own, as a user
starts them, in turns; the pipeline has its events in memory and a counting sink, a replay reads Kafka and writes where
it is told to. A rate is of the loop alone: without the start of Python and the compiled kernels.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer

from infra.bench.events import Size
from infra.bench.measure import RowsLost, machine
from infra.clickhouse.migrate import migrate
from infra.stack.local import LocalStack
from infra.topics import RAW
from schemas.envelope import sealed_start
from schemas.keys import KeyRing

_SECONDS: Final = 600
_DEVICE: Final = slice(24, 40)  # of the sealed event's header
PLACES: Final = ("files", "kafka,clickhouse,redis")
"""Where replays write that are measured: the first one's ratio is what is promised."""


def bench_replay(
    values: Sequence[bytes],
    seed: int,
    rounds: int,
    places: Sequence[str],
    keys: KeyRing,
    size: Size = Size.CHECKOUT,
    said: Callable[[str], None] = lambda word: None,
) -> dict[str, Any]:
    """Return the rates, the best one of all rounds, and what the pipeline's is of each; docs/replay.md has the keys.

    ``values`` are what ``bench pipeline`` makes of the same seed and size; ``keys`` open them. RowsLost where a row is
    not accounted for.
    """
    with tempfile.TemporaryDirectory(prefix="clickgoose-bench-") as folder, ExitStack() as closing:
        said("starting the stack")
        stack = LocalStack(Path(folder) / "home", say=lambda sentence: None)
        stack.start()
        closing.callback(stack.stop)
        migrate(stack.clickhouse_url)
        partitions = _append(stack.bootstrap, values, stack.settings.kafka.partitions)
        masters = json.dumps({number: master.hex() for number, master in keys.masters.items()})
        env = {**os.environ, **stack.env(), "CLICKGOOSE_MASTER_KEYS": masters}
        found: list[dict[str, Any]] = []
        for number in range(1, rounds + 1):
            said(f"round {number} of {rounds}: the pipeline")
            words = ["bench", "pipeline", "--events", str(len(values)), "--seed", str(seed)]
            pipeline = _json([*words, "--size", size.value, "--seconds", "0"], env)
            rates, spent = dict[str, float](), dict[str, float]()
            for place, into in enumerate(places):
                said(f"round {number} of {rounds}: a replay into {into}")
                words = ["replay", "run", f"bench{number}_{place}", "--last", "1h", "--into", into]
                done = _json(words, env)
                rates[into], spent[into] = _rate(done, len(values)), round(done["cpu_seconds"] / len(values) * 1e6, 1)
            found.append(
                {
                    "pipeline_events_per_s": pipeline["events_per_s"],
                    "pipeline_cpu_us_per_event": pipeline["cpu_us_per_event"],
                    "replay_events_per_s": rates,
                    "replay_cpu_us_per_event": spent,
                }
            )
    return {"name": "replay", "events": len(values), "size": size.value, "partitions": partitions,
            **_best(found, places), "rounds": found, "machine": machine()}  # fmt: skip


def _best(rounds: Sequence[Mapping[str, Any]], places: Sequence[str]) -> dict[str, Any]:
    """Return the best rate of each, and ratios of these; at the top those of the first place."""
    pipeline = max(one["pipeline_events_per_s"] for one in rounds)
    rates = {into: max(one["replay_events_per_s"][into] for one in rounds) for into in places}
    found = [{"into": into, "events_per_s": rate, "ratio": round(rate / pipeline, 3)} for into, rate in rates.items()]
    first = found[0]
    return {"into": first["into"], "replay_events_per_s": first["events_per_s"], "pipeline_events_per_s": pipeline,
            "ratio": first["ratio"], "places": found}  # fmt: skip


def _append(bootstrap: str, values: Sequence[bytes], partitions: int) -> int:
    """Append the events, each to the partition of its device, and return how many partitions there are."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20})
    failed: list[object] = []

    def told(error: object, _: object) -> None:
        if error:
            failed.append(error)

    for value in values:
        device = value[sealed_start(value) :][_DEVICE]
        while True:
            try:
                producer.produce(RAW, value, device, sum(device) % partitions, on_delivery=told)
            except BufferError:  # more than a queue of the client's holds
                producer.poll(0.1)
            else:
                break
        producer.poll(0)
    if producer.flush(60) or failed:
        raise RowsLost(f"Kafka did not take the events: {failed[:1]}")
    return partitions


def _json(words: Sequence[str], env: Mapping[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli", *words, "--json"],
        capture_output=True, text=True, timeout=_SECONDS, env=env, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RowsLost(f"clickgoose {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return dict(json.loads(done.stdout))


def _rate(run: dict[str, Any], events: int) -> float:
    account = run["account"]
    settled = account["scored"] + account["dead"] + account["dropped"]
    if account["read"] != events or settled != events:
        raise RowsLost(f"{events} events in, {account['read']} read, {settled} settled")
    return round(events / run["seconds"], 1)
