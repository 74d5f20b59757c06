"""The sentences of the factor groups: the observed values of an event's features, said to a merchant."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from schemas.environment import BROWSERS, DEVICES, SYSTEMS

Values = Mapping[str, float]
Sentence = Callable[[Values], str]
_NAMED = 4  # names in one sentence


def known(value: float) -> bool:
    """Return whether a feature is present: NaN is absent."""
    return value == value  # noqa: PLR0124 - only NaN differs from itself


def whole(value: float) -> str:
    """Return a whole number."""
    return f"{value:,.0f}"


def count(value: float, noun: str, nouns: str = "") -> str:
    """Return a number with its noun."""
    return f"{value:,.0f} {noun}" if value == 1 else f"{value:,.0f} {nouns or noun + 's'}"


def code(table: tuple[str, ...], value: float) -> str:
    """Return the word of a code."""
    return table[int(value)].replace("_", " ") if known(value) and 0 <= value < len(table) else "unknown"


def age(log_seconds: float) -> str:
    """Return a time in its largest unit."""
    seconds = float(np.expm1(log_seconds))
    for size, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return count(seconds // size, noun)
    return count(seconds // 1, "second")


def checks(names: tuple[str, ...], none: str) -> Sentence:
    """Return a sentence that names the failed checks."""

    def say(values: Values) -> str:
        failed = [name.replace("_", " ") for name in names if values[f"check.{name}"] >= 1]
        if not failed:
            return none
        text = "; ".join(failed)
        return f"{text[0].upper()}{text[1:]}"

    return say


def typing(values: Values) -> str:
    """Say keys and their rhythm."""
    keys = values["activity.keys"]
    if not keys > 0:
        return "Nothing was typed"
    mean, deviation = values["activity.key_interval_mean"], values["activity.key_interval_deviation"]
    return f"{count(keys, 'key')} typed, {whole(mean)} ms apart, varying by {whole(deviation)} ms"


def card_paste(values: Values) -> str:
    """Say what was pasted."""
    cards, pastes = values["activity.pasted_card"], values["activity.pasted"]
    if cards > 0:
        return f"{count(cards, 'paste')} into card fields"
    return f"{count(pastes, 'paste')}, none into card fields" if pastes > 0 else "Nothing was pasted"


def pointer(values: Values) -> str:
    """Say clicks, touches and travel."""
    clicks, travel = count(values["activity.clicks"], "click"), whole(values["activity.pointer_travel"])
    touches = values["activity.touches"]
    return f"{clicks}, {count(touches, 'touch', 'touches')}, {travel} px of pointer travel"


def untrusted(values: Values) -> str:
    """Say what no person did."""
    untrusted, bare = values["activity.untrusted"], values["activity.clicks_without_trail"]
    scripted = values["activity.set_by_script"]
    if untrusted + bare + scripted <= 0:
        return "All input came from the person"
    return (
        f"{count(untrusted, 'untrusted event')}, {count(bare, 'click')} without a pointer trail, "
        f"{count(scripted, 'field')} set by script"
    )


def attention(values: Values) -> str:
    """Say whether the tab was left."""
    left = values["activity.tab_left"]
    if not left > 0:
        return "Stayed on the page"
    return f"Tab left {count(left, 'time')}, away {whole(values['activity.time_away'] / 1000)} s"


def pace(values: Values) -> str:
    """Say how fast the form was filled."""
    after = values["activity.submitted_after"]
    if known(after):
        return f"Form submitted {after / 1000:,.1f} s after the page opened"
    entries = count(values["activity.entries"], "entry of activity", "entries of activity")
    return f"{entries} in {values['activity.duration'] / 1000:,.1f} s"


def trouble(values: Values) -> str:
    """Say what failed on the page."""
    declined = values["activity.declined"]
    if declined > 0:
        return f"{count(declined, 'declined payment')} on this page"
    return f"{count(values['activity.errors'], 'error')} on the page"


def hardware(values: Values) -> str:
    """Say cores and memory."""
    cores, memory = values["navigator.hardware_concurrency"], values["navigator.device_memory"]
    text = count(cores, "processor core") if known(cores) else "Processor cores unknown"
    return f"{text}, {memory:g} GiB of memory" if known(memory) else f"{text}, memory not told"


def browser(values: Values) -> str:
    """Name the browser."""
    name, version = code(BROWSERS, values["environment.browser"]), values["environment.browser_version"]
    return f"Browser: {name} {version:.0f}" if known(version) else f"Browser: {name}"


def system(values: Values) -> str:
    """Name the system."""
    device = code(DEVICES, values["environment.device"])
    return f"System: {code(SYSTEMS, values['environment.system'])}, {device}"


def size(width: float, height: float) -> str:
    """Return width by height."""
    return f"{width:.0f} by {height:.0f}" if known(width) and known(height) else "of unknown size"


def timing(values: Values) -> str:
    """Say when it was collected."""
    age = values["timing.page_age"]
    return f"Collected {age / 1000:,.1f} s after the page opened" if known(age) else "Clocks and collection times"


def automation(values: Values) -> str:
    """Say whether the browser calls itself automated."""
    flag = values["navigator.webdriver"]
    if known(flag):
        return "The browser says that it is automated" if flag >= 1 else "The browser says that it is not automated"
    return "Traces of automation tools"


def fixed(text: str) -> Sentence:
    """Return a sentence without values."""
    return lambda _: text


def count_of(name: str, one: str, none: str) -> Sentence:
    """Return a sentence about one number, or another where it is absent."""
    return lambda values: one.format(whole(values[name])) if known(values[name]) else none


def named(some: str, none: str) -> Sentence:
    """Return a sentence that names the booleans that hold, a few of them where they are many."""

    def say(values: Values) -> str:
        found = [name.partition(".")[2] for name, value in values.items() if value >= 1]
        if not found:
            return none
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        return f"{some}: {', '.join(found[:_NAMED])}{more}"

    return say


def graphics(values: Values, families: tuple[str, ...]) -> str:
    """Name the card's family and what it can do."""
    text = f"Graphics: {code(families, values['environment.gpu'])}"
    size, extensions = values["webgl.max_texture_size"], values["webgl.extensions_count"]
    if not known(size):
        return f"{text}, no WebGL"
    return f"{text}, textures of {size:.0f} px" + (f", {extensions:.0f} extensions" if known(extensions) else "")


