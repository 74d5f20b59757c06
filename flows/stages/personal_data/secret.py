"""Secrets: what a URL keeps beyond scheme, host and path; tokens, passwords and session ids by name or by form."""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

_WORD = re.compile(r"[^\s\0]++")
_PASS = r"(?:pass(?:word|wd|phrase|code)?|passwort|kennwort|pwd|contrase\u00f1a|mot[\W_]de[\W_]passe)"  # noqa: S105 - a pattern
_KEY = (
    r"(?:(?:access|refresh|id|auth|csrf|xsrf|session|reset|api|bearer|client|private|app|user|login)?[_\-. ]?"
    r"(?:token|secret|api[_\-]?key)|session(?:[_\-. ]?(?:id|key))?|[jp]?(?:hp|sp\.net_)?sess(?:ion)?id|sid"
    r"|authorization|auth|jwt|otp|credentials?|signature|sig|access[_\-]?key)"
)
_VALUE = r"[^\s&;,\"'<>(){}\[\]|]"
_PASSWORD_SET = re.compile(
    rf"{_PASS}[\"'\]]{{0,2}}(?:=|:(?=[\"']))[\"']?(?!undefined|null|true|false|nan|none|\[redacted)({_VALUE}{{3,}}+)",
    re.IGNORECASE,
)
_PASSWORD_SAID = re.compile(
    rf"(?<![^\W\d_]){_PASS} ?(?:[:=]| is) ?"
    r"(?=[^\s0-9]{0,40}[0-9])(?=[0-9]{0,40}[^\s0-9])([\w!@#$%^*+\-.]{6,}+)",
    re.IGNORECASE,
)
_KEY_SET = re.compile(
    rf"(?<![^\W_]){_KEY}[\"'\]]{{0,2}}(?:=|: ?(?=[\"'])|(?<=[\"'\]]):)[\"']?(?=[^\s&;0-9]{{0,200}}[0-9]|{_VALUE}{{24}})"
    rf"({_VALUE}{{6,}}+)",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"(?<![a-z])(?:bearer|basic)[ :]{1,3}(?=[a-z+/_~.\-]{0,200}[0-9])([\w.~+/\-]{16,}+=*)", re.IGNORECASE
)
_JWT = re.compile(r"(?<![0-9A-Za-z_\-])eyJ[\w\-]{8,}+\.[\w\-]{4,}+(?:\.[\w\-]*+){0,3}")
_PREFIXED = re.compile(  # by the prefixes that their issuers gave them so that they can be found
    r"(?<![0-9A-Za-z])(?:[sr]k_(?:live|test)_[0-9A-Za-z]{10,}+|whsec_[0-9A-Za-z]{16,}+|gh[pousr]_[0-9A-Za-z]{30,}+"
    r"|github_pat_\w{30,}+|glpat-[\w\-]{16,}+|xox[abeprs]-[0-9A-Za-z\-]{10,}+|AKIA[0-9A-Z]{16}(?![0-9A-Z])"
    r"|ya29\.[\w\-]{16,}+|SG\.[\w\-]{16,}+\.[\w\-]{16,}+|AIza[\w\-]{35}(?![\w\-]))"
)
_SEGMENT = re.compile(
    r"/(?:(?:tokens?|sessions?|sid|o?auth|sso|otp|jwt|secrets?|passwords?|reset(?:[_\-]?password)?|password[_\-]?reset"
    r"|magic(?:[_\-]?link)?|access[_\-]?token|login)/(?=[^\s/0-9]{0,200}[0-9])(?=[^\s/A-Za-z]{0,200}[A-Za-z])"
    r"([\w.~=\-]{16,}+)"
    r"|(?:verify|verification|confirm|activate|activation|invite|invitation|unsubscribe)/"
    r"(?=[a-z]{0,200}[0-9])(?=[0-9]{0,200}[a-z])([0-9a-z]{20,}+)(?![\w\-]))",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"//([^\s/?#@:]{1,200}+:[^\s/?#@]{1,200}+)@")
_PASSWORDS = ("pass", "kennwort", "pwd", "contrase")
_PREFIXES = ("k_live_", "k_test_", "whsec_", "gh", "glpat-", "xox", "akia", "ya29.", "sg.", "aiza")


def url_leftovers(text: str) -> Iterator[Span]:
    """Give the spans of words with a URL that keeps a query, a fragment or credentials; %23 is a path's own."""
    if "://" not in text:
        return
    for word in _WORD.finditer(text):
        _, mark, rest = word[0].partition("://")
        if mark and ("?" in rest or "#" in rest or "@" in rest.partition("/")[0]):
            yield word.span()


def secrets(text: str) -> Iterator[Span]:
    """Give the spans of secrets, without the names beside them."""
    found = (match.span(match.lastindex or 0) for pattern in _patterns(text) for match in pattern.finditer(text))
    yield from sorted(found)


def _patterns(text: str) -> Iterator[re.Pattern[str]]:
    """Give the patterns that the text has the necessary characters for."""
    small = text.lower()
    if any(map(small.__contains__, _PASSWORDS)):
        yield _PASSWORD_SET
        yield _PASSWORD_SAID
    if "=" in text or '"' in text or "'" in text or "]" in text:
        yield _KEY_SET
    if "eyJ" in text:
        yield _JWT
    if "/" in text:
        yield _SEGMENT
    if "@" in text:
        yield _USERINFO
    if "bearer" in small or "basic" in small:
        yield _HEADER
    if any(map(small.__contains__, _PREFIXES)):
        yield _PREFIXED
