"""account_farm: many "devices" that are copies of one virtual machine: other ids, the same pictures."""

from __future__ import annotations

from infra.traffic.attackers.headless import software_rendered
from infra.traffic.craft import Craft
from infra.traffic.profile import Signals, copies
from infra.traffic.visits import Campaign

RENDERERS = (
    "ANGLE (VMware, Inc., SVGA3D; build: RELEASE;  LLVM;, OpenGL 4.1)",
    "ANGLE (VirtualBox, VirtualBox Graphics Adapter Direct3D11 vs_5_0 ps_5_0, D3D11)",
    "ANGLE (Microsoft, Microsoft Basic Render Driver (0x0000008C) Direct3D11 vs_5_0 ps_5_0, D3D11)",
    "ANGLE (Mesa, llvmpipe (LLVM 15.0.7, 256 bits), OpenGL 4.5)",
)


def account_farm(craft: Craft, at: int) -> Campaign:
    """Return 5 to 20 visits, each of another device id and account, on one machine image."""
    random = craft.random
    renderer = random.choice(RENDERERS)
    system = "windows" if "Direct3D" in renderer else "linux"
    first = craft.visitor(at, browser="chrome", system=system)
    image: Signals = software_rendered(first.signals, renderer)
    image |= {"navigator.hardware_concurrency": 2.0, "navigator.device_memory": 2.0, "media.audio_inputs": 0.0}
    image |= copies(image)
    merchant = craft.merchant()
    campaign: Campaign = []
    start = 0.0
    for _ in range(random.randint(5, 20)):
        events = []
        if random.random() < 0.5:
            human = craft.human("desktop")
            events.append(craft.planned(image, merchant, human.finish(craft.size(), True), human.now))
        else:
            machine = craft.machine("paste", random.uniform(60, 150), 0.1)
            log = machine.log(("name", "email", "password", "phone", "address"), trail=True)
            events.append(craft.planned(image, merchant, log, machine.now))
        visit = craft.fraud(
            "account_farm", first, events, merchant, linked_id=craft.account(), device_id=random.randbytes(16)
        )
        campaign.append((int(start), visit))
        start += random.uniform(15_000, 90_000)
    return campaign
