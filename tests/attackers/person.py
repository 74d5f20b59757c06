"""A person's hands on the real keyboard and pointer of an X server: curved moves, uneven keys, pauses, no driver.

The page is not asked where its fields are, as a driver would ask it: they are where a person sees them, which
follows from the shop's style sheet and from where the window is. The person clicks on the first field of every part of
the form, goes on with the tabulator key, and clicks on the button.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Mapping

from tests.attackers.collector import Collector
from tests.attackers.programs import ProgramError

_LOADED_SECONDS = 30.0
_PAID_SECONDS = 20.0
_SUCCEEDED = 209  # log code: payment_succeeded
# By part of the form: where its first field is, in CSS px right of the page's centre and below its top; what is typed.
PARTS = (
    ((-280, 251), ("Test Goose", "test.goose@shop.example", "+1 555 0100")),
    ((-270, 405), ("Test Street 1", "12345")),
    ((-280, 669), ("4242 4242 4242 4242", "12/31", "123", "TEST GOOSE")),
)
BUTTON = (-420, 797)


def sit_down(collector: Collector, env: Mapping[str, str], seed: int) -> None:
    """Wait for the page, fill in the form and pay. ProgramError where the page sends nothing or no payment is made."""
    hands = _Hands(env, random.Random(seed))
    _wait(lambda: bool(collector.events()), _LOADED_SECONDS, "the page sent no first event")
    centre, top = _page(collector)
    hands.pause(0.6, 1.2)
    for (right, below), texts in PARTS:
        if hands.chance() < 0.5:
            hands.wander()
        hands.move_to(centre + right + 80 * hands.chance(), top + below + 10 * hands.chance())
        hands.click()
        for number, text in enumerate(texts):
            if number:
                hands.key("Tab")
            hands.pause(0.25, 0.7)
            hands.type(text)
    hands.pause(0.8, 1.6)
    hands.move_to(centre + BUTTON[0] + 30 * hands.chance(), top + BUTTON[1] + 8 * hands.chance())
    hands.pause(0.2, 0.5)
    hands.click()
    _wait(lambda: any(event.values(_SUCCEEDED) for event in collector.events()), _PAID_SECONDS, "no payment was made")


def _page(collector: Collector) -> tuple[float, float]:
    """Return the centre and the top of the page on the screen, from what the first event says of its window."""
    shown = collector.events()[-1].signals
    left, above, wide, high, inner_wide, inner_high = (
        float(shown[f"screen.{name}"])
        for name in ("window_x", "window_y", "outer_width", "outer_height", "inner_width", "inner_height")
    )
    return left + wide / 2, above + high - inner_high - max(0.0, wide - inner_wide) / 2


def _wait(done: Callable[[], bool], seconds: float, otherwise: str) -> None:
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            raise ProgramError(f"A person in front of the browser: {otherwise} within {seconds:.0f} s.")
        time.sleep(0.2)


class _Hands:
    def __init__(self, env: Mapping[str, str], random_: random.Random) -> None:
        self._env, self._random = dict(env), random_
        self._at = (960.0, 540.0)

    def chance(self) -> float:
        return self._random.random()

    def pause(self, least: float, most: float) -> None:
        time.sleep(self._random.uniform(least, most))

    def move_to(self, x: float, y: float) -> None:
        """Move along a curve that is fast in its middle, as an arm moves, with a hand's tremor."""
        (from_x, from_y), steps = self._at, self._random.randint(25, 40)
        bend = self._random.uniform(-60, 60)
        for step in range(1, steps + 1):
            part = step / steps
            eased = part * part * (3 - 2 * part)
            off = 4 * bend * eased * (1 - eased)
            at = (from_x + (x - from_x) * eased + off * 0.6, from_y + (y - from_y) * eased + off)
            tremor = (self._random.gauss(0, 0.7), self._random.gauss(0, 0.7)) if step < steps else (0, 0)
            self._xdotool("mousemove", str(round(at[0] + tremor[0])), str(round(at[1] + tremor[1])))
            time.sleep(self._random.uniform(0.006, 0.02))
        self._at = (x, y)

    def wander(self) -> None:
        """Put the hand back to the pointer and move it a little."""
        self.move_to(self._at[0] + self._random.uniform(-150, 250), self._at[1] + self._random.uniform(-60, 180))
        self._at = (min(max(self._at[0], 200), 1100), min(max(self._at[1], 250), 800))

    def click(self) -> None:
        self._xdotool("mousedown", "1")
        self.pause(0.06, 0.14)
        self._xdotool("mouseup", "1")

    def key(self, name: str) -> None:
        self._xdotool("keydown", name)
        self.pause(0.05, 0.11)
        self._xdotool("keyup", name)

    def type(self, text: str) -> None:
        """Type key by key: a log-normal time between keys, longer where the hands move (Dhakal and others, 2018)."""
        for sign in text:
            self._xdotool("type", "--delay", "0", sign)
            slower = 1.5 if not sign.isalpha() else 1.0
            time.sleep(min(self._random.lognormvariate(-2.2, 0.45) * slower, 0.9))

    def _xdotool(self, *words: str) -> None:
        subprocess.run(["xdotool", *words], env=self._env, check=True, timeout=10, capture_output=True)
