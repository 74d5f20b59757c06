"""anti_detect: a person behind a browser made for many identities: noisy pictures, limits that no such GPU has."""

from __future__ import annotations

from infra.traffic.craft import Craft
from infra.traffic.graphics import webgl_limits
from infra.traffic.machine import stamp
from infra.traffic.profile import Signals
from infra.traffic.visits import Campaign


def anti_detect(craft: Craft, at: int) -> Campaign:
    """Return one visit with a canvas blocker or with a profile of an anti-detect browser."""
    random = craft.random
    visitor = craft.visitor(at, engine="chromium", device="desktop")
    noise = f"{random.getrandbits(64):x}"
    signals = visitor.signals
    shown: Signals = {
        **signals, "canvas.pixel_differences": float(random.randint(1, 3000)),
        "canvas.readback_errors": float(random.randint(1, 64)), "audio.noise": random.uniform(1e-7, 1e-3),
        "canvas.cleared": random.random() < 0.2, "canvas.text": stamp(str(signals["canvas.text"]), noise),
        "canvas.geometry": stamp(str(signals["canvas.geometry"]), noise),
        "automation.native_code_altered": random.random() < 0.5,
    }  # fmt: skip
    if random.random() < 0.6:  # the profile names a GPU; the limits are the host's
        shown |= {**webgl_limits("SwiftShader"), "webgl.image": stamp("scene", noise)}
        shown["webgl.extensions"] = stamp("extensions", "chromium", "host")
    if random.random() < 0.3:  # a careful one: two drawings agree, and only the known pixels betray it
        shown |= {"canvas.pixel_differences": 0.0, "audio.noise": 0.0, "canvas.cleared": False}
    merchant, human, events = craft.merchant(), craft.human("desktop"), []
    for number in range(random.randint(1, 4)):
        log = human.finish(craft.size(), True) if number == 3 else human.log(craft.size())
        events.append(craft.planned(shown, merchant, log, human.now))
    return [(0, craft.fraud("anti_detect", visitor, events, merchant, linked_id=craft.account()))]
