"""Whatever stores hold: the pieces of a plan cover its range exactly once, or what is missing is said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replay.plan import Piece, Plan, Selection, Start, Store, decode_plan, encode_plan
from replay.ranges import Held, Offsets, PlanRefused, Refusal, Times, beginning_at, end_at, range_of, warm_up

END = 40
spans = st.tuples(st.integers(0, END), st.integers(0, END)).map(lambda two: Offsets(min(two), max(two)))
stores = st.none() | spans


@st.composite
def held(draw: st.DrawFn) -> Held:
    return Held(2, draw(stores), draw(stores.filter(lambda one: one is None or one.first < one.next)))


def covered(pieces: list[Piece]) -> list[int]:
    return [offset for piece in pieces for offset in range(piece.first, piece.next)]


def readable(one: Held) -> set[int]:
    """Return the offsets that a replay may read: what lies beyond Kafka's end is of another topic of the name."""
    has = set(range(*(one.kafka or (0, 0)))) | set(range(*(one.archive or (0, 0))))
    return {offset for offset in has if offset < one.next}


@given(held(), spans)
def test_pieces_cover_a_range_exactly_once_from_stores_that_have_it(one: Held, wanted: Offsets) -> None:
    inside = set(range(*wanted))
    try:
        pieces = range_of(one, wanted)
    except PlanRefused as refused:
        if refused.refusal is Refusal.BEYOND_END:
            assert wanted.next > one.next
        else:
            assert inside - readable(one)
        return
    assert covered(pieces) == sorted(inside)
    for piece in pieces:
        store = one.kafka if piece.store is Store.KAFKA else one.archive
        assert store is not None
        assert store.first <= piece.first < piece.next <= store.next
    assert [piece.store for piece in pieces] in ([], [Store.KAFKA], [Store.ARCHIVE], [Store.ARCHIVE, Store.KAFKA])


@given(held(), spans)
def test_what_is_warmed_up_is_the_longest_end_of_what_was_wanted_that_is_whole(one: Held, wanted: Offsets) -> None:
    expected = []
    for offset in reversed(range(*wanted)):
        if offset not in readable(one):
            break
        expected.append(offset)
    assert covered(warm_up(one, wanted)) == expected[::-1]


@given(st.lists(st.integers(0, 20), min_size=END, max_size=END), held(), st.integers(-1, 21))
def test_a_moment_lies_where_the_first_record_at_or_after_it_does(times: list[int], one: Held, moment: int) -> None:
    appended = sorted(times)
    true = next((offset for offset, at in enumerate(appended) if at >= moment), END)

    def of(store: Offsets | None) -> int | None:
        return next((offset for offset in range(*(store or (0, 0))) if appended[offset] >= moment), None)

    begin, end = (find(one, Times(of(one.kafka), of(one.archive))) for find in (beginning_at, end_at))
    assert begin <= end
    known = readable(one)
    assert not [offset for offset in known if offset >= true and offset < begin]  # no record of it is left out
    assert not [offset for offset in known if offset < true and end <= offset]
    if begin < end:  # nobody knows: then the range of it cannot be whole
        assert set(range(begin, end)) - known


pieces = st.builds(
    lambda bounds, store: [Piece(bounds[0], *sorted(bounds[1:3]), store), Piece(bounds[0], *sorted(bounds[3:5]))],
    st.tuples(
        st.integers(0, 9), st.integers(0, 99), st.integers(100, 199), st.integers(200, 299), st.integers(300, 399)
    ),
    st.sampled_from(Store),
)


@given(
    pieces,
    st.sampled_from(Start),
    st.lists(st.text(min_size=1, max_size=9), max_size=3),
    st.none() | st.frozensets(st.tuples(st.integers(0, 9), st.integers(0, 2**62)), max_size=9),
    st.floats(0, 1, exclude_min=True),
    st.text(max_size=9),
)
def test_every_plan_comes_back_from_its_file(
    two: list[Piece],
    start: Start,
    merchants: list[str],
    places: frozenset[tuple[int, int]] | None,
    sample: float,
    path: str,
) -> None:
    selection = Selection(tuple(merchants), (), places, sample)
    plan = Plan("june", "events.raw", start, (two[0],), (two[1],), selection, path)
    assert decode_plan(encode_plan(plan)) == plan
