"""Loads what stateless stages make once, loops and patterns of user agents: part of ``infra.compiled_loops``."""

from __future__ import annotations

import numpy as np

from flows.stages.decode_bodies import Layout, Rooms
from flows.stages.decode_heads import read_heads
from flows.stages.entity_values import entity_values
from flows.stages.normalize import Normalize
from flows.stages.normalize.user_agent import parse_user_agent
from flows.stages.text_memory import Asked, TextTable
from schemas.batches import Event, Ledger, Origin, Verified
from schemas.catalogue import load_catalogue


def compile_kernels() -> None:
    """Read one record that is none, normalise and name what shows nothing: whatever Python calls is compiled then."""
    heads = read_heads((b"",))
    signals, activity = Layout(Rooms().bodies(heads.places, heads.room), load_catalogue().counts()).columns()
    zero = np.zeros(1, np.int64)
    origin, ledger = Origin("", zero.astype(np.int32), zero, zero, zero), Ledger((), np.zeros((1, 0), np.int64))
    event = Event(
        event_id=heads.event_id, session_id=heads.session_id, device_id=heads.device_id, address=heads.address,
        key_id=heads.key_id, sequence=heads.sequence, occurred_at=heads.sent_at, received_at=heads.received_at,
        merchant=("",), transaction=("",), linked_id=("",), card_token=("",), event_type=("",),
        attempt=np.zeros(1, np.uint8), told=(b"",),
    )  # fmt: skip
    entity_values(heads.address, np.zeros(1, np.uint32), np.zeros(1, np.uint64), heads.device_id)
    parse_user_agent(b"Mozilla/5.0")
    TextTable([Asked(0, 1)]).add(b"M", 0)
    Normalize()(Verified(origin, (b"",), ledger, event, signals, activity))
