"""Factor groups: what a merchant reads as a reason. Every feature belongs to exactly one group.

A group's sentences are formats over the observed values of its features, under short names. The first sentence whose
condition holds is said; the last of each group has no condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from schemas.batches import I64
from schemas.catalogue import load_catalogue
from schemas.environment import CHECKS, GPUS
from schemas.recognition import COMBINATIONS, REPUTED
from schemas.smart_signals import SMART_SIGNALS
from schemas.velocity import WINDOWS
from scoring import count_sentences, sentences
from scoring.counted import SHARED, SHARED_ENTITIES
from scoring.features import FeatureSchema, feature_schema
from scoring.sentences import Sentence, Values, known


@dataclass(frozen=True, slots=True)
class FeatureGroup:
    """One factor: its code, its features by exact name or by prefix (ending in "."), what it observes and says."""

    code: str
    members: tuple[str, ...]
    observed: tuple[str, ...]
    say: Sentence


_SMART = {
    "bot": ("The browser is driven by automation", "No sign of automation"),
    "cdp_automation": ("An automation protocol is attached to the page", "No automation protocol on the page"),
    "headless": ("The browser runs without a display", "The browser has a display"),
    "tampering": ("The browser's statements contradict each other", "The browser's statements agree"),
    "anti_detect_browser": ("The browser pretends to be another one", "The browser is what it says"),
    "canvas_spoofing": ("The canvas gives back something else than was drawn", "The canvas gives back what was drawn"),
    "webgl_mismatch": ("The graphics card is not the one that is named", "The graphics card is the one that is named"),
    "navigator_mismatch": ("User agent and platform disagree", "User agent and platform agree"),
    "virtual_machine": ("The browser runs in a virtual machine", "The browser runs on real hardware"),
    "developer_tools": ("Developer tools are open", "Developer tools are closed"),
    "privacy_settings": ("A privacy browser hides the device", "No privacy browser"),
    "high_activity": ("Unusually high activity of this device within a day", "Ordinary activity within a day"),
    "velocity_anomaly": ("Events of this device come faster than a person's", "Events come at a person's pace"),
    "scripted_input": ("The page was filled by a program", "The page was filled by hand"),
    "incognito": ("The window is a private one", "The window is an ordinary one"),
    "rare_device": ("Hardly anybody's device looks like this one", "Devices like this one are usual"),
    "impossible_travel": ("The device is farther away than anybody travels", "The device travels as people do"),
    "vpn": ("The address hides behind a VPN", "No sign of a VPN"),
    "proxy": ("The address is a proxy", "No sign of a proxy"),
    "tor": ("The address is an exit of the Tor network", "The address is none of the Tor network"),
    "datacenter_ip": ("The address is a data centre's", "The address is no data centre's"),
    "ip_blocklist": ("The address is known for attacks", "The address is not known for attacks"),
    "geo_timezone_mismatch": ("Time zone or languages do not fit the address", "Time zone and address fit"),
    "replayed": ("The event is a copy of an earlier one", "The event is new"),
}


def _smart(name: str) -> FeatureGroup:
    yes, no = _SMART[name]
    result, confidence = f"smart.{name}", f"smart.{name}.confidence"

    def say(values: Values) -> str:
        if not known(values[result]):
            return f"Could not be asked: {yes[0].lower()}{yes[1:]}"
        sure = values[confidence]
        if values[result] >= 1:
            return f"{yes} (confidence {sure:.0%})"
        return f"{no} (clues of {sure:.0%})" if sure > 0 else no

    return FeatureGroup(name, (result, confidence), (result, confidence), say)


def _plain(code: str, members: tuple[str, ...], observed: tuple[str, ...], say: Sentence) -> FeatureGroup:
    return FeatureGroup(code, members, observed, say)


def _booleans(family: str) -> tuple[str, ...]:
    return tuple(signal.name for signal in load_catalogue().booleans if signal.family == family)


# A valid array of plugins is what an honest browser has.
_DETECTORS = tuple(n for n in (*_booleans("botd"), *_booleans("fpscanner")) if n != "fpscanner.valid_plugin_array")


def _check_group(code: str, names: tuple[str, ...], none: str) -> FeatureGroup:
    members = tuple(f"check.{name}" for name in names)
    return FeatureGroup(code, members, members, sentences.checks(names, none))


_IDENTITY = (
    "user_agent_unparsed",
    "platform_contradicts_user_agent",
    "client_hints_contradict_user_agent",
    "mobile_hint_contradicts_user_agent",
    "brand_version_contradicts_user_agent",
    "vendor_contradicts_browser",
    "worker_contradicts_page",
    "frame_contradicts_page",
    "engine_contradicts_user_agent",
    "engines_mixed",
    "features_newer_than_user_agent",
    "features_older_than_user_agent",
    "script_engine_contradicts_user_agent",
    "navigator_contradicts_engine",
    "client_hints_missing",
    "client_hints_contradict_each_other",
    "brand_contradicts_user_agent",
    "system_version_contradicts_user_agent",
    "form_factor_contradicts_user_agent",
    "worker_navigator_contradicts_page",
    "frame_navigator_contradicts_page",
    "contexts_compute_differently",
)
_PLACE = (
    "timezone_unknown",
    "timezone_offset_contradicts_zone",
    "timezone_season_contradicts_zone",
    "worker_timezone_contradicts_page",
    "frame_timezone_contradicts_page",
    "language_list_contradicts_language",
)
_MACHINE = tuple(name for name in CHECKS if name not in (*_IDENTITY, *_PLACE))


_ACTIVITY = {
    "card_paste": ("pasted", "pasted_card", "autofilled"),
    "typing": ("keys", "key_interval_mean", "key_interval_deviation", "key_interval_least"),
    "pointer": ("pointer_travel", "touches", "clicks", "click_hold_mean", "scrolls"),
    "untrusted_input": ("untrusted", "clicks_without_trail", "set_by_script", "set_by_script_card", "input"),
    "attention": ("attention", "tab_left", "time_away", "close_attempted", "devtools_opened"),
    "pace": ("entries", "lifecycle", "progress", "duration", "focused", "submitted_after", "form_steps"),
    "page_trouble": ("declined", "errors", "api_failed"),
}
_SAY_ACTIVITY: dict[str, Sentence] = {
    "card_paste": sentences.card_paste,
    "typing": sentences.typing,
    "pointer": sentences.pointer,
    "untrusted_input": sentences.untrusted,
    "attention": sentences.attention,
    "pace": sentences.pace,
    "page_trouble": sentences.trouble,
}


def _activity(code: str) -> FeatureGroup:
    members = tuple(f"activity.{name}" for name in _ACTIVITY[code])
    return FeatureGroup(code, members, members, _SAY_ACTIVITY[code])


def _windows(*kinds: str) -> tuple[str, ...]:
    return tuple(f"{kind}_{window}" for kind in kinds for window in WINDOWS)


def _counts(code: str, names: tuple[str, ...], say: Sentence) -> FeatureGroup:
    members = tuple(f"velocity.{name}" for name in names)
    return FeatureGroup(code, members, members, say)


_PLACES = (*(f"velocity.{name}" for name in _windows("addresses", "countries")), "history.travel_kmh_log")
_HISTORY = ("velocity.since_first", "velocity.since_previous", "history.events", "history.hour_share")
_SHARED = {
    "address": ("at this address", "from this address", "Not known who else is at this address"),
    "network": ("in this network", "from this network", "Not known who else is in this network"),
    "account": ("used this account", "with this account", "No account was named"),
    "card": ("used this card", "with this card", "No card was named"),
}


def _shared(entity: str) -> FeatureGroup:
    """Return the group of an entity; many devices in a network are no news, its events may be."""
    members = tuple(f"shared.{name}" for name in SHARED if name.startswith(f"{entity}_"))
    observed = tuple(name for name in members if "_per_" not in name)
    say = count_sentences.shared(entity, *_SHARED[entity], devices_first=entity != "network")
    return FeatureGroup(f"shared_{entity}", members, observed, say)


def _of_all(code: str, family: str, names: tuple[str, ...], say: Sentence) -> FeatureGroup:
    members = tuple(f"{family}.{name}" for name in names)
    return FeatureGroup(code, members, members, say)


# Exact names go before prefixes, so "navigator.webdriver" is a trace of automation although "navigator." is not.
GROUPS: tuple[FeatureGroup, ...] = (
    *(_smart(name) for name in SMART_SIGNALS),
    _counts("high_velocity", ("events_5m", "events_1h"), count_sentences.high_velocity),
    _counts(
        "daily_volume",
        ("events_24h",),
        lambda values: f"{sentences.count(values['velocity.events_24h'], 'event')} from this device in 24 hours",
    ),
    _counts("device_accounts", _windows("accounts"), count_sentences.device_accounts),
    _plain(
        "device_places",
        _PLACES,
        _PLACES,
        count_sentences.device_places,
    ),
    _counts("device_sessions", _windows("sessions", "merchants"), count_sentences.device_sessions),
    _plain("device_history", _HISTORY, _HISTORY, count_sentences.device_history),
    _plain(
        "session",
        ("session.",),
        tuple(f"session.{name}" for name in ("events", "age", "keys", "pasted", "set_by_script", "declined")),
        count_sentences.session,
    ),
    *(_shared(entity) for entity in SHARED_ENTITIES),
    _of_all("rare_attributes", "prevalence", COMBINATIONS, count_sentences.rare_attributes),
    _of_all("reputation", "reputation", REPUTED, count_sentences.reputation),
    *(_activity(code) for code in _ACTIVITY),
    _check_group("identity_checks", _IDENTITY, "Browser, worker and frame agree"),
    _check_group("place_checks", _PLACE, "Time zone and language agree"),
    _check_group("machine_checks", _MACHINE, "Screen, graphics, canvas and sound agree"),
    _plain(
        "browser",
        (
            "environment.browser",
            "environment.browser_version",
            "environment.engine",
            "environment.engine_version",
            "environment.engine_at_least",
        ),
        ("environment.browser", "environment.browser_version"),
        sentences.browser,
    ),
    _plain(
        "system",
        ("environment.system", "environment.system_version", "environment.device"),
        ("environment.system", "environment.device"),
        sentences.system,
    ),
    _plain(
        "graphics",
        (
            "environment.gpu",
            "environment.gpu_driver",
            "webgl.",
            "webgl_extension.",
            "webgl2_extension.",
            "webgl_parameter.",
            "webgl2_parameter.",
            "webgl_precision.",
            "webgpu.",
        ),
        ("environment.gpu", "webgl.max_texture_size", "webgl.extensions_count"),
        lambda values: sentences.graphics(values, GPUS),
    ),
    _plain(
        "hardware",
        ("navigator.hardware_concurrency", "navigator.device_memory", "battery.", "keyboard.", "memory."),
        ("navigator.hardware_concurrency", "navigator.device_memory"),
        sentences.hardware,
    ),
    _plain("automation_traces", ("navigator.webdriver", "automation."), ("navigator.webdriver",), sentences.automation),
    _plain(
        "altered_functions",
        ("altered.",),
        _booleans("altered"),
        sentences.named("Altered functions of the browser", "No function of the browser is altered"),
    ),
    _plain(
        "bot_detectors",
        ("botd.", "fpscanner."),
        _DETECTORS,
        sentences.named("Traces of a bot", "No trace of a bot"),
    ),
    _plain(
        "navigator",
        ("navigator.", "client_hints.", "client_hint.", "plugin."),
        ("navigator.plugins_count", "navigator.languages_count"),
        sentences.navigator,
    ),
    _plain(
        "display",
        (
            "screen.",
            "css.",
            "media_query.",
            "viewport.",
            "environment.screen_pixels_wide",
            "environment.screen_pixels_high",
            "environment.density",
        ),
        ("screen.width", "screen.height", "screen.inner_width", "screen.inner_height"),
        sentences.display,
    ),
    _plain("system_look", ("system_color.", "system_font."), (), sentences.fixed("Colours and fonts of the system")),
    _plain(
        "locale",
        ("intl.", "intl_option.", "environment.timezone_offset"),
        ("intl.timezone_offset",),
        sentences.count_of("intl.timezone_offset", "Time zone {} minutes west of UTC, and locale", "Locale"),
    ),
    _plain(
        "canvas",
        ("canvas.", "picture."),
        ("canvas.pixel_differences", "canvas.readback_errors"),
        sentences.canvas,
    ),
    _plain(
        "sound",
        ("audio.", "sound."),
        ("audio.sample_rate",),
        sentences.count_of("audio.sample_rate", "Sound at {} Hz", "No sound"),
    ),
    _plain("engine", ("maths.", "maths_exact.", "error_message."), (), sentences.fixed("The engine's maths and words")),
    _plain("fonts", ("fonts.", "font."), ("fonts.count",), sentences.count_of("fonts.count", "{} fonts seen", "Fonts")),
    _plain(
        "text_layout",
        ("font_width.", "text_metric.", "rectangle."),
        ("text_metric.width",),
        sentences.count_of("text_metric.width", "A fixed text is {} px wide", "Sizes of texts and shapes"),
    ),
    _plain(
        "media",
        ("media.", "can_play.", "media_source.", "recorder.", "rtc.", "voice."),
        ("media.voices_count", "rtc.video_codecs_count"),
        sentences.media,
    ),
    _plain(
        "interfaces",
        ("api.", "interface.", "window_member.", "navigator_member.", "worker_interface.", "count."),
        ("count.window", "count.navigator_prototype"),
        sentences.interfaces,
    ),
    _plain(
        "styles",
        ("css_property.", "css_selector."),
        ("count.computed_style",),
        sentences.count_of("count.computed_style", "{} CSS properties known", "CSS properties and selectors"),
    ),
    _plain(
        "permissions_and_stores",
        ("permissions.", "permission.", "storage.", "storage_detail."),
        ("storage.quota",),
        sentences.count_of("storage.quota", "{} MiB of storage allowed, and permissions", "Permissions and stores"),
    ),
    _plain("fingerprint", ("fingerprint.",), (), sentences.fixed("Components of the browser's fingerprint")),
    _plain("timing", ("timing.", "clock."), ("timing.page_age",), sentences.timing),
    _plain(
        "other_contexts",
        ("worker.", "frame.", "worker_page.", "frame_page."),
        (
            "navigator.hardware_concurrency",
            "worker.hardware_concurrency",
            "frame.hardware_concurrency",
        ),
        sentences.other_contexts,
    ),
    _plain(
        "page_load",
        ("navigation.",),
        ("navigation.load", "navigation.resources_count"),
        sentences.page_load,
    ),
    _plain("page", ("page.",), (), sentences.fixed("The page and how it is embedded")),
)
GROUP_CODES = tuple(group.code for group in GROUPS)


def assign(schema: FeatureSchema) -> I64:
    """Return the group of each feature, int64[F]. ValueError names the features that have none."""
    exact = {name: index for index, group in enumerate(GROUPS) for name in group.members if not name.endswith(".")}
    prefix = {name: index for index, group in enumerate(GROUPS) for name in group.members if name.endswith(".")}
    found = [exact.get(name, prefix.get(name.partition(".")[0] + ".", -1)) for name in schema.names]
    lost = [name for name, group in zip(schema.names, found, strict=True) if group < 0]
    if lost:
        raise ValueError(f"scoring/groups.py: no factor group holds {', '.join(lost[:5])}; add the family to one")
    return np.array(found, np.int64)


@cache
def feature_groups() -> I64:
    """Return the group of each feature of this build."""
    return assign(feature_schema())
