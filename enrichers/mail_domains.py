"""Mail domains whose boxes anybody gets for some minutes, of the package ``disposable-email-domains`` (MIT).

No signal of the agent has a mail domain: it never reads what is typed. This is for what merchants send themselves, such
as the domain of an account's address in rules.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from typing import Final

from disposable_email_domains import allowlist, blocklist

KIND: Final = "mail_domains"
VERSION: Final = version("disposable-email-domains")
_DISPOSABLE: Final = frozenset(blocklist) - frozenset(allowlist)
_LONGEST = 253  # characters of a domain name (RFC 1035)


@lru_cache(maxsize=65_536)
def is_disposable(domain: str) -> bool:
    """Tell whether a domain, or one that it lies under, is disposable: "mailinator.com", "a.mailinator.com".

    A name under a public suffix is never reached from below: the list holds whole domains only.
    """
    if not domain or len(domain) > _LONGEST:
        return False
    labels = domain.strip().rstrip(".").lower().split(".")
    return any(".".join(labels[at:]) in _DISPOSABLE for at in range(len(labels) - 1))
