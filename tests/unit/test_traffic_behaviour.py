from __future__ import annotations

from itertools import pairwise
from random import Random
from statistics import mean, pstdev

import pytest

from infra.traffic.behaviour import LOGIN, MAX_ENTRIES, MIN_ENTRIES, PAYMENT, Hand, Normals, log_size
from infra.traffic.manner import CARES, Care, Manner, person, program
from schemas.log_codes import load_log_codes

CODES = load_log_codes()
TARGETS = CODES.targets


def _hand(seed: int, device: str = "desktop", care: Care = "person", form: tuple[str, ...] = PAYMENT * 3) -> Hand:
    random = Random(seed)
    normals = Normals(random)
    return Hand(random, normals, program(random, normals.next, device != "desktop", care), device != "desktop", form)


def _manners(care: Care, count: int = 600) -> list[Manner]:
    random = Random(9)
    normals = Normals(random)
    return [program(random, normals.next, False, care) for _ in range(count)]


def _intervals(log: list[tuple[int, int, float, int]]) -> list[float]:
    return [value for _, code, value, _ in log if code == CODES.code("key_interval")]


def test_honest_logs_have_20_to_220_entries() -> None:
    random = Random(1)
    sizes = [log_size(random, small=False) for _ in range(2_000)]
    assert min(sizes) >= MIN_ENTRIES
    assert max(sizes) <= MAX_ENTRIES
    assert {log_size(random, small=True) for _ in range(500)} <= set(range(20, 61))


def test_a_log_has_the_size_asked_for_and_goes_on_where_the_last_ended() -> None:
    human = _hand(2)
    first, second = human.log(60), human.log(60)
    assert (len(first), len(second)) == (60, 60)
    times = [entry[0] for entry in first + second]
    assert all(a <= b for a, b in pairwise(times))
    assert first[0][1] == CODES.code("page_opened")
    assert human.now > times[-1]


def test_the_last_log_submits_the_form() -> None:
    codes = [entry[1] for entry in _hand(3).finish(40, "payment_succeeded")]
    assert codes[-2:] == [CODES.code("submitted"), CODES.code("payment_succeeded")]
    assert len(codes) == 40


def test_people_type_unevenly_and_crude_programs_do_not() -> None:
    human = _intervals([entry for seed in range(20) for entry in _hand(seed).log(200)])
    assert 90 < mean(human) < 320
    assert pstdev(human) / mean(human) > 0.4
    crude = [_intervals(_hand(seed, care="crude").log(200)) for seed in range(40)]
    spreads = [pstdev(keys) / mean(keys) for keys in crude if len(keys) > 20 and mean(keys) > 10]
    assert len(spreads) > 10
    assert max(spreads) < 0.4


@pytest.mark.parametrize("habit", ["pace", "swing", "hurry", "hold", "travel"])
def test_habits_of_people_and_of_careful_and_timed_programs_overlap(habit: str) -> None:
    people = sorted(getattr(manner, habit) for manner in _manners("person"))
    low, high = people[len(people) // 20], people[-len(people) // 20]
    cares: tuple[Care, ...] = ("timed", "careful")
    for care in cares:
        inside = sum(low <= getattr(manner, habit) <= high for manner in _manners(care))
        assert inside > (50 if (care, habit) == ("timed", "swing") else 90), care


def test_some_people_are_as_odd_as_programs() -> None:
    people = _manners("person", 2_000)
    assert any(manner.hold < 4 for manner in people)
    assert any(manner.hold_spread < 0.05 for manner in people)
    assert any(manner.scripts for manner in people)
    assert any(manner.keyboard for manner in people)
    random = Random(1)
    assert not any(person(random, Normals(random).next, True).keyboard for _ in range(50))


@pytest.mark.parametrize("care", CARES)
def test_a_form_is_filled_in_once_and_submitted_by_anybody(care: Care) -> None:
    for seed in range(10):
        hand = _hand(seed, "phone", care, LOGIN)
        log = hand.fill_in("api_failed")
        assert [entry[1] for entry in log[-2:]] == [CODES.code("submitted"), CODES.code("api_failed")]
        touched = {entry[3] for entry in log if entry[1] == CODES.code("field_focused")}
        silent = {entry[3] for entry in log if entry[1] == CODES.code("value_set_by_script")}
        assert touched | silent == {TARGETS[name] for name in LOGIN}
        assert care in ("crude", "timed") or len(touched) == len(LOGIN)
        again = hand.fill_in("")
        assert again[0][0] >= log[-1][0]
        assert all(a[0] <= b[0] for a, b in pairwise(log + again))


def test_phones_touch_and_desktops_point() -> None:
    touch, point = CODES.code("touch_summary"), CODES.code("pointer_summary")
    phone, desktop = ({e[1] for e in _hand(5, device).log(200)} for device in ("phone", "desktop"))
    assert (touch in phone, point in phone) == (True, False)
    assert (touch in desktop, point in desktop) == (False, True)


def test_crude_programs_set_values_and_click_without_a_trail() -> None:
    logs = [_hand(seed, care="crude").fill_in("payment_declined") for seed in range(30)]
    codes = {entry[1] for log in logs for entry in log}
    for name in ("value_set_by_script", "untrusted_event", "click_without_trail", "payment_declined", "pasted"):
        assert CODES.code(name) in codes


def test_another_form_follows_on_the_same_page() -> None:
    hand = _hand(7)
    first = hand.finish(30, "payment_declined")
    hand.turn_to(PAYMENT)
    second = hand.fill_in("payment_succeeded")
    assert second[0][0] >= first[-1][0]
    assert CODES.code("page_opened") not in {entry[1] for entry in second}
