"""Chromium and Firefox in the hands of a test: a Node process drives one of them, step by step.

with Browser(programs, "chromium") as browser:
    browser.open("http://127.0.0.1:8080/checkout")
    browser.type("[name=email]", "jane@example.com")
    browser.paste("[name=card_number]")
    browser.seen().requests
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import psutil

from tests.browser_parts import DRIVER, Programs

Kind = Literal["chromium", "firefox"]
_START_SECONDS = 240.0  # only where a machine is very busy
_STEP_SECONDS = 120.0
_CLOSE_SECONDS = 30.0
# Hosts that the browsers themselves ask for, whatever the page does; the driver's proxy refuses them.
VENDORS = ("google.com", "googleapis.com", "gvt1.com", "mozilla.com", "mozilla.org", "mozilla.net", "firefox.com")


class BrowserError(Exception):
    """A step failed, or the browser is gone; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen from outside: every request of the page, its console, its errors, and who else was asked for."""

    requests: list[dict[str, str]]
    console: list[dict[str, str]]
    errors: list[str]
    outside: list[str]

    @property
    def strangers(self) -> list[str]:
        """Hosts beyond loopback that neither the browser's maker runs nor anybody should have asked for."""
        hosts = {address.split("://")[-1].split("/")[0].split(":")[0] for address in self.outside}
        return sorted(host for host in hosts if not any(("." + host).endswith("." + own) for own in VENDORS))


class Browser:
    """One browser with a profile of its own. Certificates of the local stack are accepted."""

    def __init__(self, programs: Programs, kind: Kind, *, args: tuple[str, ...] = ()) -> None:
        self.kind, self._node = kind, programs.node
        self._profile = Path(tempfile.mkdtemp(prefix=f"clickgoose-{kind}-"))
        executable = programs.chromium if kind == "chromium" else programs.firefox
        self._options = json.dumps(
            {"browser": kind, "executable": executable, "profile": str(self._profile), "insecure": True, "args": args}
        )
        self._driver: subprocess.Popen[str] | None = None
        self.version = ""

    def __enter__(self) -> Self:
        self._driver = subprocess.Popen(
            [self._node, str(DRIVER / "drive.mjs"), self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        try:
            self.version = self._answer(_START_SECONDS)["version"]
        except BrowserError:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the browser; what does not end by itself is killed by its id."""
        driver = self._driver
        if driver is None:
            return
        family = _family(driver.pid)
        for stream in (driver.stdin, driver.stdout):
            if stream is not None:
                stream.close()
        try:
            driver.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            driver.kill()
            driver.wait()
        for process in family:
            if process.is_running():
                process.kill()
        psutil.wait_procs(family, timeout=5)
        self._driver = None
        shutil.rmtree(self._profile, ignore_errors=True)

    def do(self, step: str, seconds: float = _STEP_SECONDS, **given: Any) -> Any:
        """Run one step of ``steps.mjs`` and return its value. BrowserError."""
        driver = self._driver
        if driver is None or driver.stdin is None:
            raise BrowserError("the browser is not open")
        try:
            driver.stdin.write(json.dumps({"do": step, "timeout": seconds * 1000, **given}) + "\n")
            driver.stdin.flush()
        except OSError as error:
            raise BrowserError(f"{step}: the driver is gone") from error
        return self._answer(seconds + 5, step)

    def _answer(self, seconds: float, step: str = "start") -> Any:
        driver = self._driver
        assert driver is not None and driver.stdout is not None
        watchdog = threading.Timer(seconds, driver.kill)
        watchdog.start()
        try:
            line = driver.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise BrowserError(f"{self.kind}, {step}: the driver ended, or took more than {seconds:.0f} s")
        answer = json.loads(line)
        if not answer["ok"]:
            raise BrowserError(f"{self.kind}, {step}: {answer['error']}")
        return answer["value"]

    def open(self, url: str) -> None:
        """Open an address and wait until it has loaded."""
        self.do("goto", url=url)

    def type(self, selector: str, text: str, delay_ms: float = 25) -> None:
        """Click into a field and type."""
        self.do("type", selector=selector, text=text, delay=delay_ms)

    def copy(self, text: str) -> None:
        """Put a text on the clipboard, from a page of its own: do so before the shop is opened."""
        self.do("copy", text=text)

    def paste(self, selector: str) -> None:
        """Click into a field and paste what is on the clipboard."""
        self.do("paste", selector=selector)

    def click(self, selector: str) -> None:
        """Click."""
        self.do("click", selector=selector)

    def leave(self, milliseconds: int = 300) -> None:
        """Look at another tab for a while, and come back."""
        self.do("leave", ms=milliseconds)

    def appears(self, selector: str, seconds: float = _STEP_SECONDS) -> None:
        """Wait until an element can be seen."""
        self.do("appears", seconds, selector=selector)

    def becomes(self, expression: str, seconds: float = _STEP_SECONDS) -> None:
        """Wait until an expression is true in the page."""
        self.do("becomes", seconds, expression=expression)

    def evaluate(self, expression: str) -> Any:
        """Return what an expression is in the page, promises resolved."""
        return self.do("evaluate", expression=expression)

    def seen(self) -> Seen:
        """Return what was seen since the start, or since ``forget``."""
        return Seen(**self.do("seen"))


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
