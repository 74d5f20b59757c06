"""Factor groups: what a merchant reads as a reason. Every feature belongs to exactly one group.

A group's sentences are formats over the observed values of its features, under short names. The first sentence whose
condition holds is said; the last of each group has no condition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from schemas.batches import I64
from schemas.environment import BROWSERS, CHECKS, DEVICES, GPUS, SYSTEMS
from schemas.smart_signals import SMART_SIGNALS
from scoring.features import FeatureSchema, feature_schema

Values = Mapping[str, float]
Sentence = Callable[[Values], str]


@dataclass(frozen=True, slots=True)
class FeatureGroup:
    """One factor: its code, its features by exact name or by prefix (ending in "."), what it observes and says."""

    code: str
    members: tuple[str, ...]
    observed: tuple[str, ...]
    say: Sentence


def known(value: float) -> bool:
    """Return whether a feature is present: NaN is absent."""
    return value == value  # noqa: PLR0124 - only NaN differs from itself


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _count(value: float, noun: str, nouns: str = "") -> str:
    return f"{value:,.0f} {noun}" if value == 1 else f"{value:,.0f} {nouns or noun + 's'}"


def _code(table: tuple[str, ...], value: float) -> str:
    return table[int(value)].replace("_", " ") if known(value) and 0 <= value < len(table) else "unknown"


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


def _high_velocity(values: Values) -> str:
    minutes, hour = values["velocity.events_5m"], values["velocity.events_1h"]
    if minutes > 1 or hour <= 1:
        return f"{_count(minutes, 'event')} from this device in 5 minutes"
    return f"{_count(hour, 'event')} from this device in 1 hour"


def _age(log_seconds: float) -> str:
    seconds = float(np.expm1(log_seconds))
    for size, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return _count(seconds // size, noun)
    return _count(seconds // 1, "second")


def _device_history(values: Values) -> str:
    first, previous = values["velocity.since_first"], values["velocity.since_previous"]
    if not known(previous):
        return "First event of this device"
    return f"Device first seen {_age(first)} ago, last seen {_age(previous)} ago"


def _checks(names: tuple[str, ...], none: str) -> Sentence:
    def say(values: Values) -> str:
        failed = [name.replace("_", " ") for name in names if values[f"check.{name}"] >= 1]
        if not failed:
            return none
        text = "; ".join(failed)
        return f"{text[0].upper()}{text[1:]}"

    return say


def _check_group(code: str, names: tuple[str, ...], none: str) -> FeatureGroup:
    members = tuple(f"check.{name}" for name in names)
    return FeatureGroup(code, members, members, _checks(names, none))


_IDENTITY = (
    "user_agent_unparsed",
    "platform_contradicts_user_agent",
    "client_hints_contradict_user_agent",
    "mobile_hint_contradicts_user_agent",
    "brand_version_contradicts_user_agent",
    "vendor_contradicts_browser",
    "worker_contradicts_page",
    "frame_contradicts_page",
)
_PLACE = ("timezone_unknown", "timezone_offset_contradicts_zone", "language_list_contradicts_language")
_MACHINE = tuple(name for name in CHECKS if name not in (*_IDENTITY, *_PLACE))


def _typing(values: Values) -> str:
    keys = values["activity.keys"]
    if not keys > 0:
        return "Nothing was typed"
    mean, deviation = values["activity.key_interval_mean"], values["activity.key_interval_deviation"]
    return f"{_count(keys, 'key')} typed, {_whole(mean)} ms apart, varying by {_whole(deviation)} ms"


def _card_paste(values: Values) -> str:
    cards, pastes = values["activity.pasted_card"], values["activity.pasted"]
    if cards > 0:
        return f"{_count(cards, 'paste')} into card fields"
    return f"{_count(pastes, 'paste')}, none into card fields" if pastes > 0 else "Nothing was pasted"


def _pointer(values: Values) -> str:
    clicks, travel = _count(values["activity.clicks"], "click"), _whole(values["activity.pointer_travel"])
    touches = values["activity.touches"]
    return f"{clicks}, {_count(touches, 'touch', 'touches')}, {travel} px of pointer travel"


def _untrusted(values: Values) -> str:
    untrusted, bare = values["activity.untrusted"], values["activity.clicks_without_trail"]
    scripted = values["activity.set_by_script"]
    if untrusted + bare + scripted <= 0:
        return "All input came from the person"
    return (
        f"{_count(untrusted, 'untrusted event')}, {_count(bare, 'click')} without a pointer trail, "
        f"{_count(scripted, 'field')} set by script"
    )


def _attention(values: Values) -> str:
    left = values["activity.tab_left"]
    if not left > 0:
        return "Stayed on the page"
    return f"Tab left {_count(left, 'time')}, away {_whole(values['activity.time_away'] / 1000)} s"


def _pace(values: Values) -> str:
    after = values["activity.submitted_after"]
    if known(after):
        return f"Form submitted {after / 1000:,.1f} s after the page opened"
    entries = _count(values["activity.entries"], "entry of activity", "entries of activity")
    return f"{entries} in {values['activity.duration'] / 1000:,.1f} s"


def _trouble(values: Values) -> str:
    declined = values["activity.declined"]
    if declined > 0:
        return f"{_count(declined, 'declined payment')} on this page"
    return f"{_count(values['activity.errors'], 'error')} on the page"


def _hardware(values: Values) -> str:
    cores, memory = values["navigator.hardware_concurrency"], values["navigator.device_memory"]
    text = _count(cores, "processor core") if known(cores) else "Processor cores unknown"
    return f"{text}, {memory:g} GiB of memory" if known(memory) else f"{text}, memory not told"


def _browser(values: Values) -> str:
    name, version = _code(BROWSERS, values["environment.browser"]), values["environment.browser_version"]
    return f"Browser: {name} {version:.0f}" if known(version) else f"Browser: {name}"


def _system(values: Values) -> str:
    device = _code(DEVICES, values["environment.device"])
    return f"System: {_code(SYSTEMS, values['environment.system'])}, {device}"


def _size(width: float, height: float) -> str:
    return f"{width:.0f} by {height:.0f}" if known(width) and known(height) else "of unknown size"


def _timing(values: Values) -> str:
    age = values["timing.page_age"]
    return f"Collected {age / 1000:,.1f} s after the page opened" if known(age) else "Clocks and collection times"


def _automation(values: Values) -> str:
    flag = values["navigator.webdriver"]
    if known(flag):
        return "The browser says that it is automated" if flag >= 1 else "The browser says that it is not automated"
    return "Traces of automation tools"


def _fixed(text: str) -> Sentence:
    return lambda _: text


def _count_of(name: str, one: str, none: str) -> Sentence:
    return lambda values: one.format(_whole(values[name])) if known(values[name]) else none


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
    "card_paste": _card_paste,
    "typing": _typing,
    "pointer": _pointer,
    "untrusted_input": _untrusted,
    "attention": _attention,
    "pace": _pace,
    "page_trouble": _trouble,
}


def _activity(code: str) -> FeatureGroup:
    members = tuple(f"activity.{name}" for name in _ACTIVITY[code])
    return FeatureGroup(code, members, members, _SAY_ACTIVITY[code])


# Exact names go before prefixes, so "navigator.webdriver" is a trace of automation although "navigator." is not.
GROUPS: tuple[FeatureGroup, ...] = (
    *(_smart(name) for name in SMART_SIGNALS),
    _plain(
        "high_velocity",
        ("velocity.events_5m", "velocity.events_5m_log", "velocity.events_1h", "velocity.events_1h_log"),
        ("velocity.events_5m", "velocity.events_1h"),
        _high_velocity,
    ),
    _plain(
        "daily_volume",
        ("velocity.events_24h", "velocity.events_24h_log"),
        ("velocity.events_24h",),
        lambda values: f"{_count(values['velocity.events_24h'], 'event')} from this device in 24 hours",
    ),
    _plain(
        "device_history",
        ("velocity.since_first", "velocity.since_previous"),
        ("velocity.since_first", "velocity.since_previous"),
        _device_history,
    ),
    *(_activity(code) for code in _ACTIVITY),
    _check_group("identity_checks", _IDENTITY, "Browser, worker and frame agree"),
    _check_group("place_checks", _PLACE, "Time zone and language agree"),
    _check_group("machine_checks", _MACHINE, "Screen, graphics, canvas and sound agree"),
    _plain(
        "browser",
        ("environment.browser", "environment.browser_version"),
        ("environment.browser", "environment.browser_version"),
        _browser,
    ),
    _plain(
        "system",
        ("environment.system", "environment.device"),
        ("environment.system", "environment.device"),
        _system,
    ),
    _plain(
        "graphics",
        ("environment.gpu", "webgl."),
        ("environment.gpu",),
        lambda values: f"Graphics: {_code(GPUS, values['environment.gpu'])}",
    ),
    _plain(
        "hardware",
        ("navigator.hardware_concurrency", "navigator.device_memory", "battery."),
        ("navigator.hardware_concurrency", "navigator.device_memory"),
        _hardware,
    ),
    _plain("automation_traces", ("navigator.webdriver", "automation."), ("navigator.webdriver",), _automation),
    _plain("navigator", ("navigator.", "client_hints."), (), _fixed("Properties of the browser's navigator")),
    _plain(
        "display",
        ("screen.", "css.", "environment.screen_pixels_wide", "environment.screen_pixels_high"),
        ("screen.width", "screen.height"),
        lambda values: f"Screen {_size(values['screen.width'], values['screen.height'])}",
    ),
    _plain(
        "locale",
        ("intl.",),
        ("intl.timezone_offset",),
        _count_of("intl.timezone_offset", "Time zone {} minutes west of UTC, and locale", "Time zone and locale"),
    ),
    _plain("canvas", ("canvas.",), (), _fixed("Properties of the 2D canvas")),
    _plain("sound_and_maths", ("audio.", "maths."), (), _fixed("Sound rendering and mathematics of the engine")),
    _plain("fonts", ("fonts.",), ("fonts.count",), _count_of("fonts.count", "{} fonts seen", "Installed fonts")),
    _plain("media", ("media.",), (), _fixed("Codecs, speech voices and media devices")),
    _plain("interfaces", ("api.", "permissions.", "storage."), (), _fixed("Interfaces, permissions and stores")),
    _plain("timing", ("timing.",), ("timing.page_age",), _timing),
    _plain("other_contexts", ("worker.", "frame."), (), _fixed("What a worker and a frame of the page say")),
    _plain("page", ("page.",), (), _fixed("The page and how it is embedded")),
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
