"""What a redrive set out to do, on disk before anything is sent: so that a killed one can be resumed.

A file ``<home>/redrives/<command>.json``, replaced atomically. How far the command is, the changes of letters say: each
block is sent, then its changes are recorded under the command's id. A block between the two is sent again, with the
same attempts, and the flow drops what it has seen.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Final

import msgspec

from infra.dead_letters import DeadLetters, DeadLettersError
from infra.letter_redrive import Sent
from infra.stack.files import write_atomically
from schemas.letter_state import LetterAddress

_DONE = """
SELECT DISTINCT topic, partition, "offset", stage FROM dead_letter_states
WHERE command = toUUID(%(command)s) AND to_state = 'redriven'
"""
_FOLDER: Final = "redrives"


class Journal(msgspec.Struct, frozen=True):
    """One command. ``letters``: topic, partition, offset, stage and attempts of each, in the order of sending."""

    command: str
    who: str
    note: str
    made_at: int  # ms since the epoch
    letters: list[tuple[str, int, int, str, int]]

    @classmethod
    def begin(cls, who: str, note: str, made_at: int, letters: list[Sent]) -> Journal:
        """Return the journal of a new command."""
        return cls(str(uuid.uuid4()), who, note, made_at, [(*one.address, one.attempts) for one in letters])

    @property
    def sent(self) -> list[Sent]:
        """Return the letters."""
        return [Sent(LetterAddress(*one[:4]), one[4]) for one in self.letters]

    def write(self, home: Path) -> Path:
        """Keep it durably; DeadLettersError where the disk does not take it."""
        path = _path(home, self.command)
        try:
            write_atomically(path, msgspec.json.encode(self))
        except OSError as error:
            raise DeadLettersError(f"cannot keep the redrive's journal at {path}: {error.strerror}") from error
        return path

    @classmethod
    def read(cls, home: Path, command: str) -> Journal:
        """Read the journal of a command; DeadLettersError where there is none."""
        path = _path(home, command)
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError) as error:
            raise DeadLettersError(f"there is no redrive {command}: {path.parent} has no such journal") from error

    def done(self, store: DeadLetters) -> frozenset[LetterAddress]:
        """Return the letters that were sent, as the audit record has it."""
        return frozenset(LetterAddress(*row) for row in store.execute(_DONE, {"command": self.command}))


def _path(home: Path, command: str) -> Path:
    try:
        name = str(uuid.UUID(command))
    except ValueError:
        raise DeadLettersError(f"{command!r} is no id of a redrive: give the one that it printed") from None
    return home / _FOLDER / f"{name}.json"
