from __future__ import annotations

import hashlib
import re
from itertools import pairwise

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enrichers.address_table import load_address_table
from flows.stages.decode import Decode
from flows.stages.normalize import Normalize
from flows.stages.velocity import Velocity
from flows.stages.verify_mask import VerifyMask
from infra.traffic.attackers import ATTACKERS, NUISANCES
from infra.traffic.attackers.malformed import SPOILS, malformed
from infra.traffic.browser_support import known_names
from infra.traffic.craft import Craft
from infra.traffic.dataset import dataset_keys, labelled_batches
from infra.traffic.graphics import is_virtual
from infra.traffic.scenario import Mix
from infra.traffic.sealing import bodies, seal_event
from infra.traffic.visits import FRAUD, HONEST, Campaign, Visit
from ingest_api.checks import Reason as DoorReason
from schemas.batches import Ledger, Origin, RawBatch
from schemas.dead_letter import REASONS, DeadLetter, Reason
from schemas.envelope import Attested, wrap
from schemas.log_codes import load_log_codes
from schemas.networks import NETWORK_BIT
from schemas.sealed import Header, read_header

AT = 1_780_272_000_000
CODES = load_log_codes()


def _campaign(kind: str, seed: int = 1) -> Campaign:
    maker, _ = {**ATTACKERS, **NUISANCES}[kind]
    return maker(Craft(seed, small=True), AT)


def _shown(visit: Visit) -> dict[str, object]:
    return dict(visit.events[-1].all_signals())  # the first may have been sent before all was known


def _codes(campaign: Campaign) -> list[int]:
    return [entry[1] for _, visit in campaign for event in visit.events for entry in event.log]


@pytest.mark.parametrize("kind", [*ATTACKERS])
def test_every_attacker_is_labelled_and_named_and_the_same_for_the_same_seed(kind: str) -> None:
    first, again = _campaign(kind), _campaign(kind)
    assert first == again
    assert all(visit.label == FRAUD and visit.kind == kind and visit.events for _, visit in first)


def _many(kind: str, count: int = 40) -> list[Campaign]:
    craft = Craft(1, small=True)
    maker, _ = {**ATTACKERS, **NUISANCES}[kind]
    return [maker(craft, AT) for _ in range(count)]


def test_headless_browsers_mostly_draw_in_software_and_are_driven() -> None:
    shown = [_shown(campaign[0][1]) for campaign in _many("headless")]
    software = sum("SwiftShader" in str(one.get("webgl.unmasked_renderer")) for one in shown)
    assert 20 <= software < 40
    assert any(one["navigator.webdriver"] for one in shown)
    assert any("HeadlessChrome" in str(one["navigator.user_agent"]) for one in shown)


def test_stealth_mostly_forgets_the_worker() -> None:
    shown = [_shown(campaign[0][1]) for campaign in _many("stealth")]
    assert not any(one["navigator.webdriver"] for one in shown)
    forgotten = [one for one in shown if one.get("worker.user_agent", "") != one["navigator.user_agent"]]
    assert 18 <= len(forgotten) < 40
    assert all("HeadlessChrome" in str(one["worker.user_agent"]) for one in forgotten if one["worker.supported"])


@pytest.mark.parametrize("kind", ["card_testing", "credential_stuffing", "patched", "account_farm", "stealth"])
def test_attackers_come_on_phones_too(kind: str) -> None:
    phones = sum("Mobile" in str(_shown(campaign[0][1])["navigator.user_agent"]) for campaign in _many(kind))
    assert 1 <= phones <= 36


def test_human_operated_fraud_looks_like_its_visitor_and_comes_once() -> None:
    campaigns = _many("patched", 60)
    single = [campaign for campaign in campaigns if len(campaign) == 1]
    assert 3 <= len(single) <= 25
    assert all(not _shown(visit)["navigator.webdriver"] for ((_, visit),) in single)


def test_card_testing_is_one_device_with_many_declined_transactions_within_an_hour() -> None:
    campaign = _campaign("card_testing")
    visits = [visit for _, visit in campaign]
    assert len({visit.device_id for visit in visits}) == 1
    assert len({visit.transaction for visit in visits}) == len(visits) >= 10
    assert campaign[-1][0] < 60 * 60_000
    assert _codes(campaign).count(CODES.code("payment_declined")) > len(visits) / 2


def test_credential_stuffing_is_one_device_or_a_net_of_them_with_many_accounts() -> None:
    campaigns = _many("credential_stuffing")
    for campaign in campaigns:
        visits = [visit for _, visit in campaign]
        assert len({visit.device_id for visit in visits}) in (1, len(visits))
        assert len({visit.linked_id for visit in visits}) == len(visits) >= 8
    assert sum(len({visit.device_id for _, visit in campaign}) == 1 for campaign in campaigns) > len(campaigns) / 2
    assert all({CODES.code("pasted"), CODES.code("api_failed")} & set(_codes(campaign)) for campaign in campaigns)


