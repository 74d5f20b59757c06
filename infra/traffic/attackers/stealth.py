"""stealth: a driven browser that lies about itself, and mostly forgets that workers are asked too."""

from __future__ import annotations

from infra.traffic.behaviour import PAYMENT, SIGN_UP
from infra.traffic.craft import STOLEN, Craft
from infra.traffic.hideouts import SERVERS
from infra.traffic.signals import Signals
from infra.traffic.tells import forgotten_worker, patches, server
from infra.traffic.virtual import chromium_version
from infra.traffic.visits import Campaign

_LEAKS = {  # what a plugin of each care leaves behind, and how often
    "automation.cdp_runtime": 0.6, "automation.native_code_altered": 0.6,
    "automation.navigator_own_properties": 0.4, "automation.prototype_altered": 0.4,
    "automation.proxy_detected": 0.4, "automation.webdriver_altered": 0.5,
    "automation.permissions_inconsistent": 0.5, "automation.source_url_marker": 0.25,
    "automation.error_stack_marker": 0.2,
}  # fmt: skip


def stealth(craft: Craft, at: int) -> Campaign:
    """Return one visit of a driven browser with a stealth plugin, an old one or one of this week."""
    random = craft.random
    system = random.choices(("windows", "macos", "linux", "android"), (0.5, 0.2, 0.15, 0.15))[0]
    visitor = craft.visitor(at, system=system, engine="chromium")
    fresh = random.random() < 0.25  # the newest plugins leave a quarter of the traces
    leaks: Signals = {name: random.random() < (share / 4 if fresh else share) for name, share in _LEAKS.items()}
    if leaks["automation.permissions_inconsistent"]:
        leaks |= {"permissions.notifications": "denied", "permissions.notification_api": "default"}
    if random.random() < (0.15 if fresh else 0.8):
        leaks |= _worker(craft, visitor.signals)
    shown = {**visitor.signals, **leaks, **patches(random, 0.25 if fresh else 1.0)}
    if system != "linux" and random.random() < (
        0.1 if fresh else 0.4
    ):  # the server's fonts under another system's name
        shown |= {name: value for name, value in server().items() if name.startswith(("font", "voice", "rectangle"))}
    care, merchant = craft.care(0.1, 0.45, 0.45, 0.0), craft.merchant()
    if random.random() < 0.4:
        events = craft.sitting(shown, merchant, craft.manner(visitor.device, care), visitor.device, STOLEN)
    else:
        hand = craft.hand(visitor.device, care, PAYMENT if random.random() < 0.7 else SIGN_UP)
        outcomes = random.choices(("payment_declined", "payment_succeeded"), k=random.randint(1, 4))
        events = craft.errands(shown, merchant, hand, outcomes)
    address = craft.hideout(visitor, 0.55, SERVERS)()
    return [(0, craft.fraud("stealth", visitor, events, merchant, address=address))]


def _worker(craft: Craft, signals: Signals) -> Signals:
    """Return what the forgotten worker tells: the server that the browser runs on."""
    random = craft.random
    version = chromium_version(str(signals["navigator.user_agent"]))
    agent = (
        f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
        f" HeadlessChrome/{version:.0f}.0.0.0 Safari/537.36"
    )
    return forgotten_worker(agent, float(random.choice((2, 4, 8, 16, 32))), version)
