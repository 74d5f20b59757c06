"""Tokens of selectors: the part of jq's lexical grammar that selectors may use (jq 1.8 manual, "Basic filters")."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<space>[ \t\n]+)
    |(?P<string>"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*")
    |(?P<field>\.[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>[0-9]{1,15}(?:\.[0-9]{1,15})?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>//|==|!=|<=|>=|[.\[\]()|,:?+\-*/%<>;])""",
    re.VERBOSE,
)


class Fault(NamedTuple):
    """What is wrong with a selector, or with what it met in an event. It never quotes the event."""

    said: str
    column: int = 1  # in the selector, from 1


class Refused(Exception):
    """A selector cannot be used. It leaves the parser only."""

    def __init__(self, said: str, column: int) -> None:
        super().__init__(said)
        self.fault = Fault(said, column)


class Token(NamedTuple):
    """A piece of a selector."""

    kind: str  # string, field, number, name, sign or end
    text: str  # of a string what it says, of a field its name
    column: int  # from 1


def tokens(text: str) -> Iterator[Token]:
    """Give the tokens of a selector, and an end. Refused where there is something else."""
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Refused(_unknown(text, at), at + 1)
        kind = str(match.lastgroup)
        if kind != "space":
            yield Token(kind, _said(kind, match.group()), at + 1)
        at = match.end()
    yield Token("end", "the end", len(text) + 1)


def _said(kind: str, text: str) -> str:
    if kind == "string":
        said: str = json.loads(text)
        return said
    return text[1:] if kind == "field" else text


def _unknown(text: str, at: int) -> str:
    sign = text[at]
    if sign == '"':
        return "this text does not end, or has a sequence that JSON does not know; \\(...) is not read here"
    if sign == "$":
        return "variables ($) and the environment are not read here"
    if sign == "'":
        return "texts are in double quotes"
    return f"{sign!r} is not read here"
