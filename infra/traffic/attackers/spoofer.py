"""spoofer: the user agent and platform of one browser put over the machine of another."""

from __future__ import annotations

from infra.traffic.craft import Craft
from infra.traffic.profile import Signals
from infra.traffic.visits import Campaign

_WORN = ("navigator.user_agent", "navigator.platform", "navigator.vendor", "navigator.product_sub")


def spoofer(craft: Craft, at: int) -> Campaign:
    """Return one visit of a fingerprint injector (worker tells the truth) or an init script (own properties)."""
    random = craft.random
    visitor = craft.visitor(at, browser="chrome", system=random.choice(("linux", "windows")))
    other = "macos" if visitor.system == "windows" else "windows"
    mask = craft.visitor(at, system=other)
    worn: Signals = {name: mask.signals[name] for name in _WORN}
    if random.random() < 0.5:  # an injector replaces more, and everywhere but in workers
        worn |= {name: mask.signals.get(name) for name in ("screen.width", "screen.height")}
        worn |= {f"frame.{name}": worn[f"navigator.{name}"] for name in ("user_agent", "platform")}
        worn["automation.native_code_altered"] = random.random() < 0.7
        worn["automation.prototype_altered"] = random.random() < 0.7
    else:
        worn |= {"automation.navigator_own_properties": True, "automation.languages_inconsistent": True}
        worn["client_hints.brand_version"] = float(random.randint(90, 120))
    shown = {**visitor.signals, **worn}
    merchant, events, offset = craft.merchant(), [], 0
    human, machine = craft.human("desktop"), craft.machine("paste", 60.0, 0.15)
    for _ in range(random.randint(1, 3)):
        if random.random() < 0.5:
            log, age = human.log(craft.size()), human.now
        else:
            log, age = machine.log(("email", "card_number", "card_cvv"), trail=True), machine.now
        offset = max(offset + 1, age)
        events.append(craft.planned(shown, merchant, log, age, offset))
    return [(0, craft.fraud("spoofer", visitor, events, merchant))]
