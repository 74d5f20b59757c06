"""recognize: what its columns mean, what is left out, and how much memory it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flows.chain import Chain
from flows.stages.recognize import Recognize, hashes, kernels, layout
from flows.stages.recognize.reputation import PRIOR, STRENGTH, posterior
from flows.stages.recognize.stage import DAY, RecognizeSession
from flows.stages.recognize.state import SEED_WEIGHT, HalfLives, Sizes
from flows.stages.recognize.warm import compile_kernels
from flows.stages.velocity import Velocity
from schemas.batches import Counted, Decided, Decision, Recognition, Rules, Score, Shared, SmartSignals
from schemas.catalogue import load_catalogue
from schemas.recognition import (
    COMBINATIONS,
    REPUTED,
    LabelTable,
    LabelTables,
    PrevalenceSeed,
    entity_keys,
)
from schemas.result import DECISIONS
from schemas.shared import unknown
from schemas.velocity import SCORE_LAG, SLICES
from tests.builders import NOW, counted, network_of, normalized
from tests.deciding import decide_stage

SMALL = Sizes(1 << 13, 1 << 13, 1 << 13)
WINDOWS = {"browser": "chrome", "browser_version": 140, "system": "windows", "system_version": 10, "device": "desktop"}
LONG = [{"code": 207, "t": 100 * at} for at in range(12)]
KIND = COMBINATIONS.index


def session(**settings: Any) -> RecognizeSession:
    return Recognize(**{"sizes": SMALL, **settings}).open(())


def recognition(opened: RecognizeSession, batch: Counted) -> Recognition:
    return opened.apply(batch).oks.recognition


def addressed(batch: Counted, addresses: Sequence[str], asn: int = 0, first_offset: int = 0) -> Counted:
    """Return the batch with IPv4 addresses, "" for none, and an AS."""
    rows = len(batch)
    found = np.zeros((rows, 16), np.uint8)
    for row, address in enumerate(addresses):
        if address:
            found[row] = [0] * 10 + [255] * 2 + [int(part) for part in address.split(".")]
    offsets = np.arange(first_offset, first_offset + rows)
    return replace(
        batch,
        event=replace(batch.event, address=found),
        origin=replace(batch.origin, offset=offsets),
        network=network_of(rows, [{"asn": asn}] * rows),
    )


def scored(batch: Any, decisions: Sequence[str]) -> Decided:
    rows = len(batch)
    none = np.empty((rows, 0))
    smart = SmartSignals((), none.astype(np.int8), none.astype(np.float32), none.astype(np.uint32))
    numbers = np.array([DECISIONS.index(name) for name in decisions], np.uint8)
    score, decision = Score.of("test", np.zeros(rows, np.float32)), Decision.of(numbers)
    sections: Any = {name: getattr(batch, name) for name in type(batch).__dataclass_fields__}
    shared, rules = Shared(unknown(rows), np.zeros(rows, np.bool_)), Rules.none(rows)
    return Decided(**sections, shared=shared, smart=smart, score=score, rules=rules, decision=decision)


def decide(opened: RecognizeSession, address: str, decisions: Sequence[str], first: int = 0) -> None:
    """Let events of an address be decided so, one after the other."""
    rows = len(decisions)
    batch = addressed(counted([{}] * rows), [address] * rows, asn=7, first_offset=first)
    opened.remember(scored(opened.apply(batch).oks, decisions))


def test_a_combination_is_counted_where_its_first_attribute_is_shown() -> None:
    out = recognition(session(), counted([{}] * 3, environment=[WINDOWS, WINDOWS, {}]))
    assert out.seen[:2, KIND("browser")].tolist() == [0, 1]
    assert out.seen[:2, KIND("system")].tolist() == [0, 1]
    assert np.isnan(out.seen[2]).all()
    assert np.isnan(out.seen[:, KIND("fonts")]).all()


def test_a_screen_is_the_same_whichever_way_it_is_turned_and_a_renderer_by_its_model() -> None:
    turned = {"screen_pixels_wide": 1080, "screen_pixels_high": 2400, "gpu": "arm", "gpu_model": "Mali-G78"}
    other = {"screen_pixels_wide": 2401, "screen_pixels_high": 1080, "gpu": "arm", "gpu_model": "Mali-G77"}
    out = recognition(session(), counted([{}] * 2, environment=[turned, other]))
    assert out.seen[1, KIND("screen")] == 1
    assert out.seen[1, KIND("graphics")] == 0


def test_a_count_is_halved_in_a_half_life_and_an_event_long_ago_is_unseen_again() -> None:
    opened = session(half_lives=HalfLives(DAY, DAY))
    times = [NOW, NOW + DAY, NOW + 2 * DAY, NOW + 30 * DAY]
    batch = counted([{}] * 4, environment=[WINDOWS] * 4, times=times)
    batch = replace(batch, origin=replace(batch.origin, appended_at=np.array(times) + 30))
    seen = recognition(opened, batch).seen[:, KIND("browser")]
    np.testing.assert_allclose(seen[:3], [0, 0.5, 0.75], rtol=1e-6)
    assert seen[3] < 1e-8


def test_tails_are_not_known_before_a_thousand_events_are() -> None:
    opened = session()
    batch = counted([{}] * 1_200, environment=[WINDOWS] * 1_198 + [{**WINDOWS, "browser_version": 12}] + [WINDOWS])
    tail = recognition(opened, batch).tail[:, KIND("browser")]
    assert np.isnan(tail[:1_000]).all()
    assert tail[1_000:1_198] == pytest.approx(1.0)
    assert tail[1_198] < 0.002  # itself and the very first event
    assert tail[1_199] == pytest.approx(1.0, rel=0.01)


def seed_of(opened: RecognizeSession, batch: Counted, counts: Sequence[int]) -> PrevalenceSeed:
    kind = KIND("browser")
    keys = opened.rows_of(batch).combinations[:, kind]
    return PrevalenceSeed("1", np.full(len(keys), kind, np.uint8), keys, np.array(counts, np.uint32))


def test_a_seed_says_from_the_first_event_on_what_is_usual_and_what_it_does_not_know_is_null() -> None:
    shown = counted([{}] * 3, environment=[{**WINDOWS, "browser_version": version} for version in (140, 139, 138)])
    seed = seed_of(session(), shown, [9_000, 990, 10])
    versions = [{**WINDOWS, "browser_version": version} for version in (140, 139, 138, 11)]
    opened = session(seed=seed)
    out = recognition(opened, counted([{}] * 4, environment=versions))
    tail, seen = out.tail[:, KIND("browser")], out.seen[:, KIND("browser")]
    assert seen[:4] == pytest.approx([0.9 * SEED_WEIGHT, 0.099 * SEED_WEIGHT, 0.001 * SEED_WEIGHT, 0], rel=1e-5)
    assert tail[0] == pytest.approx(1)
    assert tail[1] == pytest.approx(0.1, rel=0.01)
    assert tail[2] == pytest.approx(0.00125, rel=0.01)  # itself is one of 4,001
    assert tail[3] == pytest.approx(1 / 4_003, rel=0.01)
    assert np.isnan(out.tail[:, KIND("system")]).all()


def test_what_half_of_the_traffic_shows_is_never_rare_while_its_share_falls() -> None:
    versions = [140] * 800 + [139] * 500 + [140, 139] * 400
    shown = counted([{}] * len(versions), environment=[{**WINDOWS, "browser_version": each} for each in versions])
    tail = recognition(session(), shown).tail[1_300:, KIND("browser")]
    assert tail.min() > 0.35


def test_what_becomes_usual_stops_being_rare_after_a_few_events() -> None:
    seed = seed_of(session(), counted([{}], environment=[WINDOWS]), [10_000])
    out = recognition(session(seed=seed), counted([{}] * 20, environment=[{**WINDOWS, "browser_version": 150}] * 20))
    rare = out.tail[:, KIND("browser")] <= 0.001
    assert rare[0]
    assert rare.sum() < 8
    assert not rare[10:].any()


def test_an_unknown_address_has_its_networks_share_and_that_its_systems() -> None:
    opened = session()
    decide(opened, "10.0.0.1", ["deny"] * 30 + ["allow"] * 10)
    where = ["10.0.0.1", "10.0.0.2", "10.0.1.1", ""]
    later = addressed(counted([{}] * 4), where, asn=7, first_offset=40 + SCORE_LAG)
    out = recognition(opened, later)
    everybody = (30 + PRIOR * STRENGTH["everybody"]) / (40 + STRENGTH["everybody"])
    system = (30 + STRENGTH["asn"] * everybody) / (40 + STRENGTH["asn"])
    network = (30 + STRENGTH["network"] * system) / (40 + STRENGTH["network"])
    address = (30 + STRENGTH["address"] * network) / (40 + STRENGTH["address"])
    assert out.denied[0] == pytest.approx([address, network, system])
    assert out.denied[1] == pytest.approx([network * 10 / 10, network, system])
    assert out.denied[2] == pytest.approx([system, system, system])
    assert out.weight[:3].tolist() == [[40, 40, 40], [0, 40, 40], [0, 0, 40]]
    assert np.isnan(out.denied[3, :2]).all()
    assert np.isnan(out.weight[3, :2]).all()
    assert out.denied[3, 2] == pytest.approx(system)


def test_nobody_is_suspect_before_anything_was_decided() -> None:
    out = recognition(session(), addressed(counted([{}]), ["10.0.0.1"], asn=7))
    assert out.denied[0] == pytest.approx([PRIOR] * 3)
    assert out.weight[0].tolist() == [0, 0, 0]


def test_a_decision_is_seen_score_lag_offsets_later_and_no_sooner() -> None:
    opened = session()
    decide(opened, "10.0.0.1", ["deny"], first=5)
    batch = addressed(counted([{}] * 2), ["10.0.0.1"] * 2, asn=7, first_offset=5 + SCORE_LAG - 1)
    assert recognition(opened, batch).weight[:, 0].tolist() == [0, 1]


def test_a_review_is_no_denial() -> None:
    opened = session()
    decide(opened, "10.0.0.1", ["review"] * 50)
    out = recognition(opened, addressed(counted([{}]), ["10.0.0.1"], asn=7, first_offset=50 + SCORE_LAG))
    assert out.weight[0].tolist() == [50, 50, 50]
    assert (out.denied[0] < PRIOR).all()


def test_labels_are_added_to_what_was_counted() -> None:
    batch = addressed(counted([{}] * 2), ["10.0.0.1", "10.9.0.1"], asn=7)
    keys = entity_keys(batch.network, batch.event.address)
    nothing = LabelTable(np.empty(0, np.uint64), np.empty(0, np.float32), np.empty(0, np.float32))
    told = LabelTable(keys[:1, 0], np.array([20], np.float32), np.array([20], np.float32))
    out = recognition(session(labels=LabelTables((told, nothing, nothing), "1")), batch)
    assert out.weight[:, 0].tolist() == [20, 0]
    assert out.denied[0, 0] == pytest.approx((20 + PRIOR * 10) / 30)
    assert out.denied[1, 0] == pytest.approx(PRIOR)


def test_a_wider_share_passes_an_entity_that_is_not_there() -> None:
    keys = np.array([[1, 2, 0]], np.uint64)
    weight, denied = np.array([[0, 0, 99, 0.0]]), np.array([[0, 0, 99, 0.0]])
    share, rests = posterior(keys, weight, denied)
    assert share[0, :2] == pytest.approx([PRIOR, PRIOR])
    assert np.isnan(share[0, 2])
    assert np.isnan(rests[0, 2])


def _flood(opened: RecognizeSession, rows: int, first: int) -> None:
    """Let events come whose combinations, networks and contents nobody else has."""
    numbers = np.arange(first, first + rows)
    batch = counted([{"timing.page_age": float(number)} for number in numbers], environment=[WINDOWS] * rows)
    address = np.zeros((rows, 16), np.uint8)
    address[:, :8] = np.asarray(numbers, ">u8").view(np.uint8).reshape(rows, 8)
    batch = replace(
        batch,
        event=replace(batch.event, address=address),
        origin=replace(batch.origin, offset=numbers),
        environment=replace(batch.environment, fingerprint=numbers.astype(np.uint64) + np.uint64(1)),
    )
    opened.remember(scored(opened.apply(batch).oks, ["allow"] * rows))


def test_memory_is_bounded_and_the_heavy_stay() -> None:
    least = Sizes(SLICES * layout.PROBED, SLICES * layout.PROBED, SLICES * layout.PROBED)
    opened = session(sizes=least)
    before = opened.nbytes
    decide(opened, "10.0.0.1", ["deny"] * 400)
    heavy = counted([{}] * 400, environment=[{**WINDOWS, "fingerprint": 1 << 40}] * 400)
    opened.apply(replace(heavy, origin=replace(heavy.origin, offset=np.arange(400, 800))))
    for first in range(1 << 20, (1 << 20) + 12_000, 1_000):
        _flood(opened, 1_000, first)
    records = opened._state.records
    assert all(1_800 < count <= size for count, size in zip(records, least, strict=True))
    assert opened.nbytes == before
    batch = addressed(
        counted([{}], environment=[{**WINDOWS, "fingerprint": 1 << 40}]), ["10.0.0.1"], asn=7, first_offset=1 << 21
    )
    out = recognition(opened, batch)
    assert out.seen[0, KIND("machine")] == 400
    assert out.seen[0, KIND("browser")] == 12_400
    assert out.weight[0].tolist() == [400, 400, 400]


def test_the_default_takes_less_than_forty_megabytes_a_partition() -> None:
    assert Recognize().open(()).nbytes < 40 << 20


def test_what_is_restored_keeps_the_sizes_and_half_lives_that_it_began_with() -> None:
    frame = session(half_lives=HalfLives(DAY, DAY)).snapshot()
    restored = Recognize(half_lives=HalfLives(2 * DAY, 2 * DAY), sizes=Sizes(1 << 14, 1 << 14, 1 << 14)).open(
        [frame.data]
    )
    assert restored.nbytes == session().nbytes
    assert restored._state.tables.words[layout.PREVALENCE_HALF] == DAY


def test_snapshots_that_cannot_be_used_say_so() -> None:
    opened = session()
    whole = opened.snapshot()
    part = opened.snapshot_of(3, 4).data
    other = session(sizes=Sizes(1 << 14, 1 << 13, 1 << 13))
    for wrong, sentence in (
        ([b""], "ends early"),
        ([b"CGVS" + whole.data[4:]], "not a snapshot of recognize"),
        ([whole.data[:-1]], "ends early"),
        ([whole.data + b"\0"], "left over"),
        ([part], "lack 1020 of 1024 slices"),
        ([other.snapshot().data, part], "of different states"),
        ([whole.data[:6] + b"\xff\xff" + whole.data[8:]], "contradicts itself"),
    ):
        with pytest.raises(ValueError, match=sentence):
            Recognize().open(wrong)
    assert whole.slices == SLICES


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="at least a day"):
        Recognize(half_lives=HalfLives(DAY - 1, DAY))
    with pytest.raises(ValueError, match="multiple of 1024"):
        Recognize(sizes=Sizes(1_000, 1 << 13, 1 << 13)).open(())


def test_an_epoch_adds_little_to_the_log() -> None:
    opened = session()
    opened.snapshot()
    for first in range(0, 10_000, 1_000):
        _flood(opened, 1_000, first)
    opened.snapshot()
    _flood(opened, 500, 10_000)
    frame = opened._state.frame(0, 0)
    changed = sum(column.nbytes for records in frame.changed for column in records)
    assert changed < 500 * 130
    waiting = sum(column.nbytes for column in frame.decided)
    assert waiting < 45 * (SCORE_LAG + 1_000)


RECORDS: Any = (layout.COMBINATION, layout.ENTITY, layout.COPY)


def test_kernels_find_the_fields_of_records_where_numpy_has_them() -> None:
    one, two, three = ({name: field[1] for name, field in kind.fields.items()} for kind in RECORDS)
    assert (one["weight"], one["changed"]) == (layout._COMBINATION_WEIGHT, layout._COMBINATION_CHANGED)
    assert (two["weight"], two["denied"]) == (layout._ENTITY_WEIGHT, layout._ENTITY_DENIED)
    assert (two["changed"], three["changed"]) == (layout._ENTITY_CHANGED, layout._COPY_CHANGED)


def test_columns_that_are_not_plain_are_recognized_as_plain_ones() -> None:
    batch = counted([{"timing.page_age": 5.0}] * 4, environment=[WINDOWS] * 4)
    offset, address = np.repeat(batch.origin.offset, 2)[::2], batch.event.address.copy()
    address.flags.writeable = False
    other = replace(batch, origin=replace(batch.origin, offset=offset), event=replace(batch.event, address=address))
    found, expected = session(), session()
    one, two = found.apply(other).oks.recognition, expected.apply(batch).oks.recognition
    np.testing.assert_array_equal(one.seen, two.seen)
    np.testing.assert_array_equal(one.weight, two.weight)
    for opened, rows in ((found, other), (expected, batch)):
        opened.remember(scored(opened.apply(rows).oks, ["deny"] * 4))
    assert found.snapshot().data == expected.snapshot().data


def test_decisions_that_wait_in_any_number_are_seen_in_their_order() -> None:
    whole, cut = session(), session()
    rows = 6_000
    batch = addressed(counted([{}] * rows), ["10.0.0.1"] * rows, asn=7)
    decisions = ["deny" if row % 3 else "allow" for row in range(rows)]
    told = scored(whole.apply(batch).oks, decisions)
    whole.remember(told)
    cut.apply(batch)
    for first in range(0, rows, 500):
        cut.remember(told.take(np.arange(first, first + 500)))
    later = addressed(counted([{}] * 2), ["10.0.0.1"] * 2, asn=7, first_offset=rows + SCORE_LAG - 2_000)
    one, two = recognition(whole, later), recognition(cut, later)
    assert one.weight[:, 0].tolist() == [rows - 1_999, rows - 1_998]
    np.testing.assert_array_equal(one.weight, two.weight)
    np.testing.assert_array_equal(one.denied, two.denied)
    assert whole.snapshot().data == cut.snapshot().data


def test_a_session_needs_nothing_that_setup_did_not_compile() -> None:
    compile_kernels()
    found: list[Any] = [kernels.recognize_rows, kernels.begin, kernels.rescale]
    found += [hashes.row_keys, kernels.note_decided]
    before = [len(kernel.signatures) for kernel in found]
    opened = session(seed=seed_of(session(), counted([{}], environment=[WINDOWS]), [3]))
    opened.remember(scored(opened.apply(counted([{}] * 3)).oks, ["deny"] * 3))
    session_after = Recognize().open([opened.snapshot().data])
    session_after.apply(counted([{}]))
    assert min(before) > 0
    assert [len(kernel.signatures) for kernel in found] == before


def test_all_keyed_stages_are_saved_in_one_frame_and_none_alone_can_be_read_as_all() -> None:
    chain = Chain(Velocity(), Recognize(sizes=SMALL), decide_stage())
    assert chain.name == "velocity+recognize"
    opened = chain.open(())
    batch = normalized([{"timing.page_age": 5.0}] * 3, environment=[WINDOWS] * 3)
    opened.apply(batch)
    frame = opened.snapshot()
    again = chain.open([frame.data, opened.snapshot().data])
    later = normalized([{}] * 2, environment=[WINDOWS] * 2)
    ids = later.event.event_id.copy()
    ids[:, 1] = 9
    later = replace(later, event=replace(later.event, event_id=ids))
    assert again.apply(later).oks.recognition.seen[:, KIND("browser")].tolist() == [3, 4]
    velocity = Velocity().open(())
    for wrong in (velocity.snapshot().data, b"", frame.data[:20], frame.data[:4] + b"\x09" + frame.data[5:]):
        with pytest.raises(ValueError, match="rebuild the state from Kafka"):
            chain.open([wrong])


def test_the_catalogue_has_what_combinations_are_made_of() -> None:
    load_catalogue().number("timing.page_age")
    assert set(REPUTED) == set(STRENGTH) - {"everybody"}
