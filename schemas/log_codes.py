"""The registry of log codes and targets of the activity log, loaded from ``log_codes.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class LogCode:
    """One code: its class is ``code // 100``, as with HTTP."""

    code: int
    name: str
    category: str
    severity: str
    colour: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class LogCodes:
    """All codes by number and by name, and the classes of fields that an entry may point at."""

    by_code: Mapping[int, LogCode]
    by_name: Mapping[str, LogCode]
    targets: Mapping[str, int]

    def code(self, name: str) -> int:
        """Return the number of a code by its name."""
        return self.by_name[name].code


@cache
def load_log_codes() -> LogCodes:
    """Return the registry of this build."""
    data = tomllib.loads(resources.files(__package__).joinpath("log_codes.toml").read_text("utf-8"))
    codes = [LogCode(**fields) for fields in data["code"]]
    by_code = {code.code: code for code in codes}
    by_name = {code.name: code for code in codes}
    if len(by_code) != len(codes) or len(by_name) != len(codes):
        raise ValueError("log_codes.toml: a code or a name is declared twice; remove one")
    return LogCodes(by_code, by_name, data["targets"])
