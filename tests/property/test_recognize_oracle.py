"""recognize against an oracle that remembers everything: streams cut anywhere, snapshotted and restored anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.stages.recognize import Recognize
from flows.stages.recognize.reputation import posterior
from flows.stages.recognize.stage import HALF_LIVES, RecognizeSession
from flows.stages.recognize.state import Sizes
from schemas.batches import Counted, Decided, Decision, Recognition, Rules, Score, Shared, SmartSignals
from schemas.recognition import COMBINATIONS, PrevalenceSeed
from schemas.result import DECISIONS
from schemas.shared import unknown
from schemas.velocity import SCORE_LAG, SLICES
from tests.builders import NOW, counted, network_of
from tests.recognition_oracle import Oracle, columns_of
from tests.strategies import same

SMALL = Sizes(1 << 13, 1 << 13, 1 << 13)
HOUR = 3_600_000
BROWSERS = ("unknown", "chrome", "firefox", "safari")


class Row(NamedTuple):
    """What decides about one row; small numbers, so that values come again."""

    gap: int
    delay: int
    browser: int
    version: int
    cores: int
    fonts: int
    address: int
    asn: int
    session: int
    sequence: int
    page: int
    log: int
    denied: bool


def rows(longest: int) -> st.SearchStrategy[Row]:
    return st.builds(
        Row,
        gap=st.integers(1, 700),
        delay=st.one_of(st.integers(-3 * HOUR, 3 * HOUR), st.integers(0, longest)),
        browser=st.integers(0, 3),
        version=st.integers(100, 102),
        cores=st.integers(0, 2),
        fonts=st.integers(0, 2),
        address=st.integers(0, 4),
        asn=st.integers(0, 2),
        session=st.integers(1, 2),
        sequence=st.integers(0, 1),
        page=st.integers(0, 2),
        log=st.integers(0, 3),
        denied=st.booleans(),
    )


def _log(number: int) -> list[dict[str, Any]]:
    return [{"code": 207, "t": 10 * at + number, "value": 1.0} for at in range((0, 3, 12, 15)[number])]


def stream(said: Sequence[Row]) -> Counted:
    """Return the stream as one batch."""
    times = (NOW + np.cumsum([row.delay for row in said])).tolist()
    events = [
        {
            "navigator.hardware_concurrency": float(row.cores) or None,
            "fonts.list": f"fonts {row.fonts}" if row.fonts else None,
            "timing.page_age": 1_000.5 + row.page if row.page else None,
        }
        for row in said
    ]
    shown = [{"browser": BROWSERS[row.browser], "browser_version": row.version, "system": "windows"} for row in said]
    batch = counted(events, [_log(row.log) for row in said], environment=shown, times=times)
    address = np.zeros((len(said), 16), np.uint8)
    address[:, 10:12] = 255
    address[:, 12:] = [(10, 0, row.address // 3, row.address % 3) for row in said]
    address[[row.address == 0 for row in said]] = 0
    session = np.zeros((len(said), 16), np.uint8)
    session[:, 3] = [row.session for row in said]
    event = replace(
        batch.event,
        address=address,
        session_id=session,
        sequence=np.array([row.sequence for row in said], np.uint32),
    )
    origin = replace(
        batch.origin, offset=np.cumsum([row.gap for row in said]), appended_at=np.array(times, np.int64) + 20
    )
    network = network_of(len(said), [{"asn": row.asn} for row in said])
    return replace(batch, event=event, origin=origin, network=network)


def decided(batch: Any, denied: Sequence[bool]) -> Decided:
    rows = len(batch)
    none = np.empty((rows, 0))
    smart = SmartSignals((), none.astype(np.int8), none.astype(np.float32), none.astype(np.uint32))
    decision = np.where(denied, DECISIONS.index("deny"), DECISIONS.index("review")).astype(np.uint8)
    score, decision = Score.of("test", np.zeros(rows, np.float32)), Decision.of(decision)
    sections: Any = {name: getattr(batch, name) for name in type(batch).__dataclass_fields__}
    shared, rules = Shared(unknown(rows), np.zeros(rows, np.bool_)), Rules.none(rows)
    return Decided(**sections, shared=shared, smart=smart, score=score, rules=rules, decision=decision)


def cuts_of(said: Sequence[Row], wanted: Sequence[int]) -> list[slice]:
    """Return batches of the wanted sizes, shorter where one would have rows that see scores of their own batch."""
    found, at, offsets, turn = [], 0, np.cumsum([row.gap for row in said]), 0
    while at < len(said):
        end = min(at + wanted[turn % len(wanted)], len(said))
        while offsets[end - 1] - offsets[at] >= SCORE_LAG:
            end -= 1
        found.append(slice(at, end))
        at, turn = end, turn + 1
    return found


def expected(said: Sequence[Row], batch: Counted, session: RecognizeSession, seed: PrevalenceSeed) -> dict[str, Any]:
    oracle = Oracle(*HALF_LIVES)
    oracle.begin(seed)
    rows, found = session.rows_of(batch), []
    for at, row in enumerate(said):
        found.append(oracle.row(rows, at))
        oracle.decide(rows, at, row.denied)
    columns = columns_of(found)
    columns["expected"], columns["rests"] = posterior(rows.entities, columns["weight"], columns["denied"])
    return columns


def seed_of(batch: Counted, session: RecognizeSession) -> PrevalenceSeed:
    """Return a seed that knows some of the stream's combinations and many others."""
    keys = session.rows_of(batch).combinations
    kinds = [COMBINATIONS.index(name) for name in ("browser", "hardware")]
    known = {(kind, int(key)): 40 for kind in kinds for key in keys[::2, kind] if key}
    known |= {(kind, (number << 56) + 12_345 * number): number for kind in kinds for number in range(1, 12)}
    places, counts = zip(*known.items(), strict=True)
    kind, key = zip(*places, strict=True)
    return PrevalenceSeed("", np.array(kind, np.uint8), np.array(key, np.uint64), np.array(counts, np.uint32))


