"""Learns what the clues of behaviour are worth: how many attackers' and how many people's sessions show each.

A session is what it has shown by its last event. Traffic is the simulated one, so what it does not know is not learned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from enrichers.scripted_input import ScriptedInput
from enrichers.view import View
from infra.bench.events import traffic_digest
from infra.training import enriched_batches

_MODULE = '''\
"""What the weights of behaviour rest on. Made by ``clickgoose signals learn``: not to be changed by hand."""

from __future__ import annotations

EVENTS, SEED = {events:_}, {seed}  # of the simulated traffic
TRAFFIC = "{traffic}"  # the code that made it
PROGRAMS, PEOPLE = {programs:_}, {people:_}  # sessions of attackers and of honest people
SHOWN = {{  # sessions that show a clue: of attackers, of people
{shown}
}}
'''


class Learned(NamedTuple):
    """Sessions that were seen, and those that showed each clue: (of attackers, of people)."""

    events: int
    seed: int
    programs: int
    people: int
    shown: Mapping[str, tuple[int, int]]


def learn(events: int, seed: int, progress: Callable[[int], None] = lambda events: None) -> Learned:
    """Count the clues of so many events' sessions; the same events and seed give the same counts."""
    signal = ScriptedInput()
    sessions: dict[bytes, tuple[int, bytes]] = {}
    for batch, labels, *_ in enriched_batches(events, seed):
        clues = np.stack(signal.observe(View(batch)), axis=1).astype(np.uint8)
        for session, label, shown in zip(batch.event.session_id, labels.tolist(), clues, strict=True):
            sessions[session.tobytes()] = (label, shown.tobytes())
        progress(len(batch))
    labels = np.array([label for label, _ in sessions.values()])
    table = np.frombuffer(b"".join(shown for _, shown in sessions.values()), np.bool_).reshape(len(labels), -1)
    counts = zip(table[labels == 1].sum(axis=0).tolist(), table[labels == 0].sum(axis=0).tolist(), strict=True)
    shown = dict(zip(signal.reasons, counts, strict=True))
    return Learned(events, seed, int((labels == 1).sum()), int((labels == 0).sum()), shown)


def module_of(found: Learned) -> str:
    """Return the text of ``enrichers/learned.py``."""
    shown = "\n".join(f'    "{name}": ({one:_}, {other:_}),' for name, (one, other) in found.shown.items())
    return _MODULE.format(**{**found._asdict(), "shown": shown}, traffic=traffic_digest())
