"""How a case is written: changes to the honest event that fail a check, and others that come near and must not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Changes = Mapping[str, Any]
Case = tuple[Sequence[Changes], Sequence[Changes]]
METAL = "ANGLE (Apple, ANGLE Metal Renderer: Apple M2, Unspecified Version)"
SWIFTSHADER = "ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero) (0x0000C0DE)), SwiftShader driver)"


def agent(text: str, **more: Any) -> Changes:
    """Return another user agent, and signals by names without their family's dot."""
    return {"navigator.user_agent": text, **{name.replace("__", "."): value for name, value in more.items()}}


def marked(*names: str) -> Changes:
    """Return features that are there."""
    return dict.fromkeys(names, True)
