"""Machines that are not there: browsers in virtual machines, in emulators, and without a graphics card."""

from __future__ import annotations

from typing import Final

from infra.traffic.graphics import webgl_limits
from infra.traffic.machine import images, stamp
from infra.traffic.profile import Signals, copies

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
    return {
        **signals, **webgl_limits(renderer), "webgl.vendor": vendor, "webgl.renderer": renderer,
        "webgl.unmasked_vendor": vendor, "webgl.unmasked_renderer": renderer, "webgl.software_fallback": True,
        "webgl.supported": True, "webgl.supported_2": True, "webgl.debug_renderer_info": True,
        "webgl.parameters": stamp("parameters", "chromium", renderer),
        "webgl.extensions": stamp("extensions", "chromium", renderer), **images("chromium", system, renderer),
    }  # fmt: skip


def virtual_machine(signals: Signals, renderer: str, system: str, cores: float, memory: float) -> Signals:
    """Return the signals of a Chromium browser in a virtual machine of so many cores and GiB, or in an emulator."""
    shown = drawn_by(signals, renderer, system)
    shown |= {"navigator.hardware_concurrency": cores, "navigator.device_memory": memory}
    return shown | copies(shown)
