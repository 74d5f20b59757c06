"""normalize: what user agents, client hints, renderers, zones and languages say, and how it is remembered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import resources
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from flows.stages.normalize.renderers import graphics_row, maker_of_vendor, model_of
from flows.stages.normalize.time_zones import month_offsets, zone_names, zone_offsets
from flows.stages.normalize.user_agent import AGENT_BYTES, client_row, parse_user_agent
from schemas.environment import BROWSERS, DENSITIES, DEVICES, ENGINES, GPU_DRIVERS, GPUS, SYSTEMS
from tests.normalize.agents import (
    EDGE,
    FIREFOX,
    GALAXY,
    HEADLESS,
    IPAD,
    IPHONE,
    MAC,
    NORMALIZE,
    PIXEL,
    TABLET,
    WINDOWS_7,
    environment,
    verified,
)
from tests.wire import RENDERER, USER_AGENT


@pytest.mark.parametrize(
    ("agent", "browser", "version", "system", "device"),
    [
        (USER_AGENT, "chrome", 147, "windows", "desktop"),
        (EDGE, "edge", 147, "windows", "desktop"),
        (FIREFOX, "firefox", 140, "linux", "desktop"),
        (IPHONE, "safari", 18, "ios", "phone"),
        (PIXEL, "chrome", 147, "android", "phone"),
        (TABLET, "chrome", 147, "android", "tablet"),
        (HEADLESS, "headless_chrome", 147, "windows", "desktop"),
        (IPHONE.replace("iPhone", "iPad"), "safari", 18, "ios", "tablet"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot", 2, "unknown", "unknown"),
        ("\u00ff\u0000nonsense", "unknown", None, "unknown", "unknown"),
        (
            USER_AGENT.replace("Windows NT 10.0; Win64; x64", "X11; CrOS x86_64 14541.0.0"),
            "chrome",
            147,
            "chromeos",
            "desktop",
        ),
    ],
)
def test_user_agents_are_folded_into_closed_sets(
    agent: str, browser: str, version: float | None, system: str, device: str
) -> None:
    seen = environment({"navigator.user_agent": agent})
    assert BROWSERS[seen.browser[0]] == browser
    assert SYSTEMS[seen.system[0]] == system
    assert DEVICES[seen.device[0]] == device
    assert np.isnan(seen.browser_version[0]) if version is None else seen.browser_version[0] == version


@pytest.mark.parametrize(
    ("agent", "engine", "version"),
    [
        (USER_AGENT, "chromium", 147),
        (EDGE, "chromium", 147),
        (HEADLESS, "chromium", 147),
        (USER_AGENT + " OPR/132.0.0.0", "chromium", 147),
        (FIREFOX, "gecko", 140),
        (FIREFOX.replace("rv:140.0", "rv:109.0").replace("Firefox/140", "Firefox/115"), "gecko", 115),
        (IPHONE, "webkit", 18.5),
        (IPHONE.replace("Version/18.5", "CriOS/147.0.7727.55"), "webkit", None),
        (IPAD, "webkit", 18.5),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "unknown", None),
    ],
)
def test_a_user_agent_names_an_engine_and_its_version(agent: str, engine: str, version: float | None) -> None:
    client = parse_user_agent(agent.encode())
    assert ENGINES[client.engine] == engine
    assert np.isnan(client.engine_version) if version is None else client.engine_version == pytest.approx(version)


@pytest.mark.parametrize(
    ("agent", "hint", "version"),
    [
        (USER_AGENT, None, None),  # 10 may be 11
        (USER_AGENT, "15.0.0", 11),
        (USER_AGENT, "10.0.0", 10),
        (WINDOWS_7, None, 7),
        (USER_AGENT.replace("NT 10.0", "NT 6.3"), None, 8.1),
        (MAC, None, None),
        (MAC, "14.5.0", 14.5),
        (MAC, "26.3.1", 26.3),
        (MAC.replace("10_15_7", "11_2_3"), None, 11.2),
        (PIXEL, None, None),
        (PIXEL, "15", 15),
        (GALAXY, None, 13),
        (IPHONE, None, 18.5),
        (IPHONE.replace("18_5", "18_6").replace("Version/18.5", "Version/26.1"), None, 26.1),
        (FIREFOX, "6.8.0", None),
    ],
)
def test_client_hints_fill_the_systems_version_that_user_agents_freeze(
    agent: str, hint: str | None, version: float | None
) -> None:
    event = {"navigator.user_agent": agent, "client_hints.platform_version": hint}
    found = environment(event).system_version[0]
    assert np.isnan(found) if version is None else found == pytest.approx(version)


def test_an_ipad_that_names_itself_a_mac_is_known_by_its_touch_screen() -> None:
    seen = environment(
        {"navigator.user_agent": IPAD, "navigator.max_touch_points": 5},
        {"navigator.user_agent": IPAD, "navigator.max_touch_points": 0},
        {"navigator.user_agent": MAC, "navigator.max_touch_points": 5},
    )
    assert [SYSTEMS[code] for code in seen.system] == ["ios", "macos", "macos"]
    assert [DEVICES[code] for code in seen.device] == ["tablet", "desktop", "desktop"]


@pytest.mark.parametrize(
    ("renderer", "gpu", "driver", "model"),
    [
        (RENDERER, "nvidia", "direct3d11", "GeForce RTX 3060"),
        ("ANGLE (AMD, AMD Radeon RX 6600 (0x000073FF) Direct3D11 vs_5_0 ps_5_0, D3D11)", "amd", "direct3d11",
         "Radeon RX 6600"),
        ("ANGLE (Intel, Mesa Intel(R) UHD Graphics 620 (KBL GT2), OpenGL 4.6)", "intel", "opengl", "UHD Graphics 620"),
        ("Mesa DRI Intel(R) HD Graphics 5500 (BDW GT2)", "intel", "opengl", "HD Graphics 5500"),
        ("ANGLE (Intel, Intel(R) HD Graphics 3000 Direct3D9Ex vs_3_0 ps_3_0)", "intel", "direct3d9",
         "HD Graphics 3000"),
        ("ANGLE (Apple, ANGLE Metal Renderer: Apple M2 Pro, Unspecified Version)", "apple", "metal", "M2 Pro"),
        ("ANGLE (AMD, ANGLE Metal Renderer: AMD Radeon Pro 5300M, Unspecified Version)", "amd", "metal",
         "Radeon Pro 5300M"),
        ("Apple GPU", "apple", "unknown", ""),
        ("Apple M1, or similar", "apple", "unknown", "M1"),
        ("GeForce GTX 1060/PCIe/SSE2", "nvidia", "opengl", "GeForce GTX 1060"),
        ("AMD Radeon RX 6700 XT (radeonsi, navi22, LLVM 15.0.6, DRM 3.49, 6.1)", "amd", "opengl", "Radeon RX 6700 XT"),
        ("Adreno (TM) 740", "qualcomm", "opengl_es", "Adreno 740"),
        ("ANGLE (Qualcomm, Adreno (TM) 740, OpenGL ES 3.2)", "qualcomm", "opengl_es", "Adreno 740"),
        ("Mali-G715-Immortalis MC11", "arm", "opengl_es", "Mali-G715-Immortalis MC11"),
        ("PowerVR Rogue GE8320", "imagination", "opengl_es", "PowerVR Rogue GE8320"),
        ("ANGLE (Samsung Xclipse 940)", "samsung", "opengl_es", "Xclipse 940"),
        ("ANGLE (NVIDIA, NVIDIA GeForce GTX 980 Direct3D11 vs_5_0 ps_5_0), or similar", "nvidia", "direct3d11",
         "GeForce GTX 980"),
        ("ANGLE (Intel(R) HD Graphics 4000 Direct3D11 vs_5_0 ps_5_0)", "intel", "direct3d11", "HD Graphics 4000"),
        ("ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero) (0x0000C0DE)), SwiftShader driver)", "virtual",
         "software", "SwiftShader Device"),
        ("llvmpipe (LLVM 15.0.7, 256 bits)", "virtual", "software", "llvmpipe"),
        ("ANGLE (Microsoft, Microsoft Basic Render Driver (0x0000008C) Direct3D11 vs_5_0 ps_5_0, D3D11)", "virtual",
         "direct3d11", "Basic Render Driver"),
        ("ANGLE (VMware, VMware SVGA 3D (0x00000405) Direct3D11 vs_5_0 ps_5_0, D3D11)", "virtual", "direct3d11",
         "VMware SVGA 3D"),
        ("", "unknown", "unknown", ""),
        ("\u00ff", "unknown", "unknown", ""),
    ],
)  # fmt: skip
def test_renderers_are_folded_into_maker_driver_and_model(renderer: str, gpu: str, driver: str, model: str) -> None:
    seen = environment({"webgl.unmasked_renderer": renderer})
    assert GPUS[seen.gpu[0]] == gpu
    assert GPU_DRIVERS[seen.gpu_driver[0]] == driver
    assert seen.gpu_model == (model,)


@pytest.mark.parametrize(
    ("vendor", "maker"),
    [
        ("Google Inc. (NVIDIA)", "nvidia"), ("Google Inc. (Intel Inc.)", "intel"), ("ATI Technologies Inc.", "amd"),
        ("ARM", "arm"), ("Qualcomm", "qualcomm"), ("Imagination Technologies", "imagination"),
        ("Samsung Electronics Co., Ltd.", "samsung"), ("Apple Inc.", "apple"), ("Google Inc. (Google)", "unknown"),
        ("Mesa/X.org", "unknown"), ("Mozilla", "unknown"), ("", "unknown"), ("Charm", "unknown"),
    ],
)  # fmt: skip
def test_vendors_are_folded_into_makers(vendor: str, maker: str) -> None:
    assert GPUS[maker_of_vendor(vendor.encode())] == maker


def test_a_model_is_short_and_plain_whatever_the_renderer_is() -> None:
    hostile = "ANGLE (X, " + "<script>" * 40 + "\u0000\u202e(((((" + ", D3D11)"
    assert len(model_of(hostile)) <= 48
    assert set(model_of(hostile)) <= set("script X")


@pytest.mark.parametrize(
    ("ratio", "density"),
    [(0.5, "reduced"), (0.9, "reduced"), (1, "single"), (1.25, "scaled"), (1.5, "scaled"), (2, "double"),
     (2.625, "double"), (3, "triple"), (4, "triple"), (None, "unknown")],
)  # fmt: skip
def test_densities_are_classes_of_the_pixel_ratio(ratio: float | None, density: str) -> None:
    assert DENSITIES[environment({"screen.device_pixel_ratio": ratio}).density[0]] == density


def test_the_zones_own_offset_is_that_of_the_events_time() -> None:
    winter, summer = 1_768_000_000_000, 1_790_000_000_000  # January and September 2026
    assert environment({"intl.timezone": "Europe/Berlin"}, at=winter).timezone_offset.tolist() == [-60]
    assert environment({"intl.timezone": "Europe/Berlin"}, at=summer).timezone_offset.tolist() == [-120]
    assert environment({"intl.timezone": "Asia/Kathmandu"}, at=summer).timezone_offset.tolist() == [-345]
    assert np.isnan(environment({"intl.timezone": "Nowhere"}).timezone_offset).all()


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Africa/Casablanca", "Australia/Lord_Howe"])
def test_the_zones_own_offset_changes_when_the_zone_does(name: str) -> None:
    with resources.files("tzdata.zoneinfo").joinpath(name).open("rb") as file:  # the machine's own may be older
        zone = ZoneInfo.from_file(file, key=name)
    starts = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=5 * step) for step in range(1752)]
    edges = [datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC)]
    moments = [*starts, *edges, datetime(2025, 12, 31, 23, 59, tzinfo=UTC)]
    times = [round(moment.timestamp() * 1000) for moment in moments]
    found = NORMALIZE(verified([{"intl.timezone": name}] * len(times), times)).oks.environment.timezone_offset
    expected = [-(moment.astimezone(zone).utcoffset() or timedelta()).total_seconds() / 60 for moment in moments]
    assert found.tolist() == expected


def test_zones_come_from_the_package_and_unknown_names_open_no_file() -> None:
    assert zone_offsets("Europe/Berlin", 2026) == {-60, -120}
    assert zone_offsets("Asia/Kolkata", 2026) == {-330}
    assert zone_offsets("UTC", 2026) == {0}
    for name in ("", "Europe", "../../etc/passwd", "europe/berlin", "\0"):
        assert zone_offsets(name, 2026) is month_offsets(name, 2026, 1) is None
        assert np.isnan(environment({"intl.timezone": name}).timezone_offset).all()
    assert "Europe/Berlin" in zone_names()


def test_a_month_holds_the_offsets_of_five_years() -> None:
    assert month_offsets("America/Mexico_City", 2026, 7) == {300, 360}
    assert month_offsets("America/Mexico_City", 2027, 7) == {360}
    assert month_offsets("Europe/Berlin", 1970, 1) == {-60}


def test_every_zone_of_the_package_can_be_read() -> None:
    assert all(zone_offsets(name, 2026) for name in zone_names())


def test_strings_are_parsed_once_and_hostile_lengths_are_not_remembered() -> None:
    before = (client_row.cache_info().currsize, graphics_row.cache_info().currsize)
    long = USER_AGENT + " " * 60_000
    for end in ("a", "b", "c"):
        seen = environment({"navigator.user_agent": long + end, "webgl.unmasked_renderer": "x" * 600 + end})
        assert BROWSERS[seen.browser[0]] == "chrome"
    after = (client_row.cache_info().currsize, graphics_row.cache_info().currsize)
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1]
    assert parse_user_agent(long.encode()[: AGENT_BYTES + 1]).category == 0
