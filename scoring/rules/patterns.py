"""Patterns of ``matches``: RE2, whose time is linear in the text, whatever the pattern is."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import re2

LONGEST_PATTERN: Final = 512
LONGEST_SUBJECT: Final = 4_096  # characters of a text that is looked at; a longer one is an error of the rule
_MEMORY: Final = 1 << 20  # bytes that one pattern may take


@lru_cache(4_096)
def pattern(text: str) -> Any:
    """Compile a pattern. ValueError, with RE2's reason, where it is none."""
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        raise ValueError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None
    except UnicodeEncodeError:
        raise ValueError("it is no Unicode text") from None
