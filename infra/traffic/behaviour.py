"""Activity logs: what people do on a checkout page, and what scripts do there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, chain, islice, repeat
from math import exp
from random import Random

import numpy as np

from infra.traffic.visits import LogEntry
from schemas.log_codes import load_log_codes

_CODES = {name: code.code for name, code in load_log_codes().by_name.items()}
_TARGETS = dict(load_log_codes().targets)
_FIELDS = (
    ("email", 22, 0.45), ("name", 14, 0.4), ("phone", 10, 0.35), ("address", 24, 0.4), ("postal_code", 6, 0.4),
    ("cardholder_name", 14, 0.3), ("card_number", 16, 0.3), ("card_expiry", 4, 0.3), ("card_cvv", 3, 0.02),
)  # fmt: skip
_MANAGED = ("email", "name", "cardholder_name", "card_number", "card_expiry")
MIN_ENTRIES, MAX_ENTRIES, MAX_SMALL = 20, 220, 60


def log_size(random: Random, small: bool) -> int:
    """Return how many entries an honest event carries: 20 to 220, or 20 to 60."""
    if small:
        return random.randint(MIN_ENTRIES, MAX_SMALL)
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


class _Page:
    """The clock of one page, and entries made at it."""

    def __init__(self, random: Random, normals: Normals, opened: int) -> None:
        self.random = random
        self.normals = normals
        self.now = float(opened)

    def entry(self, name: str, value: float = 0.0, target: str = "none") -> LogEntry:
        return int(self.now), _CODES[name], value, _TARGETS[target]

    def wait(self, median: float, spread: float = 0.6) -> int:
        """Let a log-normal time pass: medians and spreads in ms as people's pauses have them."""
        passed = median * exp(spread * self.normals.next())
        self.now += passed
        return int(passed)


