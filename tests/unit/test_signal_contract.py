"""What a result says of a smart signal: details where it is true, and the data that it used; what was measured."""

from __future__ import annotations

import logging
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enrichers import present as presenting
from enrichers.bot import Bot
from enrichers.document import RARE, document, share
from enrichers.measured import read_measured, signals_digest
from enrichers.present import LONGEST_DETAIL, MOST_DETAILS, present
from enrichers.registry import SIGNALS
from enrichers.signal import SmartSignal
from enrichers.stage import Enrich, data_of
from infra.bench.enrich import bench_enrich
from infra.signals.measure import NotEnoughTraffic, measure
from ingest_api.score_models import ScoreResponse, SmartSignalResponse
from schemas.batches import Enriched
from schemas.result import SmartSignal as Presented
from schemas.smart_signals import SMART_SIGNALS
from tests.builders import related
from tests.scored_parcels import DATA, encoded_parcel
from tests.signal_cases import BY_SIGNAL, batch_of

NEVER_OFTEN = ("bot", "tampering", "anti_detect_browser", "canvas_spoofing")
DRIVEN: dict[str, Any] = {"navigator.webdriver": True}


def shown(monkeypatch: pytest.MonkeyPatch, details: Any, rows: int = 1) -> list[dict[str, Presented]]:
    """Present rows of which the even ones are a bot's, where ``bot`` has these details."""
    monkeypatch.setattr(Bot, "details", details)
    monkeypatch.setattr(presenting, "_DETAILED", np.array([0]))
    honest: dict[str, Any] = {"navigator.webdriver": False}
    return present(Enrich()(related([honest if row % 2 else DRIVEN for row in range(rows)])).oks)