def navigator(values: Values) -> str:
    """Say plugins and languages."""
    plugins, languages = values["navigator.plugins_count"], values["navigator.languages_count"]
    if not known(plugins) or not known(languages):
        return "Properties of the browser's navigator"
    return f"{count(plugins, 'plugin')}, {count(languages, 'language')}"


def display(values: Values) -> str:
    """Say the sizes of screen and window."""
    screen = f"Screen {size(values['screen.width'], values['screen.height'])}"
    wide, high = values["screen.inner_width"], values["screen.inner_height"]
    return f"{screen}, page {size(wide, high)}" if known(wide) and known(high) else screen


def canvas(values: Values) -> str:
    """Say what came back wrong from the canvas."""
    differences, errors = values["canvas.pixel_differences"], values["canvas.readback_errors"]
    if differences > 0 or errors > 0:
        return (
            f"Canvas: {whole(max(differences, 0.0))} pixels drawn differently, {whole(max(errors, 0.0))} read wrongly"
        )
    return "Pictures that the browser draws"


def media(values: Values) -> str:
    """Say voices and codecs."""
    voices, codecs = values["media.voices_count"], values["rtc.video_codecs_count"]
    parts = ([count(voices, "voice")] if known(voices) else []) + (
        [count(codecs, "video codec")] if known(codecs) else []
    )
    return f"Media: {', '.join(parts)}" if parts else "Codecs, voices and media devices"


def interfaces(values: Values) -> str:
    """Say how much a page finds."""
    window, members = values["count.window"], values["count.navigator_prototype"]
    if not known(window):
        return "Interfaces that a page finds"
    return f"{whole(window)} names on window" + (f", {whole(members)} on navigator" if known(members) else "")


def other_contexts(values: Values) -> str:
    """Say whether page, worker and frame tell one number of cores."""
    page = values["navigator.hardware_concurrency"]
    for place in ("worker", "frame"):
        there = values[f"{place}.hardware_concurrency"]
        if known(page) and known(there) and page != there:
            return f"The page has {count(page, 'processor core')}, and its {place} {whole(there)}"
    return "What a worker and a frame of the page say"


def page_load(values: Values) -> str:
    """Say how the page came."""
    load, resources = values["navigation.load"], values["navigation.resources_count"]
    if not known(load):
        return "How the page was loaded"
    return f"Page loaded in {load / 1000:,.1f} s" + (
        f" with {count(resources, 'resource')}" if known(resources) else ""
    )
