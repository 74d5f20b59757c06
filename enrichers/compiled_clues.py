"""Clues that need many small steps on a row, compiled: as NumPy calls each step costs more than all of a row here.

Numba keeps what it compiled as ``enrichers.compiled`` says; all that these loops are compiled with stands in this file.
Numbers are float32 where NumPy would keep them so: a row's clues are the same bits either way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from enrichers.compiled import kernel

# Columns of the statistics that ``input_clues`` is given, in this order.
INPUT_STATISTICS = (
    "untrusted", "clicks_without_trail", "set_by_script", "set_by_script_card", "autofilled", "focused",
    "key_interval_mean", "key_interval_deviation", "keys", "pasted", "pasted_card", "pointer_travel", "touches",
    "clicks", "click_hold_mean", "duration", "time_away", "tab_left", "close_attempted", "submitted_after",
)  # fmt: skip
_FEW_KEYS = 10  # below this, a mean or a deviation says nothing
_ENOUGH_KEYS = 20  # for how even a hand is
_KEYS_A_FIELD = np.float32(4)
_EVENTS_A_FIELD = np.float32(4)  # a password manager sends focus, input, change and blur for each field that it sets
_THREE_TENTHS, _MOST, _A_QUARTER, _NEARLY_HALF = np.float32(0.3), np.float32(0.8), np.float32(0.25), np.float32(0.45)
HEADLESS_NUMBERS = (
    "screen.width", "screen.height", "screen.avail_height", "screen.inner_width", "screen.inner_height",
    "screen.outer_width", "screen.outer_height", "timing.resolution", "navigator.plugins_count",
    "navigator.connection_rtt", "media.voices_count", "media.audio_outputs",
)  # fmt: skip
BOT_NUMBERS = ("timing.eval_length", "navigator.plugins_count", "navigator.languages_count")
BOT_BOOLEANS = (
    "page.secure_context", "page.in_frame", "navigator.pdf_viewer_enabled", "automation.cdp_runtime",
    "automation.devtools_open",
)  # fmt: skip
BOT_STATISTICS = (
    "clicks", "click_hold_mean", "pointer_travel", "set_by_script", "keys", "autofilled", "clicks_without_trail",
)  # fmt: skip
_RESIST_STEP = 16  # ms: the clock's step when Firefox resists fingerprinting
_TOOLS = 9  # whose own traces are clues
_LEAST_HOLD = 10  # ms: a tap on a touch pad takes 20, a tool's click 0 to 5
_EVAL_LENGTHS = (33, 37)  # eval.toString().length: 33 in Chromium, 37 in Firefox and Safari
_FIELDS = 3  # set by script: fewer are a manager's name and password
_AT_ONCE_MS, _FAST_MS, _A_CLICKS_TRAVEL = np.float32(500), np.float32(900), np.float32(60)


@kernel
def input_clues(statistics: Any, columns: Any, since: Any, found: Any) -> None:
    """Set ``found``, uint8[24, n], to the clues of ``enrichers.scripted_input``, and then where there was any input.

    ``statistics``: float32[n, S], ``columns``: those of ``INPUT_STATISTICS``; ``since``: int64[n], ms from the
    session's start to the event.
    """
    for row in range(len(statistics)):
        shown = statistics[row]
        untrusted, trailless, scripted = shown[columns[0]], shown[columns[1]], shown[columns[2]]
        scripted_card, autofilled, focused = shown[columns[3]], shown[columns[4]], shown[columns[5]]
        mean, deviation, keys = shown[columns[6]], shown[columns[7]], shown[columns[8]]
        pasted, on_card, travel = shown[columns[9]], shown[columns[10]], shown[columns[11]]
        touches, clicks, hold = shown[columns[12]], shown[columns[13]], shown[columns[14]]
        duration, away, left = shown[columns[15]], shown[columns[16]], shown[columns[17]]
        closed, submitted = shown[columns[18]], shown[columns[19]]
        out = found[:, row]

        all_clicks = clicks + trailless
        many = all_clicks >= 3 and trailless >= _THREE_TENTHS * all_clicks
        out[0] = untrusted >= 1
        out[1] = untrusted - _EVENTS_A_FIELD * scripted >= 8
        out[2] = trailless >= 1 and not many
        out[3] = many
        out[4] = scripted_card > 0 and autofilled == 0
        out[5] = focused >= 4 and scripted >= _MOST * focused

        typed, long = keys >= _FEW_KEYS, keys >= _ENOUGH_KEYS
        machine = typed and deviation < 6
        even = long and deviation < _A_QUARTER * mean
        out[6] = machine
        out[7] = even and not machine
        out[8] = long and deviation < _NEARLY_HALF * mean and not even and not machine
        out[9] = typed and mean < 30
        out[10] = typed and mean >= 30 and mean < 60

        by_hand = autofilled == 0 and scripted == 0
        # Who goes through fields by tab fills none: a field counts for what came into it.
        fields = np.minimum(focused, pasted + keys / _KEYS_A_FIELD)
        # Pages count their own time: the sum is too long where there is one, and never too short where there are more.
        spent = np.float64(duration) + since[row] - away
        several = by_hand and fields >= 3
        at_once = several and spent < _AT_ONCE_MS * fields
        out[11] = at_once
        out[12] = several and spent < _FAST_MS * fields and not at_once
        out[13] = by_hand and submitted < 1_500
        out[14] = by_hand and focused >= 2 and submitted >= 1_500 and submitted < 3_000

        pointed = touches == 0
        out[15] = clicks >= 2 and hold < 2
        out[16] = clicks >= 2 and hold >= 2 and hold < 10
        out[17] = clicks >= 3 and pointed and travel > 0 and travel < _A_CLICKS_TRAVEL * clicks
        out[18] = clicks >= 2 and pointed and travel == 0

        all_pasted = focused >= 4 and pasted >= _MOST * focused
        out[19] = all_pasted
        out[20] = on_card >= 2 and keys == 0 and not all_pasted
        out[21] = on_card >= 1 and left >= 1
        out[22] = closed >= 1
        any_input = keys + clicks + touches + travel + pasted + autofilled + focused > 0
        out[23] = any_input or not np.isnan(submitted)


@kernel
def _count(bits: Any) -> Any:
    """Return how many bits are set."""
    found = 0
    while bits:
        found += bits & 1
        bits >>= 1
    return found


@kernel
def rare_parts(shown: Any, recognized: Any, columns: Any, tables: Any, limits: Any, found: Any) -> None:
    """Set ``found``, uint8[7, n], to the clues of ``enrichers.rare_device``, and then where any tail is known.

    ``shown``: of ``enrichers.view.Raw`` booleans, numbers and browser; ``recognized``: tail and seen, float32[n, C];
    ``columns``: of Brave and of the clock's step; ``tables``: the part of each combination, int64[C], part 0 is the
    software, which of them are telling, bool[C], and by code the browsers that are Firefox; ``limits``: the shares of
    traffic that are unusual, rare and extreme, the count below which nothing was seen, and the step of a coarse clock.
    A tail that is not known (NaN) is never unusual.
    """
    booleans, numbers, browser = shown
    tail, seen = recognized
    brave_at, step_at = columns
    part_of, telling, is_firefox = tables
    unusual, rare_share, extreme_share, least, coarse = limits
    for row in range(len(tail)):
        rare, unseen, extreme, known = 0, 0, False, False
        for at in range(tail.shape[1]):
            share = tail[row, at]
            known |= not np.isnan(share)
            if share <= unusual:
                if share <= rare_share:
                    rare |= 1 << part_of[at]
                if seen[row, at] < least:
                    unseen |= 1 << part_of[at]
                if share <= extreme_share and telling[at]:
                    extreme = True
        out = found[:, row]
        out[0], out[6] = rare & 1, known
        made_up = booleans[row, brave_at] or (is_firefox[browser[row]] and numbers[row, step_at] >= coarse)
        parts = 0 if made_up else _count(rare >> 1)
        out[1], out[2], out[3] = parts >= 1, parts >= 2, parts >= 4
        out[4] = extreme and not made_up
        out[5] = not made_up and _count(unseen >> 1) >= 3


@kernel
def headless_clues(shown: Any, columns: Any, tables: Any, hashes: Any, seen: Any, kinds: Any, found: Any) -> None:
    """Set ``found``, uint8[17, n], to the clues of ``enrichers.headless`` in their order.

    ``shown``: of ``enrichers.view.Raw`` numbers, categories, browser, system and device; ``columns``: of
    ``HEADLESS_NUMBERS`` and of botd.kind; ``tables``: by code, bool, the browsers that are headless Chrome, on
    Chromium, and Edge, the systems Windows and Linux, and desktops; ``hashes``: of electron; ``seen``: uint8[10, n],
    the causes; ``kinds``: of renderers, uint8[n], and which of them is software.
    """
    is_headless, is_chromium, is_edge, is_windows_or_linux, is_desktop = tables
    numbers, categories, browsers, systems, devices = shown
    renderer, software = kinds
    for row in range(len(renderer)):
        shows, browser = numbers[row], browsers[row]
        desktop = is_desktop[devices[row]]
        chrome = desktop and is_chromium[browser]
        width, height, available = shows[columns[0]], shows[columns[1]], shows[columns[2]]
        inner_width, inner_height = shows[columns[3]], shows[columns[4]]
        outer_width, outer_height = shows[columns[5]], shows[columns[6]]
        # Resist-fingerprinting gives the viewport as window and screen; its clock gives it away.
        plain = desktop and not seen[6, row] and not shows[columns[7]] >= _RESIST_STEP
        same = inner_width == outer_width and inner_height == outer_height
        frameless = same and outer_height > 0 and plain
        no_task_bar = available == height and desktop
        covered = outer_width == width and outer_height == height and no_task_bar and plain
        emulated = frameless and inner_width == width and inner_height == height
        out = found[:, row]
        out[0] = is_headless[browser] or (seen[0, row] and categories[row, columns[12]] != hashes)
        out[1] = outer_width == 0 and outer_height == 0 and not seen[9, row]
        out[2] = emulated
        out[3] = frameless and not emulated
        out[4] = width == 800 and height == 600 and desktop
        out[5] = seen[4, row] and desktop
        out[6] = seen[3, row] and chrome and is_windows_or_linux[systems[row]] and not is_edge[browser]
        out[7] = renderer[row] == software
        out[8] = shows[columns[9]] == 0 and chrome
        out[9] = seen[2, row] and chrome
        out[10] = seen[1, row] and chrome and not seen[8, row]
        out[11] = seen[5, row] and desktop
        out[12] = covered and not emulated and not frameless
        out[13] = shows[columns[8]] == 0 and chrome and not seen[7, row]
        out[14] = shows[columns[10]] == 0 and desktop
        out[15] = shows[columns[11]] == 0 and desktop
        out[16] = no_task_bar


@kernel
def bot_clues(shown: Any, columns: Any, tables: Any, hashes: Any, seen: Any, crawlers: Any, found: Any) -> None:
    """Set ``found``, uint8[31, n], to the clues of ``enrichers.bot`` in their order.

    ``shown``: of ``enrichers.view.Raw`` numbers, booleans, which are known, categories, browser, device and
    statistics; ``columns``: of ``BOT_NUMBERS``, ``BOT_BOOLEANS``, ``BOT_STATISTICS``, botd.kind and of functions that
    hide; ``tables``: by code, bool, the browsers that are headless Chrome and on Chromium, and desktops; ``hashes``: of
    electron and of the kinds of tools; ``seen``: uint8[21, n], the causes, of which the fifth and what follows are
    tools; ``crawlers``: uint8[3, n], verified, from elsewhere, unverified.
    """
    numbers, booleans, statistics, kind_at, hiding_at = columns
    is_headless, is_chromium, is_desktop = tables
    electron, kinds = hashes
    every_number, every_boolean, every_known, categories, browsers, devices, every_statistic = shown
    for row in range(len(browsers)):
        browser, desktop = browsers[row], is_desktop[devices[row]]
        kind = categories[row, kind_at]
        shows, true, known = every_number[row], every_boolean[row], every_known[row]
        done = every_statistic[row]
        out, causes = found[:, row], seen[:, row]
        webdriver, hidden, redefined = causes[0] != 0, causes[1] != 0, causes[2] != 0
        out[0], out[1] = webdriver, hidden and not webdriver
        out[2] = redefined and not hidden and not webdriver
        out[3] = causes[3]
        named = False
        for tool in range(_TOOLS):
            named |= causes[4 + tool] != 0
            out[4 + tool] = causes[4 + tool]
        after = 4 + _TOOLS
        other_tool = False
        if causes[after] and not named and not webdriver:
            for one in kinds:
                other_tool |= kind == one
        out[after] = other_tool
        headless = is_headless[browser] or (causes[after + 1] and kind != electron)
        out[after + 1] = headless
        crawls = crawlers[0, row] or crawlers[1, row] or crawlers[2, row]
        # The rule of fpscanner reads user agents for "bot", which a maker of phones has in its name.
        out[after + 2] = causes[after + 2] and desktop and not headless and not crawls
        for at in range(3):
            out[after + 3 + at] = crawlers[at, row]
        out[after + 6], out[after + 7] = causes[after + 3], causes[after + 4]
        hides = 0
        for at in hiding_at:
            hides += true[at]
        hiding = hides >= 2 and not out[2]
        out[after + 8] = hiding
        out[after + 9] = causes[after + 5] and desktop and not hiding
        unsafe = known[booleans[0]] and not true[booleans[0]]
        out[after + 10] = causes[after + 6] and desktop and not unsafe and not true[booleans[1]]
        out[after + 11] = shows[numbers[2]] == 0
        out[after + 12] = true[booleans[3]] and not true[booleans[4]]
        clicks, hold, travel = done[statistics[0]], done[statistics[1]], done[statistics[2]]
        no_length = clicks >= 2 and hold < _LEAST_HOLD and travel > 0
        by_script = done[statistics[3]] >= _FIELDS and done[statistics[4]] == 0 and done[statistics[5]] == 0
        out[after + 13] = no_length
        out[after + 14] = by_script and done[statistics[6]] > 0 and clicks == 0 and not no_length
        out[after + 15] = causes[after + 7]
        length = shows[numbers[0]]
        out[after + 16] = not np.isnan(length) and length not in _EVAL_LENGTHS
        viewer_off = known[booleans[2]] and not true[booleans[2]]
        out[after + 17] = shows[numbers[1]] == 0 and is_chromium[browser] and desktop and not viewer_off
