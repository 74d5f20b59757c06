"""Cases of the checks of screen, graphics, canvas and sound."""

from __future__ import annotations

from collections.abc import Mapping

from tests.normalize.agents import FIREFOX, IPAD, IPHONE, MAC, PIXEL, TABLET
from tests.normalize.changes import METAL, SWIFTSHADER, Case, agent, marked
from tests.wire import RENDERER

SCREEN: Mapping[str, Case] = {
    "window_exceeds_screen": (
        [{"screen.outer_width": 2600}, {"screen.outer_height": 1200}],
        [
            {"screen.outer_width": 1984, "screen.outer_height": 1144},
            {"screen.outer_width": 2600, "screen.is_extended": True},
            agent(IPHONE, screen__width=393, screen__height=852, screen__outer_width=852),
        ],
    ),
    "available_exceeds_screen": (
        [{"screen.avail_width": 1922}, {"screen.avail_height": 1082}],
        [{"screen.avail_width": 1921, "screen.avail_height": 1081}, {"screen.avail_width": None}],
    ),
    "touch_contradicts_device": (
        [agent(PIXEL), agent(TABLET), agent(PIXEL, navigator__max_touch_points=5, window_member__ontouchstart=False)],
        [
            agent(PIXEL, navigator__max_touch_points=5), {"navigator.max_touch_points": 10},
            {"window_member.ontouchstart": False},
        ],
    ),
    "pointer_contradicts_device": (
        [
            agent(PIXEL, css__any_pointer_coarse=False),
            {"css.any_pointer_coarse": False, "css.any_pointer_fine": False},
        ],
        [
            agent(PIXEL, css__any_pointer_coarse=True), {"css.any_pointer_coarse": False},
            {"css.any_pointer_fine": False},
            {"css.any_pointer_coarse": False, "css.any_pointer_fine": True},
        ],
    ),
    "media_queries_contradict_each_other": (
        [
            {"media_query.prefers-color-scheme_light": True, "media_query.prefers-color-scheme_dark": True},
            {"media_query.prefers-color-scheme_light": False, "media_query.prefers-color-scheme_dark": False},
            {"media_query.orientation_portrait": False, "media_query.orientation_landscape": False},
            marked("css.pointer_fine", "css.pointer_coarse"), {"css.hover": True, "css.any_hover": False},
            {"css.pointer_fine": True, "css.any_pointer_fine": False}, {"css.gamut_p3": True, "css.gamut_srgb": False},
            {"css.pointer_coarse": True, "css.any_pointer_coarse": False},
            {"css.gamut_rec2020": True, "css.gamut_p3": False},
        ],
        [
            {"media_query.prefers-color-scheme_light": True, "media_query.prefers-color-scheme_dark": False},
            {"media_query.prefers-color-scheme_light": True}, {"css.hover": True}, {"css.any_hover": False},
            marked("css.pointer_fine", "css.any_pointer_fine", "css.any_pointer_coarse", "css.gamut_srgb"),
        ],
    ),
    "screen_contradicts_itself": (
        [
            {"screen.color_depth": 24, "screen.pixel_depth": 32},
            {"media_query.orientation_landscape": False}, {"screen.orientation_landscape": False},
            {"screen.inner_width": 400, "media_query.orientation_portrait": False},
            agent(PIXEL, screen__width=412, screen__height=915, screen__orientation_landscape=True),
        ],
        [
            {"screen.color_depth": 24, "screen.pixel_depth": 24}, {"screen.color_depth": 24},
            {"media_query.orientation_landscape": True, "screen.orientation_landscape": True},
            {"screen.inner_width": 900, "screen.inner_height": 880, "media_query.orientation_landscape": False},
            agent(IPHONE, screen__width=393, screen__height=852, screen__orientation_landscape=True),
            {"screen.inner_width": 0, "screen.inner_height": 0, "media_query.orientation_landscape": False},
        ],
    ),
    "screen_contradicts_device": (
        [
            agent(PIXEL), agent(IPHONE, screen__device_pixel_ratio=3), agent(
                IPHONE, screen__width=393, screen__height=852, screen__device_pixel_ratio=2.625
            ),
        ],
        [
            agent(PIXEL, screen__width=915, screen__height=412, screen__device_pixel_ratio=2.625), agent(TABLET),
            agent(IPHONE, screen__width=393, screen__height=852, screen__device_pixel_ratio=3),
            agent(IPAD, screen__width=1024, screen__height=1366, screen__device_pixel_ratio=2),
        ],
    ),
}  # fmt: skip

