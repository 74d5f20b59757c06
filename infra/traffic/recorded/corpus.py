"""The recorded corpus: what our own agent collected in every client, one file a client, ``clients/<name>.json.xz``.

``{"name": ..., "kind": "attacker", "version": ..., "visits": [[{"sent_at": ms, "sequence": 0, "signals": {...},
"activity": [...]}, ...], ...]}``: events in nested form (``schemas.nested``), as they were opened, nothing left out.
Who the clients are and how they are recorded: ``docs/attackers.md``.
"""

from __future__ import annotations

import json
import lzma
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "clients"
CONTROL: Final = "control"  # the kind of those who were used by hand
_SUFFIX = ".json.xz"


@dataclass(frozen=True, slots=True)
class Shown:
    """One event: when it was sent, which of the visit's events it is, its signals and its activity."""

    sent_at: int
    sequence: int
    signals: dict[str, Any]
    activity: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """All visits of one client, with the versions of what it was made of."""

    name: str
    kind: str
    version: str
    visits: list[list[Shown]]


def write(recorded: Recorded, folder: Path = FOLDER) -> Path:
    """Write a client's file: the same visits are the same bytes."""
    said = {
        "name": recorded.name,
        "kind": recorded.kind,
        "version": recorded.version,
        "visits": [
            [
                {"sent_at": one.sent_at, "sequence": one.sequence, "signals": one.signals, "activity": one.activity}
                for one in visit
            ]
            for visit in recorded.visits
        ],
    }
    text = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    path = folder / f"{recorded.name}{_SUFFIX}"
    path.write_bytes(lzma.compress(text.encode("utf-8", "surrogatepass"), preset=9))
    return path


def read(path: Path) -> Recorded:
    """Read a client's file."""
    said = json.loads(lzma.decompress(path.read_bytes()).decode("utf-8", "surrogatepass"))
    visits = [[Shown(**event) for event in visit] for visit in said["visits"]]
    return Recorded(said["name"], said["kind"], said["version"], visits)


def read_all(folder: Path = FOLDER) -> dict[str, Recorded]:
    """Return all clients of the corpus by name, in order."""
    return {path.name.removesuffix(_SUFFIX): read(path) for path in sorted(folder.glob(f"*{_SUFFIX}"))}
