"""scripted_input: what programs do to a page, what people do who look like them, and what its weights are made of."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from enrichers import learned as counts
from enrichers.behaviour import LEAST, VERSION, excess, learned
from enrichers.scripted_input import ScriptedInput
from enrichers.stage import Enrich
from enrichers.view import View
from infra.signals.behaviour import Learned, learn, module_of
from schemas.activity_statistics import activity_statistics
from schemas.nested import Entry
from tests.builders import NOW, entry, related

SIGNAL = ScriptedInput()
Log = Sequence[Entry]


class Found(NamedTuple):
    result: int
    confidence: float
    reasons: set[str]


def judged(log: Log) -> Found:
    verdict = SIGNAL.evaluate(View(related([{}], [log])))
    reasons = {name for bit, name in enumerate(SIGNAL.reasons) if int(verdict.reasons[0]) >> bit & 1}
    return Found(int(verdict.result[0]), float(verdict.confidence[0]), reasons)


def typed(intervals: Sequence[float], since: int = 1_000, target: str = "card_number") -> list[Entry]:
    """Return keys of these intervals in ms."""
    at = np.cumsum(intervals) + since
    return [entry("key_interval", int(t), float(each), target) for t, each in zip(at, intervals, strict=True)]


UNEVEN = [60, 240, 110, 420, 95, 180, 70, 310, 120, 520] * 3
POINTED = [entry("pointer_summary", 700, 900), entry("clicked", 900, 85, "button")]
PERSON = [*POINTED, entry("field_focused", 950, 0, "card_number"), *typed(UNEVEN), entry("submitted", 14_000, 14_000)]
FIELDS = ("email", "name", "address", "card_number", "card_expiry", "card_cvv")


def by_script(fields: Sequence[str], events: int) -> list[Entry]:
    """Return fields that were focused and set by a program, with so many untrusted events each."""
    parts = (
        (
            entry("field_focused", 100 + 40 * at, 0, name),
            entry("value_set_by_script", 110 + 40 * at, 9, name),
            entry("untrusted_event", 120 + 40 * at, events, name),
        )
        for at, name in enumerate(fields)
    )
    return [each for part in parts for each in part]


def pasted(fields: Sequence[str], every: int) -> list[Entry]:
    """Return fields that were focused and pasted into, one every so many ms."""
    parts = (
        (entry("field_focused", every * at, 0, name), entry("pasted", every * at + every // 2, 9, name))
        for at, name in enumerate(fields)
    )
    return [each for part in parts for each in part]


PROGRAMS: dict[str, tuple[Log, set[str]]] = {
    "one pace": (typed([50] * 14), {"machine_cadence", "as_fast_as_the_fastest"}),
    "one pace, uneven to the millisecond": (typed([148, 150, 152, 149] * 4), {"machine_cadence"}),
    "an even hand": (typed([100, 120, 140, 110] * 6), {"even_cadence"}),
    "fast as no finger": (typed([5, 22, 9, 31, 12] * 3), {"faster_than_fingers"}),
    "nothing read": ([entry("submitted", 700, 700, "form")], {"submitted_at_once"}),
    "sends events": ([*PERSON, entry("untrusted_event", 5_000, 9)], {"untrusted_events", "many_untrusted_events"}),
    "all pasted at once": (pasted(FIELDS, 300), {"all_pasted", "filled_at_once"}),
    "all pasted slowly": (pasted(FIELDS, 1_500), {"all_pasted"}),
    "no trail, in a hurry": (
        [entry("click_without_trail", 100 * at, 80, "button") for at in range(1, 5)]
        + [entry("field_focused", 420, 0, "email"), entry("field_focused", 430, 0, "name")]
        + [entry("submitted", 2_100, 2_100)],
        {"clicks_without_trail", "submitted_early"},
    ),
}
PEOPLE: dict[str, tuple[Log, set[str]]] = {
    "a person": (PERSON, set()),
    "a password manager": ([*PERSON, *by_script(("email", "cardholder_name", "card_number"), 4)],
                           {"untrusted_events", "card_set_by_script"}),
    "an identity manager": ([*by_script(FIELDS, 4), entry("submitted", 2_500, 2_500)],
                            {"untrusted_events", "card_set_by_script", "all_set_by_script"}),
    "a browser's autofill": ([entry("autofilled", 300, 0, "card_number"), entry("submitted", 900, 900)], set()),
    "a screen reader": ([entry("click_without_trail", 3_000 * at, 0, "button") for at in range(1, 6)]
                        + [entry("clicked", 16_000, 1), entry("clicked", 19_000, 1)],
                        {"clicks_without_trail", "clicks_of_no_length", "no_pointer_at_all"}),
    "a screen reader with a password manager": (
        [entry("click_without_trail", 3_000 * at, 0, "button") for at in range(1, 6)]
        + [entry("clicked", 16_000, 1), entry("clicked", 19_000, 1), *typed(UNEVEN)]
        + by_script(("cardholder_name", "card_number"), 4),
        {"clicks_without_trail", "clicks_of_no_length", "no_pointer_at_all", "untrusted_events", "card_set_by_script"},
    ),
    "keyboard only": ([entry("field_focused", 900 * at, 0, name) for at, name in enumerate(FIELDS, 1)]
                      + typed(UNEVEN, 6_000) + [entry("activated_by_key", 13_000)], set()),
    "tabs through a form": ([entry("field_focused", 120 * at, 0, name) for at, name in enumerate(FIELDS * 2)], set()),
    "a card from a vault": ([*POINTED, *pasted(("card_number", "card_cvv"), 900)], {"pasted_whole_card"}),
    "a card fetched elsewhere": ([*PERSON, entry("tab_left", 4_000), entry("tab_returned", 9_000, 5_000),
                                  entry("pasted", 9_400, 16, "card_number")], {"card_from_another_tab"}),
    "nearly left": ([*PERSON, entry("close_attempted", 9_000)], {"close_attempted"}),
    "a trained typist": (typed([150, 250, 100, 200] * 6), {"rather_even_cadence"}),
    "one click of an aid": ([*PERSON, entry("click_without_trail", 9_500)], {"click_without_trail"}),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_told_from_a_hand(name: str) -> None:
    log, reasons = PROGRAMS[name]
    assert judged(log)[::2] == (1, reasons)


@pytest.mark.parametrize("name", PEOPLE)
def test_a_person_is_held_down(name: str) -> None:
    log, reasons = PEOPLE[name]
    assert judged(log)[::2] == (0, reasons)


@pytest.mark.parametrize("log", [[], [entry("page_opened", 0, 300)], [entry("resized", 4, 900)]])
def test_a_session_without_input_is_not_computable(log: Log) -> None:
    found = judged(log)
    assert (found.result, found.reasons, np.isnan(found.confidence)) == (-1, set(), True)


def test_every_clue_can_be_seen() -> None:
    seen = set().union(*(reasons for _, reasons in (PROGRAMS | PEOPLE).values()))
    log = [
        *pasted(FIELDS[:3], 700),
        *(entry("clicked", 800 + at, 5) for at in range(3)),
        entry("pointer_summary", 9, 40),
    ]
    seen |= judged(log).reasons
    assert seen == set(SIGNAL.reasons)


def test_what_the_session_did_before_counts_too() -> None:
    batch = related([{}, {}], [typed([50] * 6), typed([50] * 6, 2_000)])
    both = activity_statistics(related([{}], [[*typed([50] * 6), *typed([50] * 6, 2_000)]]).activity).table[:, 0]
    statistics = batch.session.statistics.copy()
    statistics[1] = both
    later = replace(batch, session=replace(batch.session, statistics=statistics))
    assert SIGNAL.evaluate(View(later)).result.tolist() == [0, 1]


def test_a_form_that_took_several_events_was_not_filled_at_once() -> None:
    batch = related([{}], [pasted(FIELDS[:3], 300)], times=[NOW])
    started = replace(batch.session, started_at=batch.session.started_at - 60_000)
    bit = 1 << SIGNAL.reasons.index("filled_at_once")
    assert int(SIGNAL.evaluate(View(batch)).reasons[0]) & bit
    assert not int(SIGNAL.evaluate(View(replace(batch, session=started))).reasons[0]) & bit


def test_a_weight_is_the_share_that_people_do_not_explain() -> None:
    assert excess(0, 0, of_programs=98, of_people=98) == 0
    assert excess(49, 4, of_programs=98, of_people=98) == pytest.approx(0.9)
    assert excess(4, 49, of_programs=98, of_people=98) < 0


def test_a_learned_weight_names_its_counts_and_keeps_its_limits() -> None:
    clue = learned("machine_cadence", 0.9, "Why.")
    programs, people = counts.SHOWN["machine_cadence"]
    assert f"{programs:,} of {counts.PROGRAMS:,}" in clue.why and f"{people:,} of {counts.PEOPLE:,}" in clue.why
    assert learned("machine_cadence", 0.33, "Why.").weight == 0.33
    assert learned("close_attempted", 0.9, "Why.").weight == LEAST


def test_all_learned_clues_were_counted() -> None:
    assert set(counts.SHOWN) == set(SIGNAL.reasons)
    for clue in SIGNAL.clues:
        programs, people = counts.SHOWN[clue.reason]
        assert clue.why.startswith("Stated: ") or f"{programs:,} of {counts.PROGRAMS:,}" in clue.why
        assert programs <= counts.PROGRAMS and people <= counts.PEOPLE


def test_results_name_what_the_weights_were_learned_from() -> None:
    smart = Enrich()(related([{}])).oks.smart
    assert smart.data[smart.column("scripted_input")] == f"behaviour {VERSION}"


def test_the_same_traffic_gives_the_same_counts() -> None:
    told: list[int] = []
    first = learn(600, 3)
    assert learn(600, 3, told.append) == first
    assert sum(told) <= 600
    assert 0 < first.programs < first.people
    assert all(a <= first.programs and b <= first.people for a, b in first.shown.values())


def test_the_module_of_counts_says_what_was_counted() -> None:
    text = module_of(Learned(1_200, 3, 40, 160, {"machine_cadence": (30, 1_000)}))
    names = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names[node.targets[0].id] = ast.literal_eval(node.value)
    assert names["SHOWN"] == {"machine_cadence": (30, 1_000)}
    assert "EVENTS, SEED = 1_200, 3" in text and "PROGRAMS, PEOPLE = 40, 160" in text
