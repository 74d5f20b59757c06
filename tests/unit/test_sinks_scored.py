"""Results on their way to Kafka: which topics they go to, what becomes of those it refuses, and how long they wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from flows.sinks.kafka import ALERTS, SCORED, KafkaScored, OutputTopics, Record, scored_records
from flows.sinks.written import head_of
from infra.flow_sinks import gathering, writer_policies
from infra.settings import FlowSettings
from schemas.dead_letter import DeadLetter, Reason
from tests.scored_parcels import encoded_parcel


class Appended:
    """Takes the place of an appender: refuses the records of some topics, of given rows."""

    def __init__(self, refused: Sequence[tuple[str, bytes]] = ()) -> None:
        self.refused = refused
        self.records: list[Record] = []

    def append(self, records: Sequence[Record]) -> list[int]:
        self.records += records
        return [index for index, record in enumerate(records) if (record.topic, record.value) in self.refused]


class RefusesAt:
    """Takes the place of an appender: refuses the records at some indices."""

    def __init__(self, *indices: int) -> None:
        self.indices = list(indices)

    def append(self, records: Sequence[Record]) -> list[int]:
        assert self.indices[-1] < len(records)
        return self.indices


class Letters:
    """Takes the place of a backup."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def append(self, letters: Sequence[DeadLetter]) -> None:
        self.letters += letters


PARCELS = [encoded_parcel(5), encoded_parcel(6, first=5)]
RESULTS = [result for item in PARCELS for result in item.results]
VALUES = [value for item in PARCELS for value in item.records]


def test_every_result_is_appended_in_order_and_again_as_an_alert_where_one_should_see_it() -> None:
    appended = Appended()
    KafkaScored(appended, Letters()).write(PARCELS)  # type: ignore[arg-type] # what is asked of an appender
    seen = [bool(head.alerts) or head.decision != "allow" for head in map(head_of, RESULTS)]
    assert any(seen) and not all(seen)
    assert [record.value for record in appended.records if record.topic == SCORED] == VALUES
    assert [record.value for record in appended.records if record.topic == ALERTS] == [
        value for value, alerted in zip(VALUES, seen, strict=True) if alerted
    ]
    keys = {value: bytes.fromhex(result.device_id) for value, result in zip(VALUES, RESULTS, strict=True)}
    assert all(record.key == keys[record.value] for record in appended.records)


@pytest.mark.parametrize("topics", [(SCORED,), (ALERTS,), (SCORED, ALERTS)])
def test_a_result_that_is_refused_on_either_topic_is_one_letter(topics: tuple[str, ...]) -> None:
    alerted = [row for row, result in enumerate(RESULTS) if result.decision != "allow"]
    rows = [alerted[0], alerted[-1]]
    assert rows[0] < 5 <= rows[1], "one of each parcel"
    letters = Letters()
    appended = Appended([(topic, VALUES[row]) for topic in topics for row in rows])
    KafkaScored(appended, letters).write(PARCELS)  # type: ignore[arg-type] # what is asked of an appender
    assert [(letter.event_id, letter.payload) for letter in letters.letters] == [
        (RESULTS[row].event_id, VALUES[row]) for row in rows
    ]
    assert {letter.reason for letter in letters.letters} == {Reason.SINK_KAFKA}


def test_of_results_with_the_same_bytes_the_one_that_is_refused_is_the_letter() -> None:
    again = encoded_parcel(5, first=40)
    same = replace(again, records=PARCELS[0].records)
    first_of_same = sum(
        len(scored_records(*row, OutputTopics())) for row in zip(PARCELS[0].results, PARCELS[0].records, strict=True)
    )
    letters = Letters()
    KafkaScored(RefusesAt(first_of_same), letters).write([PARCELS[0], same])  # type: ignore[arg-type]
    assert [(letter.offset, letter.payload) for letter in letters.letters] == [(40, same.records[0])]


def test_every_record_that_is_refused_buries_its_own_result_and_no_other() -> None:
    owners = [
        result.event_id for result, value in zip(RESULTS, VALUES, strict=True)
        for _ in scored_records(result, value, OutputTopics())
    ]  # fmt: skip
    assert len(owners) > len(RESULTS), "alerts among them"
    for index, owner in enumerate(owners):
        letters = Letters()
        KafkaScored(RefusesAt(index), letters).write(PARCELS)  # type: ignore[arg-type]
        assert [letter.event_id for letter in letters.letters] == [owner]


def test_what_goes_to_kafka_waits_for_a_block_and_what_goes_to_redis_does_not() -> None:
    settings = FlowSettings(kafka_block_ms=15.0, sink_queue_rows=1, sink_steady_rows=1)
    quick, _ = writer_policies(settings)
    topic = gathering(quick, settings)
    assert (quick.linger_seconds, topic.linger_seconds) == (0.0, 0.015)
    assert topic.block_rows < min(topic.most_rows(steady=True), topic.queue_rows), (
        "a full block goes before the queue is"
    )
