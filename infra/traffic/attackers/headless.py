"""headless: a browser driven by Puppeteer, Playwright or Selenium, with nothing hidden."""

from __future__ import annotations

from infra.traffic.behaviour import CHECKOUT, LOGIN, PAYMENT, SIGN_UP
from infra.traffic.contexts import copies
from infra.traffic.craft import Craft
from infra.traffic.hideouts import SERVERS
from infra.traffic.tells import driven, server
from infra.traffic.virtual import SWIFTSHADER, drawn_by
from infra.traffic.visits import Campaign

_DRIVERS = {
    "chromium": ((800.0, 600.0), False, ()),
    "puppeteer": ((800.0, 600.0), True, ("automation.cdp_runtime", "automation.puppeteer_globals")),
    "playwright": ((1280.0, 720.0), True, ("automation.cdp_runtime", "automation.playwright_globals")),
    "selenium": ((1200.0, 800.0), True, ("automation.cdc_globals", "automation.selenium_globals")),
}


def headless(craft: Craft, at: int) -> Campaign:
    """Return one visit of a driven browser: on a server that draws in software, or on somebody's own machine."""
    random = craft.random
    driver = random.choice(tuple(_DRIVERS))
    (wide, high), webdriver, marks = _DRIVERS[driver]
    system = random.choices(("linux", "windows", "macos"), (0.7, 0.2, 0.1))[0]
    visitor = craft.visitor(at, browser="chrome", system=system)
    shown = drawn_by(visitor.signals, SWIFTSHADER, system) if system == "linux" else dict(visitor.signals)
    if random.random() < 0.6:
        shown["navigator.user_agent"] = str(shown["navigator.user_agent"]).replace(" Chrome/", " HeadlessChrome/")
        shown["client_hints.brand"] = "HeadlessChrome"
    if random.random() < 0.8:  # the driver's own window
        for name in ("width", "avail_width", "inner_width", "outer_width"):
            shown[f"screen.{name}"] = wide
        for name in ("height", "avail_height", "inner_height", "outer_height"):
            shown[f"screen.{name}"] = high
        shown["screen.device_pixel_ratio"] = 1.0
    if random.random() < 0.7:
        shown |= {"navigator.languages": "en-US", "navigator.language": "en-US", "navigator.languages_count": 1.0}
    if random.random() < 0.6:
        shown |= {
            "permissions.notifications": "denied", "permissions.notification_api": "default",
            "automation.permissions_inconsistent": True,
        }  # fmt: skip
    if system == "linux":
        shown |= server()
    shown |= {"automation.webdriver_attribute": webdriver, **driven(shown, driver), **dict.fromkeys(marks, True)}
    shown |= copies(shown)
    form = random.choice((CHECKOUT, PAYMENT, PAYMENT, SIGN_UP, LOGIN))
    hand, merchant = craft.hand("desktop", craft.care(0.6, 0.3, 0.1, 0.0), form), craft.merchant()
    outcomes = random.choices(("", "payment_declined", "payment_succeeded"), k=random.randint(1, 3))
    events = craft.errands(shown, merchant, hand, outcomes)
    address = craft.hideout(visitor, 0.7, SERVERS)()
    return [(0, craft.fraud("headless", visitor, events, merchant, address=address))]
