"""Activity logs: what happens on a checkout page, by people's hands and by programs that play them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, chain, islice, repeat
from math import exp
from random import Random

import numpy as np

from infra.traffic.manner import Manner
from infra.traffic.visits import LogEntry
from schemas.log_codes import load_log_codes

_CODES = {name: code.code for name, code in load_log_codes().by_name.items()}
_TARGETS = dict(load_log_codes().targets)
# A field: how many characters are typed, how often browsers know the value, and whether password managers do.
_FIELDS = {
    "email": (22, 0.45, True), "name": (14, 0.4, True), "phone": (10, 0.35, False), "address": (24, 0.4, False),
    "postal_code": (6, 0.4, False), "cardholder_name": (14, 0.3, True), "card_number": (16, 0.3, True),
    "card_expiry": (4, 0.3, True), "card_cvv": (3, 0.02, False), "password": (12, 0.5, True),
    "one_time_code": (6, 0.1, False),
}  # fmt: skip
CHECKOUT = (
    "email", "name", "phone", "address", "postal_code", "cardholder_name", "card_number", "card_expiry", "card_cvv",
)  # fmt: skip
PAYMENT = ("card_number", "card_expiry", "card_cvv")
LOGIN = ("email", "password")
SIGN_UP = ("name", "email", "password", "phone")
MIN_ENTRIES, MAX_ENTRIES, MAX_SMALL = 20, 220, 60
_PASTED = {"card_number", "email", "address", "password", "one_time_code"}
_UNAUTHORIZED = 401.0
_ENTERS = 0.4  # of those who go by key: submit by one too
_LEAST_SCRIPTED = 0.94  # a program that pastes or sets values does so in every field, a person in few


def log_size(random: Random, small: bool) -> int:
    """Return how many entries an honest event carries: 20 to 220, or 20 to 60."""
    if small:
        return MIN_ENTRIES + int(random.random() * (MAX_SMALL - MIN_ENTRIES + 1))
    return min(MAX_ENTRIES, max(MIN_ENTRIES, int(random.lognormvariate(4.2, 0.5))))


class Normals:
    """Standard normal numbers and typing rhythms from a seed, made a block at a time."""

    def __init__(self, random: Random) -> None:
        self._source = np.random.default_rng(random.getrandbits(64))
        self._rhythm: list[float] = []
        self.next = chain.from_iterable(self._blocks()).__next__  # called for every pause: no Python in between

    def _blocks(self) -> Iterator[list[float]]:
        while True:
            yield self._source.standard_normal(8192).tolist()

    def rhythm(self, size: int) -> list[float]:
        """Return the lengths of so many key intervals, in parts of the person's median: log-normal, some pauses."""
        if len(self._rhythm) < size:
            pauses = np.where(self._source.random(8192) < 0.06, 4.0, 1.0)  # a look at the card
            self._rhythm = (self._source.lognormal(0.0, 0.45, 8192) * pauses).tolist()
        run = self._rhythm[-size:]
        del self._rhythm[-size:]
        return run


