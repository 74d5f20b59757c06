"""A running flow whose rows die by the operator's fault stops with a sentence, and goes on with nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.stack.local import LocalStack
from schemas.dead_letter import Reason
from tests.integration.test_policies_in_a_flow import SECONDS, Flow
from tests.stack_fixture import Namespace
from tests.wire import BAD

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]  # many processes: long where a machine is very busy


@pytest.fixture
def flow(stack: LocalStack, namespace: Namespace, tmp_path: Path) -> Iterator[Flow]:
    running = Flow(stack, namespace, tmp_path)
    try:
        yield running
    finally:
        running.child.stop()


def letters(flow: Flow) -> list[Any]:
    found: list[Any] = flow.clickhouse.execute(
        "SELECT reason, count(), uniq(partition, offset), any(processor) FROM dead_letters FINAL GROUP BY reason"
    )
    return found


def test_dead_letters_past_the_limit_stop_a_flow_and_a_raised_limit_goes_on_with_nothing_lost(flow: Flow) -> None:
    flow.child.stop()
    flow.env |= {"CLICKGOOSE_FLOW__DEAD_SHARE_LEAST_ROWS": "40", "CLICKGOOSE_FLOW__DEAD_SHARE_LIMIT": "0.3"}
    flow.start()
    flow.send(40)
    for row in range(60):  # a client's rubbish stops nothing
        flow.producer.produce(flow.topic, BAD[Reason.BAD_LAYOUT](1_000 + row), partition=0)
    assert flow.producer.flush(SECONDS) == 0
    flow.until(lambda: [row[1] for row in letters(flow)] == [60])
    assert flow.metric('clickgoose_dead_letter_share{partition="0"}') == 0
    (found,) = letters(flow)
    assert found[0] == "decode.bad_layout" and found[3].startswith("clickgoose ")

    for row in range(50):
        flow.producer.produce(flow.topic, BAD[Reason.UNKNOWN_KEY](2_000 + row), partition=1)
    assert flow.producer.flush(SECONDS) == 0
    flow.until(lambda: not flow.child.running)
    said = (flow.directory / "flow.log").read_text("utf-8")
    assert "rows became dead letters, more than 30%, most often decode.unknown_key in stage decode" in said
    assert "partition 1: " in said and "partition 0: " not in said

    argv = [sys.executable, "-m", "tests.flow_on_topic", flow.topic, str(flow.directory / "state"), str(flow.ready)]
    once_more = subprocess.run(argv, env={**os.environ, **flow.env}, capture_output=True, timeout=SECONDS, check=False)
    assert once_more.returncode == 1 and b"TooManyDeadLetters" in once_more.stderr

    flow.env["CLICKGOOSE_FLOW__DEAD_SHARE_LIMIT"] = "1"
    flow.start()
    flow.send(20)
    flow.until(lambda: sorted(row[:3] for row in letters(flow)) == [
        ("decode.bad_layout", 60, 60), ("decode.unknown_key", 50, 50),
    ])  # fmt: skip
    assert flow.rows("count(), uniq(event_id)") == [(60, 60)]
