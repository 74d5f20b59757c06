"""What the smart signals were measured to be: how often each is true of people and of attackers, and by what code.

``clickgoose signals measure`` writes the file; ``docs/smart-signals.md`` prints it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MEASURED = HERE / "data" / "measured.json"
_NOT_JUDGING = (  # they tell what was judged
    "detail_inputs.py", "document.py", "measured.py", "present.py", "present_loops.py",
)  # fmt: skip


def read_measured(path: Path = MEASURED) -> dict[str, Any]:
    """Return what was measured; OSError or ValueError where it cannot be read."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def signals_digest(directory: Path = HERE) -> str:
    """Return a digest of the code that judges: a measurement by other code says nothing about this one."""
    digest = hashlib.sha256()
    for source in sorted(directory.glob("*.py")):
        if source.name not in _NOT_JUDGING:
            digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]
