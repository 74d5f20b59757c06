"""The truth about watchlists and snoozes: the table ``list_changes`` of ClickHouse, to which rows are only added."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ServerException

from infra.clickhouse.migrate import one_line
from scoring.rules.watchlist_copy import Record
from scoring.rules.watchlist_store import Change, TruthAway
from scoring.rules.watchlists import MODES, REMOVED, ListName

_CONNECT_SECONDS, _ANSWER_SECONDS = 2.0, 30.0
_PART: Final = 8_000
_COLUMNS: Final = "merchant, mode, list, kind, digest, version, action, until, before, reason, author, source"
_STATES: Final = """
SELECT merchant, mode, list, digest, argMax(until, version) AS last, max(version) AS newest
FROM list_changes GROUP BY merchant, mode, list, digest ORDER BY merchant, mode, list
"""
_LIFE: Final = ("digest", "version", "action", "until", "before", "reason", "author", "source")
_OF_LIST: Final = f"""
SELECT {", ".join(_LIFE)} FROM list_changes
WHERE merchant = %(merchant)s AND mode = %(mode)s AND list = %(list)s AND digest IN (%(digests)s)
"""  # noqa: S608 -- the columns are written above


class ListChanges:
    """Inserts changes and reads them; one statement at a time, on a connection that is opened when it is needed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Client | None = None
        self._one_at_a_time = threading.Lock()

    def insert(self, changes: Sequence[Change]) -> None:
        """Keep changes; when this returns they are kept. TruthAway where that is not known."""
        with self._connected() as client:
            client.execute(f"INSERT INTO list_changes ({_COLUMNS}) VALUES", [_row(one) for one in changes])

    def states(self) -> Iterator[tuple[ListName, Sequence[Record]]]:
        """Give what holds of every entry, list by list, in parts of some thousand."""
        with self._connected() as client:
            name: ListName | None = None
            part: list[Record] = []
            for merchant, mode, title, digest, until, version in client.execute_iter(
                _STATES, settings={"max_block_size": 65_536}
            ):
                here = (merchant, mode, title)
                if name is None or here != _bytes(name) or len(part) >= _PART:
                    if name is not None and part:
                        yield name, part
                    name, part = ListName(merchant.decode(), mode.decode(), title.decode()), []
                if name.mode in MODES:
                    part.append(Record(digest, until, version))
            if name is not None and part:
                yield name, part

    def history(self, name: ListName, digest: bytes) -> list[dict[str, Any]]:
        """Return the whole life of an entry, the oldest change first."""
        return self._changes(name, [digest], "ORDER BY version")

    def newest(self, name: ListName, digests: Sequence[bytes]) -> dict[bytes, dict[str, Any]]:
        """Return the last change of each entry that there ever was."""
        found = self._changes(name, digests, "ORDER BY version DESC LIMIT 1 BY digest")
        return {one["digest"]: one for one in found}

    def _changes(self, name: ListName, digests: Sequence[bytes], order: str) -> list[dict[str, Any]]:
        # As hex: the driver writes values into the statement as text.
        places = ", ".join(f"unhex('{digest.hex()}')" for digest in digests)
        query = _OF_LIST.replace("%(digests)s", places) + order
        values = {"merchant": name.merchant, "mode": name.mode, "list": name.name}
        with self._connected() as client:
            rows = client.execute(query, values)
        return [
            {name: value.decode() if isinstance(value, bytes) and name != "digest" else value for name, value in pairs}
            for pairs in (list(zip(_LIFE, row, strict=True)) for row in rows)
        ]

    def close(self) -> None:
        """Close the connection."""
        with self._one_at_a_time:
            self._drop()

    @contextmanager
    def _connected(self) -> Iterator[Client]:
        with self._one_at_a_time:
            try:
                if self._client is None:
                    self._client = connect(self._url)
                yield self._client
            except (Error, OSError, EOFError) as error:
                self._drop()
                code = getattr(error, "code", None)
                said = one_line(error) if isinstance(error, ServerException) and code == 60 else type(error).__name__
                raise TruthAway(f"ClickHouse cannot be used for list_changes ({said})") from error
            except BaseException:
                self._drop()  # a statement may be half read
                raise

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()


def connect(url: str) -> Client:
    """Return a client with bounded waits. Texts come and go as bytes."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query)) | {
        "strings_as_bytes": "1",
        "connect_timeout": f"{_CONNECT_SECONDS:g}",
        "send_receive_timeout": f"{_ANSWER_SECONDS:g}",
        "sync_request_timeout": f"{_CONNECT_SECONDS:g}",
    }
    return Client.from_url(urlunsplit(parts._replace(query=urlencode(options))))


def _row(change: Change) -> tuple[Any, ...]:
    wanted = change.wanted
    action = b"remove" if wanted.until == REMOVED else b"add"
    return (
        *_bytes(wanted.list), wanted.kind.encode(), wanted.digest, change.version, action, wanted.until, change.before,
        _text(wanted.reason), _text(wanted.author), change.source.encode(),
    )  # fmt: skip


def _text(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _bytes(name: ListName) -> tuple[bytes, ...]:
    return tuple(part.encode() for part in name)
