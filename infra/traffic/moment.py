"""What one visit alone decides: how the page came, how fast the machine is, the window, its stores and voices.

Distributions are ours: log-normal times as page-load reports give them (median load 1.6 s, 2.6 s on phones).
"""

from __future__ import annotations

from random import Random

from infra.traffic.signals import Signals

_FRAMES = (16.7, 16.7, 16.7, 16.7, 8.3, 8.3, 6.9, 13.3, 33.3)
_PROTOCOLS = ("h2", "h2", "h3", "h3", "h3", "http/1.1")
_SCROLL_BARS = {"windows": 15.0, "linux": 15.0, "chromeos": 0.0}
_VOICES = {
    "windows": (3, 6),
    "macos": (46, 60),
    "ios": (48, 56),
    "android": (12, 24),
    "chromeos": (6, 19),
    "linux": (0, 0),
}
_LETTERS = {"windows": 48.0, "macos": 48.0, "linux": 49.0, "chromeos": 48.0}
_EDGE_VOICES, _GOOGLE_VOICES = 318, 19


def navigation(engine: str, device: str, random: Random) -> Signals:
    """Return ``navigation.*``, in ms: later steps never come before earlier ones."""
    slow = 1.6 if device == "phone" else 1.0
    step = 1.0 if engine != "chromium" else 0.1

    def drawn(median: float, spread: float) -> float:
        return median * slow * random.lognormvariate(0, spread)

    fresh = random.random() < 0.45  # else the connection is there already
    connect = drawn(38, 0.6) if fresh else 0.0
    request, response = drawn(140, 0.6), drawn(6, 0.9)
    interactive = connect + request + response + drawn(330, 0.5)
    ready = interactive + drawn(60, 0.8)
    complete = ready + drawn(620, 0.6)
    paint = connect + request + response + drawn(190, 0.5)
    size = float(int(random.lognormvariate(9.6, 0.5)))
    found: Signals = {
        "navigation.redirect_count": 0.0 if random.random() < 0.92 else 1.0,
        "navigation.domain_lookup": round(drawn(9, 1.0) / step) * step if fresh else 0.0,
        "navigation.connect": round(connect / step) * step, "navigation.request": round(request / step) * step,
        "navigation.response": round(response / step) * step,
        "navigation.dom_interactive": round(interactive / step) * step,
        "navigation.dom_content_loaded": round(ready / step) * step,
        "navigation.dom_complete": round(complete / step) * step,
        "navigation.load": round((complete + 2) / step) * step,
        "navigation.first_contentful_paint": round((paint + 14) / step) * step,
        "navigation.transfer_size": size + 300.0, "navigation.encoded_size": size,
        "navigation.decoded_size": float(int(size * random.uniform(2.5, 4.5))),
        "navigation.resources_count": float(random.randint(18, 90)),
        "navigation.scripts_count": float(random.randint(4, 16)),
        "navigation.type": "navigate" if random.random() < 0.88 else random.choice(("reload", "back_forward")),
        "navigation.protocol": random.choice(_PROTOCOLS), "navigation.visibility": "visible",
    }  # fmt: skip
    if fresh:
        found["navigation.secure_connect"] = round(connect * 0.4 / step) * step
    if engine != "gecko":
        found["navigation.first_paint"] = round(paint / step) * step
    if engine == "chromium":
        found |= {"navigation.activation_start": 0.0, "navigation.delivery_type": "",
                  "navigation.render_blocking": "non-blocking"}  # fmt: skip
    return found


def clocks(engine: str, device: str, random: Random) -> Signals:
    """Return ``clock.*`` and ``memory.*``: the machine's speed is one number, work is around it."""
    speed = (2.2 if device == "phone" else 1.0) * random.lognormvariate(0, 0.45)
    step = 0.1 if engine == "chromium" else 1.0
    costs = {"integer_work": 1.5, "float_work": 1.4, "string_work": 2.4, "sort_work": 1.9, "layout_work": 4.0}
    found: Signals = {
        f"clock.{name}": round(cost * speed * random.lognormvariate(0, 0.25) / step) * step
        for name, cost in costs.items()
    }
    found |= {
        "clock.date_step": 1.0, "clock.event_step": step, "clock.frame_interval": random.choice(_FRAMES),
        "clock.message_delay": round(random.expovariate(2.0 / speed) / step) * step,
        "clock.timer_delay": round(random.expovariate(0.8 / speed) / step) * step,
    }  # fmt: skip
    if engine == "chromium":
        total = random.lognormvariate(2.9, 0.4)
        found |= {"memory.heap_total": round(total, 2), "memory.heap_used": round(total * random.uniform(0.6, 0.95), 2)}
    return found


