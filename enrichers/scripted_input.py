"""scripted_input: a program, and not a hand, filled the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool

_FEW_KEYS = 10  # below this, a mean or a deviation says nothing
_EVENTS_A_FIELD = 4  # a password manager sends focus, input, change and blur for each field that it sets


class ScriptedInput(SmartSignal):
    """Untrusted events, clicks without a trail, and a cadence that no hand has."""

    name = "scripted_input"
    question = "The page was filled by a program."
    held_down = (
        "Password managers set values by script and autofill empties the typing: those clues stay under the threshold "
        "also together; keyboard users and screen readers click without a pointer: one such click is weak."
    )
    inputs = (
        "activity.untrusted",
        "activity.clicks_without_trail",
        "activity.set_by_script",
        "activity.set_by_script_card",
        "activity.autofilled",
        "activity.key_interval_mean",
        "activity.key_interval_deviation",
        "activity.keys",
        "activity.pasted_card",
        "activity.pointer_travel",
        "activity.touches",
        "activity.clicks",
        "activity.click_hold_mean",
        "activity.submitted_after",
    )
    clues = (
        Clue("untrusted_events", 0.2, "Events that a script made; widgets and password managers make a few a field."),
        Clue("many_untrusted_events", 0.7, "Eight more than fields set by script explain: with the above, 0.76."),
        Clue("click_without_trail", 0.3, "A click where no pointer had been; screen readers do so too."),
        Clue("clicks_without_trail", 0.5, "Three and more such clicks: with the clue above, 0.65."),
        Clue(
            "card_set_by_script",
            0.35,
            "Card fields changed without a key or a paste; browsers' own autofill is told apart.",
        ),
        Clue(
            "machine_cadence", 0.75, "Ten and more keys within 6 ms of one pace; a typist's own varies by 40 and more."
        ),
        Clue("faster_than_fingers", 0.65, "Ten and more keys at under 30 ms each, twice the fastest typist's."),
        Clue("submitted_at_once", 0.55, "Submitted within 1.5 s of opening, without autofill."),
        Clue("clicks_of_no_length", 0.4, "Two and more clicks held for under 2 ms each; a finger needs 40 and more."),
        Clue("no_pointer_at_all", 0.25, "Two and more clicks without any travel or touch; keyboard users have that."),
        Clue(
            "pasted_whole_card",
            0.2,
            "Two and more card fields pasted and none typed; password vaults make people do so.",
        ),
    )

    def computable(self, view: View) -> Bool:
        """There was some input to judge: a key, a click, a touch, travel, a paste or a submit."""
        activity = view.activity
        names = ("keys", "clicks", "touches", "pointer_travel", "pasted", "autofilled", "focused")
        judged = sum(activity.column(name) for name in names)
        return np.asarray(judged > 0) | ~np.isnan(activity.column("submitted_after"))

    def observe(self, view: View) -> Sequence[Bool]:
        """Judge origin, trail and cadence."""
        column = view.activity.column
        untrusted, trailless, clicks = column("untrusted"), column("clicks_without_trail"), column("clicks")
        typed = column("keys") >= _FEW_KEYS
        autofilled = column("autofilled") > 0
        travelled = (column("pointer_travel") > 0) | (column("touches") > 0)
        return (
            untrusted >= 1,
            untrusted - _EVENTS_A_FIELD * column("set_by_script") >= 8,
            trailless >= 1,
            trailless >= 3,
            (column("set_by_script_card") > 0) & ~autofilled,
            typed & (column("key_interval_deviation") < 6),
            typed & (column("key_interval_mean") < 30),
            (column("submitted_after") < 1500) & ~autofilled,
            (clicks >= 2) & (column("click_hold_mean") < 2),
            (clicks >= 2) & ~travelled,
            (column("pasted_card") >= 2) & (column("keys") == 0),
        )
