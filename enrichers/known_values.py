"""Values that are known from elsewhere: renderers of machines that are not there, pictures and sounds no engine makes.

Each entry says where it comes from. Sources by short name:

* ``angle``, ``mesa``, ``metal``: the device names in the sources of those drivers.
* ``chromium``: gpu/config/software_rendering_list.json and gpu_driver_bug_list.json of Chromium (BSD-3-Clause).
* ``vendor``: the name that the maker of the virtual machine or of its guest driver gives the adapter.
* ``population``: seen in ``apify_fingerprint_datapoints`` (Apache-2.0), with how often.
* ``own``: computed here from what the agent draws or renders; the tests compute it again.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from operator import or_
from typing import Final, NamedTuple

import numpy as np

from schemas.batches import F32, U32, Bool
from schemas.catalogue import category_hash

VERSION: Final = "1"
# What a renderer is, as ``renderer_class`` says it. 0 is hardware, or a string that names nothing known.
RENDERER_CLASSES: Final = ("hardware", "software", "machine", "emulator", "remote", "cloud", "basic")


class Renderer(NamedTuple):
    """A word of a WebGL renderer string, lower case, and what it says."""

    mark: str
    kind: str  # of RENDERER_CLASSES
    product: str
    source: str


# The first that is contained counts: a rasteriser goes before the machine that it runs in, an emulator before both.
RENDERERS: Final = (
    Renderer("android emulator", "emulator", "Android Emulator, goldfish OpenGL translator", "vendor; population"),
    Renderer("gfxstream", "emulator", "Android Emulator, gfxstream", "vendor"),
    Renderer("bluestacks", "emulator", "BlueStacks", "vendor"),
    Renderer("swiftshader", "software", "SwiftShader, Chromium's own rasteriser", "angle; population"),
    Renderer("0x0000c0de", "software", "SwiftShader by its Vulkan device number", "angle"),
    Renderer("llvmpipe", "software", "Mesa llvmpipe and lavapipe", "mesa; chromium entry 3; population"),
    Renderer("lavapipe", "software", "Mesa lavapipe", "mesa"),
    Renderer("softpipe", "software", "Mesa softpipe", "mesa; chromium entry 3"),
    Renderer("swrast", "software", "Mesa swrast", "mesa"),
    Renderer("mesa offscreen", "software", "Mesa OSMesa", "mesa"),
    Renderer("software rasterizer", "software", "Mesa swrast", "mesa; chromium entry 3"),
    Renderer("apple software renderer", "software", "macOS without a card", "vendor; chromium"),
    Renderer("gdi generic", "software", "Windows' OpenGL 1.1", "chromium"),
    Renderer("basic render", "basic", "Microsoft Basic Render Driver, WARP", "vendor; population"),
    Renderer("remote display adapter", "remote", "Microsoft Remote Desktop", "vendor"),
    Renderer("rdpudd", "remote", "Microsoft Remote Desktop, older", "vendor"),
    Renderer("rdp encoder mirror", "remote", "Microsoft Remote Desktop, older", "vendor"),
    Renderer("citrix", "remote", "Citrix Virtual Apps and Desktops", "vendor"),
    Renderer("vmware", "machine", "VMware", "chromium; vendor"),
    Renderer("svga3d", "machine", "VMware, Mesa's driver", "mesa; chromium"),
    Renderer("virtualbox", "machine", "Oracle VirtualBox", "chromium; vendor"),
    Renderer("parallels", "machine", "Parallels Desktop", "chromium; vendor; population"),
    Renderer("paravirtual", "machine", "macOS in a virtual machine on Apple silicon", "metal; population"),
    Renderer("virgl", "machine", "QEMU and crosvm, virgl", "mesa"),
    Renderer("venus", "machine", "QEMU and crosvm, Venus", "mesa"),
    Renderer("virtio", "machine", "QEMU, virtio-gpu", "mesa; vendor"),
    Renderer("red hat qxl", "machine", "QEMU, QXL", "vendor"),
    Renderer("qemu", "machine", "QEMU", "vendor"),
    Renderer("bochs", "machine", "QEMU and Bochs, standard VGA", "vendor"),
    Renderer("cirrus logic gd 5446", "machine", "QEMU and Xen, Cirrus", "vendor"),
    Renderer("hyper-v", "machine", "Microsoft Hyper-V", "vendor"),
    Renderer("nvidia grid", "cloud", "NVIDIA vGPU in a data centre", "vendor"),
    Renderer("tesla", "cloud", "NVIDIA Tesla: cards of servers", "vendor"),
    Renderer("nvidia a10g", "cloud", "NVIDIA A10G, made for one cloud", "vendor"),
    Renderer("mxgpu", "cloud", "AMD MxGPU in a data centre", "vendor"),
    Renderer("pro v520", "cloud", "AMD Radeon Pro V520, a cloud's card", "vendor"),
)
_CLASS: Final = {name: code for code, name in enumerate(RENDERER_CLASSES)}
_READ: Final = 512  # bytes of a renderer string; longer ones are nobody's


@lru_cache(maxsize=8192)
def renderer_class(raw: bytes | None) -> int:
    """Return what a renderer string says, a number of RENDERER_CLASSES; for ``View.classify``."""
    if not raw:
        return 0
    text = raw[:_READ].decode("utf-8", "replace").lower()
    return next((_CLASS[one.kind] for one in RENDERERS if one.mark in text), 0)


# FNV-1a of a picture of one colour, as the agent's ``digest`` writes it (ingest_api/agent/src/signals/drawing.ts): no
# drawing of the agent leaves its canvas so. Source: own. Canvas drawings are 240 x 60, the WebGL scene 48 x 48.
ONE_COLOUR_PICTURES: Final = {
    "ee2f51c5": "240 x 60, clear: nothing was drawn, or reading back is refused",
    "bdadf7c5": "240 x 60, black",
    "d13aaac5": "240 x 60, white: what Firefox gave where a site may not read, before it gave noise",
    "2b7edc5": "48 x 48, clear",
    "df0a45c5": "48 x 48, black",
    "67c4f1c5": "48 x 48, white",
    "811c9dc5": "no bytes at all: the hash's own beginning",
}
# The same of the sound's samples: 5,000 zeros of float32. A rendered tone is never silent.
SILENCE: Final = "76fcbc45"
_ONE_COLOUR: Final = np.array(sorted(map(category_hash, ONE_COLOUR_PICTURES)), np.uint32)
_SILENT: Final = np.uint32(category_hash(SILENCE))


def one_colour(pictures: U32) -> Bool:
    """Return which hashes of pictures (``canvas.text``, ``picture.*``, ``webgl.image``, ...) are of one colour."""
    return reduce(or_, (pictures == one for one in _ONE_COLOUR))


def silent(sounds: U32) -> Bool:
    """Return which hashes of sounds (``sound.noise_hash``) are of silence, or of nothing."""
    return (sounds == _SILENT) | (sounds == np.uint32(category_hash("811c9dc5")))


class Sums(NamedTuple):
    """Where an engine's sum of the sound's samples (``audio.sample_sum``) lies."""

    low: float
    high: float
    made_by: str
    source: str


# The recipe is fingerprintjs's: a triangle of 10 kHz through the compressor, samples 4,500 to 4,999 of 44.1 kHz.
SUMS: Final = (
    Sums(124.0434, 124.0439, "Chromium on desktops, Safari from 15", "fingerprint.com/blog/audio-fingerprinting; own"),
    Sums(124.0807, 124.0808, "Chromium on Android with older processors", "fingerprint.com/blog/audio-fingerprinting"),
    Sums(35.7382, 35.7501, "Firefox", "fingerprint.com/blog/audio-fingerprinting; own: 35.74997"),
    Sums(35.1088, 35.1090, "Safari to 14", "fingerprint.com/blog/audio-fingerprinting"),
)
_SUM_SLACK: Final = 1e-4  # float32 near 124 has steps of 7.6e-6; new processors have moved the sum by 3e-4 so far
# Noise that browsers add by themselves: Safari from 17 in private windows up to 0.01%, Brave up to 1%
# (fingerprint.com/blog/bypassing-safari-17-audio-fingerprinting-protection; Brave's "farbling" notes).
NOISE_OF_BROWSERS: Final = 0.01


def _possible() -> F32:
    """Return where possible sums begin and end, in turn: the bands with their noise, joined where they overlap."""
    ends: list[float] = []
    for band in sorted(SUMS):
        low, high = band.low * (1 - NOISE_OF_BROWSERS), band.high * (1 + NOISE_OF_BROWSERS)
        if ends and low <= ends[-1]:
            ends[-1] = max(ends[-1], high)
        else:
            ends += [low, high]
    return np.array(ends, np.float32)


_POSSIBLE: Final = _possible()


def known_sum(sums: F32) -> Bool:
    """Return which sums of the sound's samples an engine is known to give, bool[n]; False where absent."""
    found = np.zeros(len(sums), np.bool_)
    for band in SUMS:
        found |= (sums >= band.low - _SUM_SLACK) & (sums <= band.high + _SUM_SLACK)
    return found


def impossible_sum(sums: F32) -> Bool:
    """Return which sums no engine gives, even with the noise of a privacy browser, bool[n]; False where absent."""
    possible = np.isnan(sums)
    for low, high in zip(_POSSIBLE[::2], _POSSIBLE[1::2], strict=True):
        possible = possible | ((sums > low) & (sums <= high))
    return ~possible