def window(found: Signals, engine: str, system: str, device: str, random: Random) -> Signals:
    """Return ``viewport.*`` of a window whose sizes are in ``found``."""
    wide, high, outer = (float(found[f"screen.{name}"] or 0) for name in ("inner_width", "inner_height", "outer_width"))
    overlay = device != "desktop" or system == "chromeos" or (system == "macos" and random.random() < 0.75)
    bar = 0.0 if overlay else _SCROLL_BARS.get(system, 15.0)
    return {
        "viewport.document_width": wide - bar, "viewport.document_height": found["page.scroll_height"],
        "viewport.client_width": wide - bar, "viewport.client_height": high, "viewport.scroll_bar_width": bar,
        "viewport.visual_width": wide - bar, "viewport.visual_height": high,
        "viewport.zoom": round(outer / wide, 2) if wide else 1.0, "viewport.safe_area_top": 0.0,
        "viewport.safe_area_bottom": 0.0, "viewport.frames_count": float(random.choice((0, 0, 1, 2, 3))),
        "viewport.elements_count": float(random.randint(260, 1500)), "viewport.scroll_bar_overlay": overlay,
        "viewport.has_focus": random.random() < 0.97, "viewport.visible": True, "viewport.menu_bar": True,
        "viewport.tool_bar": True, "viewport.location_bar": True, "viewport.personal_bar": True,
        "viewport.status_bar": True, "viewport.scroll_bars": True,
    }  # fmt: skip


def voices(browser: str, system: str, locale: str, random: Random) -> Signals:
    """Return ``voice.*`` and the number of voices: the system's own, and what Chrome and Edge speak from afar."""
    local = random.randint(*_VOICES[system])
    remote = 0
    if system not in ("android", "ios"):
        remote = _EDGE_VOICES if browser == "edge" else _GOOGLE_VOICES if browser == "chrome" else 0
    found: Signals = {
        "media.voices_count": float(local + remote), "voice.local_count": float(local),
        "voice.remote_count": float(remote),
        "voice.languages_count": float(min(local + remote, (15 if remote else 0) + local // 2 + (local > 0))),
        "voice.list": f"{system} {browser if remote else ''} {local}" if local + remote else "",
    }  # fmt: skip
    if local + remote:
        found["voice.default"] = f"{system} {locale}"
    return found


def keyboard(engine: str, device: str, system: str, locale: str) -> Signals:
    """Return ``keyboard.*``: only Chromium on desktops tells its layout."""
    if engine != "chromium" or device != "desktop":
        return {}
    return {"keyboard.keys_count": _LETTERS[system], "keyboard.layout": f"{system} {locale.rpartition('-')[2]}"}


def stores(found: Signals, engine: str, random: Random) -> Signals:
    """Return ``storage_detail.*`` of the stores in ``found``."""
    more: Signals = {
        "storage_detail.cookies_length": float(int(random.lognormvariate(4.8, 0.8))),
        "storage_detail.cookies_writable": True, "storage_detail.cache_storage": True, "storage_detail.opfs": True,
        "storage_detail.web_sql": found["window_member.openDatabase"], "storage_detail.persisted_granted": False,
        "storage_detail.partitioned": False,
    }  # fmt: skip
    if engine == "chromium":
        quota, heap = float(found["storage.quota"] or 0), float(found["storage.heap_limit"] or 1)
        more |= {
            "storage_detail.quota_ratio": quota / heap,
            "storage_detail.usage_details_count": float(random.choice((0, 0, 1, 2))),
        }
    return more


_PERMISSIONS = {  # by state, as recorded
    "chromium": {
        "granted": "accelerometer background-fetch background-sync clipboard-write gyroscope magnetometer"
        " payment-handler screen-wake-lock storage-access",
        "prompt": "display-capture idle-detection local-fonts persistent-storage push window-management",
        "denied": "periodic-background-sync",
    },
    "gecko": {"granted": "screen-wake-lock", "prompt": "persistent-storage push storage-access"},
    "webkit": {"granted": "screen-wake-lock", "prompt": "push"},
}
_NOT_MOBILE = ("idle-detection", "local-fonts", "window-management")


def permissions(engine: str, device: str, system: str) -> Signals:
    """Return ``permission.*``."""
    found: Signals = {
        f"permission.{name}": state for state, names in _PERMISSIONS[engine].items() for name in names.split()
    }
    if device != "desktop":
        for name in _NOT_MOBILE:
            found.pop(f"permission.{name}", None)
    if engine == "chromium" and system == "android":
        found["permission.nfc"] = "prompt"
    return found
