"""headless: a browser driven by Puppeteer, Playwright or Selenium, with nothing hidden."""

from __future__ import annotations

from infra.traffic.craft import Craft
from infra.traffic.graphics import webgl_limits
from infra.traffic.machine import images, stamp
from infra.traffic.profile import Signals, copies
from infra.traffic.visits import Campaign

SWIFTSHADER = "ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero) (0x0000C0DE)), SwiftShader driver)"
_DRIVERS = {
    "chromium": ((800.0, 600.0), False, ()),
    "puppeteer": ((800.0, 600.0), True, ("automation.cdp_runtime", "automation.puppeteer_globals")),
    "playwright": ((1280.0, 720.0), True, ("automation.cdp_runtime", "automation.playwright_globals")),
    "selenium": ((1200.0, 800.0), True, ("automation.cdc_globals", "automation.selenium_globals")),
}
_FIELDS = ("email", "card_number", "card_expiry", "card_cvv", "cardholder_name")


def software_rendered(signals: Signals, renderer: str = SWIFTSHADER) -> Signals:
    """Return the signals that a browser shows that draws in software."""
    vendor = "Google Inc. (Google)"
    return {
        **signals, **webgl_limits(renderer), "webgl.vendor": vendor, "webgl.renderer": renderer,
        "webgl.unmasked_vendor": vendor, "webgl.unmasked_renderer": renderer, "webgl.software_fallback": True,
        "webgl.supported": True, "webgl.supported_2": True, "webgl.debug_renderer_info": True,
        "webgl.parameters": stamp("parameters", "chromium", renderer),
        "webgl.extensions": stamp("extensions", "chromium", renderer), **images("chromium", "linux", renderer),
    }  # fmt: skip


def headless(craft: Craft, at: int) -> Campaign:
    """Return one visit of a driven browser."""
    random = craft.random
    driver = random.choice(tuple(_DRIVERS))
    (wide, high), webdriver, marks = _DRIVERS[driver]
    visitor = craft.visitor(at, browser="chrome", system="linux")
    shown = software_rendered(visitor.signals)
    if random.random() < 0.7:
        shown["navigator.user_agent"] = str(shown["navigator.user_agent"]).replace(" Chrome/", " HeadlessChrome/")
        shown["client_hints.brand"] = "HeadlessChrome"
    for name in ("width", "avail_width", "inner_width", "outer_width"):
        shown[f"screen.{name}"] = wide
    for name in ("height", "avail_height", "inner_height", "outer_height"):
        shown[f"screen.{name}"] = high
    shown |= {
        "navigator.webdriver": webdriver, "screen.device_pixel_ratio": 1.0, "navigator.languages": "en-US",
        "navigator.language": "en-US", "navigator.languages_count": 1.0, "permissions.notifications": "denied",
        "permissions.notification_api": "default", "automation.permissions_inconsistent": True,
        "media.audio_inputs": 0.0, "media.video_inputs": 0.0, "css.dark_scheme": False,
        "automation.webdriver_attribute": webdriver, "automation.iframe_webdriver": webdriver,
        "automation.worker_webdriver": webdriver, "navigator.connection_rtt": 0.0,
    }  # fmt: skip
    shown |= dict.fromkeys(marks, True)
    shown |= copies(shown)
    machine = craft.machine(random.choice(("script", "type")), random.uniform(2, 25))
    merchant, offset, events = craft.merchant(), 0, []
    for _ in range(random.randint(1, 3)):
        log = machine.log(_FIELDS)
        offset = max(offset + 1, machine.now)
        events.append(craft.planned(shown, merchant, log, machine.now, offset))
    address = craft.data_centre() if random.random() < 0.7 else visitor.address
    return [(0, craft.fraud("headless", visitor, events, merchant, address=address))]
