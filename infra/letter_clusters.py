"""Clusters of alike failures: the same reason, stage and detail with numbers and ids masked.

An ``internal.bug`` also says where in the code it happened (``stack 1a2b3c4d``): another place is another cluster. SQL
and Python give the same, so that a letter's cluster can be named without a search.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

MARK = "#"
# UUIDs, hexadecimal numbers, ids of at least eight hexadecimal digits, and plain numbers with what may follow a point.
MASK = (
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\b0x[0-9a-fA-F]+\b|\b[0-9a-fA-F]{8,}\b"
    r"|\b[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\b"
)
STACK = r"\bstack ([0-9a-f]{8,16})\b"
CLUSTER_DIGITS = 10

CLUSTER_PARAMETERS: Mapping[str, str] = {"mask": MASK, "mark": MARK, "stack": STACK, "between": "\0"}
PATTERN_SQL = "replaceRegexpAll(detail, %(mask)s, %(mark)s)"
STACK_SQL = "extract(detail, %(stack)s)"
CLUSTER_SQL = (
    "substring(lower(hex(SHA256(concat(toString(reason), %(between)s, toString(stage), %(between)s, pattern,"
    f" %(between)s, stack)))), 1, {CLUSTER_DIGITS})"
)
_MASK, _STACK = re.compile(MASK, re.ASCII), re.compile(STACK, re.ASCII)


class Cluster(NamedTuple):
    """What alike failures share."""

    reason: str
    stage: str
    pattern: str  # the detail with numbers and ids masked
    stack: str = ""

    @property
    def id(self) -> str:
        """Return the cluster's name: ten hexadecimal digits."""
        facts = "\0".join(self).encode("utf-8", "surrogatepass")  # text of a bug may be any that Python holds
        return hashlib.sha256(facts).hexdigest()[:CLUSTER_DIGITS]

    @property
    def shown(self) -> str:
        """Return the detail as people read it, with the place in the code."""
        return self.pattern.replace(f"stack {MARK}", f"stack {self.stack}", 1) if self.stack else self.pattern


@lru_cache(4_096)
def cluster_of(reason: str, stage: str, detail: str) -> Cluster:
    """Return a letter's cluster."""
    stack = _STACK.search(detail)
    return Cluster(reason, stage, _MASK.sub(MARK, detail), stack[1] if stack else "")
