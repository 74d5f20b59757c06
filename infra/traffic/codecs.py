"""What a browser plays, records and would offer in a call: by engine, system and version. Shared dictionaries.

Chromium and Firefox on Linux as recorded; other systems by their licences and decoders (H.264 and AAC come with
Windows, macOS and phones, HEVC with most graphics cards); WebKit's by Apple's documentation of media formats.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from infra.traffic.engine import recorded
from schemas.catalogue import load_catalogue

Values = dict[str, Any]
_OLD_NAMES = {
    "h264": "h264_baseline", "hevc": "hevc_main", "av1": "av1_main", "vp8": "vp8", "vp9": "vp9", "theora": "theora",
    "aac": "aac_lc", "mp3": "mp3", "opus": "opus", "vorbis": "vorbis", "flac": "flac", "wav": "wav",
}  # fmt: skip
_OPEN = {"av1_main", "av1_10bit", "vp8", "vp9", "vp9_profile2", "mp3", "opus", "opus_mp4", "flac", "flac_mp4", "wav"}
_H264, _HEVC, _AAC = {"h264_baseline", "h264_high"}, {"hevc_main", "hevc_main10"}, {"aac_lc", "aac_he"}
_HEVC_SINCE = {("chromium", "windows"): 107, ("chromium", "macos"): 107, ("chromium", "android"): 107,
               ("gecko", "windows"): 134, ("gecko", "macos"): 136, ("gecko", "android"): 137}  # fmt: skip
_NOT_SOURCES = {"flac", "theora", "vorbis", "alac", "wav", "matroska", "hls", "three_gpp", "quicktime", "amr"}


def _members(family: str) -> tuple[str, ...]:
    return tuple(s.name.partition(".")[2] for s in load_catalogue().booleans if s.family == family)


def _plays(engine: str, system: str, version: float, h264: bool, ogg: bool, aac: bool) -> set[str]:
    if engine == "webkit":
        found = _OPEN - {"av1_main", "av1_10bit"} | _H264 | _HEVC | _AAC
        found |= {"dolby_vision", "alac", "ac3", "eac3", "hls", "three_gpp", "quicktime", "amr"}
        return found | ({"vorbis"} if version >= 18.4 else set())
    found = _OPEN | {"vorbis"} | (_H264 if h264 else set()) | (_AAC if aac else set())
    found |= {"theora"} if ogg else set()
    if h264 and version >= _HEVC_SINCE.get((engine, system), 1e9):
        found |= _HEVC
    if engine == "gecko":
        return found | {"quicktime"} | ({"hls"} if system == "android" else set())
    if system == "android" or version >= 142:
        found.add("hls")
    return found | ({"matroska"} if h264 else set()) | ({"ac3", "eac3"} if system == "chromeos" else set())


def _records(engine: str, system: str, version: float, plays: set[str]) -> set[str]:
    if engine == "gecko":
        return {"vp8", "opus"}
    if engine == "webkit":
        return {"h264_baseline", "aac_lc"} | ({"vp8", "vp9", "opus"} if version >= 18.4 else set())
    found = {"vp8", "vp9", "opus", "opus_mp4", "matroska"}
    if version >= 126:
        found |= plays & {"h264_baseline", "av1_main"}
    return found | ({"aac_lc"} if system in ("windows", "macos") and version >= 126 else set())


@lru_cache(512)
def codecs(browser: str, engine: str, system: str, version: float, h264: bool, ogg: bool, aac: bool) -> Values:
    """Return ``can_play.*``, ``media_source.*``, ``recorder.*``, ``rtc.*`` and the codecs of ``media.*``."""
    plays = _plays(engine, system, version, h264, ogg, aac)
    sources = plays - _NOT_SOURCES - ({"mp3"} if engine == "gecko" else set())
    records = _records(engine, system, version, plays)
    found: Values = {}
    for family, there in (("can_play", plays), ("media_source", sources), ("recorder", records)):
        found |= {f"{family}.{name}": name in there for name in _members(family)}
    found |= {f"media.codec_{old}": name in plays for old, name in _OLD_NAMES.items()}
    found |= {"media.webrtc": True} | _offers(engine, system, version, h264)
    if engine == "chromium" and browser != "brave":
        found["media.drm_widevine"] = True
    return found


_MORE_VIDEO = {
    ("chromium", "windows"): 4, ("chromium", "macos"): 4, ("chromium", "android"): -2, ("gecko", "windows"): 4,
    ("gecko", "macos"): 4, ("gecko", "linux"): 4, ("gecko", "android"): 2,
}  # fmt: skip


def _offers(engine: str, system: str, version: float, h264: bool) -> Values:
    """Return ``rtc.*``: the recorded offer, with as many profiles more as the system's encoder has."""
    seen = recorded()["firefox" if engine == "gecko" else "chromium"]
    found = {name: value for name, value in seen.items() if name.startswith("rtc.")}
    found = {name: float(value) if name.endswith("_count") else value for name, value in found.items()}
    if engine == "webkit":
        found |= {"rtc.audio_codecs_count": 6.0, "rtc.video_codecs_count": 14.0, "rtc.video_extensions_count": 10.0}
        return found | {
            name: f"{found[name]} webkit {version:.0f}" for name in ("rtc.audio_codecs", "rtc.video_codecs")
        }
    more = _MORE_VIDEO.get((engine, system), 0) if h264 else 0
    if engine == "chromium" and version < 136:
        more = min(more, 0)  # H.265 was not offered
    if more:
        found["rtc.video_codecs"] += f",{system} {more}"
        found["rtc.video_codecs_count"] += more
    return found
