"""The enrich stage, the registry, the level, and the page that is generated from the code."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enrichers.bot import Bot
from enrichers.compiled import find_causes, join_clues
from enrichers.compiled_clues import bot_clues, headless_clues, input_clues, rare_parts
from enrichers.document import document
from enrichers.graphics import ABSENT, HARDWARE, MACHINE, SOFTWARE, makers, renderer_kind
from enrichers.present import level, present
from enrichers.registry import SIGNALS, check_registry
from enrichers.signal import Clue, SmartSignal
from enrichers.stage import Enrich
from enrichers.view import View
from enrichers.view_loops import gather
from enrichers.warm import warm
from enrichers.where_loops import look_around
from schemas.batches import Bool
from schemas.catalogue import load_catalogue
from schemas.column_steps import run
from schemas.environment import CHECKS
from schemas.smart_signals import SMART_SIGNALS
from tests.builders import entry, related

SECTIONS = ("velocity", "activity", "network", "recognition", "history", "shared", "session", "environment")


def test_every_row_goes_on_with_every_signal() -> None:
    batch = related([{}, {"navigator.webdriver": True}, {}])
    out = Enrich()(batch)
    assert (len(out.oks), list(out.errs), out.dropped) == (3, [], 0)
    assert out.oks.smart.names == SMART_SIGNALS
    assert out.oks.smart.result[:, 0].tolist() == [-1, 1, -1]
    assert out.oks.signals is batch.signals


@pytest.mark.parametrize("rows", [0, 1])
def test_empty_and_one_row_batches_pass(rows: int) -> None:
    smart = Enrich()(related([{}] * rows)).oks.smart
    assert smart.result.shape == smart.confidence.shape == smart.reasons.shape == (rows, len(SIGNALS))


def test_the_stage_pickles_and_judges_the_same() -> None:
    batch = related([{"navigator.webdriver": True}])
    before, after = Enrich(), pickle.loads(pickle.dumps(Enrich()))  # noqa: S301 - our own bytes
    assert (before(batch).oks.smart.confidence.tobytes()) == after(batch).oks.smart.confidence.tobytes()


def test_the_input_is_left_as_it_was() -> None:
    batch = related([{"navigator.webdriver": True}], [[entry("clicked", 4, 2.0)]])
    for column in (batch.signals.numbers, batch.signals.known, batch.signals.booleans, batch.activity.value):
        column.setflags(write=False)
    before = batch.signals.numbers.tobytes()
    Enrich()(batch)
    assert batch.signals.numbers.tobytes() == before


def test_inputs_are_names_that_exist() -> None:
    known = {*load_catalogue().by_name, *(f"check.{name}" for name in CHECKS)}
    for signal in SIGNALS:
        for name in signal.inputs:
            assert name in known or name.partition(".")[0] in SECTIONS, (signal.name, name)


def test_a_signal_that_observes_another_number_of_clues_is_a_bug() -> None:
    class Broken(Bot):
        def observe(self, view: View) -> Sequence[Bool]:
            return ()

    with pytest.raises(AssertionError, match="clues, 0 observed"):
        Broken().evaluate(View(related([{}])))


def test_the_registry_is_that_of_the_schema() -> None:
    with pytest.raises(ValueError, match="not those of schemas"):
        check_registry(SIGNALS[1:])


@pytest.mark.parametrize(
    ("clues", "fault"),
    [
        ((), "needs 1 to 32"),
        ((Clue("a", 0.5, ""), Clue("a", 0.5, "")), "own reason"),
        ((Clue("a", 1.0, ""),), "outside"),
    ],
)
def test_the_registry_refuses_unusable_clues(clues: tuple[Clue, ...], fault: str) -> None:
    broken = type("Broken", (Bot,), {"clues": clues})()
    assert isinstance(broken, SmartSignal)
    with pytest.raises(ValueError, match=fault):
        check_registry((broken, *SIGNALS[1:]))


@pytest.mark.parametrize(
    ("result", "confidence", "expected"),
    [(-1, np.nan, ""), (0, 0.0, "none"), (0, 0.2, "low"), (1, 0.6, "medium"), (1, 0.85, "high")],
)
def test_the_level_follows_result_and_confidence(result: int, confidence: float, expected: str) -> None:
    assert level(result, confidence) == expected


def test_merchants_read_names_and_null() -> None:
    shown = present(Enrich()(related([{"navigator.webdriver": True, "automation.cdc_globals": True}])).oks)[0]
    assert tuple(shown) == SMART_SIGNALS
    assert (shown["bot"].result, shown["bot"].level, shown["bot"].reasons) == (
        True,
        "high",
        ["webdriver", "cdc_globals"],
    )
    assert (shown["headless"].result, shown["headless"].confidence, shown["headless"].reasons) == (None, None, [])


def test_renderers_are_told_apart() -> None:
    assert renderer_kind(None) == renderer_kind(b"") == ABSENT
    assert renderer_kind(b"llvmpipe (LLVM 15.0.7, 256 bits)") == SOFTWARE
    assert renderer_kind(b"Parallels using Apple M2 (Compat)") == MACHINE
    assert renderer_kind(b"Apple GPU") == HARDWARE
    assert makers(None) == makers(b"Google Inc.") == makers(b"Parallels using Apple M2") == 0
    assert makers(b"ATI Technologies Inc.") == makers(b"AMD Radeon") != makers(b"Intel Inc.")


def test_the_page_of_the_smart_signals_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "smart-signals.md"
    assert page.read_text("utf-8") == document(), "run: python -m enrichers.document > docs/smart-signals.md"


def test_what_setup_compiles_is_what_the_stage_runs() -> None:
    warm()
    Enrich()(related([{"navigator.webdriver": True}] * 3))
    Enrich()(related([{}] * 5).take(np.arange(0, 5, 2)))
    joining = (find_causes, gather, run, join_clues)
    loops: tuple[Any, ...] = (*joining, bot_clues, headless_clues, input_clues, rare_parts, look_around)
    assert [len(loop.signatures) for loop in loops] == [1] * len(loops)


def test_clues_that_do_not_lie_together_join_the_same() -> None:
    class Scattered(Bot):
        def observe(self, view: View) -> Sequence[Bool]:
            return [np.stack((clue, clue), axis=1)[:, 0] for clue in super().observe(view)]

    view = View(related([{"navigator.webdriver": True}, {}, {"automation.cdc_globals": True}]))
    for scattered, plain in zip(Scattered().evaluate(view), Bot().evaluate(view), strict=True):
        assert scattered.tobytes() == plain.tobytes()
