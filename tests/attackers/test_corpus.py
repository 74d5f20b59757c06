"""The recorded attackers and controls through the real stages: who is called automated, and for which reasons.

The corpus was collected by our own agent in real browsers (``docs/attackers.md``); no browser is needed here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from enrichers.registry import SIGNALS
from infra.traffic.recorded.corpus import FOLDER, Recorded, read, read_all, write
from tests.attackers.clients import BY_NAME, CLIENTS
from tests.attackers.judge import TELLING, Judged, judge, ordered, pipeline, table

_CAUGHT = 0.9
_MOST_BYTES = 3_000_000
_SUBMITTED = 208  # log code
_WRITTEN = Path(__file__).parents[2] / "build" / "attackers.md"


@pytest.fixture(scope="module")
def corpus() -> dict[str, Recorded]:
    """Return the corpus."""
    return read_all()


@pytest.fixture(scope="module")
def judged(corpus: dict[str, Recorded]) -> dict[str, Judged]:
    """Return what the stages say of every client, and leave the table in build/."""
    stages = pipeline()
    found = {name: judge(recorded, stages) for name, recorded in corpus.items()}
    _WRITTEN.parent.mkdir(exist_ok=True)
    _WRITTEN.write_text(table(found.values()), "utf-8")
    return found


def test_every_client_is_recorded_with_its_visits_in_order(corpus: dict[str, Recorded]) -> None:
    assert set(corpus) == {client.name for client in CLIENTS}
    for name, recorded in corpus.items():
        assert (recorded.name, recorded.kind) == (name, BY_NAME[name].kind)
        assert recorded.version
        assert len(recorded.visits) >= 2
        assert all(visit and ordered(visit) for visit in recorded.visits)


def test_the_corpus_stays_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < _MOST_BYTES


def test_writing_what_was_read_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("chromium-headed", "puppeteer"):
        before = FOLDER / f"{name}.json.xz"
        assert write(read(before), tmp_path).read_bytes() == before.read_bytes()


def test_attackers_and_people_paid_and_only_those_from_the_command_line_did_not(corpus: dict[str, Recorded]) -> None:
    for client in CLIENTS:
        for visit in corpus[client.name].visits:
            codes = {entry["code"] for event in visit for entry in event.activity}
            assert (_SUBMITTED in codes) is (client.how != "alone"), client.name


def test_at_least_nine_attackers_in_ten_are_caught_on_every_visit_for_a_right_reason(
    judged: dict[str, Judged],
) -> None:
    attackers = [one for one in judged.values() if one.kind == "attacker"]
    missed = {one.name: one.accused() for one in attackers if not one.caught()}
    assert len(missed) <= (1 - _CAUGHT) * len(attackers), missed


def test_no_control_is_accused_on_any_event(judged: dict[str, Judged]) -> None:
    controls = {one.name: one.accused() for one in judged.values() if one.kind == "control"}
    assert controls == {"chromium-headed": {}, "firefox-headed": {}}


def test_no_reason_that_is_right_for_an_attacker_is_seen_at_a_control(judged: dict[str, Judged]) -> None:
    """Not even under the threshold: what a person shows as well, like no sound card, proves nothing."""
    right = {reason for client in CLIENTS for reason in client.right}
    for control in (one for one in judged.values() if one.kind == "control"):
        for event in (event for visit in control.visits for event in visit):
            assert not right & {reason for name in TELLING for reason in event[name].reasons}, control.name


def test_the_telling_signals_can_be_computed_for_every_client_once_all_is_collected(judged: dict[str, Judged]) -> None:
    for one in judged.values():
        for visit in one.visits:
            assert all(visit[-1][name].result is not None for name in TELLING), one.name


def test_every_right_reason_is_one_that_a_telling_signal_can_give() -> None:
    possible = {reason for signal in SIGNALS if signal.name in TELLING for reason in signal.reasons}
    for client in CLIENTS:
        assert set(client.right) <= possible, client.name
        assert bool(client.right) is (client.kind == "attacker")
