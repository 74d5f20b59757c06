"""Machines that are not there: browsers in virtual machines, in emulators, and without a graphics card."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from infra.traffic.browser_support import column_of
from infra.traffic.contexts import copies
from infra.traffic.graphics import architecture_of
from infra.traffic.graphics_detail import adapter, webgl_detail
from infra.traffic.machine import images
from infra.traffic.signals import Signals
from infra.traffic.traces import fingerprint

SWIFTSHADER: Final = "ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero) (0x0000C0DE)), SwiftShader driver)"
# By system: the adapters of virtual machines, of remote desktops, and of emulators.
RENDERERS: Final = {
    "windows": (
        "ANGLE (VMware, VMware SVGA 3D (0x00000405) Direct3D11 vs_5_0 ps_5_0, D3D11)",
        "ANGLE (VirtualBox, VirtualBox Graphics Adapter Direct3D11 vs_5_0 ps_5_0, D3D11)",
        "ANGLE (Microsoft, Microsoft Basic Render Driver (0x0000008C) Direct3D11 vs_5_0 ps_5_0, D3D11)",
        SWIFTSHADER,
    ),
    "linux": (
        "ANGLE (VMware, Inc., SVGA3D; build: RELEASE;  LLVM;, OpenGL 4.1)",
        "ANGLE (Mesa, llvmpipe (LLVM 15.0.7, 256 bits), OpenGL 4.5)",
        SWIFTSHADER,
    ),
    "android": ("Android Emulator OpenGL ES Translator (Google SwiftShader)",),
}


def drawn_by(signals: Signals, renderer: str, system: str) -> Signals:
    """Return the signals of a Chromium browser whose pictures a virtual or software renderer draws."""
    vendor = "Google Inc. (Google)" if "SwiftShader" in renderer else "Google Inc. (VMware)"
    if "Microsoft" in renderer:
        vendor = "Google Inc. (Microsoft)"
    version = chromium_version(str(signals["navigator.user_agent"]))
    shown: Signals = {
        **signals, **webgl_detail("chromium", column_of("chrome", system, "chromium"), version, renderer),
        **adapter(renderer, False, "chromium"), "webgl.vendor": vendor, "webgl.renderer": renderer,
        "webgl.unmasked_vendor": vendor, "webgl.unmasked_renderer": renderer,
        # SwiftShader in a window of its own says that it is no fallback (recorded).
        "webgl.software_fallback": "SwiftShader" not in renderer, "webgl.supported": True, "webgl.supported_2": True,
        "webgl.debug_renderer_info": True, "fpscanner.hasSwiftshaderRenderer": "SwiftShader" in renderer,
        "webgl.image": images("chromium", system, renderer, "x86")["webgl.image"],
    }  # fmt: skip
    return shown | fingerprint(shown, "chromium", version, architecture_of(renderer, system))


@lru_cache(1024)
def chromium_version(user_agent: str) -> float:
    """Return the version of Chromium in a user agent."""
    return float(user_agent.partition("Chrome/")[2].partition(".")[0] or 0)


def virtual_machine(signals: Signals, renderer: str, system: str, cores: float, memory: float) -> Signals:
    """Return the signals of a Chromium browser in a virtual machine of so many cores and GiB, or in an emulator."""
    shown = drawn_by(signals, renderer, system)
    shown |= {"navigator.hardware_concurrency": cores, "navigator.device_memory": memory}
    return shown | copies(shown)
