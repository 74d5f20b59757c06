"""Two databases of the real engine, written by the flow's own sink and compared: the expected flips, nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pytest

from infra import replay_diff_sql as sql
from infra.replay_diff import diff
from infra.replay_diff_clickhouse import DiffError
from infra.replay_diff_page import page
from infra.replay_diff_sides import Side, sides_of
from infra.replay_diff_sql import Chosen, Compared
from infra.stack.local import LocalStack
from replay.engine_selection import SAMPLED
from replay.plan import Piece, Selection, Start
from schemas.batches import Decided
from scoring.chosen_devices import chosen_devices
from tests.diff_kit import RUN, history, over, parcel_of, run, timeless, url_of, with_review_at, write
from tests.scored_parcels import scored_batch
from tests.stack_fixture import Namespace

pytestmark = pytest.mark.stack
ROWS = 300
MERCHANTS = ("demo", "o'ther <b>$x$</b>")
DEAD_IN_HISTORY, DEAD_IN_RUN = (3, 4), (3, 7)


class Written(NamedTuple):
    """What was written."""

    url: str
    live: Decided
    again: Decided
    tables: Namespace
    labels: dict[int, int]


def _traffic() -> Decided:
    batch = scored_batch(ROWS)
    ids = np.random.default_rng(5).integers(0, 256, (ROWS, 16)).astype(np.uint8)
    ids[::7, 15] = 0  # what drivers take for padding
    event = replace(batch.event, event_id=ids, merchant=tuple(MERCHANTS[row % 2] for row in range(ROWS)))
    return replace(batch, event=event)


@pytest.fixture(scope="module")
def written(stack: LocalStack) -> Iterator[Written]:
    tables = Namespace(stack)
    live = _traffic()
    again = with_review_at(timeless(live), 40)
    url = url_of(tables, tables.database)
    for _ in range(2):  # as after kill -9
        write(url, parcel_of(live, DEAD_IN_HISTORY))
    write(url_of(tables, f"{tables.database}_replay_{RUN}"), parcel_of(again, DEAD_IN_RUN))
    for name in ("same", "twin"):
        write(url_of(tables, f"{tables.database}_replay_{name}"), parcel_of(timeless(live), DEAD_IN_HISTORY))
    labels = {row: int(live.score.score[row] > 45) for row in range(0, ROWS, 3)}
    now = datetime.now(UTC)
    tables.clickhouse().execute(
        "INSERT INTO labels (merchant, target, id, label, labelled_at, received_at) VALUES",
        [(live.event.merchant[row], "event", live.event.event_id[row].tobytes().hex(),
          "chargeback" if fraud else "genuine", now, now) for row, fraud in labels.items()],
    )  # fmt: skip
    yield Written(url, live, again, tables, labels)
    client = tables.clickhouse()
    for name in (RUN, "same", "twin"):
        client.execute(f"DROP DATABASE {tables.database}_replay_{name} SYNC")
    tables.close()


@pytest.mark.parametrize("rows", [1_000, 40])
def test_a_changed_threshold_flips_exactly_the_events_between_both(written: Written, rows: int) -> None:
    found = diff(written.url, over(written.tables, ROWS), rows=rows)
    both = sorted(set(range(ROWS)) - {*DEAD_IN_HISTORY, *DEAD_IN_RUN})
    was, now = (side.decision.decision[both] for side in (written.live, written.again))
    matrix = np.zeros((3, 3), int)
    np.add.at(matrix, (was, now), 1)
    assert found["flips"]["matrix"] == matrix.tolist() and (was != now).sum() > 20
    flips = Counter(written.live.event.merchant[row] for row in both
                    if written.live.decision.decision[row] != written.again.decision.decision[row])  # fmt: skip
    assert {one["merchant"]: one["flips"] for one in found["flips"]["by_merchant"]} == flips
    assert set(found["groups"]) <= {"thresholds", "decision"}
    assert found["scores"]["changed"] == found["events"]["changed_state"] == found["factors"]["events"] == 0
    assert set(found["first_difference"]) == {"thresholds"}
    assert all(one["a"]["decision"] != one["b"]["decision"] for one in found["examples"])


def test_what_failed_on_one_side_is_said_with_its_reason(written: Written) -> None:
    found = diff(written.url, over(written.tables, ROWS))
    reasons = {"normalize.out_of_range": 1}
    assert found["missing"]["only_a"] == {"events": 1, "dead_lettered": reasons, "absent": 0}
    assert found["missing"]["only_b"] == {"events": 1, "dead_lettered": reasons, "absent": 0}
    assert found["letters"]["on_one_side"] == 2 and found["letters"]["a"] == {"normalize.out_of_range": 2}
    assert {(one["side"], one["offset"]) for one in found["one_sided"]} == {("a", 4), ("b", 7)}


def test_precision_and_recall_are_those_of_a_loop_over_the_labels(written: Written) -> None:
    found = diff(written.url, over(written.tables, ROWS))["labelled"]
    known = sorted(set(written.labels) - {*DEAD_IN_HISTORY, *DEAD_IN_RUN})
    for key, side in (("a", written.again), ("b", written.live)):
        stopped = [row for row in known if side.decision.decision[row] >= 1]
        hits = sum(written.labels[row] for row in stopped)
        measures = found["measures"]
        assert measures["precision_review"][key] == pytest.approx(hits / len(stopped), abs=1e-6)
        assert measures["recall_review"][key] == pytest.approx(
            hits / sum(written.labels[row] for row in known), abs=1e-6
        )
    assert found["measures"]["recall_review"]["low"] is not None
    assert {part["merchant"] for part in found["by_merchant"]} == set(MERCHANTS)


def test_the_same_rows_are_identical_and_have_one_digest(written: Written) -> None:
    tables = written.tables
    piece = (Piece(0, 0, ROWS),)
    against = diff(written.url, sides_of(run(tables, piece, "same"), history(tables), tables.database), rows=50)
    twins = diff(written.url, sides_of(run(tables, piece, "same"), run(tables, piece, "twin"), tables.database))
    assert against["verdict"] == twins["verdict"] == "identical"
    digests = {found[side]["digest"] for found in (against, twins) for side in ("a", "b")}
    assert len(digests) == 1 and digests != {diff(written.url, over(tables, ROWS))["a"]["digest"]}
    assert against["groups"] == {} and against["examples"] == []


def test_no_column_of_the_table_escapes_the_comparison(written: Written) -> None:
    asked = {"database": written.tables.database}
    columns = dict(written.tables.clickhouse().execute(sql.COLUMNS, asked))
    assert Compared.of(columns, columns).other() == ()


def test_history_is_held_to_the_offsets_and_the_selection_of_the_run(written: Written) -> None:
    tables = written.tables
    part = sides_of(run(tables, (Piece(0, 10, 60),)), history(tables), tables.database)
    assert diff(written.url, part)["events"]["both"] == 50
    shop = Selection(merchants=(MERCHANTS[1],))
    own = sides_of(run(tables, (Piece(0, 10, 60),), selection=shop), history(tables), tables.database)
    found = diff(written.url, own)
    assert found["events"]["both"] == 25 and found["range"]["merchants"] == [MERCHANTS[1]]
    few = sides_of(run(tables, (Piece(0, 10, 60),), selection=Selection(sample=0.5)), history(tables), tables.database)
    sampled = chosen_devices(written.live.event.device_id[10:60], SAMPLED, 50).sum()
    found = diff(written.url, few)
    assert found["events"]["both"] == sampled and any(
        "dead letters were not compared" in note for note in found["notes"]
    )


@pytest.mark.parametrize(("start", "letters"), [(Start.SEALED, 2), (Start.EXTRACTED, 2), (Start.ENRICHED, 0)])
def test_letters_of_stages_that_a_side_did_not_run_are_left_out(written: Written, start: Start, letters: int) -> None:
    side = run(written.tables, (Piece(0, 0, ROWS),))
    assert side.plan is not None
    began = replace(side, plan=replace(side.plan, start=start))
    found = diff(written.url, sides_of(began, history(written.tables), written.tables.database))
    assert found["letters"]["on_one_side"] == letters  # all of them are of normalize
    assert any("dead letters of decode" in note for note in found["notes"]) == (start is not Start.SEALED)
    assert found["events"]["both"] == ROWS - 3


def test_nothing_to_compare_is_one_sentence(written: Written) -> None:
    tables = written.tables
    with pytest.raises(DiffError, match="the range is empty: neither side"):
        diff(written.url, sides_of(run(tables, (Piece(9, 0, 5),)), history(tables), tables.database))
    with pytest.raises(DiffError, match="there is no database nowhere"):
        piece = run(tables, (Piece(0, 0, 5),)).plan
        diff(written.url, sides_of(Side("gone", "nowhere", "done", piece), history(tables), tables.database))
    with pytest.raises(DiffError, match=r"cannot read events from ClickHouse at 127\.0\.0\.1:1"):
        diff("clickhouse://a:b@127.0.0.1:1/x", over(tables, ROWS))


def test_the_page_shows_both_sides_of_an_example(written: Written) -> None:
    found = diff(written.url, over(written.tables, ROWS), examples=2)
    text = page(found)
    for one in found["examples"]:
        assert f'<h2 id="event-{one["event_id"]}">' in text and f'href="#event-{one["event_id"]}"' in text
    assert "o&#x27;ther &lt;b&gt;" in text and "<b>" not in text


def test_names_are_quoted() -> None:
    chosen = Chosen("it's", (Piece(0, 1, 2),), merchants=("a' OR '1", "b\\"))
    assert chosen.events_sql().startswith(r"topic = 'it\'s' AND ")
    assert chosen.events_sql().endswith(r" AND merchant IN ('a\' OR \'1', 'b\\')")