def test_an_account_farm_is_many_devices_with_one_picture() -> None:
    virtual = 0
    for campaign in _many("account_farm"):
        visits = [visit for _, visit in campaign]
        assert len({visit.device_id for visit in visits}) == len(visits) >= 5
        assert len({str(_shown(visit)["canvas.geometry"]) for visit in visits}) == 1
        virtual += is_virtual(str(_shown(visits[0]).get("webgl.unmasked_renderer")))
    assert 24 <= virtual < 40  # the others are real phones


def test_a_bot_farm_is_many_unmodified_devices_at_once_behind_homes() -> None:
    load, devices, resets, racks, together = load_address_table(), [], 0, 0, 0
    for campaign in _many("bot_farm", 30):
        visits = [visit for _, visit in campaign]
        assert len(visits) >= 12
        shown = [_shown(visit) for visit in visits]
        assert not any(one["navigator.webdriver"] for one in shown)
        devices.append(len({visit.device_id for visit in visits}))
        resets += devices[-1] == len(visits)
        racks += len({str(one["navigator.user_agent"]) for one in shown}) <= 4
        addresses = np.frombuffer(b"".join(visit.address for visit in visits), np.uint8).reshape(-1, 16)
        hosted = load(addresses).classes & (NETWORK_BIT["hosting"] | NETWORK_BIT["vpn"] | NETWORK_BIT["tor"]) > 0
        assert hosted.mean() < 0.5
        ends = [start + visit.events[-1].offset for start, visit in campaign]
        together += sum(start < end for (start, _), end in zip(campaign[1:], ends, strict=False))
    assert min(devices) >= 3 and resets >= 2
    assert together > 100
    assert 10 <= racks <= 28


def test_a_visit_is_replayed_from_elsewhere_and_often_hours_later() -> None:
    waits, elsewhere, victims = [], 0, 0
    for campaign in _many("copier", 60):
        (_, record), (first, copy), *_ = campaign
        waits.append(first - record.events[-1].offset)
        elsewhere += copy.address != record.address
        victims += record.kind == "honest"
    assert 15 <= victims <= 40
    assert elsewhere > 25
    assert 6 <= sum(wait > 600_000 for wait in waits) <= victims
    assert max(waits) > 2 * 3_600_000


def test_attackers_and_people_open_pages_alike() -> None:
    craft = Craft(5, small=True)
    visitor = craft.visitor(AT, "chrome", "windows")
    honest, fraud = 0, 0
    for _ in range(500):
        visit = craft.honest(visitor)
        events = craft.sitting(visitor.signals, "demo-shop", craft.manner("desktop"), "desktop")
        attack = craft.fraud("patched", visitor, events, "demo-shop")
        honest += visit.events[0].all_signals().get("canvas.text") is None
        fraud += attack.events[0].all_signals().get("canvas.text") is None
    assert 45 < honest < 110 and 45 < fraud < 110


def test_a_spoofer_wears_another_systems_user_agent() -> None:
    for seed in range(6):
        shown = _shown(_campaign("spoofer", seed)[0][1])
        assert shown["navigator.platform"] != shown.get("worker.platform", "none")


def test_anti_detect_browsers_mostly_have_noisy_pictures_and_people_behind_them() -> None:
    campaigns = _many("anti_detect")
    noisy = sum(float(str(_shown(campaign[0][1])["canvas.readback_errors"])) > 0 for campaign in campaigns)
    assert 24 <= noisy < 40
    assert any(CODES.code("key_interval") in _codes(campaign) for campaign in campaigns)


def test_patched_browsers_look_honest_and_come_back_with_other_accounts() -> None:
    campaigns = [campaign for campaign in _many("patched") if len(campaign) > 1]
    assert len(campaigns) > 20
    for campaign in campaigns:
        visits = [visit for _, visit in campaign]
        assert len({visit.device_id for visit in visits}) == 1 < len({visit.linked_id for visit in visits})
        assert not _shown(visits[0])["automation.cdp_runtime"]


def test_replayers_are_fraud_and_retriers_are_not() -> None:
    (_, replayed), (_, retried) = _campaign("replayer")[0], _campaign("retrier")[0]
    assert (replayed.label, retried.label) == (FRAUD, HONEST)
    assert replayed.repeats > 1 == retried.repeats


def test_a_copier_plays_what_was_recorded_in_sessions_of_its_own_in_other_browsers_or_in_the_recorded_session() -> None:
    ways: set[str] = set()
    for campaign in _many("copier"):
        record, *copies = [visit for _, visit in campaign]
        assert all(copy.kind == "copier" and copy.label == FRAUD for copy in copies)
        assert 3 <= len(copies) <= 12
        for copy in copies:
            assert [event.log for event in copy.events] == [event.log for event in record.events]
            same_contents = copy.events == record.events
            same_session = copy.transaction == record.transaction
            assert same_contents or not same_session
            ways.add("session" if same_session else "contents" if same_contents else "log")
    assert ways == {"contents", "log", "session"}


