"""What is wrongly taken for fraud elsewhere, judged by all 24 signals: none of five may be true, and others only where
what they say is so. Each event is a whole browser of the population, 1,300 signals and more, with the one oddity that
the trackers of BotD, fpscanner, CreepJS and the browsers themselves have reports of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from enrichers.address_table import load_address_table
from enrichers.registry import SIGNALS
from enrichers.stage import Enrich
from flows.stages.normalize import Normalize
from infra.traffic.countries import COUNTRIES
from infra.traffic.population import Population, Visitor
from infra.traffic.virtual import RENDERERS, drawn_by
from schemas.batches import Related, Verified
from schemas.columns import widen
from schemas.networks import NETWORK_BIT
from schemas.smart_signals import SMART_SIGNALS
from tests.builders import decoded, entry, related

NEVER = ("bot", "headless", "tampering", "anti_detect_browser", "canvas_spoofing")
AT = 1_795_320_000_000
BASIC = next(name for name in RENDERERS["windows"] if "Basic Render" in name)
GERMANY = next(country for country in COUNTRIES if country.code == "DE")
WORKED = [
    entry("field_focused", 900, 0, "card_number"),
    *(entry("key_interval", 1000 + 130 * k, 90 + 37 * (k % 4), "card_number") for k in range(16)),
    entry("pointer_summary", 4000, 840),
    entry("clicked", 4200, 85, "button"),
    entry("submitted", 9000, 9000, "form"),
]
NORMALIZE = Normalize(locate=load_address_table())
ENRICH = Enrich()
Signals = Mapping[str, Any]
Change = Callable[[Signals], Signals]


@dataclass(frozen=True)
class Known:
    """A browser, what is odd about it, and which signals may be true because they are."""

    what: str
    browser: str
    system: str
    change: Change = lambda shown: {}
    network: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    activity: tuple[Any, ...] = ()


def says(**signals: Any) -> Change:
    """Return a change that sets signals; their names' dots are written as two underscores."""
    return lambda shown: {name.replace("__", ".", 1): value for name, value in signals.items()}


def agent(old: str, new: str, **signals: Any) -> Change:
    """Return a change of the user agent, in page, worker and frame, and of signals."""

    def change(shown: Signals) -> Signals:
        said = str(shown["navigator.user_agent"]).replace(old, new)
        copies = {
            name: said
            for name in ("navigator.user_agent", "worker.user_agent", "frame.user_agent")
            if shown.get(name) is not None
        }
        return {**copies, "worker_page.app_version": said.removeprefix("Mozilla/"), **says(**signals)(shown)}

    return change


def in_app(name: str) -> Change:
    """Return an in-app browser by what BotD's tracker has on UC, Baidu and WeChat: odd plugins and permissions."""
    return agent(
        " Mobile Safari/537.36",
        f" Mobile Safari/537.36 {name}",
        automation__permissions_inconsistent=True,
        botd__NotificationPermissions=True,
        botd__PluginsArray=True,
        botd__MimeTypesConsistent=True,
        plugin__consistent=False,
        botd__PluginsLengthInconsistency=True,
        automation__languages_inconsistent=True,
        api__chrome=False,
        window_member__chrome=False,
        fpscanner__hasMissingChromeObject=True,
    )


def languages(count: int) -> dict[str, Any]:
    """Return a list of so many languages, in page, worker and frame."""
    return {f"{place}__languages_count": count for place in ("navigator", "worker_page", "frame_page")}


def desktop_site(shown: Signals) -> Signals:
    """Return a telephone whose owner asked for the desktop's site: it says that it is a Linux computer."""
    version = str(shown["navigator.user_agent"]).partition("Chrome/")[2].partition(".")[0]
    said = (
        f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
    )
    hints = ("client_hints", "worker_page__client_hints", "frame_page__client_hints")
    platforms = {f"{family}{'__' if family == 'client_hints' else '_'}platform": "Linux" for family in hints}
    return {
        **dict.fromkeys(("navigator.user_agent", "worker.user_agent", "frame.user_agent"), said),
        "worker_page.app_version": said.removeprefix("Mozilla/"),
        **says(**platforms, client_hint__platform_low_entropy="Linux")(shown),
        "client_hints.mobile": False,
        "client_hints.model": "",
        "client_hint.form_factors": "Desktop",
    }


