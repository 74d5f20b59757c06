"""account_farm: many "devices" that are copies of one machine: other ids, the same pictures."""

from __future__ import annotations

from infra.traffic.behaviour import CHECKOUT, SIGN_UP
from infra.traffic.craft import Craft
from infra.traffic.hideouts import FARMS
from infra.traffic.population import Visitor
from infra.traffic.signals import Signals
from infra.traffic.virtual import RENDERERS, virtual_machine
from infra.traffic.visits import Campaign

_IMAGES = ("windows", "linux", "android", "phone")


def account_farm(craft: Craft, at: int) -> Campaign:
    """Return 5 to 20 visits, each of another device id and account: on a virtual machine, an emulator or a phone.

    What they pay, they pay with the farm's own card or two, and half of the farms come from one address.
    """
    random = craft.random
    image = random.choices(_IMAGES, (0.25, 0.15, 0.4, 0.2))[0]
    first, shown = _machine(craft, at, image)
    care, merchant = craft.care(0.15, 0.4, 0.25, 0.2), craft.merchant()
    hideout, owner = craft.hideout(first, 0.5, FARMS), f"farm {first.device_id.hex()}"
    campaign: Campaign = []
    start = 0.0
    for _ in range(random.randint(5, 20)):
        hand = craft.hand(first.device, care, SIGN_UP if random.random() < 0.8 else CHECKOUT)
        events = craft.errands(shown, merchant, hand, [""])
        visit = craft.fraud(
            "account_farm", first, events, merchant, linked_id=craft.account(), device_id=random.randbytes(16),
            address=hideout(), card_token=craft.wallets.of(owner, events),
        )  # fmt: skip
        campaign.append((int(start), visit))
        start += random.uniform(15_000, 180_000)
    return campaign


def _machine(craft: Craft, at: int, image: str) -> tuple[Visitor, Signals]:
    """Return the machine that is copied; a phone is wiped between two accounts, and hangs on a charger."""
    random = craft.random
    if image == "phone":
        first = craft.visitor(at, browser="chrome", system="android", device="phone")
        return first, {**first.signals, "battery.level": random.choice((0.98, 0.99, 1.0)), "battery.charging": True}
    first = craft.visitor(at, browser="chrome", system=image, device="phone" if image == "android" else "desktop")
    cores, memory = (float(random.choice(sizes)) for sizes in ((2, 2, 4), (2, 4)))
    return first, virtual_machine(first.signals, random.choice(RENDERERS[image]), image, cores, memory)
