from __future__ import annotations

from itertools import pairwise
from random import Random
from statistics import mean, pstdev

from infra.traffic.behaviour import MAX_ENTRIES, MIN_ENTRIES, Human, Machine, Normals, log_size
from schemas.log_codes import load_log_codes

CODES = load_log_codes()


def _human(seed: int, device: str = "desktop") -> Human:
    random = Random(seed)
    return Human(random, Normals(random), device)


def _intervals(log: list[tuple[int, int, float, int]]) -> list[float]:
    return [value for _, code, value, _ in log if code == CODES.code("key_interval")]


def test_honest_logs_have_20_to_220_entries() -> None:
    random = Random(1)
    sizes = [log_size(random, small=False) for _ in range(2_000)]
    assert min(sizes) >= MIN_ENTRIES
    assert max(sizes) <= MAX_ENTRIES
    assert {log_size(random, small=True) for _ in range(500)} <= set(range(20, 61))


def test_a_log_has_the_size_asked_for_and_goes_on_where_the_last_ended() -> None:
    human = _human(2)
    first, second = human.log(60), human.log(60)
    assert (len(first), len(second)) == (60, 60)
    times = [entry[0] for entry in first + second]
    assert all(a <= b for a, b in pairwise(times))
    assert first[0][1] == CODES.code("page_opened")
    assert human.now > times[-1]


def test_the_last_log_submits_the_form() -> None:
    codes = [entry[1] for entry in _human(3).finish(40, paid=True)]
    assert codes[-2:] == [CODES.code("submitted"), CODES.code("payment_succeeded")]
    assert len(codes) == 40


def test_people_type_unevenly_and_machines_do_not() -> None:
    human = _intervals([entry for seed in range(5) for entry in _human(seed).log(200)])
    random = Random(4)
    machine = _intervals(Machine(random, Normals(random), "type", 30.0).log(("card_number",) * 20))
    assert 100 < mean(human) < 300
    assert pstdev(human) / mean(human) > 0.4
    assert pstdev(machine) / mean(machine) < 0.1


def test_phones_touch_and_desktops_point() -> None:
    touch, point = CODES.code("touch_summary"), CODES.code("pointer_summary")
    phone, desktop = ({e[1] for e in _human(5, device).log(200)} for device in ("phone", "desktop"))
    assert (touch in phone, point in phone) == (True, False)
    assert (touch in desktop, point in desktop) == (False, True)


def test_scripts_set_values_and_click_without_a_trail() -> None:
    random = Random(6)
    codes = {entry[1] for entry in Machine(random, Normals(random)).log(("email",), declined=True)}
    for name in ("value_set_by_script", "untrusted_event", "click_without_trail", "payment_declined"):
        assert CODES.code(name) in codes
