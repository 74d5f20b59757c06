"""User agents, and the stage over single events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flows.stages.normalize import Normalize
from schemas.batches import Environment, Verified
from schemas.columns import widen
from schemas.environment import CHECK_BIT, CHECKS
from tests.builders import decoded
from tests.wire import HONEST, NOW, USER_AGENT

NORMALIZE = Normalize()
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1"
)
IPAD = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Safari/605.1.15"
)
PIXEL = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 Mobile Safari/537.36"
)
GALAXY = PIXEL.replace("Android 10; K", "Android 13; SM-S918B Build/TP1A.220624.014; wv")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
MAC = USER_AGENT.replace("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7")
OLD_CHROME = re.sub(r"Chrome/\d+", "Chrome/109", USER_AGENT)  # the last on Windows 7, and already frozen at Windows 10
WINDOWS_7 = USER_AGENT.replace("Windows NT 10.0", "Windows NT 6.1")
EDGE = USER_AGENT + " Edg/147.0.0.0"
HEADLESS = USER_AGENT.replace("Chrome/", "HeadlessChrome/")
TABLET = USER_AGENT.replace("Windows NT 10.0; Win64; x64", "Linux; Android 15; SM-X910")


def verified(events: list[dict[str, Any]], times: list[int] | None = None) -> Verified:
    """Return events as the stage before hands them on."""
    return widen(Verified, decoded(events, times=times or [NOW] * len(events)))


def environment(*events: Mapping[str, Any], at: int = NOW) -> Environment:
    """Return what the stage makes of events that all go on."""
    out = NORMALIZE(verified([dict(event) for event in events], [at] * len(events)))
    assert not out.errs
    return out.oks.environment


def failed_by(event: Mapping[str, Any], at: int = NOW) -> set[str]:
    """Return the checks that an event fails."""
    bits = int(environment(event, at=at).checks[0])
    return {name for name in CHECKS if bits & CHECK_BIT[name]}


def failed(changes: Mapping[str, Any], at: int = NOW) -> set[str]:
    """Return the checks that the honest event fails with these changes."""
    return failed_by({**HONEST, **changes}, at)
