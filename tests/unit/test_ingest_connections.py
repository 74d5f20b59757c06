"""Connections send an answer in one piece, in order, and before they close."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from ingest_api.connections import _OnePiece


class Wire:
    """A transport that notes what is asked of it."""

    def __init__(self) -> None:
        self.done: list[bytes | str] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        """Note it."""
        self.done.append(data)

    def close(self) -> None:
        """Note it."""
        self.closing = True
        self.done.append("closed")

    def is_closing(self) -> bool:
        """Tell."""
        return self.closing

    def get_extra_info(self, name: str) -> str:
        """Answer."""
        return f"extra {name}"


def on(wire: Wire) -> Any:
    """Return the transport under test."""
    return _OnePiece(cast(asyncio.Transport, wire))


async def test_what_is_written_in_one_turn_goes_out_at_once_and_in_order() -> None:
    wire = Wire()
    transport = on(wire)
    transport.write(b"head ")
    transport.write(b"body")
    assert wire.done == []
    await asyncio.sleep(0)
    transport.write(b"next")
    await asyncio.sleep(0)
    assert wire.done == [b"head body", b"next"]


async def test_a_close_comes_after_what_was_written() -> None:
    wire = Wire()
    transport = on(wire)
    transport.write(b"last")
    transport.close()
    await asyncio.sleep(0)
    assert wire.done == [b"last", "closed"]
    assert transport.is_closing()
    assert transport.get_extra_info("peername") == "extra peername"


async def test_nothing_is_written_where_the_peer_has_gone() -> None:
    wire = Wire()
    transport = on(wire)
    transport.write(b"late")
    wire.close()
    await asyncio.sleep(0)
    assert wire.done == ["closed"]
