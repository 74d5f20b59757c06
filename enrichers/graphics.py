"""What kind of machine a WebGL renderer string names: real hardware, a virtual machine, or a software rasteriser."""

from __future__ import annotations

import re
from functools import lru_cache

# Codes of ``renderer_kind``; 0 is absent.
ABSENT, HARDWARE, SOFTWARE, BASIC_RENDER, MACHINE = range(5)

_BASIC_RENDER = ("basic render",)
_MACHINE = ("vmware", "svga3d", "virtualbox", "parallels", "virgl", "qemu", "hyper-v")
_SOFTWARE = ("swiftshader", "llvmpipe", "softpipe", "mesa offscreen", "software rasterizer")
_MAKERS = {
    "nvidia": re.compile("nvidia|geforce|quadro"),
    "amd": re.compile(r"amd|radeon|\bati\b"),
    "intel": re.compile("intel"),
    "apple": re.compile("apple"),
    "qualcomm": re.compile("qualcomm|adreno"),
    "arm": re.compile(r"\barm\b|mali|immortalis"),
    "imagination": re.compile("imagination|powervr"),
    "samsung": re.compile("samsung|xclipse"),
    "virtual": re.compile("swiftshader|llvmpipe|softpipe|basic render|vmware|virtualbox|parallels|virgl|qemu"),
}
_BIT = {maker: 1 << index for index, maker in enumerate(k for k in _MAKERS if k != "virtual")}


@lru_cache(maxsize=8192)
def renderer_kind(raw: bytes | None) -> int:
    """Return the kind of a renderer. Software goes before machine: "llvmpipe" on VMware is still a rasteriser."""
    if not raw:
        return ABSENT
    text = raw.decode("utf-8", "replace").lower()
    for words, kind in ((_BASIC_RENDER, BASIC_RENDER), (_SOFTWARE, SOFTWARE), (_MACHINE, MACHINE)):
        if any(word in text for word in words):
            return kind
    return HARDWARE


@lru_cache(maxsize=8192)
def makers(raw: bytes | None) -> int:
    """Return the makers of graphics hardware that a string names, as bits; 0 where none, or where virtual."""
    if not raw:
        return 0
    text = raw.decode("utf-8", "replace").lower()
    if _MAKERS["virtual"].search(text):
        return 0
    return sum(bit for maker, bit in _BIT.items() if _MAKERS[maker].search(text))
