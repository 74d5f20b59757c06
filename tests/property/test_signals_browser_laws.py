"""Laws of the browser signals: a row's verdict depends on that row alone, in batches of any size and order; what one
cause shows in several places counts once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enrichers.causes import Causes, first_of
from enrichers.consistency import ALTERED, CONTRADICTIONS
from enrichers.signal import SmartSignal
from enrichers.view import View
from schemas.batches import Related
from schemas.catalogue import load_catalogue
from schemas.environment import BROWSERS, CHECKS, DEVICES, ENGINES, SYSTEMS
from schemas.networks import NETWORK_CLASSES
from tests.builders import related
from tests.unit.test_enrich_signals import BY_NAME

NAMES = (
    "bot", "cdp_automation", "headless", "incognito", "tampering", "anti_detect_browser", "canvas_spoofing",
    "webgl_mismatch", "navigator_mismatch", "virtual_machine", "developer_tools", "privacy_settings",
)  # fmt: skip
CATALOGUE = load_catalogue()
NUMBERS = (-1.0, 0.0, 1.0, 2.0, 4.0, 16.7, 33.0, 600.0, 800.0, 1024.0, 1400.0, 10_240.0)
WORDS = ("Win32", "Linux x86_64", "20100101", "20030107", "Google Inc. (Google)", "811c9dc5", "selenium", "electron")
RENDERERS = (
    "ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 Direct3D11 vs_5_0 ps_5_0, D3D11)", "SwiftShader", "VMware SVGA 3D",
    "Microsoft Basic Render Driver", "Android Emulator", "NVIDIA Tesla T4", "",
)  # fmt: skip
AGENTS = ("Mozilla/5.0 (compatible; Googlebot/2.1)", "python-requests/2.32", "Mozilla/5.0 Chrome/147.0.0.0", "")


def _inputs(kind: str) -> list[str]:
    named = {name for signal in NAMES for name in BY_NAME[signal].inputs if name in CATALOGUE.by_name}
    return sorted(name for name in named if CATALOGUE.by_name[name].kind == kind)


shown = st.builds(
    lambda *parts: {name: value for part in parts for name, value in part.items()},
    st.dictionaries(st.sampled_from(_inputs("boolean")), st.booleans(), max_size=12),
    st.dictionaries(st.sampled_from(_inputs("number")), st.sampled_from(NUMBERS), max_size=8),
    st.dictionaries(st.sampled_from(_inputs("category")), st.sampled_from(WORDS), max_size=6),
    st.fixed_dictionaries(
        {},
        optional={
            "webgl.unmasked_renderer": st.sampled_from(RENDERERS),
            "navigator.user_agent": st.sampled_from(AGENTS),
        },
    ),
)
environment = st.fixed_dictionaries(
    {
        "browser": st.sampled_from(BROWSERS), "system": st.sampled_from(SYSTEMS), "device": st.sampled_from(DEVICES),
        "engine": st.sampled_from(ENGINES), "browser_version": st.sampled_from([75.0, 114.0, 147.0]),
        "checks": st.lists(st.sampled_from(CHECKS), max_size=6, unique=True),
    }
)  # fmt: skip
network = st.fixed_dictionaries(
    {
        "asn": st.sampled_from([0, 3320, 15169]),
        "classes": st.lists(st.sampled_from(NETWORK_CLASSES), max_size=2, unique=True),
    }
)
row = st.tuples(shown, environment, network)
Row = tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]


def batch_of(rows: Sequence[Row]) -> Related:
    """Return one batch of these rows."""
    events, environments, networks = zip(*rows, strict=True)
    return related(list(events), environment=list(environments), network=list(networks))


def verdicts(signal: SmartSignal, batch: Related) -> list[tuple[bytes, ...]]:
    """Return the bytes of each row's verdict."""
    verdict = signal.evaluate(View(batch))
    return [tuple(column[at].tobytes() for column in verdict) for at in range(len(batch))]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=7), random=st.randoms(use_true_random=False))
