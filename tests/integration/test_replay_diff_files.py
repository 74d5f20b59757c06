"""A diff of which sides are files says what the diff of the tables says, as far as results say it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from infra.replay_diff import diff
from infra.replay_diff_clickhouse import DiffError
from infra.replay_diff_sides import Side, sides_of
from infra.stack.local import LocalStack
from replay.diff_rows import GROUPS
from replay.diff_told import NOT_TOLD, TOLD_AS
from replay.plan import Piece
from replay.result_files import DIRECTORY
from schemas.batches import Decided
from tests.diff_kit import RUN, history, parcel_of, run, timeless, url_of, with_review_at, write
from tests.replay_files_kit import files_side, in_files
from tests.scored_parcels import scored_batch
from tests.stack_fixture import Namespace

pytestmark = pytest.mark.stack
ROWS = 300
DEAD_LIVE, DEAD_AGAIN = (3, 4), (3, 7)
PIECES = (Piece(0, 0, ROWS),)


class Written(NamedTuple):
    """Both sides, each in tables and in files; and history again, as two replays of it would leave it."""

    url: str
    tables: Namespace
    live: Path
    again: Path
    same: Path


def _traffic() -> Decided:
    batch = scored_batch(ROWS)
    ids = np.random.default_rng(5).integers(0, 256, (ROWS, 16)).astype(np.uint8)
    ids[::7, 15] = 0
    names = ("demo", "o'ther <b>$x$</b>")
    event = replace(batch.event, event_id=ids, merchant=tuple(names[row % 2] for row in range(ROWS)))
    return replace(batch, event=event)


def _changed(batch: Decided) -> Decided:
    """Return what another model, other counts and another threshold make of some rows."""
    batch = with_review_at(timeless(batch), 40)
    score, counts = batch.score.score.copy(), batch.velocity.counts.copy()
    score[::9] += 3.25
    counts[::11] += 1
    result, confidence = batch.smart.result.copy(), batch.smart.confidence.copy()
    result[::13, 1], confidence[::13, 1] = 1, 0.75
    return replace(
        batch,
        score=replace(batch.score, score=score),
        velocity=replace(batch.velocity, counts=counts),
        smart=replace(batch.smart, result=result, confidence=confidence),
    )


@pytest.fixture(scope="module")
def written(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    tables, home = Namespace(stack), tmp_path_factory.mktemp("runs")
    live = timeless(_traffic())
    again = _changed(live)
    url = url_of(tables, tables.database)
    write(url, parcel_of(live, DEAD_LIVE))
    write(url_of(tables, f"{tables.database}_replay_{RUN}"), parcel_of(again, DEAD_AGAIN))
    now = datetime.now(UTC)
    tables.clickhouse().execute(
        "INSERT INTO labels (merchant, target, id, label, labelled_at, received_at) VALUES",
        [(live.event.merchant[row], "event", live.event.event_id[row].tobytes().hex(),
          "chargeback" if row % 4 else "genuine", now, now) for row in range(0, ROWS, 3)],
    )  # fmt: skip
    yield Written(
        url,
        tables,
        in_files(home / "live_again", parcel_of(live, DEAD_LIVE)),
        in_files(home / "changed", parcel_of(again, DEAD_AGAIN)),
        in_files(home / "same", parcel_of(live, DEAD_LIVE)),
    )
    tables.clickhouse().execute(f"DROP DATABASE {tables.database}_replay_{RUN} SYNC")
    tables.close()


def compared(written: Written, a: Side, b: Side, rows: int = 1_000, url: str | None = None) -> dict[str, Any]:
    sides = sides_of(a, b, written.tables.database)
    return diff(written.url if url is None else url, sides, rows=rows)


def test_files_are_identical_to_the_history_that_they_repeat_and_to_each_other(written: Written) -> None:
    same, live = (files_side(path, PIECES) for path in (written.same, written.live))
    against = [compared(written, same, history(written.tables), rows=40), compared(written, same, live, rows=70)]
    for found in against:
        assert found["verdict"] == "identical" and found["a"]["digest"] == found["b"]["digest"]
        assert found["events"]["both"] == ROWS - 2 and found["letters"]["a"] == {"normalize.out_of_range": 2}
        assert TOLD_AS in found["notes"]
    alone = compared(written, same, live, url="")
    assert alone["verdict"] == "identical" and any("labels were not looked for" in one for one in alone["notes"])


@pytest.mark.parametrize("rows", [1_000, 40])
def test_what_differs_is_what_the_tables_say(written: Written, rows: int) -> None:
    tables = compared(written, run(written.tables, PIECES), history(written.tables))
    changed, live = (files_side(path, PIECES) for path in (written.again, written.live))
    for a, b in ((changed, history(written.tables)), (changed, live), (run(written.tables, PIECES), live)):
        found = compared(written, a, b, rows)
        assert {name: count for name, count in tables["groups"].items() if name not in NOT_TOLD} == found["groups"]
        for part in ("flips", "decided_by", "letters", "missing", "smart", "counts", "factors", "rules", "labelled",
                     "one_sided"):  # fmt: skip
            assert found[part] == tables[part], part
        scores = found["scores"], tables["scores"]
        assert scores[0]["changed"] == scores[1]["changed"] > 0
        assert scores[0]["mean_difference"] == pytest.approx(scores[1]["mean_difference"], abs=1e-4)
        shown = [{one["event_id"]: (one["a"]["decision"], one["b"]["decision"], one["a"]["score"]) for one in each}
                 for each in (found["examples"], tables["examples"])]  # fmt: skip
        assert set(shown[0]) == set(shown[1]) and len(shown[0]) == 5
    assert set(found["groups"]) <= set(GROUPS) - set(NOT_TOLD)


def test_a_damaged_file_is_one_sentence(written: Written, tmp_path: Path) -> None:
    damaged = in_files(tmp_path / "damaged", parcel_of(timeless(_traffic())))
    path = damaged / DIRECTORY / "scored-00000.frames"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DiffError, match="is damaged, the frame at byte") as said:
        compared(written, files_side(damaged, PIECES), history(written.tables))
    assert "\n" not in str(said.value)


def test_without_clickhouse_files_have_nothing_to_be_compared_with_in_tables(written: Written) -> None:
    with pytest.raises(DiffError, match="no ClickHouse, which has history"):
        compared(written, files_side(written.same, PIECES), history(written.tables), url="")