def check(found: Recognition, wanted: dict[str, Any]) -> None:
    close: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-9, "equal_nan": True}
    np.testing.assert_allclose(found.seen, wanted["seen"], **close)
    np.testing.assert_allclose(found.tail, wanted["tail"], **close)
    np.testing.assert_allclose(found.weight, wanted["rests"], **close)
    np.testing.assert_allclose(found.denied, wanted["expected"], **close)
    assert found.replayed.tolist() == wanted["copied"].tolist()


STREAMS = st.lists(rows(48 * HOUR), min_size=1, max_size=40)
CUTS = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@settings(deadline=None, max_examples=60)
@given(said=STREAMS, cuts=CUTS, restored=st.lists(st.sampled_from(("no", "deltas", "whole", "deltas")), max_size=12))
def test_every_column_is_the_oracles_however_the_stream_is_cut_and_wherever_it_is_restored(
    said: list[Row], cuts: list[int], restored: list[str]
) -> None:
    batch = stream(said)
    seed = seed_of(batch, Recognize(sizes=SMALL).open(()))
    stage = Recognize(seed, sizes=SMALL)
    session = stage.open(())
    frames = [session.snapshot().data]
    parts = []
    for turn, cut in enumerate(cuts_of(said, cuts)):
        part = session.apply(batch.take(np.arange(cut.start, cut.stop))).oks
        parts.append(part)
        session.remember(decided(part, [row.denied for row in said[cut]]))
        how = restored[turn % len(restored)] if restored else "no"
        if how == "whole":
            frames = [session.snapshot(whole=True).data]
        elif how == "deltas":
            frames.append(session.snapshot_of(turn * 5 % SLICES, 3).data)
        if how != "no":
            session = stage.open(frames)
    check(type(parts[0]).concat(parts).recognition, expected(said, batch, session, seed))


@settings(deadline=None, max_examples=25)
@given(said=st.lists(rows(25 * 24 * HOUR), min_size=5, max_size=30), cuts=CUTS, restore=st.booleans())
def test_years_without_a_restart_change_nothing(said: list[Row], cuts: list[int], restore: bool) -> None:
    said = [row._replace(delay=row.delay * (8 if at % 5 else 1)) for at, row in enumerate(said)]
    batch = stream(said)
    seed = seed_of(batch, Recognize(sizes=SMALL).open(()))
    stage = Recognize(seed, sizes=SMALL)
    session, parts = stage.open(()), []
    frames = [session.snapshot().data]
    for cut in cuts_of(said, cuts):
        part = session.apply(batch.take(np.arange(cut.start, cut.stop))).oks
        parts.append(part)
        session.remember(decided(part, [row.denied for row in said[cut]]))
        if restore:
            frames.append(session.snapshot_of(7, 1).data)
            session = stage.open(frames)
    check(type(parts[0]).concat(parts).recognition, expected(said, batch, session, seed))


@settings(deadline=None, max_examples=20)
@given(said=STREAMS, at=st.integers(0, 39))
def test_frames_of_four_slices_hold_the_whole_state(said: list[Row], at: int) -> None:
    batch = stream(said)
    whole = Recognize(sizes=SMALL).open(())
    sliced = Recognize(sizes=SMALL).open(())
    first = sliced.snapshot().data
    frames = []
    middle = min(at, len(said))
    for number in range(0, SLICES, 4):
        if number == 400:
            sliced.apply(batch.take(np.arange(middle)))
        frames.append(sliced.snapshot_of(number, 4).data)
    whole.apply(batch.take(np.arange(middle)))
    rest = batch.take(np.arange(middle, len(said)))
    wanted = whole.apply(rest).oks
    for opened in (Recognize(sizes=SMALL).open(frames), Recognize(sizes=SMALL).open([first, *frames[90:]])):
        assert same(opened.apply(rest).oks, wanted)
