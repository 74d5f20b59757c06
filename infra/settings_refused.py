"""Settings that cannot be used, in one sentence that names them as they are set and never says what they hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

_WHERE = "docs/configuration.md lists every setting"


class SettingsRefused(Exception):
    """A setting cannot be used; the message is one sentence for the user."""


def refused(error: ValidationError) -> SettingsRefused:
    """Return what is wrong with each setting; what they hold stays unsaid, as it may be a secret."""
    found = []
    for one in error.errors(include_url=False, include_input=False):
        name = _variable(map(str, one["loc"]))
        if one["type"] == "extra_forbidden":
            found.append(f"there is no setting {name}")
        else:
            found.append(f"{name} cannot be used: {one['msg'].removeprefix('Value error, ')}")
    return SettingsRefused(f"{'; '.join(found)}. {_WHERE}.")


def unreadable(error: ValueError) -> SettingsRefused:
    """Return which setting could not be read at all: one that is to be JSON, and is not."""
    field = re.search(r'field "(\w+)"', str(error))
    name = _variable([field[1]]) if field else "a setting"
    return SettingsRefused(f"{name} is not the JSON that it should be. {_WHERE}.")


def _variable(places: Iterable[str]) -> str:
    """Return the variable that sets what lies at a place of the settings."""
    names = [place.upper() for place in places if re.fullmatch(r"[a-z_]+", place)]
    return "CLICKGOOSE_" + "__".join(names[:2])
