"""How somebody, or something, works a page: pace, pauses, clicks, trails, and how values get into fields.

Every habit is drawn from a distribution, and those of people and of programs overlap: some programs replay people's
rhythm, and some people have a password manager, no pointer, or no patience.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp
from random import Random
from typing import Final, Literal, NamedTuple

Normal = Callable[[], float]  # the next standard normal number
Care = Literal["crude", "timed", "careful", "person"]
CARES: Final = ("crude", "timed", "careful", "person")


@dataclass(frozen=True, slots=True)
class Manner:
    """Habits. Times are medians in ms, spreads are standard deviations of logarithms, chances are of one field."""

    pace: float  # between two keys
    swing: float  # 0 to 1; 1: keys come as unevenly as a hand's, 0: as a clock's
    hurry: float  # factor on all pauses
    spread: float  # of pauses
    hold: float  # of a click, from down to up
    hold_spread: float
    trail: float = 1.0  # chance that the pointer moved before a click
    travel: float = 180.0  # CSS px of such a movement
    travel_spread: float = 0.7
    keyboard: bool = False  # goes from field to field without a pointer
    tabs: float = 0.0  # chance of going on to the next field by a key, without a click
    pastes: float = 0.0
    fills: float = 0.0  # the browser's own autofill, as a factor on what the field allows
    scripts: float = 0.0  # values that are set by a program; password managers do so too
    manager: bool = False  # scripts only what a password manager knows
    silent: bool = False  # sets values and touches nothing: no focus, no event
    scrolls: float = 0.3  # chance of scrolling to a field; drivers scroll to what they click
    strays: float = 1.0  # factor on distractions: tabs left, windows resized


def person(random: Random, normal: Normal, touch: bool) -> Manner:
    """Return the habits of a person."""
    tool, clicks = random.random(), random.random()
    hold, hold_spread = (62 if touch else 88) * exp(0.3 * normal()), 0.3
    if clicks < 0.012:  # a screen reader or switch: the press is made for them, and has no length
        hold, hold_spread = 1.2, 0.5
    elif clicks < 0.07 and not touch:  # tap to click on a touch pad
        hold, hold_spread = 22 * exp(0.5 * normal()), 0.5
    elif clicks < 0.11:  # drivers that round to their own tick
        hold, hold_spread = 64.0 + 16 * int(random.random() * 3), 0.03
    return Manner(
        pace=(168 if touch else 152) * exp(0.38 * normal()),
        swing=min(1.0, 0.95 * exp(0.16 * normal())),
        hurry=exp(0.45 * normal()) * (0.3 if random.random() < 0.1 else 1.0),  # some have all in their browser
        spread=0.6 * exp(0.2 * normal()),
        hold=hold,
        hold_spread=hold_spread,
        trail=1.0 if clicks > 0.05 else 0.85,
        travel=180 * exp(0.35 * normal()),
        travel_spread=0.7 * exp(0.25 * normal()),
        keyboard=not touch and clicks > 0.96,
        tabs=random.uniform(0.5, 0.95) if random.random() < (0.25 if touch else 0.5) else 0.0,
        pastes=0.6 if tool < 0.1 else 0.04,
        fills=1.6 if random.random() < 0.55 else 0.0,
        scripts=0.9 if tool > 0.93 else 0.0,
        manager=True,
    )


def program(random: Random, normal: Normal, touch: bool, care: Care) -> Manner:
    """Return the habits of a program, or of somebody with one, that takes so much care to look like a person."""
    if care == "person":
        return person(random, normal, touch)
    if care == "careful":
        return _careful(random, normal, touch)
    return _crude(random) if care == "crude" else _timed(random, normal)


class _Click(NamedTuple):
    """How a program clicks: how long, how evenly, and after moves of the pointer or not."""

    hold: float
    spread: float


def _click(random: Random, at_once: float, fixed: float) -> _Click:
    """Return a driver's click: let go at once, unless it was told a time; told one number, or one drawn anew each time.

    Of 216 recorded clicks by Puppeteer, Playwright, Patchright, Rebrowser and Selenium 54% took 0 ms, 74% at most 1 and
    88% under 5; where the browser was busy up to 31.
    """
    chance = random.random()
    if chance < at_once:
        return _Click(random.uniform(0.2, 1.2), 1.5)
    return _Click(random.uniform(20, 120), 0.02 if chance < at_once + fixed else random.uniform(0.1, 0.4))


def _crude(random: Random) -> Manner:
    """Return the habits of a loop over fields."""
    entry, click = random.random(), _click(random, 0.7, 0.2)
    burst = (
        random.random() < 0.35
    )  # all keys of a text in one command, as Selenium sends them: recorded, 0 to 2 ms each
    return Manner(
        pace=random.uniform(0.2, 2) if burst else random.uniform(3, 45),
        swing=random.uniform(0.02, 0.2),
        hurry=random.uniform(0.02, 0.2),
        spread=random.uniform(0.02, 0.2),
        hold=click.hold,
        hold_spread=click.spread,
        trail=float(random.random() < 0.3),
        travel=_travel(random),
        travel_spread=random.uniform(0.05, 0.6),
        pastes=0.95 if 0.3 < entry < 0.6 else 0.0,
        scripts=0.95 if entry < 0.3 else 0.0,
        silent=random.random() < 0.6,
        scrolls=random.choice((0.0, 0.2, 0.5)),
        strays=0.0,
    )


def _timed(random: Random, normal: Normal) -> Manner:
    """Return the habits of a program with delays at a person's order of size, one number or drawn too evenly."""
    entry, click = random.random(), _click(random, 0.6, 0.15)
    constant = random.random() < 0.5  # a driver's delay option: recorded keys vary by 0.2 to 0.4 of their mean
    return Manner(
        pace=110 * exp(0.4 * normal()),
        swing=random.uniform(0.12, 0.4) if constant else random.uniform(0.1, 0.95),
        hurry=0.5 * exp(0.5 * normal()),
        spread=random.uniform(0.1, 0.5),
        hold=click.hold,
        hold_spread=click.spread,
        trail=0.0 if random.random() < 0.4 else random.uniform(0.6, 1.0),  # a driver's click alone leaves one move
        travel=_travel(random),
        travel_spread=random.uniform(0.05, 0.6),
        tabs=0.9 if random.random() < 0.15 else 0.0,
        pastes=0.95 if 0.3 < entry < 0.6 else 0.0,
        scripts=0.95 if entry < 0.15 else 0.0,
        silent=random.random() < 0.4,
        fills=1.6 if random.random() < 0.25 else 0.0,
        scrolls=random.choice((0.0, 0.2, 0.5)),
        strays=0.5,
    )


def _travel(random: Random) -> float:
    """Return the way of a program's moves: from field to field, or by places that it draws (recorded: 290 to 1,570)."""
    return random.uniform(60, 200) if random.random() < 0.5 else random.uniform(290, 1_100)


def _careful(random: Random, normal: Normal, touch: bool) -> Manner:
    """Return a person's habits as a library for human-like input gives them: recorded, and a little too even.

    Some libraries give the pointer a way and forget that a press takes time.
    """
    like, click = person(random, normal, touch), _click(random, 1.0, 0.0)
    forgets = random.random() < 0.3
    return replace(
        like,
        hold=click.hold if forgets else like.hold,
        hold_spread=click.spread if forgets else like.hold_spread,
        swing=like.swing * random.uniform(0.5, 1.0),
        hurry=like.hurry * random.uniform(0.4, 1.0),
        spread=like.spread * random.uniform(0.5, 1.0),
        travel_spread=like.travel_spread * random.uniform(0.4, 1.0),
        pastes=0.6 if random.random() < 0.3 else like.pastes,
        fills=like.fills if random.random() < 0.4 else 0.0,  # a fresh profile has nothing to fill in
        strays=random.uniform(0.1, 1.0),
    )