_ANDROID_GPU = {"webgl.unmasked_renderer": "Adreno (TM) 740", "webgl.unmasked_vendor": "Qualcomm"}

GRAPHICS: Mapping[str, Case] = {
    "gpu_contradicts_system": (
        [
            {"webgl.unmasked_renderer": "Apple M2"}, {"webgl.unmasked_renderer": METAL}, agent(PIXEL),
            agent(IPHONE, webgl__unmasked_renderer="Adreno (TM) 740"),
            agent(PIXEL, webgl__unmasked_renderer="Apple GPU"),
        ],
        [
            {"webgl.unmasked_renderer": None}, {"webgl.unmasked_renderer": SWIFTSHADER},
            {**agent(PIXEL), **_ANDROID_GPU}, agent(MAC, webgl__unmasked_renderer=METAL),
            agent(FIREFOX, webgl__unmasked_renderer="D3D12 (NVIDIA GeForce RTX 3060), or similar"),
        ],
    ),
    "gpu_vendor_contradicts_renderer": (
        [{"webgl.unmasked_vendor": "Google Inc. (Intel)"}, {"webgl.unmasked_vendor": "ARM"}],
        [
            {"webgl.unmasked_vendor": "Google Inc."}, {"webgl.unmasked_vendor": None}, _ANDROID_GPU,
            {"webgl.unmasked_renderer": "llvmpipe (LLVM 15)"}, {"webgl.unmasked_renderer": "Never seen"},
            {"webgl.unmasked_vendor": "AMD", "webgl.unmasked_renderer": "ANGLE (Samsung Xclipse 940)"},
            {"webgl.unmasked_vendor": "ARM", "webgl.unmasked_renderer": "Mali-G715"},
        ],
    ),
    "architecture_contradicts_gpu": (
        [
            agent(MAC, webgl__unmasked_renderer=METAL, client_hints__architecture="x86"),
            agent(MAC, client_hints__architecture="arm"),
        ],
        [
            agent(MAC, webgl__unmasked_renderer=METAL, client_hints__architecture="arm"),
            agent(MAC, client_hints__architecture="x86"), {"client_hints.architecture": "arm"},
            agent(MAC, webgl__unmasked_renderer=SWIFTSHADER, client_hints__architecture="arm"),
        ],
    ),
    "webgl_contradicts_engine": (
        [
            {"webgl.unmasked_renderer": "Apple GPU"}, {"webgl.unmasked_renderer": RENDERER + ", or similar"},
            {"webgl.version": "WebGL 1.0"}, agent(FIREFOX, webgl__version="WebGL 1.0 (OpenGL ES 2.0 Chromium)"),
            agent(IPHONE),
        ],
        [
            {"webgl.version": "WebGL 1.0 (OpenGL ES 2.0 Chromium)"}, {"webgl.version": None},
            agent(FIREFOX, webgl__version="WebGL 1.0", webgl__unmasked_renderer="Radeon R9 200 Series, or similar"),
            agent(IPHONE, webgl__version="WebGL 1.0", webgl__unmasked_renderer="Apple GPU"),
            agent("curl", webgl__unmasked_renderer="Apple GPU"),
        ],
    ),
    "webgl_limits_impossible": (
        [
            {"webgl.max_texture_size": 16000}, {"webgl.max_texture_size": 512}, {"webgl.max_viewport_width": 100},
            {"webgl.max_texture_size": 0},
        ],
        [{"webgl.max_texture_size": None, "webgl.max_viewport_width": 0}, {"webgl.max_texture_size": 8192}],
    ),
    "webgl_limits_contradict_driver": (
        [
            {"webgl.max_texture_size": 8192}, {"webgl.max_viewport_width": 8192},
            {"webgl.unmasked_renderer": SWIFTSHADER},
        ],
        [
            {"webgl.unmasked_renderer": SWIFTSHADER, "webgl.max_texture_size": 8192}, {"webgl.max_texture_size": None},
            {"webgl.unmasked_renderer": "ANGLE (Intel, Intel(R) HD Graphics Direct3D11 vs_4_0 ps_4_0)",
             "webgl.max_texture_size": 8192},
            {"webgl.unmasked_renderer": "Mali-G78", "webgl.max_texture_size": 8192},
        ],
    ),
    "webgl_extensions_contradict_driver": (
        [
            marked("webgl_extension.WEBGL_compressed_texture_astc"),
            marked("webgl2_extension.WEBGL_compressed_texture_etc"),
            {"webgl_extension.WEBGL_compressed_texture_s3tc": False},
            {**_ANDROID_GPU, "webgl_extension.WEBGL_compressed_texture_pvrtc": True},
        ],
        [
            marked("webgl_extension.WEBGL_compressed_texture_s3tc"),
            {**_ANDROID_GPU, "webgl_extension.WEBGL_compressed_texture_astc": True},
            {"webgl.unmasked_renderer": "Apple GPU", "webgl_extension.WEBGL_compressed_texture_pvrtc": True},
        ],
    ),
    "webgl_copies_differ": (
        [
            {"webgl_parameter.MAX_TEXTURE_SIZE": 8192},
            {"webgl2_parameter.MAX_TEXTURE_SIZE": 8192, "webgl_parameter.MAX_TEXTURE_SIZE": 16384},
        ],
        [
            {"webgl2_parameter.MAX_TEXTURE_SIZE": 16384, "webgl_parameter.MAX_TEXTURE_SIZE": 16384},
            {"webgl2_parameter.MAX_TEXTURE_SIZE": 8192},
        ],
    ),
    "webgpu_contradicts_webgl": (
        [{"webgpu.vendor": "apple"}, {"webgpu.vendor": "qualcomm"}, {**_ANDROID_GPU, "webgpu.vendor": "nvidia"}],
        [
            {"webgpu.vendor": "nvidia"}, {"webgpu.vendor": "intel"}, {"webgpu.vendor": "never seen"},
            {**_ANDROID_GPU, "webgpu.vendor": "qualcomm"},
            {"webgl.unmasked_renderer": SWIFTSHADER, "webgpu.vendor": "apple"},
        ],
    ),
}  # fmt: skip

