"""Details are the same where what they are said to look at is the same, so what one row says is told of another."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enrichers.detail_inputs import DETAIL_INPUTS, Inputs
from enrichers.present import Present
from enrichers.registry import SIGNALS
from schemas.batches import Enriched, Network, Texts
from schemas.catalogue import category_hash, load_catalogue
from schemas.countries import COUNTRIES
from schemas.environment import BROWSERS, ENGINES, GPUS, SYSTEMS
from tests.scored_parcels import scored_batch

ROWS = 12
BASE = scored_batch(ROWS)
CATALOGUE = load_catalogue()
BY_NAME = {signal.name: signal for signal in SIGNALS}
PRESENT = Present()  # kept between examples, as a flow keeps it
TELL = msgspec.json.Encoder(enc_hook=float).encode
NUMBERS = np.array([0, 1, 16.7, 100, 200, 600, 800, 1_024.5, -1, np.nan, np.inf], np.float32)
WORDS = (
    "", "Win32", "MacIntel", "Linux x86_64", "iPhone", "Windows", "Android", "de-DE", "ru-RU", "selenium", "phantomjs",
    "Google Inc. (Google)",
)  # fmt: skip
HASHES = np.array([category_hash(word) if word else 0 for word in WORDS], np.uint32)
TEXTS = {
    "navigator.user_agent": (None, b"", b"Mozilla/5.0 (compatible; Googlebot/2.1)", b"bingbot", b"Chrome/147.0.0.0"),
    "webgl.unmasked_renderer": (None, b"ANGLE (Google, Vulkan 1.3 (SwiftShader Device))", b"llvmpipe", b"SVGA3D", b"?"),
    "webgl.unmasked_vendor": (None, b"Google Inc. (NVIDIA)", b"Apple", b"Mesa"),
}
ENVIRONMENT = {"browser": BROWSERS, "system": SYSTEMS, "engine": ENGINES, "gpu": GPUS}


def texts_of(shown: dict[str, list[bytes | None]]) -> Texts:
    blobs = [b"".join(text or b"" for text in row) for row in zip(*shown.values(), strict=True)]
    start = np.zeros((ROWS, CATALOGUE.counts()[3]), np.int32)
    length = np.full_like(start, -1)
    at = np.zeros(ROWS, np.int32)
    for name, column in shown.items():
        size = np.array([-1 if text is None else len(text) for text in column], np.int32)
        start[:, CATALOGUE.text(name)], length[:, CATALOGUE.text(name)] = at, size
        at = at + np.maximum(size, 0)
    return Texts(tuple(blobs), start, length)


def drawn(random: np.random.Generator, kept: tuple[Enriched, Inputs] | None = None) -> Enriched:
    """Return a batch with anything that details look at; ``kept``: but for what these inputs are of another one."""
    signals, environment = BASE.signals, BASE.environment
    known = random.random(signals.known.shape) < 0.5
    texts: dict[str, list[bytes | None]] = {
        name: [some[at] for at in random.integers(0, len(some), ROWS).tolist()] for name, some in TEXTS.items()
    }
    codes: dict[str, Any] = {
        name: random.integers(0, len(of), ROWS).astype(np.uint8) for name, of in ENVIRONMENT.items()
    }
    made = replace(
        BASE,
        signals=replace(
            signals,
            numbers=NUMBERS[random.integers(0, len(NUMBERS), signals.numbers.shape)],
            categories=HASHES[random.integers(0, len(HASHES), signals.categories.shape)],
            known=known,
            booleans=known & (random.random(known.shape) < random.choice([0.01, 0.5])),
            texts=texts_of(texts),
        ),
        environment=replace(
            environment,
            **codes,
            timezone_offset=random.choice(np.array([np.nan, -60, 0, 300], np.float32), ROWS),
            browser_version=random.random(ROWS).astype(np.float32),
            checks=random.integers(0, 2**63, ROWS).astype(np.uint64) & np.uint64(random.choice([2**63 - 1, 0b1011])),
        ),
        network=Network(
            country=random.integers(0, len(COUNTRIES), ROWS).astype(np.uint16),
            asn=random.choice([0, 3320, 15169], ROWS).astype(np.uint32),
            latitude=random.random(ROWS).astype(np.float32),
            longitude=random.random(ROWS).astype(np.float32),
            classes=random.integers(0, 1 << 10, ROWS).astype(np.uint16),
        ),
        velocity=replace(BASE.velocity, counts=random.integers(0, 99, BASE.velocity.counts.shape).astype(np.uint32)),
        shared=replace(BASE.shared, counts=random.integers(0, 99, BASE.shared.counts.shape).astype(np.float32)),
        smart=replace(
            BASE.smart,
            result=np.ones_like(BASE.smart.result),
            confidence=random.choice(np.array([0.5, 0.9], np.float32), BASE.smart.result.shape),
            reasons=random.integers(0, 4, BASE.smart.result.shape).astype(np.uint32),
        ),
    )
    return made if kept is None else with_inputs(made, texts, *kept)


def with_inputs(made: Any, texts: dict[str, list[bytes | None]], given: Any, inputs: Inputs) -> Enriched:
    shown = made.signals
    numbers = [CATALOGUE.number(name) for name in inputs.numbers]
    categories = [CATALOGUE.category(name) for name in inputs.categories]
    booleans = [CATALOGUE.boolean(name) for name in inputs.booleans]
    booleans += [at for causes in inputs.causes for kind in causes.places[:2] for at in kind[0].tolist()]
    mask = np.uint64(sum(1 << at for at in {int(at) for causes in inputs.causes for at in causes.places[2][0]}))
    shown.numbers[:, numbers] = given.signals.numbers[:, numbers]
    shown.categories[:, categories] = given.signals.categories[:, categories]
    shown.known[:, booleans] = given.signals.known[:, booleans]
    shown.booleans[:, booleans] = given.signals.booleans[:, booleans]
    kept = {name: given.signals.texts.column(CATALOGUE.text(name)) for name in inputs.texts}
    environment = {name: getattr(given.environment, name) for name in (*ENVIRONMENT, "timezone_offset")}
    return replace(
        made,
        signals=replace(shown, texts=texts_of(texts | kept)),
        environment=replace(
            made.environment,
            checks=(made.environment.checks & ~mask) | (given.environment.checks & mask),
            **(environment if inputs.environment else {}),
        ),
        network=given.network if inputs.network else made.network,
        smart=given.smart,
    )


def told(name: str, batch: Enriched) -> list[bytes]:
    return [TELL(BY_NAME[name].details(batch, row)) for row in range(ROWS)]


@pytest.mark.parametrize("name", DETAIL_INPUTS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_details_change_with_nothing_but_what_they_are_said_to_look_at(name: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    batch = drawn(random)
    assert told(name, batch) == told(name, drawn(random, (batch, DETAIL_INPUTS[name])))


@cache
def seen(name: str) -> int:
    return len({one for seed in range(20) for one in told(name, drawn(np.random.default_rng(seed)))})


@pytest.mark.parametrize("name", DETAIL_INPUTS)
def test_the_batches_that_are_drawn_show_different_details(name: str) -> None:
    assert seen(name) > 2


def check(batch: Enriched) -> None:
    """Assert that what is written of each signal is what its object says."""
    number, (text, bounds) = PRESENT.written(batch)
    for row, shown in enumerate(PRESENT(batch)):
        for piece, (name, one) in zip(number[row].tolist(), shown.items(), strict=True):
            wanted = msgspec.json.encode(name) + b":" + msgspec.json.encode(one)
            assert text[bounds[piece] : bounds[piece + 1]].tobytes() == wanted


def without_one(inputs: Inputs, random: np.random.Generator) -> Inputs:
    """Return the inputs without one of them."""
    less = [
        {name: value[:at] + value[at + 1 :]} if isinstance(value, tuple) else {name: False}
        for name, value in ((field.name, getattr(inputs, field.name)) for field in fields(inputs))
        for at in range(len(value) if isinstance(value, tuple) else int(value))
    ]
    return replace(inputs, **less[random.integers(len(less))]) if less else inputs


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_remembered_of_other_rows_is_what_each_row_says(seed: int) -> None:
    random = np.random.default_rng(seed)
    batch = drawn(random)
    check(batch)
    for name in random.permutation(list(DETAIL_INPUTS))[:6].tolist():
        inputs = DETAIL_INPUTS[name]
        check(drawn(random, (batch, inputs)))
        check(drawn(random, (batch, without_one(inputs, random))))


def test_a_batch_that_let_go_of_its_signals_is_written_without_details_of_them() -> None:
    batch = drawn(np.random.default_rng(1))
    signals, none = batch.signals, np.empty((ROWS, 0), np.bool_)
    floats, categories = np.empty((ROWS, 0), np.float32), np.empty((ROWS, 0), np.uint32)
    check(
        replace(
            batch,
            signals=replace(signals, numbers=floats, known=none, booleans=none, categories=categories),
        )
    )