def test_order_and_batch_size_change_no_verdict(name: str, rows: list[Row], random: Any) -> None:
    batch, signal = batch_of(rows), BY_NAME[name]
    whole = verdicts(signal, batch)
    order = list(range(len(rows)))
    random.shuffle(order)
    assert verdicts(signal, batch.take(np.array(order, np.intp))) == [whole[at] for at in order]
    assert [verdicts(signal, batch.take(np.array([at], np.intp)))[0] for at in range(len(rows))] == whole


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_give_no_verdicts(name: str) -> None:
    verdict = BY_NAME[name].evaluate(View(related([])))
    assert len(verdict.result) == len(verdict.confidence) == len(verdict.reasons) == 0


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=4))
def test_observing_leaves_the_batch_as_it_was(name: str, rows: list[Row]) -> None:
    batch = batch_of(rows)
    columns = (batch.signals.booleans, batch.signals.numbers, batch.signals.categories, batch.environment.checks)
    for column in columns:
        column.setflags(write=False)
    BY_NAME[name].evaluate(View(batch))


@settings(max_examples=60, deadline=None)
@given(cause=st.sampled_from(sorted(CONTRADICTIONS)), data=st.data())
def test_checks_of_one_cause_count_once_in_tampering(cause: str, data: st.DataObject) -> None:
    checks = [name.removeprefix("check.") for name in CONTRADICTIONS[cause]]
    some = data.draw(st.lists(st.sampled_from(checks), min_size=1, unique=True))
    chrome = {"browser": "chrome", "system": "windows", "device": "desktop"}
    rows: list[Row] = [({}, {**chrome, "checks": shown}, {}) for shown in (some[:1], some, checks)]
    verdict = BY_NAME["tampering"].evaluate(View(batch_of(rows)))
    assert len(set(verdict.confidence.tolist())) == 1 and verdict.confidence[0] > 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted({name for names in ALTERED.values() for name in names})), min_size=1))
def test_replaced_functions_count_as_the_strongest_of_them(functions: list[str]) -> None:
    chrome = {"browser": "chrome", "system": "windows", "device": "desktop"}
    rows: list[Row] = [({name: True}, chrome, {}) for name in functions]
    rows.append((dict.fromkeys(functions, True), chrome, {}))
    verdict = BY_NAME["tampering"].evaluate(View(batch_of(rows)))
    assert verdict.confidence[-1] == max(verdict.confidence[:-1])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(0, 9), st.data())
def test_of_one_causes_clues_the_first_that_is_seen_stays(clues: int, rows: int, data: st.DataObject) -> None:
    table = np.array(data.draw(st.lists(st.lists(st.booleans(), min_size=rows, max_size=rows),
                                        min_size=clues, max_size=clues)), np.bool_).reshape(clues, rows)  # fmt: skip
    kept = np.array(first_of(*table))
    assert (kept.sum(axis=0) == table.any(axis=0)).all()
    assert (kept.argmax(axis=0)[table.any(axis=0)] == table.argmax(axis=0)[table.any(axis=0)]).all()


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=6))
def test_causes_are_seen_where_any_of_what_shows_them_is(rows: list[Row]) -> None:
    shown_by = {
        "true": ("automation.cdc_globals", "navigator.webdriver"),
        "false": ("!plugin.consistent", "!canvas.supported"),
        "check": ("check.canvas_unstable",),
        "any": ("webgl.supported", "!webgl.supported", "check.engines_mixed"),
    }
    view = View(batch_of(rows))
    seen = Causes(shown_by).seen(view)
    for cause, names in shown_by.items():
        plain = np.zeros(len(view), np.bool_)
        for name in names:
            kind, _, rest = name.partition(".")
            plain |= (
                view.check(rest) if kind == "check" else view.false(name[1:]) if name[0] == "!" else view.true(name)
            )
        assert (seen[cause] == plain).all(), cause
