"""What page, worker and frame say alike: an honest browser contradicts nothing."""

from __future__ import annotations

from infra.traffic.engine import worker_maths
from infra.traffic.signals import Signals

# worker_page.* and frame_page.* by the page's own signal.
_WORKER = {
    "max_texture_size": "webgl.max_texture_size", "max_cube_map_texture_size": "webgl.max_cube_map_texture_size",
    "max_render_buffer_size": "webgl.max_render_buffer_size", "max_vertex_attribs": "webgl.max_vertex_attribs",
    "max_vertex_uniform_vectors": "webgl.max_vertex_uniform_vectors",
    "max_fragment_uniform_vectors": "webgl.max_fragment_uniform_vectors",
    "max_varying_vectors": "webgl.max_varying_vectors",
    "max_combined_texture_units": "webgl.max_combined_texture_units", "extensions_count": "webgl.extensions_count",
    "languages_count": "navigator.languages_count", "clock_resolution": "timing.resolution",
    "online": "navigator.online", "has_user_agent_data": "navigator.has_user_agent_data",
    "webgl_supported": "webgl.supported", "webgl2_supported": "webgl.supported_2",
    "secure_context": "page.secure_context", "languages": "navigator.languages", "locale": "intl.locale",
    "client_hints_platform": "client_hints.platform", "client_hints_brand": "client_hint.brands",
    "canvas_text": "canvas.text", "canvas_geometry": "canvas.geometry", "webgl_version": "webgl.version",
    "webgl_image": "webgl.image", "error_message": "error_message.null_property",
    "number_format": "intl.number_format", "connection_type": "navigator.connection_type",
}  # fmt: skip
_FRAME = {
    "screen_height": "screen.height", "color_depth": "screen.color_depth",
    "device_pixel_ratio": "screen.device_pixel_ratio", "device_memory": "navigator.device_memory",
    "max_touch_points": "navigator.max_touch_points", "languages_count": "navigator.languages_count",
    "plugins_count": "navigator.plugins_count", "timezone_offset": "intl.timezone_offset",
    "navigator_names_count": "count.navigator_prototype", "window_names_count": "count.window",
    "has_user_agent_data": "navigator.has_user_agent_data", "has_chrome": "window_member.chrome",
    "languages": "navigator.languages", "vendor": "navigator.vendor", "timezone": "intl.timezone",
    "locale": "intl.locale", "webgl_vendor": "webgl.vendor", "webgl_renderer": "webgl.renderer",
    "canvas_text": "canvas.text", "error_message": "error_message.null_property",
    "client_hints_platform": "client_hints.platform",
}  # fmt: skip
_PLACES = (
    *((f"worker_page.{name}", own) for name, own in _WORKER.items()),
    *((f"frame_page.{name}", own) for name, own in _FRAME.items()),
    *(
        (f"{place}.{name}", f"navigator.{name}")
        for place in ("worker", "frame")
        for name in ("user_agent", "platform", "language", "hardware_concurrency")
    ),
    ("worker.device_memory", "navigator.device_memory"), ("worker.timezone_offset", "intl.timezone_offset"),
    ("worker.timezone", "intl.timezone"), ("worker.webgl_vendor", "webgl.vendor"),
    ("worker.webgl_renderer", "webgl.renderer"), ("frame.screen_width", "screen.width"),
)  # fmt: skip


def copies(signals: Signals) -> Signals:
    """Return the signals of worker and frame of a browser that tells the same everywhere."""
    get = signals.get
    found: Signals = {name: get(own) for name, own in _PLACES}
    found["worker.supported"] = found["frame.supported"] = True
    found["frame_page.native_code_differs"] = found["frame_page.chrome_differs"] = False
    agent = str(signals["navigator.user_agent"])
    # Firefox leaves only the system in appVersion.
    system = agent.partition("(")[2].split(";", 1)[0].rstrip(")")
    gecko = "Firefox/" in agent
    found["worker_page.app_version"] = f"5.0 ({system})" if gecko else agent.removeprefix("Mozilla/")
    return found


def constant_copies(engine: str, version: float) -> Signals:
    """Return what the engine alone decides of them."""
    text = worker_maths(engine)
    names = {"chromium": 349 + (version - 156), "gecko": 249 + (version - 153) / 2, "webkit": 236.0}[engine]
    return {
        "worker_page.maths": text, "frame_page.maths": text, "worker_page.global_names_count": float(round(names)),
    }  # fmt: skip
