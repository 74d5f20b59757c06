"""What the system's look decides: colours, system fonts, installed fonts, and how wide and high texts and shapes are.

Linux's values are those recorded here. Widths of other systems are the advance widths of their default fonts (Arial,
Times New Roman, Courier New, Segoe UI, Helvetica, Roboto; in parts of the em) times the size.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from infra.traffic.engine import recorded
from schemas.catalogue import load_catalogue

Values = dict[str, Any]
_SIZE = 48  # px, of the agent's measuring text
# "mmMwWLliI0O&1" in em: Times, Arial, Courier, Comic Sans, Impact, Segoe UI, Helvetica Neue's system font, Roboto.
_EM = {
    "times": 8.111, "arial": 8.0, "courier": 7.8, "comic": 8.31, "impact": 7.42, "segoe": 7.94, "sf": 8.06,
    "roboto": 8.12, "dejavu": 8.8647, "dejavu_serif": 9.4853, "dejavu_mono": 7.8266, "papyrus": 8.02,
    "apple_chancery": 7.1,
    "droid_serif": 8.33, "droid_mono": 7.8, "dancing": 6.12, "emoji_segoe": 8.4, "emoji_apple": 8.9,
}  # fmt: skip
_FAMILIES = (
    "serif", "sans-serif", "monospace", "cursive", "fantasy", "system-ui", "emoji", "ui-serif", "ui-sans-serif",
    "ui-monospace", "ui-rounded",
)  # fmt: skip
_FONTS_OF = {
    "windows": ("times", "arial", "courier", "comic", "impact", "segoe", "emoji_segoe"),
    "macos": ("times", "arial", "courier", "apple_chancery", "papyrus", "sf", "emoji_apple"),
    "ios": ("times", "arial", "courier", "apple_chancery", "papyrus", "sf", "emoji_apple"),
    "android": ("droid_serif", "roboto", "droid_mono", "dancing", "droid_serif", "roboto", "droid_serif"),
    "chromeos": ("times", "arial", "courier", "arial", "arial", "roboto", "times"),
}
# actualBoundingBox ascent and descent, fontBoundingBox ascent and descent, width of the metric text, in px at 48
_METRICS = {
    "windows": (41.0, 12.0, 43.0, 10.0, 418.3), "macos": (43.0, 13.0, 36.0, 12.0, 436.7),
    "ios": (43.0, 13.0, 36.0, 12.0, 436.7), "android": (44.0, 12.0, 45.0, 12.0, 441.2),
    "chromeos": (43.0, 11.0, 43.0, 10.0, 429.9),
}  # fmt: skip
# inline text width and height, emoji width and height, SVG text width, height and length
_TEXTS = {
    "windows": (139.6, 19.0, 86.9, 42.0, 98.4, 18.0, 97.7), "macos": (140.1, 20.0, 79.3, 37.0, 99.1, 18.0, 98.3),
    "ios": (140.1, 20.0, 79.3, 36.0, 99.1, 18.0, 98.3), "android": (144.9, 20.0, 78.8, 37.0, 101.5, 19.0, 100.9),
    "chromeos": (139.6, 20.0, 79.0, 37.0, 98.4, 18.0, 97.7),
}  # fmt: skip
_RECORDED = {"chromium": "chromium", "gecko": "firefox", "webkit": "chromium"}
_LAYOUT = ("font_width", "text_metric", "rectangle")


@lru_cache(256)
def layout(engine: str, system: str) -> Values:
    """Return ``font_width.*``, ``text_metric.*`` and ``rectangle.*``."""
    seen = recorded()[_RECORDED[engine]]
    found = {name: float(value) for name, value in seen.items() if name.partition(".")[0] in _LAYOUT}
    if system == "linux":
        return found
    fonts = _FONTS_OF[system]
    plain = fonts[0] if engine == "gecko" else fonts[1]
    apple_ui = engine == "webkit" or system in ("macos", "ios")
    named = dict(zip(_FAMILIES, fonts, strict=False))
    named |= {"emoji": named["emoji"] if engine == "chromium" else fonts[0]}
    named |= dict.fromkeys(_FAMILIES[7:], fonts[5] if apple_ui else plain)
    found |= {f"font_width.{family}": round(_EM[font] * _SIZE, 4) for family, font in named.items()}
    ascent, descent, high, low, width = _METRICS[system]
    found |= {
        "text_metric.actualBoundingBoxAscent": ascent, "text_metric.actualBoundingBoxDescent": descent,
        "text_metric.fontBoundingBoxAscent": high, "text_metric.fontBoundingBoxDescent": low,
        "text_metric.width": width, "text_metric.actualBoundingBoxRight": width - 2,
        "text_metric.hangingBaseline": high * (0.8 if engine == "chromium" else 0.6667),
        "text_metric.ideographicBaseline": -low,
    }  # fmt: skip
    inline, tall, emoji, emoji_high, wide, high, length = _TEXTS[system]
    return found | {
        "rectangle.inline_width": inline, "rectangle.inline_height": tall, "rectangle.range_width": inline,
        "rectangle.range_height": tall, "rectangle.emoji_width": emoji, "rectangle.emoji_height": emoji_high,
        "rectangle.svg_width": wide, "rectangle.svg_height": high, "rectangle.svg_text_length": length,
    }  # fmt: skip


_HIGHLIGHT = {
    "windows": "rgb(0, 120, 215)", "macos": "rgba(128, 188, 254, 0.6)", "android": "rgba(140, 140, 140, 0.8)",
    "chromeos": "rgba(0, 65, 198, 0.8)", "ios": "rgba(0, 122, 255, 0.2)",
}  # fmt: skip
_WEBKIT_COLORS = {
    "AccentColor": "rgb(0, 122, 255)", "AccentColorText": "rgb(255, 255, 255)", "ButtonBorder": "rgb(204, 204, 204)",
    "ButtonFace": "rgb(255, 255, 255)", "ButtonText": "rgba(0, 0, 0, 0.847)", "GrayText": "rgba(0, 0, 0, 0.247)",
    "SelectedItem": "rgb(0, 99, 225)", "InfoBackground": "rgb(251, 252, 197)",
}  # fmt: skip
_SYSTEM_FONT = {
    ("chromium", "windows"): 'normal 400 12px "Segoe UI"', ("chromium", "macos"): "normal 400 11px system-ui",
    ("chromium", "android"): "normal 400 16px Roboto", ("chromium", "chromeos"): "normal 400 13px Roboto",
    ("gecko", "windows"): 'normal 400 12px "Segoe UI"', ("gecko", "macos"): "normal 400 13px -apple-system",
    ("gecko", "android"): "normal 400 12px Roboto", ("webkit", "macos"): "normal 400 13px -apple-system",
    ("webkit", "ios"): "normal 400 17px -apple-system",
}  # fmt: skip


@lru_cache(256)
def colors(engine: str, system: str) -> Values:
    """Return ``system_color.*`` and ``system_font.*``."""
    seen = recorded()[_RECORDED[engine]]
    families = ("system_color", "system_font")
    found = {name: value for name, value in seen.items() if name.partition(".")[0] in families}
    if system == "linux":
        return found
    if engine == "webkit":
        found |= {f"system_color.{name}": color for name, color in _WEBKIT_COLORS.items()}
    found["system_color.Highlight"] = _HIGHLIGHT[system]
    if engine != "chromium":
        found["system_color.SelectedItem"] = _HIGHLIGHT[system]
    if engine == "gecko" and system == "windows":
        found |= {"system_color.ButtonFace": "rgb(240, 240, 240)", "system_color.InfoBackground": "rgb(255, 255, 225)"}
    font = _SYSTEM_FONT[engine, system]
    return found | {name: font for name in found if name.startswith("system_font.")}


# Which of the catalogue's fonts come with a system, beside those of catalogue 1; "own" are those that people add.
_INSTALLED = {
    "windows": "Arial_Black Bahnschrift Constantia Corbel HoloLens_MDL2_Assets Impact Lucida_Console Malgun_Gothic"
    " Marlett Microsoft_YaHei Segoe_UI_Emoji Sitka_Text Tahoma Times_New_Roman Trebuchet_MS Verdana Yu_Gothic",
    "macos": "Arial_Black Arial_Hebrew Arial_Rounded_MT_Bold Avenir Chalkboard Charter Galvji Gill_Sans Impact"
    " Lucida_Grande Monaco Optima Palatino PingFang_SC Rockwell Tahoma Times_New_Roman Trebuchet_MS Verdana Zapfino",
    "ios": "Arial_Hebrew Arial_Rounded_MT_Bold Avenir Charter Galvji Gill_Sans Optima Palatino PingFang_SC Rockwell"
    " Times_New_Roman Trebuchet_MS Verdana Zapfino",
    "linux": "DejaVu_Serif",
    "chromeos": "Noto_Sans Noto_Serif Times_New_Roman Tahoma Verdana Carlito Liberation_Mono",
    "android": "Noto_Serif",
}
_NEWER = {"windows": "Segoe_Fluent_Icons Segoe_UI_Variable"}  # Windows 11
_OFFICE = "Agency_FB Century_Gothic Rockwell"  # comes with what people install
_DESKTOP_LINUX = "Cantarell Carlito FreeSans Liberation_Mono Noto_Sans Noto_Serif Ubuntu_Mono Droid_Sans"


@lru_cache(512)
def more_fonts(system: str, newer: bool, office: bool, extra: tuple[str, ...]) -> dict[str, bool]:
    """Return ``font.*``: of the system, of its newer version, of an office suite, and those the population lists."""
    there = set(_INSTALLED[system].split()) | {name.replace(" ", "_") for name in extra}
    if newer:
        there |= set(_NEWER.get(system, "").split())
    if office and system in ("windows", "macos"):
        there |= set(_OFFICE.split())
    if office and system == "linux":
        there |= set(_DESKTOP_LINUX.split())
    names = [s.name for s in load_catalogue().booleans if s.family == "font"]
    return {name: name.partition(".")[2] in there for name in names}
