"""Groups of booleans that are counted together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from schemas.batches import U8, Bool
from schemas.catalogue import Catalogue

# Fonts that come with one system only; those that office programs bring along (Calibri, Cambria) are left out.
_FONTS: Mapping[str, tuple[str, ...]] = {
    "windows_fonts": (
        "fonts.segoe_ui", "fonts.consolas", "fonts.ms_gothic", "font.Bahnschrift", "font.HoloLens_MDL2_Assets",
        "font.Segoe_Fluent_Icons", "font.Segoe_UI_Emoji", "font.Segoe_UI_Variable", "font.Sitka_Text",
        "font.Malgun_Gothic", "font.Microsoft_YaHei", "font.Lucida_Console", "font.Marlett",
    ),
    "apple_fonts": (
        "fonts.helvetica_neue", "fonts.menlo", "fonts.geneva", "font.Chalkboard", "font.Galvji", "font.Lucida_Grande",
        "font.Monaco", "font.PingFang_SC", "font.Zapfino", "font.Arial_Hebrew", "font.Avenir",
    ),
    "linux_fonts": (
        "fonts.dejavu_sans", "fonts.liberation_sans", "fonts.ubuntu", "font.Cantarell", "font.DejaVu_Serif",
        "font.FreeSans", "font.Liberation_Mono", "font.Ubuntu_Mono",
    ),
}  # fmt: skip
# Members of navigator that one engine alone has (@mdn/browser-compat-data 8.1.9).
_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "gecko_members": ("navigator_member.oscpu", "navigator_member.buildID", "navigator_member.taintEnabled"),
    "chromium_members": (
        "navigator_member.webkitTemporaryStorage", "navigator_member.deviceMemory", "navigator_member.userAgentData",
        "navigator.has_user_agent_data",
    ),
}  # fmt: skip
# Formats of textures that phones have, and Direct3D has not.
_FORMATS: Mapping[str, tuple[str, ...]] = {
    "phone_formats": tuple(
        f"{family}.WEBGL_compressed_texture_{name}"
        for family in ("webgl_extension", "webgl2_extension")
        for name in ("astc", "etc", "pvrtc")
    ),
}
GROUPS = {**_FONTS, **_MEMBERS, **_FORMATS}


class Groups:
    """The groups as wire positions of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._columns = np.array([catalogue.boolean(member) for members in GROUPS.values() for member in members])
        self._starts = np.cumsum([0, *map(len, GROUPS.values())])[:-1]

    def count(self, booleans: Bool) -> dict[str, U8]:
        """Return how many members of each group are true, uint8[n] by group."""
        counts = np.add.reduceat(
            np.take(booleans, self._columns, axis=1).view(np.uint8), self._starts, axis=1, dtype=np.uint8
        )
        return dict(zip(GROUPS, counts.T, strict=True))
