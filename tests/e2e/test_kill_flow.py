"""kill -9 of the flow in mid-stream: the account balances, and every velocity count is what an oracle counts."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict

from msgspec import structs

from schemas.result import Result, decode_result
from schemas.sealed import read_header
from tests.e2e.system import System
from tests.wire import NOW, enveloped, header, payload, sealed

EVENTS = 2_400
DEVICES = 30
PAUSES_BEFORE_KILLS = (1.7, 0.0, 1.1)  # seconds after new results were seen: the second falls within the first epoch
EPOCH_SECONDS = "1.0"
WINDOWS = (300_000, 3_600_000, 86_400_000)


def stream(seed: int) -> list[tuple[int, bytes]]:
    """Return records with their partitions: 30 devices over two hours, out of order, one in twelve sent twice."""
    chance = random.Random(seed)
    body = payload()
    records = []
    for row in range(EVENTS):
        device = chance.randrange(DEVICES)
        at = NOW + 3_000 * row - chance.choice((0, 0, 0, 40_000, 400_000))
        event = sealed(row, body, head=header(row, device=device, sent_at=at))
        records.append((device % 4, enveloped(row, event, received_at=NOW + 3_000 * row + 50)))
        if chance.random() < 1 / 12:
            records.append(records[-1 - chance.randrange(min(8, len(records)))])
    return records


def oracle(system: System) -> dict[str, tuple[int, int, int]]:
    """Count naively, from what Kafka holds, in the order of the offsets."""
    seen: set[bytes] = set()
    times: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    counts = {}
    for message in system.records("events.raw"):
        value = message.value() or b""
        at = 32 + value[28] + value[29] + value[30]
        head = read_header(value[at:])
        assert head is not None
        if head.event_id in seen:
            continue
        seen.add(head.event_id)
        device = times[message.partition() or 0, head.device_id]
        device.append(head.sent_at)
        counts[head.event_id.hex()] = tuple(
            sum(head.sent_at - window < time <= head.sent_at for time in device) for window in WINDOWS
        )
    return counts


def test_counts_are_exact_and_nothing_is_lost_after_three_kills(system: System) -> None:
    records = stream(seed=4)
    flow = system.start_flow(CLICKGOOSE_FLOW__EPOCH_SECONDS=EPOCH_SECONDS)
    sender = threading.Thread(target=system.append, args=(records, 0.005))
    sender.start()
    results_before = 0
    for pause in PAUSES_BEFORE_KILLS:
        system.wait_for_records("events.scored", results_before + 1)
        time.sleep(pause)
        flow.kill()
        system.stack.remove(flow)
        results_before = system.ends("events.scored")
        flow = system.start_flow(CLICKGOOSE_FLOW__EPOCH_SECONDS=EPOCH_SECONDS)
    sender.join()

    account = system.account()
    assert account.problems == []
    assert account.accepted == len(records)
    assert account.lost == 0
    assert account.scored == EVENTS
    assert account.deduplicated == len(records) - EVENTS

    expected = oracle(system)
    results = [decode_result(message.value() or b"") for message in system.records("events.scored")]
    assert len({result.event_id for result in results}) == EVENTS
    wrong = [result.event_id for result in results if counts_of(result) != expected[result.event_id]]
    assert wrong == []
    assert account.scored_again > 0, "no event was replayed: the kills came too early or too late to prove anything"


def counts_of(result: Result) -> tuple[int, int, int]:
    return structs.astuple(result.velocity.events)
