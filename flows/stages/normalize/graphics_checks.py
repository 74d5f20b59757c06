"""Checks of the graphics: names, limits and extensions against each other, the system and the engine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from flows.stages.normalize.seen import Check, Seen, no_power_of_two
from schemas.batches import Bool
from schemas.environment import GPUS, SYSTEMS

_PC, _MOBILE = ("nvidia", "amd", "intel"), ("qualcomm", "arm", "imagination", "samsung")
_GPUS_OF_SYSTEM: Mapping[str, tuple[str, ...]] = {
    "windows": (*_PC, "qualcomm", "virtual", "unknown"),
    "macos": (*_PC, "apple", "virtual", "unknown"),
    "ios": ("apple", "unknown"),
    "android": (*_PC, *_MOBILE, "virtual", "unknown"),  # Tegra, x86 tablets, emulators
}
# bool[systems, GPUs]: what does not go together.
_FOREIGN = np.array(
    [[system in _GPUS_OF_SYSTEM and gpu not in _GPUS_OF_SYSTEM[system] for gpu in GPUS] for system in SYSTEMS]
)
# bool[GPUs, GPUs]: vendors and renderers of hardware that are not of one maker.
_MADE = (*_PC, *_MOBILE, "apple")
_OTHER_MAKER = np.array(
    [[a in _MADE and b in _MADE and a != b and {a, b} != {"amd", "samsung"} for b in GPUS] for a in GPUS]
)
_DIRECT3D = ("direct3d9", "direct3d11", "direct3d12")
# Direct3D 11 fixes both at feature level 11 (D3D11_REQ_TEXTURE2D_U_OR_V_DIMENSION, D3D11_VIEWPORT_BOUNDS_MAX), and
# ANGLE passes them on (renderer11_utils.cpp).
_SHADER_5_TEXTURE, _SHADER_5_VIEWPORT = 16384, 32767
_SWIFTSHADER_TEXTURE = 8192  # VkPhysicalDeviceLimits.maxImageDimension2D of SwiftShader, as Chromium 156 shows it
_VERSIONS_OF_CHROMIUM = ("WebGL 1.0 (OpenGL ES 2.0 Chromium)", "WebGL 2.0 (OpenGL ES 3.0 Chromium)")
_VERSIONS_OF_OTHERS = ("WebGL 1.0", "WebGL 2.0")


def gpu_contradicts_system(seen: Seen) -> Bool:
    """This system does not run on that card, or not by that driver; Linux inside Windows draws by Direct3D 12."""
    wrong = seen.driver_in("direct3d9", "direct3d11") & ~seen.system_in("windows", "unknown")
    wrong |= seen.driver_in("metal") & ~seen.system_in("macos", "ios", "unknown")
    return wrong | seen.together(_FOREIGN, seen.system, seen.gpu)


def gpu_vendor_contradicts_renderer(seen: Seen) -> Bool:
    """Vendor and renderer name different makers; Samsung's Xclipse is built on AMD's design."""
    return seen.together(_OTHER_MAKER, seen.maker, seen.gpu)


def architecture_contradicts_gpu(seen: Seen) -> Bool:
    """On a Mac: Apple's own card beside an Intel processor, or another card beside Apple's."""
    intel, arm = (seen.word("client_hints.architecture", name) for name in ("x86", "arm"))
    return seen.system_in("macos") & ((intel & seen.gpu_in("apple")) | (arm & seen.gpu_in(*_PC)))


def webgl_contradicts_engine(seen: Seen) -> Bool:
    """The strings are in the form that another engine gives them."""
    chromium, gecko, webkit = (seen.engine_in(engine) for engine in ("chromium", "gecko", "webkit"))
    seen_of, version = seen.graphics, "webgl.version"
    wrong = (chromium | gecko) & seen_of["masked_apple"]
    wrong |= (chromium | webkit) & seen_of["similar"]
    wrong |= webkit & seen_of["angle"] & seen.system_in("macos", "ios")
    wrong |= chromium & seen.word(version, *_VERSIONS_OF_OTHERS)
    return wrong | ((gecko | webkit) & seen.word(version, *_VERSIONS_OF_CHROMIUM))


def webgl_limits_impossible(seen: Seen) -> Bool:
    """Limits that no driver reports: no power of two, or under what WebGL needs."""
    size, viewport = seen.number("webgl.max_texture_size"), seen.number("webgl.max_viewport_width")
    return ~np.isnan(size) & (no_power_of_two(size) | (size < 1024) | (viewport < 1024))


def webgl_limits_contradict_driver(seen: Seen) -> Bool:
    """Limits that the named driver does not have."""
    texture, viewport = seen.number("webgl.max_texture_size"), seen.number("webgl.max_viewport_width")
    level_11 = seen.graphics["shader_5"] & ~seen.gpu_in("virtual")
    other = (np.abs(texture - _SHADER_5_TEXTURE) > 0) | (np.abs(viewport - _SHADER_5_VIEWPORT) > 0)
    return (level_11 & other) | (seen.graphics["swiftshader"] & (texture > _SWIFTSHADER_TEXTURE))


def webgl_extensions_contradict_driver(seen: Seen) -> Bool:
    """Formats of phones through Direct3D, which has no such format, or PowerVR's on another maker's card."""
    own = seen.false("webgl_extension.WEBGL_compressed_texture_s3tc") | (seen.counts["phone_formats"] > 0)
    wrong = seen.driver_in(*_DIRECT3D) & own
    pvrtc = seen.true("webgl_extension.WEBGL_compressed_texture_pvrtc")
    return wrong | (pvrtc & seen.gpu_in(*_PC, "qualcomm", "arm"))


def webgl_copies_differ(seen: Seen) -> Bool:
    """WebGL 1 and 2, or two questions to one context, give different limits."""
    return seen.differing["webgl_copies_differ"]


def webgpu_contradicts_webgl(seen: Seen) -> Bool:
    """WebGPU runs on a card of another kind of machine."""
    return seen.misfits("webgpu.vendor", seen.gpu)


CHECKS: tuple[Check, ...] = (
    gpu_contradicts_system,
    gpu_vendor_contradicts_renderer,
    architecture_contradicts_gpu,
    webgl_contradicts_engine,
    webgl_limits_impossible,
    webgl_limits_contradict_driver,
    webgl_extensions_contradict_driver,
    webgl_copies_differ,
    webgpu_contradicts_webgl,
)
