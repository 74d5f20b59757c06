"""The compiled clues said once more, column by column in NumPy: what the loops must give, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from enrichers.bot import _KINDS, _TOOLS, HIDING
from enrichers.bot import CAUSES as BOT_CAUSES
from enrichers.causes import first_of
from enrichers.crawlers import crawler_family, verifiable, verified
from enrichers.graphics import SOFTWARE, renderer_kind
from enrichers.headless import _CAUSES as HEADLESS_CAUSES
from enrichers.view import View
from schemas.batches import Bool
from schemas.recognition import COMBINATIONS


def headless(view: View) -> Sequence[Bool]:
    """Return the clues of ``headless``."""
    seen = HEADLESS_CAUSES.seen(view)
    desktop, chrome = view.desktop, view.desktop & view.chromium
    width, height = view.number("screen.width"), view.number("screen.height")
    inner_width, inner_height = view.number("screen.inner_width"), view.number("screen.inner_height")
    outer_width, outer_height = view.number("screen.outer_width"), view.number("screen.outer_height")
    plain = desktop & ~seen["full_screen"] & ~(view.number("timing.resolution") >= 16)
    frameless = (inner_width == outer_width) & (inner_height == outer_height) & (outer_height > 0) & plain
    no_task_bar = (view.number("screen.avail_height") == height) & desktop
    covered = (outer_width == width) & (outer_height == height) & no_task_bar & plain
    emulated, no_frame, covers = first_of(
        frameless & (inner_width == width) & (inner_height == height), frameless, covered
    )
    named = seen["name"] & ~view.is_one_of("botd.kind", "electron")
    return (
        view.browser("headless_chrome") | named,
        (outer_width == 0) & (outer_height == 0) & ~seen["in_background"],
        emulated,
        no_frame,
        (width == 800) & (height == 600) & desktop,
        seen["no_pointer"] & desktop,
        seen["scroll_bars"] & chrome & view.system("windows", "linux") & ~view.browser("edge"),
        view.classify("webgl.unmasked_renderer", renderer_kind) == SOFTWARE,
        (view.number("navigator.connection_rtt") == 0) & chrome,
        seen["no_chrome"] & chrome,
        seen["permissions"] & chrome & ~seen["may_not_ask"],
        seen["no_webgl"] & desktop,
        covers,
        (view.number("navigator.plugins_count") == 0) & chrome & ~seen["plugins_off"],
        (view.number("media.voices_count") == 0) & desktop,
        (view.number("media.audio_outputs") == 0) & desktop,
        no_task_bar,
    )


def bot(view: View) -> Sequence[Bool]:
    """Return the clues of ``bot``."""
    seen, desktop = BOT_CAUSES.seen(view), view.desktop
    flags = first_of(seen["webdriver"], seen["hidden_webdriver"], seen["webdriver_redefined"])
    tools = [seen[tool] for tool in _TOOLS]
    other_tool = seen["distinctive"] & ~np.logical_or.reduce(tools) & ~seen["webdriver"]
    headless = view.browser("headless_chrome") | (seen["headless_name"] & ~view.is_one_of("botd.kind", "electron"))
    crawlers = _crawlers(view, view.browser("bot", "unknown") | seen["bot_name_anywhere"])
    hiding = (sum(view.true(name).astype(np.uint8) for name in HIDING) >= np.uint8(2)) & ~flags[2]
    may_ask = ~view.false("page.secure_context") & ~view.true("page.in_frame")
    length = view.number("timing.eval_length")
    viewer_on = ~view.false("navigator.pdf_viewer_enabled")
    return (
        *flags,
        seen["webdriver_attribute"],
        *tools,
        other_tool & view.is_one_of("botd.kind", *_KINDS),
        headless,
        seen["bot_name_anywhere"] & desktop & ~headless & ~np.logical_or.reduce(crawlers),
        *crawlers,
        seen["source_url_marker"],
        seen["error_stack_marker"],
        *first_of(hiding, seen["forged_objects"] & desktop),
        seen["permissions_inconsistent"] & desktop & may_ask,
        view.number("navigator.languages_count") == 0,
        view.true("automation.cdp_runtime") & ~view.true("automation.devtools_open"),
        *_no_hand(view),
        seen["runs_in_application"],
        ~np.isnan(length) & (length != 33) & (length != 37),
        (view.number("navigator.plugins_count") == 0) & view.chromium & desktop & viewer_on,
    )


def _crawlers(view: View, suspect: Bool) -> list[Bool]:
    agents = view.texts("navigator.user_agent")
    family = np.array([crawler_family(agent) if asked else 0 for agent, asked in zip(agents, suspect, strict=True)])
    family = family.astype(np.uint8)
    good, claims = verified(family, view.network), verifiable(family)
    return [good, claims & ~good, (view.browser("bot") | (family != 0)) & ~claims]


def _no_hand(view: View) -> Sequence[Bool]:
    column = view.activity.column
    clicked = (column("clicks") >= 2) & (column("click_hold_mean") < 10) & (column("pointer_travel") > 0)
    by_script = (column("set_by_script") >= 3) & (column("keys") == 0) & (column("autofilled") == 0)
    return first_of(clicked, by_script & (column("clicks_without_trail") > 0) & (column("clicks") == 0))


def scripted_input(view: View) -> Sequence[Bool]:
    """Return the clues of ``scripted_input``."""
    column = view.activity.column
    untrusted, trailless, scripted = column("untrusted"), column("clicks_without_trail"), column("set_by_script")
    clicks, focused, keys = column("clicks"), column("focused"), column("keys")
    mean, deviation = column("key_interval_mean"), column("key_interval_deviation")
    submitted, hold, travel = column("submitted_after"), column("click_hold_mean"), column("pointer_travel")
    pasted, on_card, autofilled = column("pasted"), column("pasted_card"), column("autofilled")
    every = clicks + trailless
    many = (every >= 3) & (trailless >= 0.3 * every)
    typed, long = keys >= 10, keys >= 20
    machine, by_hand = typed & (deviation < 6), (autofilled == 0) & (scripted == 0)
    even = long & (deviation < 0.25 * mean)
    fields = np.minimum(focused, pasted + keys / 4)
    spent = column("duration") + (view.time - view.session.started_at) - column("time_away")
    several = by_hand & (fields >= 3)
    at_once, pointed = several & (spent < 500 * fields), column("touches") == 0
    all_pasted = (focused >= 4) & (pasted >= 0.8 * focused)
    return (
        untrusted >= 1,
        untrusted - 4 * scripted >= 8,
        (trailless >= 1) & ~many,
        many,
        (column("set_by_script_card") > 0) & (autofilled == 0),
        (focused >= 4) & (scripted >= 0.8 * focused),
        machine,
        even & ~machine,
        long & (deviation < 0.45 * mean) & ~even & ~machine,
        typed & (mean < 30),
        typed & (mean >= 30) & (mean < 60),
        at_once,
        several & (spent < 900 * fields) & ~at_once,
        by_hand & (submitted < 1_500),
        by_hand & (focused >= 2) & (submitted >= 1_500) & (submitted < 3_000),
        (clicks >= 2) & (hold < 2),
        (clicks >= 2) & (hold >= 2) & (hold < 10),
        (clicks >= 3) & pointed & (travel > 0) & (travel < 60 * clicks),
        (clicks >= 2) & pointed & (travel == 0),
        all_pasted,
        (on_card >= 2) & (keys == 0) & ~all_pasted,
        (on_card >= 1) & (column("tab_left") >= 1),
        column("close_attempted") >= 1,
    )


_PARTS = (("graphics", "rendering", "machine"), ("screen",), ("hardware",), ("fonts",), ("locale",))
_TELLING = ("graphics", "rendering", "machine", "hardware", "fonts")


def rare_device(view: View) -> Sequence[Bool]:
    """Return the clues of ``rare_device``, row by row."""
    made_up = view.true("api.brave") | (view.browser("firefox") & (view.number("timing.resolution") >= 16))
    rows = zip(view.recognition.tail, view.recognition.seen, made_up.tolist(), strict=True)
    found = [_rarity(tail, seen, hidden) for tail, seen, hidden in rows]
    return list(np.array(found, np.bool_).reshape(-1, 6).T)


def _rarity(tail: Any, seen: Any, made_up: bool) -> tuple[bool, ...]:
    def are(names: Sequence[str], limit: float, *, unseen: bool = False) -> bool:
        at = [COMBINATIONS.index(name) for name in names]
        return bool(((tail[at] <= np.float32(limit)) & ((seen[at] < 0.5) | (not unseen))).any())

    parts = 0 if made_up else sum(are(part, 0.001) for part in _PARTS)
    unseen = 0 if made_up else sum(are(part, 0.02, unseen=True) for part in _PARTS)
    software, extreme = are(("browser", "system"), 0.001), are(_TELLING, 0.0001) and not made_up
    return software, parts >= 1, parts >= 2, parts >= 4, extreme, unseen >= 3
