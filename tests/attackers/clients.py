"""The clients: who visits the demo shop, and for which reasons each may rightly be called automated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["attacker", "control"]
How = Literal["driven", "alone", "person"]


@dataclass(frozen=True, slots=True)
class Client:
    """One client. ``driven``: by its tool, through drive.mjs; ``alone``: from the command line; ``person``: by hand."""

    name: str
    what: str
    kind: Kind = "attacker"
    how: How = "driven"
    program: str = "chromium"
    flags: Sequence[str] = ()
    right: Mapping[str, str] = field(default_factory=dict)


CLIENTS = (
    Client("chromium-headed", "Chromium in a window, used by hand", "control", "person"),
    Client("firefox-headed", "Firefox in a window, used by hand", "control", "person", "firefox-esr"),
    Client("chromium-headless", "Chromium --headless from the command line", how="alone", flags=("--headless",)),
    Client(
        "chromium-old-headless",
        "the old headless Chromium from the command line",
        how="alone",
        program="chromium-headless-shell",
    ),
    Client("puppeteer", "Puppeteer, headless"),
    Client("puppeteer-old-headless", "Puppeteer with the old headless Chromium"),
    Client("puppeteer-headed", "Puppeteer in a window"),
    Client("puppeteer-no-flag", "Puppeteer in a window, without the flag of automation"),
    Client("puppeteer-stealth", "Puppeteer with the stealth plugin, headless"),
    Client("puppeteer-stealth-headed", "Puppeteer with the stealth plugin, in a window"),
    Client("fingerprint-injector", "Puppeteer with an injected fingerprint of somebody else"),
    Client("init-script", "Puppeteer with a script that overwrites navigator and WebGL"),
    Client("init-script-headed", "Puppeteer in a window with a script that hides the WebDriver flag"),
    Client("playwright", "Playwright, headless"),
    Client("playwright-headed", "Playwright in a window"),
    Client("playwright-stealth", "Playwright with the stealth plugin, headless"),
    Client("playwright-injector", "Playwright with an injected fingerprint of somebody else"),
    Client("patchright", "Patchright, headless"),
    Client("patchright-headed", "Patchright in a window"),
    Client("rebrowser", "Rebrowser's Puppeteer, headless"),
    Client("rebrowser-headed", "Rebrowser's Puppeteer in a window, without the flag of automation"),
    Client("selenium", "Selenium, headless"),
    Client("selenium-headed", "Selenium in a window"),
    Client("selenium-stealth-flags", "Selenium, headless, with the flags and the script that hide it"),
    Client("selenium-undetected", "Selenium in a window, with a chromedriver whose names are changed"),
    Client("firefox-bidi", "Firefox driven by WebDriver BiDi, headless"),
    Client("firefox-bidi-headed", "Firefox driven by WebDriver BiDi, in a window"),
    Client("firefox-bidi-no-flag", "Firefox driven by WebDriver BiDi, in a window, with the WebDriver flag hidden"),
)
BY_NAME = {client.name: client for client in CLIENTS}
