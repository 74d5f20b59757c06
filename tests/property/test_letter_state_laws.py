"""Whatever is done to a letter: only legal changes happen, attempts never fall, and every state can be left."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from infra.letter_clusters import Cluster, cluster_of
from schemas.letter_state import (
    NEXT,
    Change,
    IllegalChange,
    LetterAddress,
    LetterState,
    Standing,
    changeable,
    standing_of,
)

STATES = st.sampled_from(LetterState)


@given(st.lists(STATES, max_size=30))
def test_a_life_is_a_path_through_the_legal_changes_and_counts_its_redrives(wishes: list[LetterState]) -> None:
    standing, path = Standing(), [LetterState.NEW]
    for wish in wishes:
        try:
            standing = standing.after(wish)
        except IllegalChange as refused:
            assert wish not in NEXT[standing.state]
            assert str(refused).count("\n") == 0
        else:
            path.append(wish)
    assert all(after in NEXT[before] for before, after in pairwise(path))
    assert standing == Standing(path[-1], 1 + path.count(LetterState.REDRIVEN))
    for before, after in pairwise(path):
        assert after is not LetterState.REDRIVEN or before is LetterState.FIXED


@given(STATES, STATES)
def test_from_every_state_every_other_can_be_reached(start: LetterState, end: LetterState) -> None:
    reached, front = {start}, {start}
    while front:
        front = {after for before in front for after in NEXT[before]} - reached
        reached |= front
    assert end in reached


@given(STATES)
def test_where_one_may_come_from_and_where_one_may_go_are_the_same_changes(state: LetterState) -> None:
    assert {before for before in LetterState if state in NEXT[before]} == set(changeable(state))
    assert state not in NEXT[state]


@given(st.permutations(range(6)), st.lists(STATES, min_size=6, max_size=6))
def test_the_order_in_which_changes_are_read_changes_nothing(order: list[int], states: list[LetterState]) -> None:
    changes = [Change(LetterState.NEW, state, at, "who", "why", at) for at, state in enumerate(states)]
    assert standing_of([changes[place] for place in order]) == Standing(states[-1], 5)


TOPICS = st.text("abcXYZ019._-", min_size=1, max_size=40)


@given(
    TOPICS, st.integers(0, 9_999), st.integers(0, 2**59), st.sampled_from(["", "decode", "verify_mask", "clickhouse"])
)
def test_addresses_read_back(topic: str, partition: int, offset: int, stage: str) -> None:
    address = LetterAddress(topic, partition, offset, stage)
    assert LetterAddress.read(str(address)) == address


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.integers(0, 10**12), st.integers(0, 10**12))
def test_details_that_differ_in_a_number_are_one_cluster(text: str, one: int, other: int) -> None:
    first, second = (cluster_of("internal.bug", "score", f"{text} {number} rows") for number in (one, other))
    assert first == second
    assert first.id == second.id


@given(st.uuids(), st.uuids())
def test_details_that_differ_in_an_id_are_one_cluster(one: object, other: object) -> None:
    assert len({cluster_of("sink.kafka", "scored", f"no {each} here") for each in (one, other)}) == 1


@given(st.tuples(st.text(max_size=9), st.text(max_size=9), st.text(max_size=9), st.text(max_size=9)), st.data())
def test_clusters_of_other_facts_have_other_names(facts: tuple[str, str, str, str], data: st.DataObject) -> None:
    other = data.draw(st.tuples(*[st.text(st.characters(exclude_characters="\0"), max_size=9)] * 4))
    clean = tuple(fact.replace("\0", "") for fact in facts)
    assert (Cluster(*clean).id == Cluster(*other).id) is (clean == other)


def test_a_text_that_no_encoding_takes_has_a_name_as_well() -> None:
    names = {Cluster("bug", "score", pattern).id for pattern in ("\ud800", "\udfff", "")}
    assert len(names) == 3
