"""Every released catalogue's payloads are read for ever: signals that it did not have are absent, none moves.

``--update-golden`` writes the corpus of the present version where there is none; older ones are never written again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.stages.decode import Decode
from infra.traffic.dataset import dataset_keys, labelled_batches
from schemas.catalogue import KINDS, load_catalogue
from schemas.nested import nested_of
from schemas.payload import decode_payloads, encode_payloads

FOLDER = Path(__file__).parent / "released"
CATALOGUE = load_catalogue()
EVENTS = 8


def corpus() -> dict[str, Any]:
    """Return the present version's corpus: names in wire order, and what generated events say, by name."""
    made, *_ = labelled_batches(EVENTS, seed=5, batch=EVENTS, small=True)
    batch = Decode(dataset_keys())(made.raw).oks
    bodies = encode_payloads(batch.signals, batch.activity)
    said = [as_read(nested_of(batch.signals, batch.activity, row, CATALOGUE)) for row in range(len(batch))]
    return {
        "version": CATALOGUE.version,
        "names": {kind: [signal.name for signal in CATALOGUE.of_kind(kind)] for kind in KINDS},
        "events": [{"body": body.hex(), "says": says} for body, says in zip(bodies, said, strict=True)],
    }


def as_read(nested: Any) -> Any:
    """Return the nested form as JSON gives it back."""
    return json.loads(json.dumps(nested))


def released() -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))]


def test_the_present_version_has_a_corpus(request: pytest.FixtureRequest) -> None:
    path = FOLDER / f"catalogue-{CATALOGUE.version}.json"
    if request.config.getoption("--update-golden") and not path.exists():
        path.write_text(json.dumps(corpus(), indent=1) + "\n", "utf-8")
    assert path.exists(), "run pytest tests/golden --update-golden once before the version is released"


def test_no_signal_of_a_released_catalogue_has_moved() -> None:
    for old in released():
        for kind in KINDS:
            names = [signal.name for signal in CATALOGUE.of_kind(kind)]
            assert names[: len(old["names"][kind])] == old["names"][kind], f"version {old['version']}, {kind}"


def test_payloads_of_every_released_catalogue_say_what_they_said() -> None:
    for old in released():
        bodies = [bytes.fromhex(event["body"]) for event in old["events"]]
        signals, activity, good = decode_payloads(bodies, CATALOGUE)
        assert good.all()
        assert set(signals.catalogue.tolist()) == {old["version"]}
        for row, event in enumerate(old["events"]):
            assert as_read(nested_of(signals, activity, row, CATALOGUE)) == event["says"]


def test_signals_newer_than_the_agent_are_absent() -> None:
    for old in released():
        bodies = [bytes.fromhex(event["body"]) for event in old["events"]]
        signals, _, _ = decode_payloads(bodies, CATALOGUE)
        numbers, booleans, categories, texts = (len(old["names"][kind]) for kind in KINDS)
        assert np.isnan(signals.numbers[:, numbers:]).all()
        assert not signals.known[:, booleans:].any()
        assert not signals.categories[:, categories:].any()
        assert (signals.texts.length[:, texts:] == -1).all()
