"""The one type that the traffic's parts hand to each other: signals by their full names, None where absent."""

from __future__ import annotations

Signals = dict[str, float | bool | str | None]
