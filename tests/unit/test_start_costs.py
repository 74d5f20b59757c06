"""What every command pays before it does anything: no client of a store, and no table that nobody reads."""

from __future__ import annotations

import json
import subprocess
import sys

LOOK = """
import json, sys
import infra.cli
clients = sorted({"redis", "clickhouse_driver"} & sys.modules.keys())
from datetime import date
from clickhouse_driver.columns.datecolumn import DateColumn
made = len(DateColumn.date_lut)
print(json.dumps([clients, made, str(DateColumn.date_lut[20_000]), DateColumn.date_lut_reverse[date(2024, 10, 4)]]))
"""


def test_commands_start_without_clients_of_stores_and_the_driver_makes_days_as_they_come() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, timeout=240, check=True)
    assert json.loads(done.stdout) == [[], 0, "2024-10-04", 20_000]


def test_whoever_follows_published_rules_loads_no_model_and_no_client_of_an_object_store() -> None:
    look = (
        "import sys, infra.rules_registry; print({'numpy', 'onnxruntime', 'scoring.model', 'obstore'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=240, check=True)
    assert done.stdout.strip() == "set()"