RENDERING: Mapping[str, Case] = {
    "canvas_readback_failed": ([{"canvas.readback_errors": 1}], [{"canvas.readback_errors": None}]),
    "canvas_unstable": ([{"canvas.pixel_differences": 3}], [{"canvas.pixel_differences": None}]),
    "canvas_constant": (
        [
            {"canvas.text": "aa", "canvas.geometry": "aa"}, {"canvas.text": "aa", "canvas.emoji": "aa"},
            {"canvas.geometry": "aa", "canvas.emoji": "aa"}, {"canvas.geometry": "ee2f51c5"},
            {"canvas.text": "d13aaac5"}, {"canvas.text": "data:,"},
        ],
        [{"canvas.text": "aa", "canvas.geometry": "bb", "canvas.emoji": "cc"}, {}],
    ),
    "audio_unstable": ([{"audio.noise": 0.001}], [{"audio.noise": None}]),
    "audio_impossible": (
        [{"audio.sample_sum": 0}, {"sound.analyser_fft_size": 1024}, {"sound.compressor_attack": 0.004}],
        [
            {"audio.sample_sum": 124.0434777}, {"audio.sample_sum": 99},
            {"sound.analyser_fft_size": 2048, "sound.compressor_attack": 0.003000000026077032},
        ],
    ),
    "audio_contradicts_engine": (
        [{"audio.sample_sum": 35.7499721}, agent(FIREFOX, audio__sample_sum=124.0434777)],
        [
            {"audio.sample_sum": 124.0434777}, agent(FIREFOX, audio__sample_sum=35.7499721), {"audio.sample_sum": 99},
            agent("curl", audio__sample_sum=35.7499721),
        ],
    ),
}  # fmt: skip
