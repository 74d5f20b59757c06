"""The queries of docs/clickhouse.md run, and the one about shadow models says what it promises."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from flows.sinks.clickhouse import ClickHouse
from flows.sinks.encoded import EncodedParcel
from schemas.result import DECISIONS
from tests.migrated import migrate
from tests.scored_parcels import MODELS, encoded_parcel
from tests.stack_fixture import Namespace

pytestmark = pytest.mark.stack
PAGE = Path(__file__).parents[2] / "docs" / "clickhouse.md"
ROWS = 30


def queries() -> list[str]:
    """Return the statements of the page's SQL, with placeholders filled in and no bound on the time."""
    blocks = re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    filled = (
        "".join(blocks)
        .replace("0193…", "00")
        .replace("goose-…", "shadow-1")
        .replace("INTERVAL 1 DAY", "INTERVAL 20 YEAR")
    )
    return [query.strip() for query in filled.split(";") if query.strip()]


@pytest.fixture
def filled(namespace: Namespace) -> tuple[Namespace, EncodedParcel]:
    """The tables with a parcel of events."""
    migrate(namespace.clickhouse_url)
    item = encoded_parcel(ROWS)
    there = ClickHouse(namespace.clickhouse_url)
    there.write([item])
    there.close()
    return namespace, item


def test_every_query_of_the_documentation_runs(filled: tuple[Namespace, EncodedParcel]) -> None:
    client = filled[0].clickhouse()
    assert len(queries()) > 10
    for query in queries():
        client.execute(query)


def test_the_query_about_shadows_tells_agreement_flips_and_failures(filled: tuple[Namespace, EncodedParcel]) -> None:
    namespace, item = filled
    (query,) = [query for query in queries() if "agreement" in query]
    batch = item.parcel.batch
    expected = []
    for model, name in sorted(enumerate(MODELS), key=lambda pair: pair[1]):
        for shadow, version in enumerate(batch.score.shadows):
            mine = batch.score.model == model
            scores, live = batch.score.shadow_score[mine, shadow], np.array(DECISIONS)[batch.decision.decision[mine]]
            sound, would = ~np.isnan(scores), np.array(DECISIONS)[batch.decision.shadow[mine, shadow]]
            expected.append(
                (
                    name, version, mine.sum(), (~sound).sum(), pytest.approx((would == live)[sound].mean()),
                    (sound & (would == "allow") & (live != "allow")).sum(),
                    (sound & (would != "allow") & (live == "allow")).sum(),
                )
            )  # fmt: skip
    assert [row[:7] for row in namespace.clickhouse().execute(query)] == expected
    assert expected[1][3] > 0 and expected[0][5] > 0 and expected[0][6] > 0
