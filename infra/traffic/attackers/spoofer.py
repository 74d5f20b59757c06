"""spoofer: the user agent and platform of one browser put over the machine of another."""

from __future__ import annotations

from infra.traffic.countries import COUNTRIES
from infra.traffic.craft import STOLEN, Craft
from infra.traffic.hideouts import PEOPLE
from infra.traffic.population import Visitor
from infra.traffic.signals import Signals
from infra.traffic.tells import patches
from infra.traffic.visits import Campaign
from infra.traffic.zones import zone_said

_WORN = ("navigator.user_agent", "navigator.platform", "navigator.vendor", "navigator.product_sub")


def spoofer(craft: Craft, at: int) -> Campaign:
    """Return one visit of a fingerprint injector (worker tells the truth) or an init script (own properties).

    Half are people who type themselves, with an extension that lies; the others drive the browser.
    """
    random = craft.random
    visitor = craft.visitor(at, device=random.choices(("desktop", "phone"), (0.75, 0.25))[0])
    other = random.choice([name for name in ("windows", "macos", "android", "ios") if name != visitor.system])
    shown = {**visitor.signals, **_worn(craft, visitor, craft.visitor(at, system=other))}
    hideout = craft.hideout(visitor, 0.45, PEOPLE)
    if random.random() < 0.25:  # says the zone of the exit, or of the victim, on the page, and nowhere else
        zone = random.choice((hideout.country if hideout.way else random.choice(COUNTRIES)).zones)
        shown |= zone_said(shown, zone, at, offsets_too=random.random() < 0.6)
    merchant = craft.merchant()
    manner = craft.manner(visitor.device, craft.care(0.1, 0.2, 0.2, 0.5))
    events = craft.sitting(shown, merchant, manner, visitor.device, STOLEN)[:4]
    return [(0, craft.fraud("spoofer", visitor, events, merchant, address=hideout()))]


def _worn(craft: Craft, visitor: Visitor, mask: Visitor) -> Signals:
    """Return what is put over the visitor's own signals."""
    random = craft.random
    worn: Signals = {name: mask.signals[name] for name in _WORN}
    if random.random() < 0.5:  # an injector replaces more, and everywhere but in workers
        worn |= {name: mask.signals.get(name) for name in ("screen.width", "screen.height")}
        worn |= {f"frame.{name}": worn[f"navigator.{name}"] for name in ("user_agent", "platform")}
        worn["automation.native_code_altered"] = random.random() < 0.5
        worn |= {**patches(random), "fpscanner.hasMismatchPlatformWorker": True, "fpscanner.hasContextMismatch": True}
        worn["automation.prototype_altered"] = random.random() < 0.5
        return worn
    worn |= {"automation.navigator_own_properties": random.random() < 0.7}
    own = bool(worn["automation.navigator_own_properties"])
    worn |= dict.fromkeys(("altered.Navigator.userAgent", "altered.Navigator.platform"), own)
    worn |= {"fpscanner.hasMismatchPlatformIframe": True, "fpscanner.hasMismatchPlatformWorker": True}
    worn["fpscanner.hasPlatformMismatch"] = random.random() < 0.6
    worn["automation.languages_inconsistent"] = random.random() < 0.4
    if visitor.signals["navigator.has_user_agent_data"]:
        worn["client_hints.brand_version"] = float(random.randint(100, 148))
    return worn