class Human:
    """One person on one page; entries go on from event to event."""

    def __init__(self, random: Random, normals: Normals, device: str) -> None:
        self._page = _Page(random, normals, random.randint(300, 2500))
        self._random = random
        self._touch = device != "desktop"
        self._pace = 156 * exp(0.3 * normals.next())  # ms: this person's median key interval
        self._pastes = random.random() < 0.12
        self._fills = random.random() < 0.55
        self._manager = random.random() < 0.06  # a password manager: it sets values by script, as attackers do
        self._keyboard = not self._touch and random.random() < 0.04  # goes from field to field without a pointer
        self._fields = 0
        self._made = [self._page.entry("page_opened", self._page.now, "document")]
        self._made.append(self._page.entry("page_visible", 0, "document"))
        self.now = int(self._page.now)

    def log(self, size: int) -> list[LogEntry]:
        """Return the next entries; ``now`` is then the page's age in ms."""
        while len(self._made) < size:
            self._next_field()
        log, self._made = self._made[:size], self._made[size:]
        self.now = log[-1][0] + 1
        return log

    def finish(self, size: int, paid: bool) -> list[LogEntry]:
        """Return the next entries, the last of which submit the form."""
        log = self.log(max(1, size - 3))
        page = self._page
        page.now = float(self.now)
        self._made = []
        page.wait(900)
        pressed = "click_without_trail" if self._keyboard else "clicked"
        log.append(page.entry(pressed, self._random.randint(50, 180), "button"))
        log.append(page.entry("submitted", int(page.now), "form"))
        page.wait(700)
        log.append(page.entry("payment_succeeded" if paid else "payment_declined"))
        self.now = int(page.now) + 1
        return log

    def _next_field(self) -> None:
        """Make the entries of one field of the form; after the last field the next step begins."""
        target, length, autofill = _FIELDS[self._fields % len(_FIELDS)]
        if target == _FIELDS[0][0]:
            self._made.append(self._page.entry("form_step", 1 + self._fields // len(_FIELDS), "form"))
        self._approach(target)
        self._fill(target, length, autofill)
        self._distraction()
        self._fields += 1

    def _approach(self, target: str) -> None:
        page, random, made = self._page, self._random, self._made
        chance = random.random()
        if self._keyboard:
            page.wait(300)
            made.append(page.entry("field_focused", 0, target))
            return
        for _ in range(1 + int(chance * 3)):
            page.wait(350)
            if self._touch:
                made.append(page.entry("touch_summary", 1 + int(random.random() * 4), "document"))
            else:
                made.append(page.entry("pointer_summary", int(180 * exp(0.7 * page.normals.next())), "document"))
        if chance * 3 % 1 < 0.3:
            made.append(page.entry("scrolled", 40 + int(random.random() * 660), "document"))
        page.wait(180)
        made.append(page.entry("clicked", 45 + int(random.random() * 145), target))
        made.append(page.entry("field_focused", 0, target))

    def _fill(self, target: str, length: int, autofill: float) -> None:
        page, made, chance = self._page, self._made, self._random.random()
        if self._manager and target in _MANAGED:
            page.wait(250)
            made.append(page.entry("value_set_by_script", length, target))
            made.append(page.entry("untrusted_event", 2, target))
        elif self._fills and chance < autofill * 1.6:
            page.wait(400)
            made.append(page.entry("autofilled", 0, target))
        elif self._pastes and target in ("card_number", "email", "address") and chance > 0.6:
            page.wait(900)
            made.append(page.entry("pasted", length, target))
        else:
            pace = self._pace
            parts = page.normals.rhythm(max(2, int(length * (1 + 0.2 * page.normals.next()))))
            intervals = [int(pace * part) for part in parts]
            times = islice(accumulate(intervals, initial=int(page.now)), 1, None)
            made.extend(zip(times, repeat(_CODES["key_interval"]), intervals, repeat(_TARGETS[target]), strict=False))
            page.now = made[-1][0]
        page.wait(300)
        made.append(page.entry("field_left", length, target))

    def _distraction(self) -> None:
        page, made, chance = self._page, self._made, self._random.random()
        if chance < 0.05:
            made.append(page.entry("window_blurred"))
            made.append(page.entry("tab_left"))
            made.append(page.entry("tab_returned", page.wait(9_000, 0.8)))
        elif chance < 0.09:
            made.append(page.entry("api_timing", int(150 * exp(0.6 * page.normals.next()))))
        elif chance < 0.11:
            made.append(page.entry("page_hidden", 0, "document"))
            page.wait(6_000)
            made.append(page.entry("page_visible", 0, "document"))
        elif chance < 0.12:
            made.append(page.entry("resized", 360 + int(chance * 10_000)))
        elif chance < 0.128:
            made.append(page.entry("script_error"))
        elif chance < 0.132:
            made.append(page.entry("close_attempted"))


class Machine:
    """A script on a page: a steady cadence, values that are set or pasted, clicks without a trail."""

    def __init__(
        self, random: Random, normals: Normals, style: str = "script", cadence: float = 30.0, jitter: float = 0.03
    ) -> None:
        self._page = _Page(random, normals, random.randint(80, 600))
        self._random = random
        self._style = style
        self._opened = False
        self._cadence = cadence
        self._jitter = jitter

    @property
    def now(self) -> int:
        """Return the page's age in ms."""
        return int(self._page.now)

    def log(self, fields: tuple[str, ...], declined: bool = False, trail: bool = False) -> list[LogEntry]:
        """Return the entries of filling some fields and sending the form."""
        page, random = self._page, self._random
        log = self._opening()
        for target in fields:
            page.wait(self._cadence * 4, self._jitter)
            if trail:
                log.append(page.entry("pointer_summary", random.randint(100, 130), "document"))
                log.append(page.entry("clicked", 50, target))
            else:
                log.append(page.entry("click_without_trail", 0, target))
            log.append(page.entry("field_focused", 0, target))
            log.extend(self._enter(target))
            log.append(page.entry("field_left", 16, target))
        page.wait(self._cadence * 5, self._jitter)
        log.append(page.entry("submitted", page.now, "form"))
        if declined:
            page.wait(600, 0.3)
            log.append(page.entry("payment_declined"))
        return log

    def _opening(self) -> list[LogEntry]:
        """Return the entries of the page's opening, which the first log of a page has and no other."""
        if self._opened:
            return []
        self._opened = True
        page = self._page
        return [page.entry("page_opened", page.now, "document"), page.entry("page_visible", 0, "document")]

    def _enter(self, target: str) -> list[LogEntry]:
        page = self._page
        if self._style == "paste":
            page.wait(self._cadence, self._jitter)
            return [page.entry("pasted", 16, target)]
        if self._style == "script":
            return [page.entry("value_set_by_script", 16, target), page.entry("untrusted_event", 3, target)]
        count = self._random.randint(12, 18)
        return [page.entry("key_interval", page.wait(self._cadence, self._jitter), target) for _ in range(count)]
