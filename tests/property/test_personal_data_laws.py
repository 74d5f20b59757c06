"""Laws of mask-verify: any formatting is found, redaction leaves nothing, batches and their order do not matter."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.stages.verify_mask import VerifyMask
from schemas.batches import Decoded
from schemas.dead_letter import Reason
from schemas.personal_data import find_personal_data, redact
from schemas.personal_data.glance import may_hold
from schemas.personal_data.reading import folded
from tests.builders import decoded
from tests.honest_pages import drawn_page
from tests.masking_corpus import AADHAAR, CARDS, EMAILS, ENCODINGS, IBANS, ZEROS, Variant, corpus, in_script

FEW = settings(max_examples=60, deadline=None)
CORPUS = corpus()
# What is neither a letter nor a digit, is not NUL and does not itself encode something.
SIGNS = st.characters(codec="utf-8", exclude_categories=("L", "N", "Cs"), exclude_characters="%&\\.,+").filter(
    lambda sign: not folded(sign).isalnum()  # a letter in a circle is a letter
)
GAPS = st.text(SIGNS, min_size=1, max_size=3)
AROUND = st.text(
    st.characters(codec="utf-8", exclude_categories=("Nd", "Cs"), exclude_characters="%&\\.+"), max_size=12
)


@st.composite
def written_cards(draw: st.DrawFn) -> str:
    """Return a card number in equal groups with any separator, or as printed, in any script, encoded or not."""
    number = draw(st.sampled_from(CARDS))
    size = draw(st.sampled_from((1, 2, 3, 4, 5, 8, 19)))
    gap = draw(GAPS)
    parts = [number[at : at + size] for at in range(0, len(number), size)]
    text = in_script(gap.join(parts), draw(st.sampled_from(("0", *ZEROS))))
    return draw(st.sampled_from((str, *ENCODINGS[:5])))(text)


@FEW
@given(written_cards(), AROUND, AROUND)
def test_a_card_number_with_any_separators_in_any_script_and_place_is_found(text: str, before: str, after: str) -> None:
    whole = f"{before} {text} {after}"
    assert may_hold(whole.encode())
    assert find_personal_data(whole) is Reason.CARD_NUMBER
    assert find_personal_data(redact(whole)) is None


@FEW
@given(
    st.sampled_from((*EMAILS, *IBANS, *(f"aadhaar {number}" for number in AADHAAR), "cvv 739", "+49 151 23456789")),
    AROUND,
)
def test_a_value_after_any_text_is_found_in_any_encoding(value: str, before: str) -> None:
    for encode in (str, *ENCODINGS):
        assert find_personal_data(f"{before} {encode(value)}") is not None


@FEW
@given(st.lists(st.sampled_from(CORPUS), min_size=1, max_size=3), AROUND)
def test_redaction_leaves_nothing_to_find_and_is_its_own_end(variants: list[Variant], around: str) -> None:
    text = around.join(text for variant in variants for text in variant.texts.values())
    redacted = redact(text)
    assert find_personal_data(redacted) is None
    assert redact(redacted) == redacted


@FEW
@given(st.text(max_size=200))
def test_any_text_can_be_read_and_redacted(text: str) -> None:
    redacted = redact(text)
    assert find_personal_data(redacted) is None
    assert (redacted == text) is (find_personal_data(text) is None)
    assert find_personal_data(text) is None or may_hold(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40))
def test_neither_the_batch_nor_its_order_nor_what_came_before_changes_a_verdict(
    seed: int, size: int, first: int
) -> None:
    batch = mixture(Random(seed))
    whole = verdicts(VerifyMask(), batch)
    used = VerifyMask()
    verdicts(used, batch.take(np.arange(first, dtype=np.intp)))
    parts: dict[int, Reason] = {}
    for at in range(0, len(batch), size):
        parts |= verdicts(used, batch.take(np.arange(at, min(at + size, len(batch)), dtype=np.intp)))
    assert parts == whole
    assert verdicts(used, batch.take(np.random.default_rng(seed).permutation(len(batch)))) == whole


def mixture(random: Random) -> Decoded:
    """Return 40 events, about every third of the corpus."""
    rows = [random.choice(CORPUS) if random.random() < 0.3 else None for _ in range(40)]
    batch = decoded([{**drawn_page(random), **(variant.texts if variant else {})} for variant in rows])
    transactions = tuple(variant.transaction if variant else "order-1" for variant in rows)
    linked_ids = tuple(variant.linked_id if variant else "" for variant in rows)
    card_tokens = tuple(variant.card_token if variant else "" for variant in rows)
    event = replace(batch.event, transaction=transactions, linked_id=linked_ids, card_token=card_tokens)
    return replace(batch, event=event)


def verdicts(stage: VerifyMask, batch: Decoded) -> dict[int, Reason]:
    """Return the reason of every refused row by its offset; the others must have gone on."""
    out = stage(batch)
    refused = {letter.offset: letter.reason for letter in out.errs}
    assert sorted([*refused, *out.oks.origin.offset.tolist()]) == sorted(batch.origin.offset.tolist())
    return refused
