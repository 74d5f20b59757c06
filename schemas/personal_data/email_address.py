"""E-mail addresses: RFC 5322's addr-spec in everyday use, with Unicode (RFC 6531), and as people disguise them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from schemas.personal_data.reading import Reading

Span = tuple[int, int]

_LOCAL = r"[\w.!#$%'*+^`{|}~\"\-]"
_TOP = r"(?:[^\W\d_]{2,63}+|xn--[\w\-]{2,59}+)(?!\w)"
_ADDRESS = re.compile(rf"(?<!{_LOCAL}){_LOCAL}++@((?:[\w\-]{{1,63}}+\.)+{_TOP})")
_LITERAL = re.compile(rf"(?<!{_LOCAL}){_LOCAL}++@\[(?:IPv6:)?[0-9A-Fa-f.:]{{3,45}}+\]")
_AT = r" {0,2}[\[({<] {0,2}at {0,2}[\])}>] {0,2}"
_DOT = r"(?:\.| {0,2}[\[({<] {0,2}dot {0,2}[\])}>] {0,2})"
_DISGUISED = re.compile(rf"(?<![\w.+\-])[\w.+\-]++{_AT}(?:[\w\-]{{1,63}}+{_DOT})+{_TOP}", re.IGNORECASE)
_CLOSED = ("at)", "at]", "at}", "at>", "at ")
_DISGUISE = re.compile(r"[\[({<] {0,2}[Aa][Tt] {0,2}[\])}>]")
# photo@2x.png and library@1.2.min.js are files, and package@1.0.0-beta.next is a version: none of them has an owner.
_FILE = re.compile(
    r"\.(?:png|jpe?g|gif|svg|webp|avif|ico|woff2?|m?[jt]sx?|c[jt]s|css|json|html?|php|wasm|map|vue|svelte)\Z",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"//[^\s/?#@:]{1,200}+:\Z")  # of a URL: a secret, and found as such
_VERSION = re.compile(r"v?[0-9]+\.[0-9]+(?![\w\-]*\.[^\W\d_]+\Z)|v?[0-9]+\.[0-9]+\.[0-9]")


def may_hold_email(reading: Reading) -> bool:
    """Return False only where there is no address: no sign for it, and no ``at`` in brackets."""
    return "@" in reading.plain or ("at" in reading.small and any(map(reading.small.__contains__, _CLOSED)))


def email_addresses(text: str) -> Iterator[Span]:
    """Give the spans of addresses."""
    if "@" in text:
        found = (match for match in _ADDRESS.finditer(text) if not _FILE.search(match[1]))
        found = (match for match in found if not _VERSION.match(match[1]))
        yield from (
            match.span()
            for match in found
            if not _CREDENTIALS.search(text[max(0, match.start() - 203) : match.start()])
        )
        if "@[" in text:
            yield from (match.span() for match in _LITERAL.finditer(text))
    if _DISGUISE.search(text):
        yield from (match.span() for match in _DISGUISED.finditer(text))