def test_copies_have_event_ids_of_their_own_and_contents_that_came_before() -> None:
    made, *_ = labelled_batches(60, 2, small=True, mix=Mix(1.0, 0.0, kinds=("copier",)))
    decoded = Decode(dataset_keys())(made.raw).oks
    assert len(made.kinds) == 60 == len({bytes(one) for one in decoded.event.event_id})
    bounds, times = decoded.activity.offsets.tolist(), decoded.activity.time
    logs = [times[first:last].tobytes() for first, last in pairwise(bounds)]
    assert len(set(logs)) < 45


def _spoilt(way: str) -> bytes:
    """Return the sealed event of a malformed visit, spoilt in one way."""
    craft = Craft(2, small=True)
    while (visit := malformed(craft, AT)[0][1]).spoil != way:
        pass
    session = hashlib.sha256(way.encode()).digest()[:16]
    key = dataset_keys().derive(1, session, "seal")
    assert key is not None
    header = Header(1, session, visit.device_id, session[::-1], 0, AT)
    return seal_event(header, bodies(visit.events[:1])[0], AESGCM(key), b"\x01" * 12, spoil=way)


def _batch(values: list[bytes]) -> RawBatch:
    rows = len(values)
    at = np.full(rows, AT + 20, np.int64)
    origin = Origin("events.raw", np.zeros(rows, np.int32), np.arange(rows), at, at + 2)
    enveloped = tuple(wrap(Attested("demo-shop", "txn", ""), AT + 10, b"\0" * 16, value) for value in values)
    return RawBatch(origin, enveloped, Ledger(("appended", "polled"), np.stack((at, at + 2), axis=1) * 1000))


def _letters(batch: RawBatch) -> list[DeadLetter]:
    decoded = Decode(dataset_keys())(batch)
    verified = VerifyMask()(decoded.oks)
    normal = Normalize()(verified.oks)
    counted = Velocity().open(()).apply(normal.oks)
    return [*decoded.errs, *verified.errs, *normal.errs, *counted.errs]


@pytest.mark.parametrize("way", [*SPOILS])
def test_each_way_to_spoil_an_event_ends_in_the_backup_with_its_reason(way: str) -> None:
    fresh = Header(1, b"\x05" * 16, b"\x06" * 16, b"\x07" * 16, 0, AT)
    key = dataset_keys().derive(1, fresh.session_id, "seal")
    assert key is not None
    visit = Craft(3, small=True).honest(Craft(3).visitor(AT))
    good = seal_event(fresh, bodies(visit.events[:1])[0], AESGCM(key), b"\x02" * 12)
    (letter,) = _letters(_batch([good, _spoilt(way)]))
    assert letter.reason is SPOILS[way].reason


def test_every_reason_that_a_client_can_cause_is_caused() -> None:
    clients = {reason for reason, facts in REASONS.items() if facts.fault in ("client", "merchant")}
    clients |= {Reason.UNKNOWN_KEY, Reason.UNKNOWN_VERSION}
    assert clients == {spoil.reason for spoil in SPOILS.values()}


@pytest.mark.parametrize("way", [way for way, spoil in SPOILS.items() if spoil.at_the_door])
def test_what_the_door_refuses_has_a_reason_there(way: str) -> None:
    assert SPOILS[way].at_the_door in set(DoorReason)
    header = read_header(_spoilt(way))
    assert (header is None) is (SPOILS[way].at_the_door == "bad_header")


def _fired(shown: dict[str, object], *families: str) -> set[str]:
    return {name for name, value in shown.items() if value is True and name.startswith(families)}


def test_driven_browsers_set_off_the_detectors_and_people_set_off_none() -> None:
    driven = [_shown(campaign[0][1]) for campaign in _many("headless")]
    for shown in driven:
        assert (shown["navigator.webdriver"] is True) == ("botd.WebDriver" in _fired(shown, "botd."))
    assert sum(bool(_fired(shown, "botd.")) for shown in driven) > 30
    people = [_shown(campaign[0][1]) for campaign in _many("patched")]
    assert not any(_fired(shown, "botd.") for shown in people)
    assert not any(_fired(shown, "altered.") - {"altered.EventTarget.addEventListener"} for shown in people)


def test_a_stealth_plugin_alters_functions_and_its_worker_tells_the_servers_limits() -> None:
    shown = [_shown(campaign[0][1]) for campaign in _many("stealth")]
    assert sum(bool(_fired(one, "altered.")) for one in shown) > 25
    forgot = [one for one in shown if one.get("worker.platform") == "Linux x86_64"]
    apart = [
        one for one in forgot if one["worker_page.max_render_buffer_size"] != one.get("webgl.max_render_buffer_size")
    ]
    assert len(apart) > len(forgot) / 2


def test_some_anti_detect_browsers_run_another_version_than_they_say() -> None:
    shown = [_shown(campaign[0][1]) for campaign in _many("anti_detect", 80)]
    odd = 0
    for one in shown:
        agent = str(one["navigator.user_agent"])
        found = re.search(r"Chrome/(\d+)", agent)
        if found and "Android" not in agent and "OPR/" not in agent:
            column = known_names("chrome", float(found[1]))
            odd += any(column[name] is not one[name] for name in column if name.startswith("css_property."))
    assert 8 < odd < 50
