"""docs/recovery-file.schema.json: the JSON Schema of recovery files, for editors."""

from __future__ import annotations

import json

from schemas.recovery import json_schema


def recovery_schema() -> str:
    """Return the file."""
    return json.dumps(json_schema(), indent=2) + "\n"
