"""replay: a range of Kafka replayed through real stores, beside the pipeline benchmark on the same events.

The stack is started for the measurement in a directory that goes away. Both are processes of their own, as a user
starts them, in turns; the pipeline has its events in memory and a counting sink, the replay reads Kafka and writes into
all stores of its namespace. A rate is of the loop alone: without the start of Python and the compiled kernels.
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

from infra.bench.measure import RowsLost, machine
from infra.clickhouse.migrate import migrate
from infra.stack.local import LocalStack
from infra.topics import RAW
from schemas.envelope import sealed_start
from schemas.keys import KeyRing

_SECONDS: Final = 600
_DEVICE: Final = slice(24, 40)  # of the sealed event's header


def bench_replay(
    values: Sequence[bytes],
    seed: int,
    rounds: int,
    into: str,
    keys: KeyRing,
    said: Callable[[str], None] = lambda word: None,
) -> dict[str, Any]:
    """Return both rates, the better one of all rounds, and their ratio; RowsLost where a row is not accounted for.

    ``values`` are what ``bench pipeline`` makes of the same seed; ``keys`` open them.
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
        found: list[dict[str, float]] = []
        for number in range(1, rounds + 1):
            said(f"round {number} of {rounds}: the pipeline")
            words = ["bench", "pipeline", "--events", str(len(values)), "--seed", str(seed)]
            pipeline = _json([*words, "--size", "checkout", "--seconds", "0"], env)
            said(f"round {number} of {rounds}: the replay")
            words = ["replay", "run", f"bench{number}", "--last", "1h", "--into", into]
            found.append(_round(pipeline, _json(words, env), len(values)))
    best = {name: max(one[name] for one in found) for name in ("replay_events_per_s", "pipeline_events_per_s")}
    return {
        "name": "replay",
        "events": len(values),
        "partitions": partitions,
        "into": into,
        **best,
        "ratio": round(best["replay_events_per_s"] / best["pipeline_events_per_s"], 3),
        "rounds": found,
        "machine": machine(),
    }


def _append(bootstrap: str, values: Sequence[bytes], partitions: int) -> int:
    """Append the events, each to the partition of its device, and return how many partitions there are."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20})
    failed: list[object] = []
    for value in values:
        device = value[sealed_start(value) :][_DEVICE]
        producer.produce(
            RAW,
            value,
            device,
            sum(device) % partitions,
            on_delivery=lambda error, _: failed.append(error) if error else None,
        )
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


def _round(pipeline: dict[str, Any], run: dict[str, Any], events: int) -> dict[str, float]:
    account = run["account"]
    settled = account["scored"] + account["dead"] + account["dropped"]
    if account["read"] != events or settled != events:
        raise RowsLost(f"{events} events in, {account['read']} read, {settled} settled")
    return {
        "replay_events_per_s": round(events / run["seconds"], 1),
        "pipeline_events_per_s": pipeline["events_per_s"],
        "pipeline_cpu_us_per_event": pipeline["cpu_us_per_event"],
    }