class Hand:
    """One hand on one page, a person's or a program's; entries go on from event to event. Times are ms."""

    def __init__(
        self, random: Random, normals: Normals, manner: Manner, touch: bool, form: tuple[str, ...] = CHECKOUT
    ) -> None:
        self._random = random
        self._normals = normals
        self._manner = manner
        self._touch = touch
        self._form = form
        self._fields = 0
        self._clock = min(6_000.0, 700 * exp(0.6 * normals.next()))
        self._made = [self._entry("page_opened", self._clock, "document"), self._entry("page_visible", 0, "document")]
        self.now = int(self._clock)

    def turn_to(self, form: tuple[str, ...]) -> None:
        """Go on with another form of the page."""
        self._form, self._fields = form, 0

    def log(self, size: int) -> list[LogEntry]:
        """Return the next entries; ``now`` is then the page's age in ms."""
        while len(self._made) < size:
            self._next_field()
        log, self._made = self._made[:size], self._made[size:]
        self.now = log[-1][0] + 1
        return log

    def finish(self, size: int, outcome: str) -> list[LogEntry]:
        """Return the next entries, the last of which submit the form; what was begun beyond them is left undone."""
        log = self.log(max(1, size - 3))
        self._clock = float(self.now)
        self._made = []
        return self._submitted(log, outcome)

    def fill_in(self, outcome: str) -> list[LogEntry]:
        """Return the entries of filling in the form once and submitting it, however many they are."""
        self._clock = max(self._clock, float(self.now))
        for _ in self._form:
            self._next_field()
        log, self._made = self._made, []
        return self._submitted(log, outcome)

    def _submitted(self, log: list[LogEntry], outcome: str) -> list[LogEntry]:
        self._wait(900)
        manner = self._manner
        if manner.keyboard or self._random.random() < manner.tabs * _ENTERS:
            log.append(self._entry("activated_by_key", 0, "button"))
        elif self._random.random() >= manner.trail:
            log.append(self._entry("click_without_trail", self._hold(), "button"))
        else:
            log.append(self._entry("clicked", self._hold(), "button"))
        log.append(self._entry("submitted", int(self._clock), "form"))
        if outcome:
            self._clock += 700 * exp(0.5 * self._normals.next())  # the bank's time, whoever waits for it
            log.append(self._entry(outcome, _UNAUTHORIZED if outcome == "api_failed" else 0.0))
        self.now = int(self._clock) + 1
        return log

    def _entry(self, name: str, value: float = 0.0, target: str = "none") -> LogEntry:
        return int(self._clock), _CODES[name], value, _TARGETS[target]

    def _wait(self, median: float) -> None:
        manner = self._manner
        self._clock += median * manner.hurry * exp(manner.spread * self._normals.next())

    def _hold(self) -> int:
        return int(self._manner.hold * exp(self._manner.hold_spread * self._normals.next()))

    def _next_field(self) -> None:
        """Make the entries of one field of the form; after the last field the next step begins."""
        step, field = divmod(self._fields, len(self._form))
        if field == 0:
            self._made.append(self._entry("form_step", 1 + step, "form"))
        target = self._form[field]
        if self._manner.silent and self._random.random() < self._manner.scripts:
            self._wait(40)
            self._made.append(self._entry("value_set_by_script", _FIELDS[target][0], target))
        else:
            self._approach(target)
            self._fill(target)
        if self._random.random() < 0.132 * self._manner.strays:
            self._distraction()
        self._fields += 1

    def _approach(self, target: str) -> None:
        manner, made, chance = self._manner, self._made, self._random.random()
        if manner.keyboard or (self._fields % len(self._form) and self._random.random() < manner.tabs):
            self._wait(300)
            made.append(self._entry("field_focused", 0, target))
            return
        if chance >= manner.trail:
            self._wait(200)
            made.append(self._entry("click_without_trail", self._hold(), target))
            made.append(self._entry("field_focused", 0, target))
            return
        for _ in range(1 + int(chance * 3)):
            self._wait(350)
            if self._touch:
                made.append(self._entry("touch_summary", 1 + int(chance * 97 % 4), "document"))
            else:
                travel = int(manner.travel * exp(manner.travel_spread * self._normals.next()))
                made.append(self._entry("pointer_summary", travel, "document"))
        if chance * 31 % 1 < manner.scrolls:
            made.append(self._entry("scrolled", 40 + int(chance * 7919 % 1 * 660), "document"))
        self._wait(180)
        made.append(self._entry("clicked", self._hold(), target))
        made.append(self._entry("field_focused", 0, target))

    def _fill(self, target: str) -> None:
        manner, made, chance = self._manner, self._made, self._random.random()
        length, known, managed = _FIELDS[target]
        if chance < manner.scripts and (managed or not manner.manager):
            self._wait(250)
            made.append(self._entry("value_set_by_script", length, target))
            made.append(self._entry("untrusted_event", 1 + int(chance * 1009 % 4), target))
        elif chance < manner.fills * known:
            self._wait(400)
            made.append(self._entry("autofilled", 0, target))
        elif chance > 1 - manner.pastes and (target in _PASTED or manner.pastes > _LEAST_SCRIPTED):
            self._wait(900)
            made.append(self._entry("pasted", length, target))
        else:
            self._type(target, length)
        self._wait(300)
        made.append(self._entry("field_left", length, target))

    def _type(self, target: str, length: int) -> None:
        swing = self._manner.swing * self._manner.pace
        steady = self._manner.pace - swing
        parts = self._normals.rhythm(max(2, int(length * (1 + 0.2 * self._normals.next()))))
        intervals = [int(steady + swing * part) for part in parts]
        times = islice(accumulate(intervals, initial=int(self._clock)), 1, None)
        self._made.extend(zip(times, repeat(_CODES["key_interval"]), intervals, repeat(_TARGETS[target]), strict=False))
        self._clock = self._made[-1][0]

    def _distraction(self) -> None:
        made, chance = self._made, self._random.random()
        if chance < 0.38:
            made.append(self._entry("window_blurred"))
            made.append(self._entry("tab_left"))
            away = self._clock
            self._clock += 9_000 * exp(0.8 * self._normals.next())
            made.append(self._entry("tab_returned", int(self._clock - away)))
        elif chance < 0.68:
            made.append(self._entry("api_timing", int(150 * exp(0.6 * self._normals.next()))))
        elif chance < 0.83:
            made.append(self._entry("page_hidden", 0, "document"))
            self._clock += 6_000 * exp(0.6 * self._normals.next())
            made.append(self._entry("page_visible", 0, "document"))
        elif chance < 0.91:
            made.append(self._entry("resized", 360 + int(chance * 1_300)))
        elif chance < 0.97:
            made.append(self._entry("script_error"))
        else:
            made.append(self._entry("close_attempted"))
