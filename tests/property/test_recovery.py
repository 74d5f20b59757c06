"""Any recovery file is read, or refused with a place; what becomes of a letter is told, and never raised."""

from __future__ import annotations

from typing import Any

import numpy as np
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.stages.decode import Decode
from infra.dead_letters import Listed
from infra.letter_repair import open_letter, repair
from infra.recovery_file import RecoveryRefused, parse_recovery
from infra.repaired_content import NotRepairable
from schemas.dead_letter import Reason
from schemas.letter_state import LetterAddress
from schemas.sealed import Codec
from tests.wire import BAD, CATALOGUE, RING, raw_batch, record, with_plaintext

FIELDS = st.sampled_from(
    ["screen.width", "navigator.platform", "page.url", "page.title", "navigator.webdriver", "envelope.transaction",
     "envelope.merchant", "header.key_id", "header.event_id", "no.such", "activity.t", "storage.quota"]
)  # fmt: skip
VALUES = st.one_of(
    st.text(max_size=12), st.integers(-(10**6), 10**6), st.floats(allow_nan=False), st.booleans(), st.none()
)
OPERATIONS = st.one_of(
    st.fixed_dictionaries({"replace": st.fixed_dictionaries({"field": FIELDS, "constant": VALUES})}),
    st.fixed_dictionaries(
        {"replace": st.fixed_dictionaries(
            {"field": FIELDS, "pattern": st.sampled_from(["^h", "(", "[a-z]+", "(.*)", ""]),
             "by": st.sampled_from(["", "x", "\\1", "\\2", "\\", "4111 1111 1111 1111"])}
        )}
    ),
    st.fixed_dictionaries({"remove": st.fixed_dictionaries({"field": FIELDS})}),
    st.fixed_dictionaries({"remove": st.fixed_dictionaries({"activity": st.sampled_from([100, 203, "paste", 7])})}),
    st.just({"remove": {"unknown_signals": True}}),
    st.fixed_dictionaries(
        {"cast": st.fixed_dictionaries(
            {"field": FIELDS, "to": st.sampled_from(["number", "boolean", "text", "milliseconds", "seconds"])}
        )}
    ),
    st.fixed_dictionaries({"re-key": st.fixed_dictionaries({"key_id": st.sampled_from([1, 2, 7, -1])})}),
    st.dictionaries(st.text(max_size=5), VALUES, max_size=2),
)  # fmt: skip
TESTS = st.dictionaries(
    st.sampled_from(["equals", "in", "matches", "present", "range"]), st.one_of(VALUES, st.lists(VALUES, max_size=3)),
    max_size=2,
)  # fmt: skip
WHEN = st.fixed_dictionaries(
    {"reason": st.sampled_from(["decode.", "internal.bug", "nonsense"])},
    optional={"fields": st.dictionaries(FIELDS, TESTS, max_size=2), "detail": st.sampled_from(["w.y", "("])},
)
FILES = st.fixed_dictionaries(
    {"name": st.just("any"), "author": st.just("me"), "why": st.just("to see"),
     "steps": st.lists(st.fixed_dictionaries(
         {"when": WHEN, "do": st.lists(OPERATIONS, min_size=1, max_size=4)}), min_size=1, max_size=2)}
)  # fmt: skip
PAYLOADS = [
    record(1),
    record(2, codec=Codec.NESTED_JSON),
    record(3, {"page.title": "caf\u00e9"}, Codec.LZ4),
    with_plaintext(4, b'\x03{"signals": {"screen.width": "1920", "no.such": [1]}, "activity": [{"t": 1.5}, 3]}'),
    *(make(row) for row, make in enumerate(BAD.values())),
]


def _letter(reason: str) -> Listed:
    return Listed(1, LetterAddress("events.raw", 0, 0, "decode"), reason, "why", "shop-1", "", "", 0, 0, 1, "envelope")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FILES, st.sampled_from(PAYLOADS), st.sampled_from(["decode.bad_nested", "internal.bug"]))
def test_any_file_is_refused_with_a_place_or_makes_records_that_open(made: Any, payload: bytes, reason: str) -> None:
    try:
        file = parse_recovery(yaml.safe_dump(made).encode(), "any.yaml")
    except RecoveryRefused as refused:
        assert all(mistake.line >= 1 and mistake.said for mistake in refused.mistakes)
        assert "\n" not in str(refused)
        return
    try:
        repaired = repair(file, _letter(reason), payload, RING, CATALOGUE)
    except NotRepairable as told:
        assert str(told)
        return
    if repaired is None:
        return
    (letter,) = Decode(RING, CATALOGUE)(raw_batch([repaired])).errs or (None,)
    assert letter is None or letter.reason in (Reason.BAD_NESTED, Reason.TOO_LARGE)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_refused_in_one_sentence(text: str) -> None:
    try:
        parse_recovery(text.encode("utf-8", "surrogatepass"), "any.yaml")
    except RecoveryRefused as refused:
        assert str(refused).startswith("any.yaml:")
    else:
        raise AssertionError("no text of chance is a recovery file")


@given(st.sampled_from([Codec.RAW, Codec.DEFLATE_RAW, Codec.LZ4, Codec.NESTED_JSON]), st.integers(0, 50))
def test_what_no_operation_touches_is_sealed_again_as_it_was(codec: Codec, row: int) -> None:
    text = "name: a\nauthor: b\nwhy: c\nsteps:\n- {when: {reason: decode.}, do: [{remove: {field: storage.quota}}]}\n"
    sent = record(row, {"storage.quota": 7.0}, codec)
    repaired = repair(parse_recovery(text.encode(), "f"), _letter("decode.x"), sent, RING, CATALOGUE)
    assert repaired is not None
    before, after = (open_letter("envelope", one, RING, CATALOGUE) for one in (sent, repaired))
    assert (before.header, before.attested, before.codec) == (after.header, after.attested, after.codec)
    assert {**after.content.signals, "storage.quota": 7.0} == before.content.signals
    decoded = [Decode(RING, CATALOGUE)(raw_batch([one])).oks for one in (sent, repaired)]
    assert np.array_equal(decoded[0].activity.time, decoded[1].activity.time)
    assert repaired[-16:] != sent[-16:]  # a fresh nonce
