"""JSON logs, one object a line. Never a payload, a token, a key or an address: what is logged is chosen, not dumped."""

from __future__ import annotations

import logging.config
from typing import Any


def log_config(level: str = "INFO") -> dict[str, Any]:
    """Return the configuration for this process, uvicorn's own loggers included."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "ingest": {"level": level},
            "uvicorn": {"level": "WARNING"},
        },
    }


def configure_logs(level: str = "INFO") -> None:
    """Apply it."""
    logging.config.dictConfig(log_config(level))
