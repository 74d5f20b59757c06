"""anti_detect: a person behind a browser made for many identities: noisy pictures, limits that no such GPU has."""

from __future__ import annotations

import re

from infra.traffic.browser_support import column_of
from infra.traffic.craft import STOLEN, Craft
from infra.traffic.graphics_detail import webgl_detail
from infra.traffic.hideouts import PEOPLE
from infra.traffic.machine import stamp
from infra.traffic.population import Visitor
from infra.traffic.signals import Signals
from infra.traffic.tells import noise_patches, other_engine
from infra.traffic.visits import Campaign
from infra.traffic.zones import clock_in


def anti_detect(craft: Craft, at: int) -> Campaign:
    """Return a visit of each of one to four profiles, one after the other, of an anti-detect browser or with a blocker.

    Somebody sits before it and types: four in five do so themselves, each with one hand for all profiles.
    """
    random = craft.random
    engine = random.choices(("chromium", "gecko"), (0.85, 0.15))[0]
    device = random.choices(("desktop", "phone"), (0.85, 0.15))[0]
    manner, merchant = craft.manner(device, craft.care(0.0, 0.05, 0.15, 0.8)), craft.merchant()
    campaign: Campaign = []
    start = 0.0
    for _ in range(random.choice((1, 1, 2, 4))):
        visitor = craft.visitor(at, engine=engine, device=device)
        shown = _profile(craft, visitor, engine)
        hideout = craft.hideout(visitor, 0.6, PEOPLE)
        if hideout.country is not visitor.country and random.random() < 0.6:  # the profile's zone is the exit's
            shown = clock_in(shown, random.choice(hideout.country.zones), at)
        events = craft.sitting(shown, merchant, manner, device, STOLEN)[:5]
        visit = craft.fraud("anti_detect", visitor, events, merchant, linked_id=craft.account(), address=hideout())
        campaign.append((int(start), visit))
        start += random.uniform(120_000, 1_200_000)
    return campaign


def _profile(craft: Craft, visitor: Visitor, engine: str) -> Signals:
    """Return what a profile shows over the visitor's machine."""
    random, signals = craft.random, visitor.signals
    noise = f"{random.getrandbits(64):x}"
    shown: Signals = {
        **signals, "canvas.readback_errors": float(random.randint(1, 64)),
        "canvas.text": stamp(str(signals["canvas.text"]), noise),
        "canvas.geometry": stamp(str(signals["canvas.geometry"]), noise),
        "automation.native_code_altered": random.random() < 0.4,
    }  # fmt: skip
    shown |= {f"picture.{name}": stamp(name, noise) for name in ("gradient", "curves", "text_rtl", "image_data")}
    if shown["automation.native_code_altered"]:
        shown |= noise_patches(random)
    if random.random() < 0.3:  # the noise is only in the page's canvas
        shown["picture.offscreen_equal"] = False
    else:
        shown |= {f"{place}.canvas_text": shown["canvas.text"] for place in ("worker_page", "frame_page")}
    if random.random() < 0.65:  # fresh noise for every drawing
        shown |= {
            "canvas.pixel_differences": float(random.randint(1, 3000)), "audio.noise": random.uniform(1e-7, 1e-3),
            "canvas.cleared": random.random() < 0.2,
        }  # fmt: skip
    elif random.random() < 0.3:  # a careful one: noise of one seed, and only where no known pixel is
        shown["canvas.readback_errors"] = 0.0
    if random.random() < 0.5:  # the profile names a GPU; the limits are the host's
        column, version = column_of(visitor.browser, visitor.system, engine), _version(visitor)
        shown |= {**webgl_detail(engine, column, version, "SwiftShader"), "webgl.image": stamp("scene", noise)}
    if random.random() < 0.35:  # the profile's user agent is newer or older than the engine
        version = max(100.0, _version(visitor) + random.choice((-40, -24, -14, -9, -6, 5, 8)))
        shown = other_engine(shown, visitor.browser, visitor.system, engine, version, "x86")
    return shown


def _version(visitor: Visitor) -> float:
    found = re.search(r"(?:Chrome|Firefox)/(\d+)", str(visitor.signals["navigator.user_agent"]))
    return float(found[1]) if found else 140.0
