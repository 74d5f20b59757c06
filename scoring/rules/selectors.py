"""Selectors: which value of an event a rule looks at.

A plain path (``.a.b``, ``.a[0]``, ``."odd name"``, ``.a["x"]``) is walked in Python; anything else runs in jq 1.8
(the ``jq`` package), compiled once. Both give the same, except that jq reads whole numbers beyond 2**53 as doubles.

**Bounds.** Selectors are read by ``selector_grammar`` first: what could take long, grow or see anything besides the
event is refused then. jq is given events of at most ``LARGEST`` bytes, and no selector may be more than ``MOST_STEPS``
steps for any such event, by ``selector_work``. So the time is bounded without a clock, and an event is always judged
alike.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import jq
import msgspec

from scoring.rules import selector_work as work
from scoring.rules.selector_grammar import parse
from scoring.rules.selector_tokens import Fault, Refused

LARGEST: Final = 16 << 10  # bytes of an event as JSON that jq is given
MOST_STEPS: Final = 32 * LARGEST  # looking at the whole event 32 times; at most 0.1 s of jq, as was measured
_KEPT: Final = 4_096  # compiled selectors
_UNFIT: Final = Fault("what the event has there does not fit this selector")
_TOO_LARGE: Final = Fault(f"the event is larger than {LARGEST >> 10} KiB; only plain paths can be read of it")
_SEVERAL: Final = Fault("this gives several values; gather them with [...], or take first(...)")


class Document:
    """An event, and its text for jq, made once if at all."""

    __slots__ = ("_text", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self._text: str | Fault | None = None

    def text(self) -> str | Fault:
        """Return it as JSON, or why it cannot be given to jq."""
        if self._text is None:
            try:
                encoded = msgspec.json.encode(self.value)
                self._text = encoded.decode() if len(encoded) <= LARGEST else _TOO_LARGE
            except (TypeError, ValueError, RecursionError):
                self._text = Fault("the event cannot be written as JSON")
        return self._text


Read = Callable[[Document], Any]


class Selector:
    """A compiled selector. Called with an event, it gives a value of JSON, None where there is none, or a ``Fault``."""

    __slots__ = ("path", "read", "text")

    def __init__(self, text: str, path: tuple[tuple[str | int, int], ...] | None, read: Read) -> None:
        self.text = text
        self.path = path  # where it is a plain one
        self.read = read

    def __call__(self, document: Document) -> Any:
        """Read an event."""
        return self.read(document)


@lru_cache(_KEPT)
def compiled(text: str) -> Selector | Fault:
    """Compile a selector, or say what is wrong with it and where."""
    try:
        term = parse(text)
        flow = term.bound(work.one(LARGEST))
    except Refused as refused:
        return refused.fault
    if term.path is not None:
        return Selector(text, term.path, walk(term.path))
    if flow.steps > MOST_STEPS or flow.weight > MOST_STEPS:
        return Fault("this could take too long on a large event; use fewer lists of lists, pairs and commas")
    return in_jq(text)


def in_jq(text: str) -> Selector | Fault:
    """Compile a selector that was found bounded so that jq runs it, plain paths too."""
    try:
        program = jq.compile(text)
    except ValueError:
        return Fault("jq does not understand this; look at brackets and operators")
    return Selector(text, None, _run(program))


def walk(path: tuple[tuple[str | int, int], ...]) -> Read:
    """Return direct access. On null every step gives null, as in jq; on a value of another type it is a fault."""

    def read(document: Document) -> Any:
        value = document.value
        for step, column in path:
            if value is None:
                return None
            if isinstance(value, dict) and isinstance(step, str):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int):
                value = value[step] if -len(value) <= step < len(value) else None
            else:
                return Fault(_UNFIT.said, column)
        return value

    return read


def _run(program: Any) -> Read:
    busy = threading.Lock()  # a program of the library is not documented to be safe in several threads at once

    def read(document: Document) -> Any:
        text = document.text()
        if isinstance(text, Fault):
            return text
        try:
            with busy:
                values = list(islice(program.input_text(text), 2))
        except ValueError:
            return _UNFIT  # the library's own message quotes the event
        if len(values) > 1:
            return _SEVERAL
        return values[0] if values else None

    return read
