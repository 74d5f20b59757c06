"""stealth: a driven browser that lies about itself, and forgets that workers are asked too."""

from __future__ import annotations

from infra.traffic.attackers.headless import SWIFTSHADER
from infra.traffic.craft import Craft
from infra.traffic.profile import Signals
from infra.traffic.visits import Campaign

_FIELDS = ("email", "cardholder_name", "card_number", "card_expiry", "card_cvv")


def stealth(craft: Craft, at: int) -> Campaign:
    """Return one visit of a driven browser with a stealth plugin."""
    random = craft.random
    visitor = craft.visitor(at, browser="chrome", system=random.choice(("windows", "macos")))
    leaks: Signals = {
        "navigator.webdriver": False, "worker.supported": True, "worker.platform": "Linux x86_64",
        "worker.hardware_concurrency": float(random.choice((2, 4, 16, 32, 48))),
        "worker.webgl_vendor": "Google Inc. (Google)", "worker.webgl_renderer": SWIFTSHADER,
        "worker.user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
        " HeadlessChrome/147.0.0.0 Safari/537.36",
        "automation.cdp_runtime": random.random() < 0.8, "automation.native_code_altered": random.random() < 0.75,
        "automation.navigator_own_properties": random.random() < 0.6,
        "automation.prototype_altered": random.random() < 0.5, "automation.proxy_detected": random.random() < 0.5,
        "automation.webdriver_altered": random.random() < 0.7, "permissions.notifications": "denied",
        "permissions.notification_api": "default", "automation.permissions_inconsistent": random.random() < 0.8,
        "automation.source_url_marker": random.random() < 0.4,
        "automation.error_stack_marker": random.random() < 0.3,
    }  # fmt: skip
    shown = {**visitor.signals, **leaks}
    machine = craft.machine("type", random.uniform(40, 120), random.choice((0.05, 0.2, 0.35)))
    merchant, offset, events = craft.merchant(), 0, []
    for _ in range(random.randint(1, 4)):
        log = machine.log(_FIELDS, trail=random.random() < 0.6)
        offset = max(offset + 1, machine.now)
        events.append(craft.planned(shown, merchant, log, machine.now, offset))
    address = craft.data_centre() if random.random() < 0.4 else visitor.address
    return [(0, craft.fraud("stealth", visitor, events, merchant, address=address))]
