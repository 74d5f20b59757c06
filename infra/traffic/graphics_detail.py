"""WebGL extensions, parameters and precisions, and the WebGPU adapter, of a browser on a graphics card.

A browser shows an extension that its version knows (MDN's table) and its driver has; drivers are told apart as
``graphics.backend_of`` does. Values of ANGLE over Direct3D 11 and Metal are those of its sources
(src/libANGLE/renderer), of SwiftShader those recorded here, of phones those that the makers' drivers report.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from infra.traffic.browser_support import known_names
from infra.traffic.engine import recorded
from infra.traffic.graphics import backend_limits, backend_of, gpu_family, is_virtual
from schemas.catalogue import load_catalogue

Values = dict[str, Any]
_DIRECT3D = frozenset(("direct3d", "direct3d_nvidia", "basic"))
_METAL = frozenset(("metal", "metal_intel", "apple_gpu"))
_DESKTOP_GL = frozenset(("mesa_intel", "mesa_amd", "nvidia_gl"))
_PHONE = frozenset(("adreno", "mali", "powervr", "xclipse"))
_SWIFT = frozenset(("swiftshader",))
_PIPE = frozenset(("llvmpipe",))
_EVERY = _DIRECT3D | _METAL | _DESKTOP_GL | _PHONE | _SWIFT | _PIPE
_DESKTOP = _DIRECT3D | _METAL | _DESKTOP_GL | _SWIFT | _PIPE
_ASTC = frozenset(("metal", "apple_gpu", "mesa_intel")) | _PHONE | _SWIFT | _PIPE
# Which drivers have what not all of them have; the names of both versions of WebGL.
_DRIVERS = {
    "WEBGL_compressed_texture_s3tc": _DESKTOP, "WEBGL_compressed_texture_s3tc_srgb": _DESKTOP,
    "EXT_texture_compression_bptc": _DESKTOP, "EXT_texture_compression_rgtc": _DESKTOP,
    "WEBGL_compressed_texture_astc": _ASTC, "WEBGL_compressed_texture_etc": _ASTC - {"mesa_intel"},
    "WEBGL_compressed_texture_etc1": _ASTC - {"mesa_intel"} - _PIPE,
    "WEBGL_compressed_texture_pvrtc": frozenset(("metal", "apple_gpu", "powervr")),
    "EXT_disjoint_timer_query": _DIRECT3D | _METAL | _DESKTOP_GL,
    "EXT_disjoint_timer_query_webgl2": _DIRECT3D | _METAL | _DESKTOP_GL,
    "EXT_depth_clamp": _DESKTOP, "EXT_polygon_offset_clamp": _DESKTOP | {"xclipse"}, "WEBGL_polygon_mode": _DESKTOP,
    "WEBGL_blend_func_extended": _DIRECT3D | _METAL | _DESKTOP_GL | {"adreno", "xclipse"},
    "EXT_conservative_depth": _DESKTOP_GL | _SWIFT | {"adreno", "mali", "xclipse"},
    "EXT_render_snorm": _EVERY - _SWIFT - {"powervr"}, "EXT_texture_norm16": _EVERY - _SWIFT - {"mali", "powervr"},
    "NV_shader_noperspective_interpolation": _DESKTOP, "OES_sample_variables": _EVERY - _DIRECT3D,
    "OES_shader_multisample_interpolation": _EVERY - _DIRECT3D, "OVR_multiview2": _DIRECT3D | _SWIFT | _PHONE,
    "WEBGL_clip_cull_distance": _DESKTOP | {"adreno", "xclipse"}, "WEBGL_render_shared_exponent": _METAL | _PHONE,
    "WEBGL_provoking_vertex": _DIRECT3D | _METAL | _DESKTOP_GL, "OES_texture_float_linear": _EVERY - {"powervr"},
    "KHR_parallel_shader_compile": _EVERY - _SWIFT, "WEBGL_draw_buffers": _DESKTOP,
    "WEBGL_draw_instanced_base_vertex_base_instance": frozenset(),
}  # fmt: skip
_RECORDED = {"swiftshader": "chromium", "llvmpipe": "firefox"}
_ONCE = ("webgl2_extension.EXT_color_buffer_half_float", "gecko")  # Firefox has it in WebGL 1 alone
_NOT_ON_PHONES = ("EXT_clip_control",)  # not on OpenGL ES drivers of phones
_SUBPIXEL = {
    "llvmpipe": 8, "direct3d": 8, "direct3d_nvidia": 8, "basic": 8, "nvidia_gl": 8, "mesa_intel": 4,
    "mesa_amd": 8,
}  # fmt: skip
_OWN = {  # webgl_parameter's name: webgl's
    "MAX_TEXTURE_SIZE": "max_texture_size", "MAX_CUBE_MAP_TEXTURE_SIZE": "max_cube_map_texture_size",
    "MAX_RENDERBUFFER_SIZE": "max_render_buffer_size", "MAX_VIEWPORT_DIMS": "max_viewport_height",
    "MAX_VERTEX_ATTRIBS": "max_vertex_attribs", "MAX_VERTEX_UNIFORM_VECTORS": "max_vertex_uniform_vectors",
    "MAX_FRAGMENT_UNIFORM_VECTORS": "max_fragment_uniform_vectors", "MAX_VARYING_VECTORS": "max_varying_vectors",
    "MAX_COMBINED_TEXTURE_IMAGE_UNITS": "max_combined_texture_units",
    "ALIASED_LINE_WIDTH_RANGE": "aliased_line_width_max", "ALIASED_POINT_SIZE_RANGE": "aliased_point_size_max",
    "DEPTH_BITS": "depth_bits", "STENCIL_BITS": "stencil_bits",
}  # fmt: skip
# 3D size, layers, element index, LOD bias, uniform blocks a stage, combined, bindings, offset alignment,
# interleaved components, output components, fragment input components
_SECOND = {
    "direct3d": (2048, 2048, 4294967294, 2, 12, 24, 24, 256, 120, 120, 120),
    "metal": (2048, 2048, 4294967294, 0, 12, 24, 24, 32, 128, 124, 124),
    "mesa": (2048, 2048, 4294967294, 15, 15, 90, 90, 32, 64, 128, 128),
    "nvidia_gl": (16384, 2048, 4294967294, 15, 14, 84, 84, 256, 128, 124, 124),
    "adreno": (2048, 2048, 2147483647, 15, 14, 84, 84, 64, 128, 128, 128),
    "mali": (8192, 4096, 4294967294, 14, 14, 70, 72, 16, 128, 124, 128),
    "powervr": (2048, 2048, 4294967294, 14, 16, 80, 84, 4, 128, 124, 124),
    "xclipse": (2048, 2048, 4294967294, 15, 14, 84, 84, 64, 128, 128, 128),
}


@cache
def _names(family: str) -> tuple[str, ...]:
    return tuple(s.name.partition(".")[2] for s in load_catalogue().by_name.values() if s.family == family)


def _extensions(family: str, column: str, version: float, backend: str, engine: str) -> dict[str, bool]:
    known = known_names(column, version)
    found = {}
    for name in _names(family):
        there = known[f"{family}.{name}"] and backend in _DRIVERS.get(name, _EVERY)
        there = there and (f"{family}.{name}", engine) != _ONCE
        found[name] = there and not (name in _NOT_ON_PHONES and backend in _PHONE)
    return found


def _second(limits: dict[str, float], backend: str, first: dict[str, float]) -> dict[str, float]:
    key = "direct3d" if backend in _DIRECT3D else "metal" if backend in _METAL else backend
    row = _SECOND["mesa" if key.startswith("mesa") else key]
    (depth, layers, index, bias, blocks, together, bindings, alignment, interleaved, output, fragment) = row
    vertex, pixel = (4.0 * limits[f"webgl.max_{stage}_uniform_vectors"] for stage in ("vertex", "fragment"))
    size, units = 65_536.0, blocks
    found = {
        "MAX_3D_TEXTURE_SIZE": depth, "MAX_ARRAY_TEXTURE_LAYERS": layers, "MAX_ELEMENTS_VERTICES": 2147483647,
        "MAX_ELEMENTS_INDICES": 2147483647, "MAX_ELEMENT_INDEX": index, "MAX_TEXTURE_LOD_BIAS": bias,
        "MAX_DRAW_BUFFERS": 8, "MAX_COLOR_ATTACHMENTS": 8, "MAX_SAMPLES": limits["webgl.max_samples"],
        "MAX_FRAGMENT_UNIFORM_COMPONENTS": pixel, "MAX_VERTEX_UNIFORM_COMPONENTS": vertex,
        "MAX_VARYING_COMPONENTS": 4 * limits["webgl.max_varying_vectors"], "MAX_VERTEX_OUTPUT_COMPONENTS": output,
        "MAX_FRAGMENT_INPUT_COMPONENTS": fragment, "MIN_PROGRAM_TEXEL_OFFSET": -8, "MAX_PROGRAM_TEXEL_OFFSET": 7,
        "MAX_TRANSFORM_FEEDBACK_INTERLEAVED_COMPONENTS": interleaved, "MAX_TRANSFORM_FEEDBACK_SEPARATE_ATTRIBS": 4,
        "MAX_TRANSFORM_FEEDBACK_SEPARATE_COMPONENTS": 4, "MAX_VERTEX_UNIFORM_BLOCKS": units,
        "MAX_FRAGMENT_UNIFORM_BLOCKS": units, "MAX_COMBINED_UNIFORM_BLOCKS": together,
        "MAX_UNIFORM_BUFFER_BINDINGS": bindings, "MAX_UNIFORM_BLOCK_SIZE": size,
        "UNIFORM_BUFFER_OFFSET_ALIGNMENT": alignment,
        "MAX_COMBINED_VERTEX_UNIFORM_COMPONENTS": vertex + units * size / 4,
        "MAX_COMBINED_FRAGMENT_UNIFORM_COMPONENTS": pixel + units * size / 4, "MAX_SERVER_WAIT_TIMEOUT": 0,
        "MAX_CLIENT_WAIT_TIMEOUT_WEBGL": 0,
    }  # fmt: skip
    shared = {name: first[name] for name in _names("webgl2_parameter") if name in first}
    return {name: float(value) for name, value in (shared | found).items()}


def webgl_detail(engine: str, column: str, version: float, renderer: str) -> Values:
    """Return ``webgl*.`` signals beside names and images. Shared: not to be changed."""
    return _detail(engine, column, version, backend_of(renderer))


@lru_cache(1024)
def _detail(engine: str, column: str, version: float, backend: str) -> Values:
    limits = backend_limits(backend)
    units = min(32.0, limits["webgl.max_combined_texture_units"] / 2)
    first = {name: limits[f"webgl.{own}"] for name, own in _OWN.items()} | {
        "SUBPIXEL_BITS": float(_SUBPIXEL.get(backend, 4)), "RED_BITS": 8.0, "GREEN_BITS": 8.0, "BLUE_BITS": 8.0,
        "ALPHA_BITS": 8.0, "SAMPLES": 4.0, "SAMPLE_BUFFERS": 1.0, "MAX_VERTEX_TEXTURE_IMAGE_UNITS": units,
        "MAX_TEXTURE_IMAGE_UNITS": units, "IMPLEMENTATION_COLOR_READ_TYPE": 5121.0,
        "IMPLEMENTATION_COLOR_READ_FORMAT": 6408.0,
    }  # fmt: skip
    lists = {
        family: _extensions(family, column, version, backend, engine)
        for family in ("webgl_extension", "webgl2_extension")
    }
    found: Values = {**limits}
    for family, names in lists.items():
        found |= {f"{family}.{name}": there for name, there in names.items()}
    found |= {f"webgl_parameter.{name}": value for name, value in first.items()}
    if backend in _RECORDED:
        seen = recorded()[_RECORDED[backend]]
        found |= {name: float(value) for name, value in seen.items() if name.startswith("webgl2_parameter.")}
    else:
        found |= {f"webgl2_parameter.{name}": value for name, value in _second(limits, backend, first).items()}
    found |= _precision(backend, engine)
    there = [name for name, present in lists["webgl_extension"].items() if present]
    found["webgl.extensions_count"] = float(len(there))
    found["webgl.extensions"] = ",".join(there)
    found["webgl.parameters"] = ",".join(f"{name}={first[name]:.0f}" for name in _names("webgl_parameter"))
    return found


def _precision(backend: str, engine: str) -> dict[str, float]:
    """Direct3D, Metal and the drivers of desktops compute all in 32 bits and say so; the others say 16."""
    small = backend in _PHONE or (backend == "swiftshader" and engine == "chromium")
    if backend == "llvmpipe":
        seen = recorded()["firefox"]
        return {name: float(value) for name, value in seen.items() if name.startswith("webgl_precision.")}
    medium = (10.0, 15.0, 0.0, 14.0) if small else (23.0, 127.0, 0.0, 30.0)
    found: dict[str, float] = {}
    for stage in ("vertex", "fragment"):
        for level, row in (("medium", medium), ("high", (23.0, 127.0, 0.0, 30.0))):
            names = ("float", "float_range", "int", "int_range")
            found |= {f"webgl_precision.{stage}_{level}_{name}": value for name, value in zip(names, row, strict=True)}
    return found


_ADAPTERS = {  # vendor, architecture, buffer in MiB, features
    "nvidia": ("nvidia", "ampere", 2048, 17), "amd": ("amd", "rdna-2", 2048, 17), "intel": ("intel", "xe", 2048, 16),
    "apple": ("apple", "metal-3", 4096, 22), "qualcomm": ("qualcomm", "adreno-7xx", 256, 12),
    "arm": ("arm", "valhall", 256, 12), "imagination": ("imgtec", "", 256, 10),
    "samsung": ("samsung", "rdna-2", 256, 12),
}  # fmt: skip


@lru_cache(4096)
def adapter(renderer: str, has_gpu: bool, engine: str) -> Values:
    """Return ``webgpu.*``; nothing but ``supported`` where there is no adapter."""
    row = _ADAPTERS.get(gpu_family(renderer))
    if not has_gpu or row is None or is_virtual(renderer):
        return {"webgpu.supported": False}
    vendor, architecture, buffer, features = row
    found: Values = {
        "webgpu.supported": True, "webgpu.fallback": False, "webgpu.maxTextureDimension2D": 16384.0,
        "webgpu.maxBufferSize": buffer * 1048576.0, "webgpu.maxComputeWorkgroupSizeX": 1024.0,
        "webgpu.maxComputeInvocationsPerWorkgroup": 1024.0, "webgpu.maxBindGroups": 4.0,
        "webgpu.maxStorageBufferBindingSize": buffer * 1048576.0 - 4, "webgpu.features_count": float(features),
        "webgpu.vendor": vendor if engine == "chromium" else "", "webgpu.description": "",
        "webgpu.architecture": architecture if engine == "chromium" else "",
    }  # fmt: skip
    return found
