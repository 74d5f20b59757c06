"""Live Redis keys of replayed events: what they held before, and what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Final

from replay.guards import reading_redis
from replay.live_records import is_of_a_replay
from schemas.result import result_key, session_key

Kept = tuple[str, int, int]
"""A digest of the value (empty: there is none), ms to live (negative: none is set), and events of a session."""
_SECONDS: Final = 5.0
_MARGIN_MS: Final = 5_000


class LiveKeys:
    """Reads the keys of some events, given by merchant, event and session."""

    def __init__(self, url: str, events: Sequence[tuple[str, str, str]]) -> None:
        self._url = url
        self._results = sorted({result_key(merchant, event) for merchant, event, _ in events})
        self._sessions = sorted({session_key(merchant, session) for merchant, _, session in events})

    def take(self) -> dict[str, Kept]:
        """Return what the keys hold now."""
        return {key: (_digest(value), life, _events(value)) for key, value, life in self._read()}

    def compare(self, before: Mapping[str, Kept], elapsed_ms: float) -> Iterator[tuple[bool, str]]:
        """Yield whether all is as it was but for what the live flow wrote and what expired, and sentences."""
        counts = dict.fromkeys(("as they were", "expired", "written by the live flow"), 0)
        changed: dict[str, int] = {}
        for key, value, _ in self._read():
            what = _became(key, before[key], value, elapsed_ms + _MARGIN_MS)
            if what in counts:
                counts[what] += 1
            else:
                changed[what] = changed.get(what, 0) + 1
        for what, keys in changed.items():
            yield False, f"{keys:,} live {what}"
        said = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        if said:
            yield True, f"Redis: of {len(before):,} live keys that were looked at, {said}"

    def _read(self) -> Iterator[tuple[str, Any, int]]:
        keys = (*self._results, *self._sessions)
        if not keys:
            return
        with closing(reading_redis(self._url, _SECONDS)) as client:
            pipe = client.pipeline(transaction=False)
            for key in self._results:
                pipe.get(key)
            for key in self._sessions:
                pipe.hgetall(key)
            for key in keys:
                pipe.pttl(key)
            replies = pipe.execute()
        yield from zip(keys, replies[: len(keys)], map(int, replies[len(keys) :]), strict=True)


def _became(key: str, was: Kept, value: Any, elapsed_ms: float) -> str:
    digest, life, events = was
    if _digest(value) == digest:
        return "as they were"
    if not value and 0 <= life <= elapsed_ms:
        return "expired"
    if isinstance(value, dict):
        # Whoever writes an event that was counted changes nothing in its session.
        return "written by the live flow" if _events(value) > events else "summaries of sessions in Redis changed"
    if not value or is_of_a_replay(value):
        return "results in Redis changed"
    return "written by the live flow"


def _digest(value: Any) -> str:
    if not value:
        return ""
    hashed = hashlib.blake2b(digest_size=12)
    for name, one in sorted(value.items()) if isinstance(value, dict) else [(b"", value)]:
        hashed.update(b"%d:%b%d:%b" % (len(name), name, len(one), one))
    return hashed.hexdigest()


def _events(value: Any) -> int:
    return int(value.get(b"events", 0)) if isinstance(value, dict) else 0
