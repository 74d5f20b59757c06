"""Checks of what canvas and audio give back."""

from __future__ import annotations

from flows.stages.normalize.seen import Check, Seen
from schemas.batches import F32, Bool

# Sums of the offline rendering of fingerprintjs (docs/audio-fingerprinting; Chromium 156: 124.0434777, Firefox 153:
# 35.7499721). Engines differ far more than versions and processors do.
_SUMS_OF_CHROMIUM, _SUMS_OF_GECKO = (124.03, 124.10), (35.73, 35.76)


def canvas_readback_failed(seen: Seen) -> Bool:
    """Pixels of known colour read back as another one."""
    return seen.number("canvas.readback_errors") > 0


def canvas_unstable(seen: Seen) -> Bool:
    """Two equal drawings differ."""
    return seen.number("canvas.pixel_differences") > 0


def canvas_constant(seen: Seen) -> Bool:
    """Different drawings give one value, or a picture without pixels."""
    text, geometry, emoji = (seen.category(f"canvas.{name}") for name in ("text", "geometry", "emoji"))
    same = ((text == geometry) & (text != 0)) | ((emoji != 0) & ((emoji == text) | (emoji == geometry)))
    return same | seen.any_word("canvas.geometry") | seen.any_word("canvas.text")


def audio_unstable(seen: Seen) -> Bool:
    """Two equal renderings differ."""
    return seen.number("audio.noise") > 0


def audio_impossible(seen: Seen) -> Bool:
    """Silence where a tone was rendered, or nodes that do not begin as the standard says."""
    return (seen.number("audio.sample_sum") == 0) | seen.impossible["audio_impossible"]


def audio_contradicts_engine(seen: Seen) -> Bool:
    """The sum of the rendering is another engine's."""
    total = seen.number("audio.sample_sum")
    wrong = seen.engine_in("chromium", "webkit") & _between(total, _SUMS_OF_GECKO)
    return wrong | (seen.engine_in("gecko") & _between(total, _SUMS_OF_CHROMIUM))


def _between(values: F32, bounds: tuple[float, float]) -> Bool:
    return (values > bounds[0]) & (values < bounds[1])


CHECKS: tuple[Check, ...] = (
    canvas_readback_failed,
    canvas_unstable,
    canvas_constant,
    audio_unstable,
    audio_impossible,
    audio_contradicts_engine,
)
