"""Another machine under a recorded browser: what the recording machine decided, taken from the population.

All clients were recorded on one computer, so that a model could learn that computer instead of the tools. What a client
shows exactly as the browser of its engine that was used by hand is the machine's and may be another's; where it differs
the tool did it, or the lack of a display, and nothing of that group is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from random import Random
from typing import NamedTuple

from infra.traffic.opening import not_yet
from infra.traffic.recorded.corpus import CONTROL, FOLDER, Recorded, read
from infra.traffic.signals import Signals
from schemas.catalogue import load_catalogue

_CHANGED = 0.85  # of the visits, group by group: the others are on a machine like the recording one


class _Group(NamedTuple):
    """Signals that a machine decides together: by beginnings of their names, and those that show whose they are."""

    names: tuple[str, ...]
    shown: tuple[str, ...]


_GROUPS = (
    _Group(
        ("intl.", "intl_option.", "navigator.language", "worker.language", "worker.timezone", "worker_page.language",
         "worker_page.locale", "worker_page.number_format", "frame.language", "frame_page.language",
         "frame_page.timezone", "frame_page.locale", "fingerprint.timezone", "fingerprint.languages",
         "fingerprint.dateTimeLocale", "keyboard."),
        ("navigator.languages", "navigator.language", "intl.timezone", "intl.timezone_offset", "intl.locale",
         "worker.timezone", "worker.language", "worker_page.languages", "frame.language", "frame_page.timezone"),
    ),
    _Group(
        ("navigator.hardware_concurrency", "navigator.device_memory", "worker.hardware_concurrency",
         "worker.device_memory", "frame.hardware_concurrency", "frame_page.device_memory",
         "fingerprint.hardwareConcurrency", "fingerprint.deviceMemory", "storage.heap_limit", "storage.quota",
         "storage_detail.quota_ratio"),
        ("navigator.hardware_concurrency", "navigator.device_memory", "worker.hardware_concurrency",
         "worker.device_memory", "frame.hardware_concurrency", "frame_page.device_memory", "storage.heap_limit"),
    ),
    _Group(
        ("fonts.", "font.", "font_width.", "text_metric.", "rectangle.", "system_font.", "system_color.",
         "fingerprint.font"),
        ("fonts.list", "fonts.width_default", "fonts.width_mono", "fonts.width_system"),
    ),
    _Group(
        ("webgl", "webgpu.", "worker.webgl", "worker_page.webgl", "worker_page.max_",
         "worker_page.extensions_count", "frame_page.webgl", "fingerprint.webGl", "fpscanner.hasSwiftshaderRenderer"),
        ("webgl.supported", "webgl.renderer", "webgl.vendor", "worker_page.webgl_supported", "worker.webgl_renderer"),
    ),
    _Group(
        ("canvas.text", "canvas.geometry", "canvas.emoji", "picture.", "worker_page.canvas", "frame_page.canvas",
         "fingerprint.canvas", "fpscanner.canvas"),
        ("canvas.text", "canvas.geometry", "canvas.readback_errors", "canvas.pixel_differences",
         "worker_page.canvas_text", "frame_page.canvas_text", "picture.gradient", "picture.offscreen_equal"),
    ),
    _Group(
        ("screen.", "viewport.", "fingerprint.screen", "frame.screen", "frame_page.screen", "frame_page.color_depth",
         "frame_page.device_pixel_ratio", "fpscanner.headlessChromeScreenResolution"),
        ("screen.width", "screen.height", "screen.avail_width", "screen.device_pixel_ratio", "screen.color_depth",
         "frame.screen_width"),
    ),
    _Group(
        ("media.voices_count", "media.audio_", "media.video_inputs", "voice."),
        ("media.voices_count", "media.audio_inputs", "media.audio_outputs", "media.video_inputs"),
    ),
    _Group(("battery.",), ("battery.level", "battery.charging")),
)  # fmt: skip
# The recorded shop was one page on the same computer; a visitor comes from afar, after other pages, to another shop's.
_MOMENT = (
    "navigation.", "clock.", "timing.collection", "canvas.draw_time", "memory.", "navigator.history_length",
    "page.scroll_height", "storage_detail.cookies_length",
)  # fmt: skip
# A connection without any delay is a headless browser's own.
_LINE = ("navigator.connection_", "worker_page.connection_type")


@cache
def client(name: str) -> Recorded:
    """Return a recorded client."""
    return read(FOLDER / f"{name}.json.xz")


@cache
def client_names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the attackers and of the controls, in order."""
    names = sorted(path.name.partition(".")[0] for path in FOLDER.glob("*.json.xz"))
    controls = tuple(name for name in names if client(name).kind == CONTROL)
    return tuple(name for name in names if name not in controls), controls


def engine_of(name: str) -> str:
    """Return the engine of a client."""
    return "gecko" if "firefox" in name else "chromium"


def fullest(recorded: Recorded, visit: int) -> Signals:
    """Return the signals of the fullest event of a visit, the last such."""
    return max(recorded.visits[visit], key=lambda event: (len(event.signals), event.sequence)).signals


@lru_cache(128)
def of_machine(name: str, visit: int) -> tuple[bool, ...]:
    """Return which groups of a client's visit show the recording machine, and not the tool: as its control does."""
    shown = fullest(client(name), visit)
    hand = {engine_of(control): control for control in client_names()[1]}[engine_of(name)]
    usual = fullest(client(hand), 0)
    return tuple(all(shown.get(key) == usual.get(key) for key in group.shown) for group in _GROUPS)


def tells_zone(name: str, visit: int) -> bool:
    """Return whether a tool says a language or a zone of its own, so that the recorded place stays."""
    return not of_machine(name, visit)[0]


def machine_of(name: str, visit: int, donor: Signals, random: Random) -> list[str]:
    """Return the beginnings of the names that another machine, the donor's, decides this time."""
    names = list(_MOMENT)
    if fullest(client(name), visit).get("navigator.connection_rtt") != 0:
        names += _LINE
    for number, (group, free) in enumerate(zip(_GROUPS, of_machine(name, visit), strict=True)):
        # The place is always the donor's: an address comes with it.
        if free and (number == 0 or random.random() < _CHANGED):
            names += group.names
    return names


def put_on(signals: Signals, donor: Signals, names: Sequence[str], *, early: bool) -> Signals:
    """Return recorded signals with the donor's in their stead; ``early``: of a page that has not yet collected all."""
    theirs = _called(tuple(names))
    later = not_yet() if early else {}
    shown = dict(signals)
    for name in theirs:
        value = None if name in later else donor.get(name)
        if value is None:
            shown.pop(name, None)
        else:
            shown[name] = value
    return shown


@lru_cache(512)
def _called(beginnings: tuple[str, ...]) -> tuple[str, ...]:
    """Return the signals whose names begin so, in the catalogue's order."""
    return tuple(name for name in load_catalogue().by_name if name.startswith(beginnings))
