"""Two sides for the tests of a diff: parcels that were decided by two policies, written as the flow writes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from enrichers.present import present
from flows.parcel import Parcel, Span
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.encoded import EncodedParcel, encoder
from infra.replay_diff_sides import Side, Sides, sides_of
from replay.plan import Piece, Plan, Selection, Start
from schemas.batches import Decided
from schemas.result import Factor
from tests.migrated import migrate
from tests.scored_parcels import BUILD, letters_of
from tests.stack_fixture import Namespace

TOPIC = "events.raw"
RUN = "night"


def with_review_at(batch: Decided, review: float) -> Decided:
    """Return a batch as another review threshold would have decided it; what rules decided stays."""
    decided = np.digitize(batch.score.score, [review, 85]).astype(np.uint8)
    ruled = batch.decision.by != 0
    thresholds = np.full(len(batch), review, np.float32)
    return replace(
        batch,
        decision=replace(
            batch.decision,
            decision=np.where(ruled, batch.decision.decision, decided).astype(np.uint8),
            by_policy=decided,
            review=thresholds,
        ),
    )


def explain(batch: Decided) -> list[list[Factor]]:
    """Return two factors for most rows, by their offsets: whatever rows are beside them."""
    said = [Factor("velocity", "many events, of one device", 0.5), Factor("bot", "a robot", -0.25)]
    return [said[: offset % 3] for offset in batch.origin.offset.tolist()]


def parcel_of(batch: Decided, dead: tuple[int, ...] = (), build: str = BUILD) -> EncodedParcel:
    """Return a batch as the item that sinks take, some of its rows as dead letters."""
    rows = np.setdiff1d(np.arange(len(batch)), dead)
    first = int(batch.origin.offset[0])
    span = Span(int(batch.origin.partition[0]), first, first + len(batch))
    errs = letters_of(batch, list(dead))
    return encoder(explain, present, build)(Parcel((span,), batch.take(rows), len(batch), errs, 0))


def timeless(batch: Decided) -> Decided:
    """Return a batch as a replay hands it on: its ledger and polled times are those of the append."""
    at = batch.origin.appended_at
    micros = np.repeat(at[:, None] * 1000, len(batch.ledger.marks), axis=1)
    return replace(batch, origin=replace(batch.origin, polled_at=at), ledger=replace(batch.ledger, micros=micros))


def plan_of(pieces: tuple[Piece, ...], name: str = RUN, selection: Selection | None = None) -> Plan:
    """Return a plan of some offsets."""
    return Plan(name, TOPIC, Start.SEALED, (), pieces, selection or Selection())


def history(namespace: Namespace) -> Side:
    """Return the live tables."""
    return Side("history", namespace.database)


def run(namespace: Namespace, pieces: tuple[Piece, ...], name: str = RUN, **more: Selection) -> Side:
    """Return a run of some offsets."""
    return Side(name, f"{namespace.database}_replay_{name}", "done", plan_of(pieces, name, **more))


def over(namespace: Namespace, rows: int) -> Sides:
    """Return a run of the first offsets against history."""
    piece = Piece(0, 0, rows)
    return sides_of(run(namespace, (piece,)), history(namespace), namespace.database)


def url_of(namespace: Namespace, database: str) -> str:
    """Return the address of a database on the test's server, with its tables."""
    url = f"{namespace.stack.clickhouse_url.rpartition('/')[0]}/{database}"
    migrate(url)
    return url


def write(url: str, *parcels: EncodedParcel) -> None:
    """Write parcels through the flow's own sink."""
    sink = ClickHouse(url)
    sink.write(parcels)
    sink.close()
