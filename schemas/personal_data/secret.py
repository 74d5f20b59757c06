"""Secrets: what a URL keeps beyond scheme, host and path; tokens, passwords and session ids by name or by form."""

from __future__ import annotations

import re
from collections.abc import Iterator

from schemas.personal_data.reading import Reading

Span = tuple[int, int]

_WORD = re.compile(r"[^\s\0]++")
_PASS = r"(?:pass(?:word|wd|phrase|code)?|passwort|kennwort|pwd|contrase\u00f1a|mot[\W_]de[\W_]passe)"  # noqa: S105 - a pattern
_KEY = (
    r"(?:(?:access|refresh|id|auth|csrf|xsrf|session|reset|api|bearer|client|private|app|user|login)?[_\-. ]?"
    r"(?:token|secret|api[_\-]?key)|session(?:[_\-. ]?(?:id|key))?|[jp]?(?:hp|sp\.net_)?sess(?:ion)?id|sid"
    r"|authorization|auth|jwt|otp|credentials?|signature|sig|access[_\-]?key)"
)
_VALUE = r"[^\s&;,\"'<>(){}\[\]|]"
# name=value, "name":"value", name]=value; but not the colon of a sentence
_ASSIGNED = re.compile(rf"[=:](?:(?<==)|(?<=[\"'\]]:)|(?= ?[\"'])) ?[\"']?({_VALUE}{{3,}}+)")
_PASSWORD_NAME = re.compile(rf"{_PASS}[\"'\]]{{0,2}}\Z", re.IGNORECASE)
_KEY_NAME = re.compile(rf"(?<![^\W_]){_KEY}[\"'\]]{{0,2}}\Z", re.IGNORECASE)
_ENDINGS = (
    "token", "secret", "key", "session", "id", "auth", "authorization", "jwt", "otp", "credential", "credentials",
    "signature", "sig", "pass", "word", "wd", "phrase", "code", "wort", "contrase\u00f1a", "passe",
)  # fmt: skip
_NAME_LENGTH = 40
_NOTHING = frozenset(("undefined", "null", "true", "false", "nan", "none"))
_SHORT, _LONG = 6, 24  # characters: below the first a value is no token, from the second on even without a digit
_PASSWORD_SAID = re.compile(
    rf"(?<![^\W\d_]){_PASS} ?(?:[:=]| is) ?(?=[^\s0-9]{{0,40}}[0-9])(?=[0-9]{{0,40}}[^\s0-9])([\w!@#$%^*+\-.]{{6,}}+)",
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
_WORDS = (
    "pass", "kennwort", "pwd", "contrase", "bearer", "basic", "k_live_", "k_test_", "whsec_",
    "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat", "glpat-", "xox", "akia", "ya29.", "sg.", "aiza",
)  # fmt: skip
_SEGMENTS = frozenset(
    (
        "token",
        "tokens",
        "session",
        "sessions",
        "sid",
        "auth",
        "oauth",
        "sso",
        "otp",
        "jwt",
        "secret",
        "secrets",
        "password",
        "passwords",
        "reset",
        "reset_password",
        "reset-password",
        "resetpassword",
        "password-reset",
        "password_reset",
        "passwordreset",
        "magic",
        "magic-link",
        "magic_link",
        "magiclink",
        "access-token",
        "access_token",
        "accesstoken",
        "login",
        "verify",
        "verification",
        "confirm",
        "activate",
        "activation",
        "invite",
        "invitation",
        "unsubscribe",
    )
)


def may_hold_leftovers(reading: Reading) -> bool:
    """Return False only where no URL keeps anything, or the text had to be decoded: %23 is a path's own."""
    plain = reading.plain
    return not reading.encoded and "://" in plain and ("?" in plain or "#" in plain or "@" in plain)


def may_hold_secret(reading: Reading) -> bool:
    """Return False only where there is no assignment, no word for a secret and no part of a path that is one."""
    small = reading.small
    if (
        "=" in small
        or '"' in small
        or "'" in small
        or "]" in small
        or "eyj" in small
        or ("@" in small and "//" in small)
    ):
        return True
    if b"0" not in reading.shape:
        return False  # what has no name assigned to it is told by its letters and digits
    return any(map(small.__contains__, _WORDS)) or ("/" in small and not _SEGMENTS.isdisjoint(small.split("/")))


def url_leftovers(text: str) -> Iterator[Span]:
    """Give the spans of words with a URL that keeps a query, a fragment or credentials."""
    for word in _WORD.finditer(text):
        _, mark, rest = word[0].partition("://")
        if mark and ("?" in rest or "#" in rest or "@" in rest.partition("/")[0]):
            yield word.span()


def secrets(text: str) -> Iterator[Span]:
    """Give the spans of secrets, without the names beside them."""
    found = [match.span(1) for match in _ASSIGNED.finditer(text) if _is_secret(text, match)]
    found += [match.span(match.lastindex or 0) for pattern in _patterns(text) for match in pattern.finditer(text)]
    yield from sorted(found)


def _is_secret(text: str, assigned: re.Match[str]) -> bool:
    """Return whether the name before an assignment is one for a secret, and the value may be one."""
    name, value = text[max(0, assigned.start() - _NAME_LENGTH) : assigned.start()], assigned[1]
    if not name.lower().rstrip("\"']").endswith(_ENDINGS):
        return False
    if _PASSWORD_NAME.search(name):
        return value.lower() not in _NOTHING
    told = len(value) >= _LONG or (len(value) >= _SHORT and any(map(str.isdigit, value)))
    return told and _KEY_NAME.search(name) is not None


def _patterns(text: str) -> Iterator[re.Pattern[str]]:
    """Give the patterns that the text has the necessary characters for."""
    small = text.lower()
    if any(map(small.__contains__, _PASSWORDS)):
        yield _PASSWORD_SAID
    if "bearer" in small or "basic" in small:
        yield _HEADER
    if "eyJ" in text:
        yield _JWT
    if "/" in text:
        yield _SEGMENT
    if "@" in text:
        yield _USERINFO
    yield _PREFIXED
