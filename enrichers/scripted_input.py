"""scripted_input: a program, and not a hand, filled the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enrichers.behaviour import BEHAVIOUR, learned
from enrichers.compiled_clues import INPUT_STATISTICS, input_clues
from enrichers.signal import Clue, SmartSignal
from enrichers.view import Loop, View
from enrichers.view_loops import INPUT
from schemas.activity_statistics import STATISTICS
from schemas.batches import U8, Bool

_COLUMNS = np.array([STATISTICS.index(name) for name in INPUT_STATISTICS], np.intp)


class ScriptedInput(SmartSignal):
    """Origin, trail, cadence and pace of all that the session has shown so far."""

    name = "scripted_input"
    recorded = True
    version = 2
    question = "The page was filled by a program."
    threshold = 0.55
    held_down = (
        "Password managers set and send several events a field, and identity managers fill a whole form: those clues "
        "stay under the threshold also together. The browser's own autofill and managers take a form out of what is "
        "said of its pace. Screen readers and switches click without a pointer, and their clicks have no length: both "
        "together stay under the threshold. Keyboard users activate by key, which is no click. Vaults that make "
        "people paste a whole card are under the threshold. A merchant's own tests are programs: true is right there."
    )
    data_kinds = (BEHAVIOUR,)
    inputs = (
        "session.started_at",
        "activity.untrusted",
        "activity.clicks_without_trail",
        "activity.set_by_script",
        "activity.set_by_script_card",
        "activity.autofilled",
        "activity.focused",
        "activity.key_interval_mean",
        "activity.key_interval_deviation",
        "activity.keys",
        "activity.pasted",
        "activity.pasted_card",
        "activity.pointer_travel",
        "activity.touches",
        "activity.clicks",
        "activity.click_hold_mean",
        "activity.duration",
        "activity.time_away",
        "activity.tab_left",
        "activity.close_attempted",
        "activity.submitted_after",
    )
    clues = (
        Clue("untrusted_events", 0.15, "Stated: events that a script made; widgets and managers make a few a field."),
        Clue("many_untrusted_events", 0.7, "Stated: eight more than fields set by script explain; with those 0.75."),
        learned("click_without_trail", 0.15, "A click where no pointer had been, and few such; screen readers do so."),
        learned("clicks_without_trail", 0.2, "Three in ten clicks and more, of three and more, had no trail."),
        learned("card_set_by_script", 0.15, "Card fields changed without a key or a paste; managers do so too."),
        learned("all_set_by_script", 0.1, "So were nearly all of four fields and more; identity managers do so too."),
        learned("machine_cadence", 0.9, "Ten keys and more within 6 ms of one pace; a typist's vary by 40 and more."),
        learned(
            "even_cadence",
            0.8,
            "Twenty keys and more that vary by under a quarter of their mean; a hand's by half.",
        ),
        learned("rather_even_cadence", 0.4, "The same by 0.25 to 0.45; some trained typists are as even."),
        learned("faster_than_fingers", 0.9, "Ten keys and more at under 30 ms each, twice the fastest typist's."),
        learned("as_fast_as_the_fastest", 0.5, "The same at 30 to 60 ms, which champions reach."),
        learned("filled_at_once", 0.9, "Three fields and more by hand, in under 0.5 s each."),
        learned("filled_fast", 0.55, "The same in 0.5 to 0.9 s."),
        learned("submitted_at_once", 0.65, "Submitted within 1.5 s of opening by hand; nobody reads so fast."),
        learned("submitted_early", 0.5, "Two fields and more by hand, submitted within 1.5 to 3 s of opening."),
        learned("clicks_of_no_length", 0.15, "Two clicks and more held under 2 ms; screen readers' are so too."),
        learned("clicks_of_little_length", 0.35, "The same for 2 to 10 ms; a tap on a touch pad takes 20."),
        learned("short_trails", 0.4, "Three clicks and more with less than 60 px of way to each; a hand moves 180."),
        Clue("no_pointer_at_all", 0.05, "Stated: two clicks and more, but no travel and no touch; switches do so."),
        learned("all_pasted", 0.75, "Nearly all of four fields and more were pasted."),
        learned("pasted_whole_card", 0.3, "Two card fields and more pasted, no key typed; vaults make people do so."),
        learned("card_from_another_tab", 0.1, "A card field pasted after the tab was left; people fetch theirs so."),
        learned("close_attempted", 0.1, "Somebody tried to close the page before it was done."),
    )

    def computable(self, view: View) -> Bool:
        """There was some input to judge in the session: a key, a click, a touch, travel, a paste or a submit."""
        return view.looped(_LOOP)[-1]

    def observe(self, view: View) -> Sequence[Bool]:
        """Judge origin, trail, cadence, pace, clicks and pasting; of two steps of one thing only one is shown."""
        return view.looped(_LOOP)[:-1]


def _observe(view: View, found: U8) -> None:
    """Set the clues, and then where there is something to judge."""
    input_clues(view.raw.statistics, _COLUMNS, view.time - view.session.started_at, found)


def _tables() -> tuple[NDArray[Any], ...]:
    """Return what ``view_loops.gather`` takes: the columns of ``input_clues``."""
    return (_COLUMNS,)


_LOOP = Loop(len(ScriptedInput.clues) + 1, _observe, INPUT, _tables)
