"""What the WebGL renderer and vendor strings say: maker, model, driver. Pure, and cached by value."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from schemas.catalogue import category_hash
from schemas.environment import GPU_DRIVERS, GPUS

RENDERER_BYTES = 512
_MODEL_CHARACTERS = 48
_MASKED_APPLE = "Apple GPU"
_ANGLE = "ANGLE ("
_GPU = {name: code for code, name in enumerate(GPUS)}
_DRIVER = {name: code for code, name in enumerate(GPU_DRIVERS)}

# Renderer strings of virtual machines and software rasterisers come first: they also name the host's maker.
_GPU_OF_WORD = (
    ("swiftshader", "virtual"), ("llvmpipe", "virtual"), ("softpipe", "virtual"), ("virgl", "virtual"),
    ("vmware", "virtual"), ("svga3d", "virtual"), ("virtualbox", "virtual"), ("parallels", "virtual"),
    ("basic render", "virtual"), ("qemu", "virtual"), ("hyper-v", "virtual"), ("paravirtual", "virtual"),
    ("nvidia", "nvidia"), ("geforce", "nvidia"), ("quadro", "nvidia"), ("tegra", "nvidia"),
    ("adreno", "qualcomm"), ("qualcomm", "qualcomm"), ("mali", "arm"), ("immortalis", "arm"),
    ("powervr", "imagination"), ("xclipse", "samsung"),
    ("radeon", "amd"), ("amd", "amd"), ("ati ", "amd"),
    ("intel", "intel"), ("apple", "apple"),
)  # fmt: skip
_SOFTWARE = ("swiftshader", "llvmpipe", "softpipe", "basic render")
_GPU_OF_VENDOR = (
    ("nvidia", "nvidia"), ("amd", "amd"), ("ati technologies", "amd"), ("advanced micro", "amd"), ("intel", "intel"),
    ("apple", "apple"), ("qualcomm", "qualcomm"), ("imagination", "imagination"), ("samsung", "samsung"),
)  # fmt: skip
# The words that drivers put into the string, the first that fits first.
_DRIVER_OF_WORD = (
    ("direct3d9", "direct3d9"), ("d3d9", "direct3d9"), ("d3d12", "direct3d12"), ("direct3d12", "direct3d12"),
    ("direct3d", "direct3d11"), ("d3d11", "direct3d11"), ("metal", "metal"), ("vulkan", "vulkan"),
    ("opengl es", "opengl_es"), ("opengl", "opengl"), ("mesa", "opengl"), ("radeonsi", "opengl"),
    ("/pcie/", "opengl"), ("/sse2", "opengl"), ("adreno", "opengl_es"), ("mali-", "opengl_es"),
    ("powervr rogue", "opengl_es"), ("xclipse", "opengl_es"),
)  # fmt: skip
_VULKAN_DEVICE = re.compile(r"Vulkan [\d.]+ \((.*)\)$")
_NOISE = re.compile(
    r"\((?:TM|R|C)\)|\(0x[0-9A-Fa-f]+\)|\([^()]*\)|, or similar$| Direct3D\S*.*$| vs_\d.*$|/PCIe.*$|/SSE2.*$"
    r"| OpenGL Engine$|\bMesa (?:DRI )?|\bANGLE Metal Renderer: |, Unspecified Version$"
)
_MAKER = re.compile(r"^(?:NVIDIA|AMD|ATI|Intel|Apple|Qualcomm|ARM|Samsung|Google|Microsoft)(?: Inc\.?)? (?=\S)")
_FOREIGN = re.compile(r"[^A-Za-z0-9 .+/-]+")

GRAPHICS = np.dtype(
    [
        ("gpu", "u1"),
        ("driver", "u1"),
        ("angle", "?"),  # the form that Chromium gives on desktops, and Firefox on Windows
        ("similar", "?"),  # ", or similar": Firefox, which rounds the model
        ("masked_apple", "?"),  # "Apple GPU": WebKit, which names no model
        ("shader_5", "?"),  # Direct3D of feature level 11
        ("swiftshader", "?"),
        ("hash", "u4"),  # of the whole text, as a category's
    ],
    align=True,
)


class Graphics(NamedTuple):
    """What a renderer string says."""

    gpu: int
    driver: int
    angle: bool
    similar: bool
    masked_apple: bool
    shader_5: bool
    swiftshader: bool


@lru_cache(maxsize=8192)
def graphics_row(raw: bytes | None) -> bytes:
    """Return what an unmasked renderer says, as the bytes of one ``GRAPHICS``.

    The caller cuts it to ``RENDERER_BYTES``.
    """
    if raw is None:
        return np.zeros((), GRAPHICS).tobytes()
    text = raw.decode("utf-8", "replace")
    return np.array((*parse_renderer(text), category_hash(text)), GRAPHICS)[()].tobytes()


@lru_cache(maxsize=8192)
def renderer_model(raw: bytes | None) -> str:
    """Return the model that an unmasked renderer names, "" where it names none; cut as above."""
    return "" if raw is None else model_of(raw.decode("utf-8", "replace"))


def parse_renderer(text: str) -> Graphics:
    """Fold a renderer string into maker, driver and the marks of the browser that gives it."""
    lowered = text.lower()
    software = any(word in lowered for word in _SOFTWARE)
    driver = next((name for word, name in _DRIVER_OF_WORD if word in lowered), "unknown")
    return Graphics(
        gpu=_GPU[next((name for word, name in _GPU_OF_WORD if word in lowered), "unknown")],
        driver=_DRIVER["software" if software and driver not in ("direct3d11", "direct3d12") else driver],
        angle=lowered.startswith("angle ("),
        similar=lowered.endswith(", or similar"),
        masked_apple=text == _MASKED_APPLE,
        shader_5="vs_5_0" in lowered,
        swiftshader="swiftshader" in lowered,
    )


def model_of(text: str) -> str:
    """Return the model without maker, driver and ids: "GeForce RTX 3060", "Adreno 740", "M2", "UHD Graphics 620"."""
    name = _inside_angle(text) if text.startswith(_ANGLE) else text
    device = _VULKAN_DEVICE.match(name)
    if text == _MASKED_APPLE:
        return ""
    name = _NOISE.sub("", device[1] if device else name)
    name = " ".join(_FOREIGN.sub(" ", name).split())
    while (shorter := _MAKER.sub("", name)) != name:
        name = shorter
    return name[:_MODEL_CHARACTERS].strip()


def _inside_angle(text: str) -> str:
    """Return the device of "ANGLE (vendor, device, version)"; old forms lack version or vendor."""
    parts = text.removeprefix(_ANGLE).rpartition(")")[0].split(", ")
    return ", ".join(parts[1:-1]) if len(parts) > 2 else parts[-1]


@lru_cache(maxsize=8192)
def maker_of_vendor(raw: bytes | None) -> int:
    """Return the maker that an unmasked vendor names, as a code of ``GPUS``; 0 where it names none.

    The caller cuts it to ``RENDERER_BYTES``.
    """
    if raw is None:
        return 0
    text = raw.decode("utf-8", "replace").lower()
    inner = text.partition("(")[2] or text  # "Google Inc. (NVIDIA)"
    if inner.rstrip(") ") == "arm":
        return _GPU["arm"]
    return _GPU[next((name for word, name in _GPU_OF_VENDOR if word in inner), "unknown")]
