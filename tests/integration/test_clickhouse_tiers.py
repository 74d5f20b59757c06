"""Storage tiers on an engine of the test's own, which has the volumes: rows move by age and are deleted by age."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clickhouse_driver import Client

from flows.sinks.clickhouse import ClickHouse
from infra.clickhouse.migrate import MigrationError, migrate
from infra.clickhouse.tiers import Tiers, apply_tiers
from infra.stack.ports import free_port
from infra.stack.probes import clickhouse_answers
from tests.scored_parcels import encoded_parcel
from tests.waiting import PATIENCE

DAY = 86_400_000
STORAGE = """
<clickhouse><storage_configuration>
  <disks><warm><path>{0}/warm/</path></warm><cold><path>{0}/cold/</path></cold></disks>
  <policies><tiered><volumes>
    <default><disk>default</disk></default><warm><disk>warm</disk></warm><cold><disk>cold</disk></cold>
  </volumes></tiered></policies>
</storage_configuration></clickhouse>
"""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    config = tmp_path / "storage.xml"
    config.write_text(STORAGE.format(tmp_path), "utf-8")
    port = free_port(set())
    words = ["--path", str(tmp_path / "engine"), "--config", str(config), "--port", str(port)]
    address = f"clickhouse://default@127.0.0.1:{port}/aged"
    with subprocess.Popen([sys.executable, "-m", "infra.stack.gateway", *words], stderr=subprocess.DEVNULL) as gateway:
        try:
            ends = time.monotonic() + PATIENCE
            while not clickhouse_answers(address.replace("/aged", "/default")):
                assert gateway.poll() is None and time.monotonic() < ends
                time.sleep(0.05)
            migrate(address)
            yield address
        finally:
            gateway.terminate()
            gateway.wait(PATIENCE)


def test_rows_lie_where_their_age_says_and_the_oldest_are_gone(url: str) -> None:
    item = encoded_parcel(4)
    event = item.parcel.batch.event
    ages = np.array([0, 10, 40, 500])
    event = replace(event, occurred_at=int(time.time() * 1000) - ages * DAY)
    there = ClickHouse(url)
    there.write([replace(item, parcel=replace(item.parcel, batch=replace(item.parcel.batch, event=event)))])
    there.close()
    tiers = Tiers("tiered", warm_days=7, cold_days=30, keep_days=400)
    assert apply_tiers(url, tiers) == apply_tiers(url, tiers)
    client = Client.from_url(url)
    client.execute("ALTER TABLE events MATERIALIZE TTL")
    wanted = [("cold", 1), ("default", 1), ("warm", 1)]
    sql = (
        "SELECT disk_name, sum(rows) FROM system.parts"
        " WHERE database = 'aged' AND table = 'events' AND active AND rows > 0 GROUP BY disk_name ORDER BY disk_name"
    )
    ends = time.monotonic() + PATIENCE
    while (found := client.execute(sql)) != wanted and time.monotonic() < ends:
        time.sleep(0.1)
    assert found == wanted
    client.disconnect()


def test_a_policy_that_the_server_does_not_have_is_said_in_one_sentence(url: str) -> None:
    with pytest.raises(MigrationError, match=r"^ClickHouse at 127\.0\.0\.1:\d+: [^\n]*Unknown storage policy"):
        apply_tiers(url, Tiers("nowhere", warm_days=7))
    with pytest.raises(MigrationError, match="is no name of a storage policy"):
        apply_tiers(url, Tiers("x'; DROP TABLE events"))


@pytest.mark.parametrize("days", [{"warm_days": 7}, {"keep_days": 0}, {"policy": "p", "warm_days": 30, "cold_days": 7}])
def test_tiers_that_cannot_be_meant_are_refused(days: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"days must grow|name one"):
        Tiers(**days)  # type: ignore[arg-type] # the cases differ in their names
