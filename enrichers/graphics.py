"""What a WebGL renderer string names: real hardware, and by which maker, or a machine that is not there."""

from __future__ import annotations

import re
from functools import lru_cache

from enrichers.known_values import RENDERER_CLASSES, RENDERERS, renderer_class

# Codes of ``renderer_kind``: absent, then RENDERER_CLASSES in their order.
ABSENT, HARDWARE, SOFTWARE, MACHINE, EMULATOR, REMOTE, CLOUD, BASIC_RENDER = range(len(RENDERER_CLASSES) + 1)

_MAKERS = {
    "nvidia": re.compile("nvidia|geforce|quadro"),
    "amd": re.compile(r"amd|radeon|\bati\b"),
    "intel": re.compile("intel"),
    "apple": re.compile("apple"),
    "qualcomm": re.compile("qualcomm|adreno"),
    "arm": re.compile(r"\barm\b|mali|immortalis"),
    "imagination": re.compile("imagination|powervr"),
    "samsung": re.compile("samsung|xclipse"),
}
_BIT = {maker: 1 << index for index, maker in enumerate(_MAKERS)}


@lru_cache(maxsize=8192)
def renderer_kind(raw: bytes | None) -> int:
    """Return the kind of a renderer, 0 where there is none; for ``View.classify``."""
    return 1 + renderer_class(raw) if raw else ABSENT


@lru_cache(maxsize=8192)
def makers(raw: bytes | None) -> int:
    """Return the makers of graphics hardware that a string names, as bits; 0 where none, or where virtual."""
    if not raw or renderer_kind(raw) != HARDWARE:
        return 0
    text = raw.decode("utf-8", "replace").lower()
    return sum(bit for maker, bit in _BIT.items() if _MAKERS[maker].search(text))


@lru_cache(maxsize=8192)
def maker_names(raw: bytes | None) -> str:
    """Return the names of those makers, "" where there is none."""
    bits = makers(raw)
    return " and ".join(maker for maker, bit in _BIT.items() if bits & bit)


@lru_cache(maxsize=8192)
def product(raw: bytes | None) -> str:
    """Return what draws instead of a card, "" where a card does."""
    text = (raw or b"").decode("utf-8", "replace").lower()
    return next((one.product for one in RENDERERS if one.mark in text), "")
