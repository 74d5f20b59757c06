"""JSON logs, one line a batch at most, never a payload value."""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter


def log_json(level: int = logging.INFO) -> None:
    """Send the process's logs to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields={"asctime": "at"})
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
