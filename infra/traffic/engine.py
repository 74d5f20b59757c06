"""What an engine gives on every machine: words of its errors, Math, sound nodes, texts of a locale, and constants.

Chromium's and Firefox's are those that were recorded (``data/recorded.json``); WebKit's come from its sources
(JavaScriptCore/runtime, bytecode/BytecodeDumper) and from fingerprintjs's documented values. Not to be changed by
callers: the dictionaries are shared.
"""

from __future__ import annotations

import json
from functools import cache, lru_cache
from importlib import resources
from typing import Any

Values = dict[str, Any]
_RECORDED = {"chromium": "chromium", "gecko": "firefox", "webkit": "firefox"}
_TRAITS = ("maths", "maths_exact", "error_message")
_WEBKIT_MATHS = {
    "maths.cosh": "11013.232920103323", "maths.expm1": "1.718281828459045", "maths_exact.cosh_10": "11013.232920103323",
    "maths_exact.cbrt_100": "4.641588833612778", "maths_exact.tanh_0.123": "0.12238344189440876",
}  # fmt: skip
_WEBKIT_ERRORS = {
    "null_property": "null is not an object (evaluating 'null.missing')",
    "undefined_call": "({}).missing is not a function. (In '({}).missing()', '({}).missing' is undefined)",
    "json_parse": "JSON Parse error: Expected '}'",
    "invalid_date": "Invalid Date",
    "invalid_regexp": "Invalid regular expression: missing )",
    "array_length": "Array size is not a small enough positive integer.",
    "big_int_mix": "Invalid mix of BigInt and other type in addition.",
    "stack_overflow": "Maximum call stack size exceeded.",
    "invalid_base64": "The string contains invalid characters.",
    "constant_assigned": "Attempting to change value of a readonly property.",
    "symbol_constructed": "function is not a constructor (evaluating 'new Symbol()')",
    "dom_hierarchy": "The operation would yield an incorrect node tree.",
    "number_precision": "toFixed() argument must be between 0 and 100",
    "not_iterable": "undefined is not a function",
}
_OLD_JSON_ERROR = "Unexpected token b in JSON at position 1"  # V8 says more since 11.4
_SOUND = {
    "analyser_fft_size": 2048.0, "analyser_min_decibels": -100.0, "analyser_max_decibels": -30.0,
    "compressor_reduction": 0.0, "compressor_attack": 0.003000000026077032, "compressor_release": 0.25,
    "compressor_threshold": -24.0, "compressor_knee": 30.0, "compressor_ratio": 12.0,
    "oscillator_max_frequency": 22050.0, "channel_interpretation": "speakers",
}  # fmt: skip
_SUMS = {  # biquad, triangle
    "chromium": (17.197585510411045, 258.09813590871636),
    "gecko": (21.212473219544336, 318.3534037351492),
    "webkit": (17.197586, 258.098136),
}


@cache
def recorded() -> dict[str, Values]:
    """Return what was recorded: by browser (chromium, firefox) the signals by their full names."""
    text = resources.files("infra.traffic").joinpath("data", "recorded.json").read_text("utf-8")
    return {
        browser: {f"{family}.{name}": value for family, row in entry["signals"].items() for name, value in row.items()}
        for browser, entry in json.loads(text).items()
    }


@cache
def _locales() -> dict[str, dict[str, Values]]:
    text = resources.files("infra.traffic").joinpath("data", "locales.json").read_text("utf-8")
    found: dict[str, dict[str, Values]] = json.loads(text)
    return found


@lru_cache(512)
def engine_traits(engine: str, version: float, arch: str) -> Values:
    """Return Math's results, the words of errors, and the audio nodes' properties."""
    seen = recorded()[_RECORDED[engine]]
    found = {name: value for name, value in seen.items() if name.partition(".")[0] in _TRAITS}
    if engine == "webkit":
        found |= {f"error_message.{name}": text for name, text in _WEBKIT_ERRORS.items()} | _WEBKIT_MATHS
    if engine == "chromium" and version < 114:
        found["error_message.json_parse"] = _OLD_JSON_ERROR
    found |= {f"sound.{name}": value for name, value in _SOUND.items()}
    biquad, triangle = _SUMS[engine]
    # The last digits are the processor's: sums of some thousand floats in another order.
    shift = 1.0 if arch == "x86" else 1.0 + 1e-7
    found |= {"sound.biquad_sum": biquad * shift, "sound.triangle_sum": triangle * shift}
    if engine != "gecko":
        found["sound.listener_forward_z"] = -1.0
    return found


@lru_cache(512)
def worker_maths(engine: str) -> str:
    """Return all results of Math as one text, the same in page, worker and frame."""
    text = str(recorded()[_RECORDED[engine]]["worker_page.maths"])
    return text + "webkit" if engine == "webkit" else text


@lru_cache(512)
def locale_texts(locale: str, engine: str, hour_cycle: str, zone: str) -> Values:
    """Return ``intl_option.*`` and the ``intl.*`` categories of a locale."""
    row = _locales()[locale]
    texts = row["chromium"] | (row["gecko"] if engine == "gecko" else {})
    own = {"calendar", "numbering_system", "number_format", "date_format"}
    found = {f"intl_option.{name}": text for name, text in texts.items() if name not in own}
    found |= {f"intl.{name}": texts[name] for name in own}
    cycle = texts["date_hour_cycle"] or hour_cycle
    return found | {"intl.hour_cycle": cycle, "intl_option.date_time_zone": zone, "intl.locale": texts["date_locale"]}
