"""Graphics: what a renderer string says of the machine, and the WebGL limits that such a machine shows.

Limits by back end as browsers report them: Direct3D 11 and Metal through ANGLE, Mesa, and the mobile drivers.
"""

from __future__ import annotations

from functools import lru_cache

_VIRTUAL = (
    "swiftshader", "llvmpipe", "softpipe", "virgl", "vmware", "svga3d", "virtualbox", "parallels", "basic render",
    "qemu", "hyper-v",
)  # fmt: skip
_FAMILIES = (
    ("apple", "apple"), ("adreno", "qualcomm"), ("fd6", "qualcomm"), ("mali", "arm"), ("powervr", "imagination"),
    ("xclipse", "samsung"), ("nvidia", "nvidia"), ("geforce", "nvidia"), ("quadro", "nvidia"), ("radeon", "amd"),
    ("amd", "amd"), ("ati ", "amd"), ("intel", "intel"),
)  # fmt: skip

# texture, cube, render buffer, viewport, attributes, vertex uniforms, fragment uniforms, varyings, texture units,
# line width, point size, anisotropy, samples, depth bits, stencil bits, extensions
_ORDER = (
    "max_texture_size", "max_cube_map_texture_size", "max_render_buffer_size", "max_viewport_width",
    "max_vertex_attribs", "max_vertex_uniform_vectors", "max_fragment_uniform_vectors", "max_varying_vectors",
    "max_combined_texture_units", "aliased_line_width_max", "aliased_point_size_max", "max_anisotropy", "max_samples",
    "depth_bits", "stencil_bits", "extensions_count",
)  # fmt: skip
_LIMITS = {
    "direct3d": (16384, 16384, 16384, 32767, 16, 4095, 1024, 30, 32, 1, 1024, 16, 8, 24, 0, 38),
    "direct3d_nvidia": (16384, 16384, 16384, 32767, 16, 4095, 1024, 30, 32, 1, 1024, 16, 16, 24, 0, 38),
    "basic": (16384, 16384, 16384, 32767, 16, 4095, 1024, 30, 32, 1, 1024, 16, 4, 24, 0, 36),
    "metal": (16384, 16384, 16384, 16384, 16, 1024, 1024, 30, 32, 1, 511, 16, 4, 24, 0, 39),
    "metal_intel": (16384, 16384, 16384, 16384, 16, 1024, 1024, 30, 32, 1, 64, 16, 8, 24, 0, 38),
    "apple_gpu": (16384, 16384, 16384, 16384, 16, 1024, 1024, 30, 32, 1, 511, 16, 4, 24, 0, 33),
    "mesa_intel": (16384, 16384, 16384, 16384, 16, 4096, 4096, 32, 192, 7, 255, 16, 8, 24, 0, 36),
    "mesa_amd": (16384, 16384, 16384, 16384, 16, 4096, 4096, 32, 192, 8191, 8191, 16, 8, 24, 0, 36),
    "nvidia_gl": (32768, 32768, 32768, 32768, 16, 4096, 4096, 31, 192, 10, 2047, 16, 32, 24, 0, 37),
    "adreno": (16384, 16384, 16384, 16384, 32, 256, 256, 31, 96, 8, 1023, 16, 4, 24, 0, 35),
    "mali": (8192, 8192, 8192, 8192, 16, 1024, 1024, 31, 192, 1, 1024, 16, 4, 24, 0, 34),
    "powervr": (4096, 4096, 4096, 4096, 16, 256, 224, 31, 96, 16, 511, 4, 4, 24, 0, 28),
    "xclipse": (16384, 16384, 16384, 16384, 16, 256, 256, 31, 96, 1, 1024, 16, 4, 24, 0, 34),
    "llvmpipe": (16384, 16384, 16384, 16384, 16, 4096, 4096, 32, 192, 1, 255, 16, 4, 24, 0, 29),
    "swiftshader": (8192, 16384, 8192, 8192, 16, 4096, 4096, 31, 64, 1, 1023, 16, 4, 24, 0, 35),
}


@lru_cache(4096)
def is_virtual(renderer: str) -> bool:
    """Tell whether a renderer is software or a virtual machine's."""
    return any(mark in renderer.lower() for mark in _VIRTUAL)


@lru_cache(4096)
def gpu_family(renderer: str) -> str:
    """Return the maker's family, as schemas.environment.GPUS names it."""
    if is_virtual(renderer):
        return "virtual"
    lowered = renderer.lower()
    return next((family for mark, family in _FAMILIES if mark in lowered), "unknown")


def architecture_of(renderer: str, system: str) -> str:
    """Return the processor architecture that such a GPU comes with on such a system: arm or x86."""
    if system in ("android", "ios"):
        return "arm"
    return "arm" if gpu_family(renderer) in ("apple", "qualcomm", "arm") else "x86"


@lru_cache(4096)
def backend_of(renderer: str) -> str:
    """Return the driver whose limits a renderer shows."""
    family, lowered = gpu_family(renderer), renderer.lower()
    if family == "virtual":
        if "direct3d" in lowered:
            return "basic"
        return "swiftshader" if "swiftshader" in lowered else "llvmpipe"
    if "direct3d" in lowered:
        return "direct3d_nvidia" if family == "nvidia" else "direct3d"
    if "metal" in lowered or family == "apple":
        return "apple_gpu" if renderer == "Apple GPU" else "metal" if family == "apple" else "metal_intel"
    mobile = {"qualcomm": "adreno", "arm": "mali", "imagination": "powervr", "samsung": "xclipse"}
    return mobile.get(family) or {"nvidia": "nvidia_gl", "amd": "mesa_amd"}.get(family, "mesa_intel")


@lru_cache(64)
def backend_limits(backend: str) -> dict[str, float]:
    """Return the ``webgl.*`` numbers of a driver. Shared: not to be changed."""
    limits = dict(zip(_ORDER, _LIMITS[backend], strict=True))
    found = {f"webgl.{name}": float(value) for name, value in limits.items()}
    return found | {"webgl.max_viewport_height": found["webgl.max_viewport_width"]}


def webgl_limits(renderer: str) -> dict[str, float]:
    """Return the ``webgl.*`` numbers of a renderer. Shared: not to be changed."""
    return backend_limits(backend_of(renderer))