def test_details_are_asked_only_of_rows_that_are_true(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def details(self: SmartSignal, batch: Enriched, row: int) -> dict[str, str | float]:
        asked.append(row)
        return {"row": float(row)}

    found = shown(monkeypatch, details, rows=5)
    assert asked == [0, 2, 4]
    assert [one["bot"].details for one in found] == [{"row": 0.0}, {}, {"row": 2.0}, {}, {"row": 4.0}]
    assert [one["bot"].result for one in found] == [True, False, True, False, True]


def test_details_of_one_row_are_not_anothers(monkeypatch: pytest.MonkeyPatch) -> None:
    found = shown(monkeypatch, lambda self, batch, row: {"tool": "a"} if row == 0 else {}, rows=3)
    assert [one["bot"].details for one in found] == [{"tool": "a"}, {}, {}]


def test_details_are_bounded_and_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    many: dict[str, Any] = {"text": "x" * 500, "empty": "", "missing": np.nan, "speed": np.float32(1 / 3), "keys": 7}
    many |= {f"more_{index}": float(index) for index in range(20)}
    (one,) = shown(monkeypatch, lambda self, batch, row: many)
    assert one["bot"].details == {
        "text": "x" * LONGEST_DETAIL, "speed": 0.3333, "keys": 7.0, "more_0": 0.0, "more_1": 1.0, "more_2": 2.0,
    }  # fmt: skip
    assert len(one["bot"].details) <= MOST_DETAILS
    assert all(type(value) in (str, float) for value in one["bot"].details.values())


def test_a_bug_in_details_leaves_the_result_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def details(self: SmartSignal, batch: Enriched, row: int) -> dict[str, str | float]:
        raise ValueError("4111 1111 1111 1111")

    with caplog.at_level(logging.ERROR):
        (one,) = shown(monkeypatch, details)
    assert (one["bot"].result, one["bot"].reasons, one["bot"].details) == (True, ["webdriver"], {})
    assert caplog.messages == ["a result goes without details"] and "4111" not in caplog.text


@pytest.mark.parametrize("name", SMART_SIGNALS)
def test_details_hold_no_personal_data(name: str) -> None:
    case = BY_SIGNAL[name]
    batch = Enrich()(batch_of(case.true)).oks
    details = dict(next(signal for signal in SIGNALS if signal.name == name).details(batch, 0))
    assert len(details) <= MOST_DETAILS
    event = batch.event
    ids = {column[0].tobytes().hex() for column in (event.event_id, event.session_id, event.device_id)}
    agent = str(case.true["events"]["navigator.user_agent"])
    for value in map(str, details.values()):
        assert len(value) <= LONGEST_DETAIL
        assert agent not in value and not ids & set(re.findall("[0-9a-f]{32}", value))
        assert not any(is_address(word) for word in re.split(r"[\s,;/()]+", value))


def is_address(word: str) -> bool:
    try:
        return bool(ip_address(word))
    except ValueError:
        return False


def test_a_signal_names_the_data_that_it_rests_on() -> None:
    one = type("One", (Bot,), {"data_kinds": ("vpn", "relay", "asn")})()
    assert data_of(one, {"asn": "2026.6.1", "vpn": "1.4", "tor": "9"}) == "vpn 1.4; asn 2026.6.1"
    assert data_of(one, {}) == ""
    with pytest.raises(ValueError, match="comma or a semicolon"):
        data_of(one, {"vpn": "1,4"})


def test_the_stage_gives_every_signal_its_versions() -> None:
    versions = {kind: "1.4" for signal in SIGNALS for kind in signal.data_kinds}
    smart = Enrich(versions=versions).__call__(related([{}, {}])).oks.smart
    for name, data, signal in zip(smart.names, smart.data, SIGNALS, strict=True):
        assert data == "; ".join(f"{kind} 1.4" for kind in signal.data_kinds), name
    assert smart.take(np.array([1])).data == smart.data


def test_results_name_the_data_and_leave_out_what_is_empty() -> None:
    item = encoded_parcel(2)
    for result in item.results:
        assert [one.data for one in result.smart_signals.values()] == list(DATA)
    assert b'"data":""' not in item.records[0] and b'"details"' not in item.records[0]


def test_the_api_documents_every_field_of_a_signal() -> None:
    assert set(SmartSignalResponse.model_fields) == set(Presented.__struct_fields__)
    assert ScoreResponse.model_fields["smart_signals"].annotation == dict[str, SmartSignalResponse]


def test_the_benchmark_of_the_stage_reports_what_it_is_held_to() -> None:
    details = bench_enrich(related([{}] * 300), SIGNALS).report()["details"]
    assert details["us_per_event_of_256"] > 0 and details["ms_per_batch_of_64"] > 0
    assert set(details["stages"]) == {"view", *SMART_SIGNALS}
    assert details["catalogue_signals"] >= 1_100 and details["smart_signals"] == 24


def test_the_benchmark_refuses_too_few_events() -> None:
    with pytest.raises(ValueError, match="too few to measure with"):
        bench_enrich(related([{}] * 10), SIGNALS)


def test_a_measurement_counts_every_event_once() -> None:
    found = measure(500, 4)
    assert found["events"]["honest"] == 500
    assert found["signals"] == signals_digest()
    for kind, events in found["events"].items():
        assert all(0 <= count <= events for count in found["true"][kind].values())
    assert all(found["null"][name] + found["true"]["honest"][name] <= 500 for name in SMART_SIGNALS)


def test_a_measurement_without_enough_people_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.signals.measure.enriched_batches", lambda events, seed: iter(()))
    with pytest.raises(NotEnoughTraffic, match="has 0 honest events"):
        measure(100, 4)


def test_the_measurement_is_of_this_code() -> None:
    assert read_measured()["signals"] == signals_digest(), "run: clickgoose signals measure && clickgoose docs"


def test_the_digest_follows_the_code_that_judges(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text("a")
    (tmp_path / "document.py").write_text("a")
    before = signals_digest(tmp_path)
    (tmp_path / "document.py").write_text("b")
    assert signals_digest(tmp_path) == before
    (tmp_path / "bot.py").write_text("b")
    assert signals_digest(tmp_path) != before


def test_it_was_measured_on_enough_people() -> None:
    assert read_measured()["events"]["honest"] >= 20_000


@pytest.mark.parametrize("name", NEVER_OFTEN)
def test_signals_that_accuse_are_seldom_true_of_people(name: str) -> None:
    assert share(read_measured(), name) < RARE


def test_signals_that_are_often_true_of_people_say_why() -> None:
    measured = read_measured()
    unsaid = [one.name for one in SIGNALS if share(measured, one.name) > RARE and not one.honest_true]
    assert unsaid == []


def test_the_page_prints_rates_data_and_grounds() -> None:
    measured = read_measured()
    people = measured["events"]["honest"]
    measured["true"]["honest"]["vpn"] = round(0.0123 * people)
    measured["data"]["vpn"] = "vpn 1.4"
    page = document(measured)
    section = page[page.index("\n## vpn\n") : page.index("\n## proxy\n")]
    assert "True of 1.23% of people's events." in section and "- Data: vpn 1.4." in section
    assert all(f"| {clue.reason} | {clue.weight:g} |" in page for signal in SIGNALS for clue in signal.clues)
