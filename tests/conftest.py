"""Fixtures that all tests share."""

from __future__ import annotations

from tests.stack_fixture import namespace, stack

__all__ = ["namespace", "stack"]
