"""YAML as nodes that know their lines, for files that people write: every mistake can be said with its place.

Nothing is constructed from tags. Aliases, many documents and deep nesting are refused: a small file must not become a
large one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import yaml

MAX_BYTES: Final = 4 << 20
_MAX_DEPTH: Final = 64
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OPENS = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSES = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


class Problem(NamedTuple):
    """One mistake in a file, and what to do about it."""

    line: int  # from 1
    said: str


class ProblemsFound(ValueError):
    """A file cannot be used; its text is one sentence about the first of its problems."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        first, more = problems[0], len(problems) - 1
        others = f" ({more} more: see all with a check of the file)" if more else ""
        super().__init__(f"{name}:{first.line}: {first.said}{others}")
        self.problems = tuple(sorted(problems))


def compose(data: bytes, name: str) -> yaml.Node | None:
    """Return the root node, None where there is nothing but comments. ProblemsFound where it is no such YAML."""
    if len(data) > MAX_BYTES:
        raise ProblemsFound(name, [Problem(1, f"the file has more than {MAX_BYTES >> 20} MiB; split or shorten it")])
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ProblemsFound(name, [Problem(line, "this is not UTF-8; save the file as UTF-8")]) from None
    try:
        _look_through(text, name)
        root: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        began = f" from line {error.context_mark.line + 1} on" if error.context and error.context_mark else ""
        said = ", ".join(part for part in (error.context and error.context + began, error.problem) if part)
        sentence = f"this is not YAML ({said}); look at the indentation, colons and quotes"
        raise ProblemsFound(name, [Problem(mark.line + 1 if mark else 1, sentence)]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 1
        raise ProblemsFound(name, [Problem(line, "YAML may not have this control character; take it out")]) from None
    return root


def line_of(node: Any) -> int:
    """Return where a node or an event begins, from 1."""
    return int(node.start_mark.line) + 1


def _look_through(text: str, name: str) -> None:
    """Refuse before anything is built what would make more of a file than it is."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, _OPENS) - isinstance(event, _CLOSES)
        documents += isinstance(event, yaml.DocumentStartEvent)
        said = None
        if isinstance(event, yaml.AliasEvent):
            said = "a reference (*) is not read here; write its value out"
        elif depth > _MAX_DEPTH:
            said = "this is nested too deep; flatten it"
        elif documents > 1:
            said = "a second document begins here (---); keep to one"
        if said:
            raise ProblemsFound(name, [Problem(line_of(event), said)])
