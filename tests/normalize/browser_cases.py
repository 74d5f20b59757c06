"""Cases of the checks of browser, engine and client hints."""

from __future__ import annotations

from collections.abc import Mapping

from tests.normalize.agents import (
    EDGE,
    FIREFOX,
    GALAXY,
    HEADLESS,
    IPHONE,
    MAC,
    OLD_CHROME,
    PIXEL,
    TABLET,
    WINDOWS_7,
)
from tests.normalize.changes import Case, agent, marked
from tests.wire import USER_AGENT

_GECKO = ("interface.MouseScrollEvent", "window_member.mozInnerScreenX", "css_property.ime-mode")
_CHROMIUM = ("interface.LayoutShift", "css_property.speak", "navigator_member.webkitTemporaryStorage")
_WEBKIT = ("interface.GestureEvent", "css_property.speak-as", "css_property.hanging-punctuation")

BROWSER: Mapping[str, Case] = {
    "user_agent_unparsed": ([agent("curl"), agent("")], [{"navigator.user_agent": None}]),
    "platform_contradicts_user_agent": (
        [{"navigator.platform": "MacIntel"}, {"navigator.platform": "Linux x86_64"}],
        [{"navigator.platform": None}, {"navigator.platform": "Never seen"}, {"navigator.platform": "Win64"}],
    ),
    "client_hints_contradict_user_agent": (
        [{"client_hints.platform": "macOS"}, {"client_hints.platform": "Android"}],
        [{"client_hints.platform": None}],
    ),
    "mobile_hint_contradicts_user_agent": (
        [{"client_hints.mobile": True}, agent(PIXEL)],
        [{"client_hints.mobile": None}, agent(PIXEL, client_hints__mobile=True)],
    ),
    "brand_version_contradicts_user_agent": (
        [{"client_hints.brand_version": 140}, {"client_hints.brand_version": 148}],
        [{"client_hints.brand_version": None}, agent(FIREFOX, client_hints__brand_version=12)],
    ),
    "brand_contradicts_user_agent": (
        [
            {"client_hints.brand": "Microsoft Edge"}, {"client_hints.brand": "HeadlessChrome"},
            agent(EDGE, client_hints__brand="Google Chrome"), agent(FIREFOX, client_hints__brand="Google Chrome"),
        ],
        [
            {"client_hints.brand": "Google Chrome"}, {"client_hints.brand": "Brave"}, {"client_hints.brand": None},
            agent(EDGE, client_hints__brand="Microsoft Edge"), agent(HEADLESS, client_hints__brand="HeadlessChrome"),
            agent("Mozilla/5.0 Vivaldi/7.1", client_hints__brand="Google Chrome"),
        ],
    ),
    "client_hints_missing": (
        [{"navigator.has_user_agent_data": False, "page.secure_context": True}],
        [
            {"navigator.has_user_agent_data": False, "page.secure_context": False},
            {"navigator.has_user_agent_data": False}, {"page.secure_context": True},
            agent(FIREFOX, navigator__has_user_agent_data=False, page__secure_context=True),
            agent(
                USER_AGENT.replace("147.", "88."), navigator__has_user_agent_data=False, page__secure_context=True
            ),
        ],
    ),
    "client_hints_contradict_each_other": (
        [
            {"client_hint.platform_low_entropy": "Linux"}, {"client_hint.low_entropy_consistent": False},
            {"client_hints.platform": "macOS", "client_hints.wow64": True},
        ],
        [
            {"client_hint.platform_low_entropy": "Windows", "client_hint.low_entropy_consistent": True},
            {"client_hints.wow64": True}, {"client_hints.platform": None, "client_hints.wow64": True},
        ],
    ),
    "form_factor_contradicts_user_agent": (
        [{"client_hint.form_factors": "Mobile"}, agent(PIXEL, client_hint__form_factors="Desktop")],
        [
            {"client_hint.form_factors": "Desktop"}, {"client_hint.form_factors": "Never seen"},
            agent(PIXEL, client_hint__form_factors="Mobile"), agent(TABLET, client_hint__form_factors="Tablet"),
            agent(FIREFOX, client_hint__form_factors="Mobile"),
        ],
    ),
    "system_version_contradicts_user_agent": (
        [
            {"client_hints.platform_version": "0.1.0"}, agent(WINDOWS_7, client_hints__platform_version="13.0.0"),
            agent(GALAXY, client_hints__platform_version="15.0.0"), agent(GALAXY, client_hints__model="Pixel 8"),
        ],
        [
            {"client_hints.platform_version": "15.0.0"}, {"client_hints.platform_version": "10.0.0"},
            {"client_hints.platform_version": "?"}, agent(WINDOWS_7, client_hints__platform_version="0.1.0"),
            agent(OLD_CHROME, client_hints__platform_version="0.1.0"),
            agent(PIXEL, client_hints__platform_version="15.0.0", client_hints__model="Pixel 8"),
            agent(PIXEL.replace("K)", "K; wv)"), client_hints__platform_version="15.0.0"),
            agent(GALAXY, client_hints__platform_version="13.0.0", client_hints__model="SM-S918B"),
            agent(GALAXY, client_hints__model=""), agent(MAC, client_hints__platform_version="14.5.0"),
        ],
    ),
    "engine_contradicts_user_agent": (
        [marked(*_GECKO), marked(*_WEBKIT), {**agent(FIREFOX), **marked(*_CHROMIUM)}],
        [
            marked(*_CHROMIUM), marked(*_GECKO[:2]), {**agent(FIREFOX), **marked(*_GECKO)},
            {**agent(IPHONE), **marked(*_WEBKIT)}, {**agent("curl"), **marked(*_GECKO)},
            {**agent(IPHONE.replace("Version/18.5", "CriOS/147.0.7727.55")), **marked(*_WEBKIT)},
        ],
    ),
    "engines_mixed": (
        [marked(*_GECKO, *_CHROMIUM), marked(*_WEBKIT, *_CHROMIUM)],
        [marked(*_GECKO[:2], *_CHROMIUM), marked(*_CHROMIUM), {}],
    ),
    "features_newer_than_user_agent": (
        [
            marked("css_property.row-rule", "css_property.frame-sizing"),
            {**agent(FIREFOX), **marked("css_property.math-shift", "css_property.field-sizing")},
            {**agent(IPHONE), **marked("css_property.anchor-name", "css_property.field-sizing")},
        ],
        [
            marked("css_property.frame-sizing"), marked("css_property.border-shape", "css_property.animation-trigger"),
            {**agent(IPHONE), **marked("css_property.text-autospace", "css_property.text-box")},
            {**agent("curl"), **marked("css_property.row-rule", "css_property.frame-sizing")},
        ],
    ),
    "features_older_than_user_agent": (
        [
            {"css_property.anchor-name": False, "css_property.text-box": False},
            {**agent(FIREFOX), "css_property.math-depth": False, "css_property.baseline-source": False},
        ],
        [
            {"css_property.anchor-name": False}, {"css_property.border-shape": False, "css_property.row-rule": False},
            {**agent(FIREFOX), "css_property.anchor-name": False, "css_property.text-box": False},
        ],
    ),
    "script_engine_contradicts_user_agent": (
        [
            {"timing.eval_length": 37}, agent(FIREFOX, timing__eval_length=33),
            {"error_message.invalid_date": "invalid date"}, {"error_message.stack_overflow": "too much recursion"},
            agent(IPHONE, error_message__invalid_date="Invalid time value"),
        ],
        [
            {"timing.eval_length": 33}, {"timing.eval_length": 99}, agent(FIREFOX, timing__eval_length=37),
            agent(IPHONE, timing__eval_length=37), {"error_message.invalid_date": "Invalid time value"},
            {"error_message.invalid_date": "never seen"}, agent("curl", timing__eval_length=33),
            agent(FIREFOX, error_message__invalid_date="invalid date"),
            agent("curl", error_message__invalid_date="invalid date"),
        ],
    ),
    "navigator_contradicts_engine": (
        [
            {"navigator.product_sub": "20100101"}, {"navigator.oscpu": "Windows NT 10.0"},
            marked("navigator_member.taintEnabled"), agent(FIREFOX), agent(IPHONE, navigator__device_memory=8),
            agent(FIREFOX, navigator__device_memory=None, navigator__has_user_agent_data=True),
        ],
        [
            {"navigator.product_sub": "20030107"}, agent("curl", navigator__oscpu="Windows NT 10.0"),
            agent(FIREFOX, navigator__product_sub="20100101", navigator__device_memory=None, navigator__oscpu="Linux"),
            marked("navigator_member.webkitTemporaryStorage", "navigator_member.deviceMemory"),
        ],
    ),
    "vendor_contradicts_browser": (
        [{"navigator.vendor": "Apple Computer, Inc."}, {"navigator.vendor": ""}, agent(FIREFOX)],
        [
            {"navigator.vendor": None}, {"navigator.vendor": "Never seen"},
            agent(IPHONE, navigator__vendor="Apple Computer, Inc."), agent(FIREFOX, navigator__vendor=""),
        ],
    ),
    "plugins_contradict_pdf_viewer": (
        [
            {"navigator.pdf_viewer_enabled": True, "navigator.plugins_count": 0},
            {"navigator.pdf_viewer_enabled": True, "navigator.plugins_count": 5, "navigator.mime_types_count": 0},
            {"navigator.pdf_viewer_enabled": False, "navigator.plugins_count": 3, "navigator.mime_types_count": 4},
        ],
        [
            {"navigator.pdf_viewer_enabled": True, "navigator.plugins_count": 5, "navigator.mime_types_count": 2},
            {"navigator.pdf_viewer_enabled": False, "navigator.plugins_count": 0, "navigator.mime_types_count": 0},
            {"navigator.plugins_count": 3}, {"navigator.pdf_viewer_enabled": True},
            {
                "navigator.pdf_viewer_enabled": False, "navigator.plugins_count": 2, "navigator.mime_types_count": 2,
                "api.brave": True,
            },
        ],
    ),
    "device_memory_impossible": (
        [{"navigator.device_memory": 3}, {"navigator.device_memory": 64}, {"navigator.device_memory": 0.125}],
        [{"navigator.device_memory": 0.25}, {"navigator.device_memory": 32}, {"navigator.device_memory": None}],
    ),
    "fonts_contradict_system": (
        [
            marked("fonts.helvetica_neue", "fonts.menlo", "fonts.geneva"),
            marked("fonts.dejavu_sans", "fonts.liberation_sans", "font.FreeSans"),
            {**agent(MAC), **marked("fonts.segoe_ui", "font.Bahnschrift", "font.Marlett")},
            {**agent(PIXEL), **marked("fonts.segoe_ui", "font.Bahnschrift", "font.Marlett")},
        ],
        [
            marked("fonts.helvetica_neue", "fonts.menlo", "fonts.geneva", "fonts.segoe_ui"),
            marked("fonts.helvetica_neue", "fonts.menlo"),
            {**agent(MAC), **marked("fonts.calibri", "fonts.cambria", "fonts.menlo")},
            {**agent(FIREFOX), **marked("fonts.segoe_ui", "font.Bahnschrift", "font.Marlett")}, {},
        ],
    ),
    "number_out_of_range": (
        [{"battery.level": 1.5}, {"navigator.hardware_concurrency": 0}, {"timing.collection": -1}],
        [{"battery.level": 1}, {"battery.level": None}],
    ),
}  # fmt: skip