def without_webgl(shown: Signals) -> Signals:
    """Return that WebGL is switched off, in page, worker and frame."""
    families = ("webgl.", "webgl_", "webgl2_", "webgpu.", "worker_page.max_", "worker.webgl_", "frame_page.webgl_")
    absent = {name: None for name in shown if name.startswith(families)}
    return {**absent, "webgl.supported": False, "webgl.supported_2": False, "worker_page.webgl_supported": False}


def resisting(shown: Signals) -> Signals:
    """Return what resist-fingerprinting does: one zone, one locale, rounded window, coarse clock, fresh noise."""
    sizes = {f"screen.{name}width": 1400 for name in ("", "avail_", "inner_", "outer_")}
    sizes |= {f"screen.{name}height": 900 for name in ("", "avail_", "inner_", "outer_")}
    places = ("intl.timezone", "worker.timezone", "frame_page.timezone")
    offsets = [f"intl.timezone_offset{when}" for when in ("", "_january", "_july")]
    offsets += ["worker.timezone_offset", "frame_page.timezone_offset"]
    return {
        **sizes,
        **dict.fromkeys(places, "Atlantic/Reykjavik"),
        **dict.fromkeys(offsets, 0),
        "frame.screen_width": 1400,
        "frame_page.screen_height": 900,
        "frame_page.device_pixel_ratio": 1,
        "screen.device_pixel_ratio": 1,
        "screen.orientation_landscape": True,
        "media_query.orientation_landscape": True,
        "media_query.orientation_portrait": False,
        "timing.resolution": 16.667,
        "canvas.readback_errors": 64,
        "canvas.pixel_differences": 3000,
        "canvas.text": "noise",
        "canvas.geometry": "other noise",
        "picture.offscreen_equal": False,
        "webgl.debug_renderer_info": False,
        "navigator.hardware_concurrency": 4,
        "worker.hardware_concurrency": 4,
        "frame.hardware_concurrency": 4,
    }


def drawn_by_basic_render(shown: Signals) -> Signals:
    """Return a Windows computer without a driver for its card."""
    virtual = drawn_by(dict(shown), BASIC, "windows")
    copies = ("worker.webgl_", "frame_page.webgl_", "worker_page.max_", "worker_page.webgl_")
    return {**virtual, **{name: None for name in shown if name.startswith(copies)}}


