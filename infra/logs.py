"""JSON logs, one line a batch at most, never a payload value."""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter


def log_json(level: int = logging.INFO, process: int | None = None) -> None:
    """Send the process's logs to standard error as JSON lines; ``process`` names it where several share a log."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "at"},
            static_fields={} if process is None else {"process": process},
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