PRIVATE = ("incognito",)
HIDES = ("privacy_settings",)
ELSEWHERE = ("geo_timezone_mismatch", "vpn")
TOOLS = {"automation__devtools_open": True, "screen__inner_width": 1100, "screen__outer_width": 1920}
WALLET = {
    "automation__proxy_detected": True, "automation__prototype_altered": True, "automation__native_code_altered": True,
    "automation__console_wrapped": True, "altered__EventTarget.addEventListener": True,
}  # fmt: skip
KNOWN = (
    Known("UC Browser", "chrome", "android", in_app("UCBrowser/15.5.0.1229")),
    Known("Baidu's app", "webview", "android", in_app("baiduboxapp/13.60")),
    Known("WeChat on Android", "webview", "android", in_app("MicroMessenger/8.0.50 XWEB/1160117")),
    Known("WeChat on an iPhone", "webview", "ios", agent("Instagram", "MicroMessenger", **languages(1))),
    Known("Facebook on Android", "webview", "android"),
    Known("Facebook on an iPhone", "webview", "ios"),
    Known("in-app browser that hides languages", "webview", "android", says(**languages(0))),
    Known("PDF viewer off", "chrome", "windows",
          says(navigator__pdf_viewer_enabled=False, navigator__plugins_count=0, navigator__mime_types_count=0,
               frame_page__plugins_count=0, plugin__pdf=False, botd__PluginsLengthInconsistency=True)),
    Known("developer tools in Firefox", "firefox", "windows",
          says(**TOOLS, botd__NotificationPermissions=False, automation__console_wrapped=True),
          facts=("developer_tools",)),
    Known("developer tools opened in Firefox", "firefox", "linux", says(**TOOLS), facts=("developer_tools",),
          activity=(entry("devtools_opened", 9500),)),
    Known("developer tools in Chrome", "chrome", "windows", says(**TOOLS, automation__cdp_runtime=True,
          fpscanner__hasCDP=True), facts=("developer_tools",)),
    Known("developer tools in a window of their own", "chrome", "windows",
          says(automation__cdp_runtime=True, fpscanner__hasCDP=True), facts=("cdp_automation",)),
    Known("wallet extension in Chrome", "chrome", "windows", says(**WALLET)),
    Known("wallet extension in Firefox", "firefox", "windows", says(**WALLET)),
    Known("wallet extension and developer tools", "chrome", "macos", says(**WALLET, automation__devtools_open=True)),
    Known("content blocker", "firefox", "windows", says(**{"altered__EventTarget.addEventListener": True,
          "automation__native_code_altered": True, "altered__RTCPeerConnection.createOffer": True})),
    Known("user agent switcher that is off", "chrome", "windows",
          says(**{"altered__Navigator.userAgent": True, "automation__native_code_altered": True})),
    Known("privacy extension that names another machine", "chrome", "windows", says(
        **{f"altered__{name}": True for name in ("Navigator.plugins", "Navigator.hardwareConcurrency",
           "Navigator.deviceMemory", "WebGLRenderingContext.getParameter", "Performance.now")},
        automation__native_code_altered=True)),
    Known("telephone that shows desktop sites", "chrome", "android", desktop_site),
    Known("WebGL off in Chrome", "chrome", "windows", without_webgl),
    Known("WebGL off in Firefox", "firefox", "linux", without_webgl),
    Known("Brave", "brave", "windows", facts=HIDES),
    Known("Brave on a telephone", "brave", "android", facts=HIDES),
    Known("Brave with strict protection", "brave", "macos",
          says(canvas__readback_errors=40, canvas__pixel_differences=12, audio__noise=1e-4, audio__sample_sum=123.1),
          facts=HIDES),
    Known("LibreWolf", "firefox", "windows", resisting, facts=(*HIDES, *ELSEWHERE)),
    Known("Tor Browser", "firefox", "windows", lambda shown: {**resisting(shown), "storage_detail.opfs": False},
          network=("tor",), facts=(*HIDES, *PRIVATE, *ELSEWHERE, "tor", "ip_blocklist", "proxy")),
    Known("private window of Firefox", "firefox", "windows",
          says(canvas__readback_errors=64, **{"canvas__text": "noise", "storage_detail__opfs": False}),
          facts=(*PRIVATE, *HIDES)),
    Known("private window of Safari", "safari", "macos",
          says(canvas__pixel_differences=30, canvas__readback_errors=3, audio__noise=1e-6, storage_detail__opfs=False),
          facts=PRIVATE),
    Known("corporate VPN", "edge", "windows", network=("vpn", "hosting"), facts=("vpn", "datacenter_ip", "proxy")),
    Known("Private Relay", "safari", "ios", network=("relay",), facts=("vpn", "datacenter_ip")),
    Known("16 GiB of memory", "chrome", "windows", says(
        navigator__device_memory=16, worker__device_memory=16, frame_page__device_memory=16)),
    Known("32 GiB of memory", "chrome", "windows", says(
        navigator__device_memory=32, worker__device_memory=32, frame_page__device_memory=32)),
    Known("Microsoft Basic Render", "chrome", "windows", drawn_by_basic_render, facts=("virtual_machine",)),
    Known("laptop with two cards", "chrome", "windows", says(
        worker__webgl_vendor="Google Inc. (Intel)",
        worker__webgl_renderer="ANGLE (Intel, Intel(R) UHD Graphics (0x00009A60) Direct3D11 vs_5_0 ps_5_0, D3D11)")),
    Known("cookies and stores refused", "firefox", "windows", says(
        navigator__cookie_enabled=False, storage__local=False, storage__indexed_db=False, storage_detail__opfs=False)),
    Known("page of an insecure origin in Firefox", "firefox", "linux", says(
        page__secure_context=False, automation__permissions_inconsistent=True)),
    Known("telephone of Cubot", "chrome", "android", agent(
        "; K)", "; CUBOT P80)", fpscanner__hasBotUserAgent=True, client_hints__model="CUBOT P80",
        client_hints__platform_version="10")),
    Known("tab in the background", "chrome", "windows", says(
        screen__outer_width=0, screen__outer_height=0, viewport__has_focus=False, viewport__visible=False)),
)  # fmt: skip


@pytest.fixture(scope="module")
def population() -> Population:
    """Return the population that the browsers are drawn from."""
    return Population(23)


def ordinary(population: Population, browser: str, system: str) -> Visitor:
    """Return the next visitor of a kind, in Germany, with nothing odd about it but the browser itself."""
    while True:
        visitor = population.visitor(AT, browser=browser, system=system, country=GERMANY)
        if set(visitor.oddities) <= {"brave"}:
            return visitor


def event_of(known: Known, visitor: Visitor) -> Related:
    """Return the event that the enrich stage is given."""
    shown = {**visitor.signals, **known.change(visitor.signals)}
    kept = {name: value for name, value in shown.items() if value is not None}
    log = [[*WORKED, *known.activity]]
    out = NORMALIZE(widen(Verified, decoded([kept], log, [AT])))
    assert not out.errs
    before = related([kept], log, [{"first_seen_at": AT - 3_600_000}], times=[AT])
    network = related([{}], network=[{"country": "DE", "asn": 3320, "latitude": 51.0, "longitude": 10.0}]).network
    classes = np.array([sum(NETWORK_BIT[name] for name in known.network)], np.uint16)
    return replace(
        before,
        signals=out.oks.signals,
        environment=out.oks.environment,
        network=replace(network, classes=network.classes | classes),
    )


def true_of(event: Related) -> dict[str, list[str]]:
    """Return which of the 24 signals are true of an event, with their reasons."""
    smart = ENRICH(event).oks.smart
    assert smart.names == SMART_SIGNALS
    return {
        signal.name: [name for bit, name in enumerate(signal.reasons) if int(smart.reasons[0, at]) >> bit & 1]
        for at, signal in enumerate(SIGNALS)
        if smart.result[0, at] == 1
    }


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.what.replace(" ", "-"))
def test_what_is_wrongly_taken_for_fraud_elsewhere_is_not_so_here(known: Known, population: Population) -> None:
    for _ in range(3):
        found = true_of(event_of(known, ordinary(population, known.browser, known.system)))
        assert not set(found) & set(NEVER), found
        assert set(found) <= set(known.facts), found


@pytest.mark.parametrize(
    ("browser", "system"),
    [("chrome", "windows"), ("edge", "windows"), ("opera", "windows"), ("firefox", "windows"), ("chrome", "macos"),
     ("safari", "macos"), ("firefox", "linux"), ("chrome", "linux"), ("chrome", "chromeos"), ("chrome", "android"),
     ("samsung", "android"), ("firefox", "android"), ("safari", "ios"), ("chrome", "ios")],
)  # fmt: skip
def test_an_ordinary_browser_has_no_signal_at_all(browser: str, system: str, population: Population) -> None:
    for _ in range(3):
        shown = Known("", browser, system, facts=("virtual_machine",))
        found = true_of(event_of(shown, ordinary(population, browser, system)))
        assert set(found) <= set(shown.facts), found


def test_a_change_that_is_no_known_oddity_is_caught(population: Population) -> None:
    visitor = ordinary(population, "chrome", "windows")
    driven = Known("driven", "chrome", "windows", says(navigator__webdriver=True))
    foreign = Known("spoofed", "chrome", "windows", agent("Windows NT 10.0; Win64; x64", "X11; Linux x86_64"))
    assert "bot" in true_of(event_of(driven, visitor))
    assert {"tampering", "navigator_mismatch"} <= set(true_of(event_of(foreign, visitor)))
