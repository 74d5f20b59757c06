"""docs/configuration.md: every setting with its variable, type and default."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from infra.pages.markdown import GENERATED, table
from infra.settings import Settings

_INTRO = """# Configuration

Every setting is an environment variable. What is not set comes from the running local stack (`stack.json` in the data
directory), then from the defaults below. An unknown or wrong value stops the start with one sentence.

"""


def configuration_page() -> str:
    """Return the page."""
    rows = [(f"`{name}`", _type(field), _default(field), field.description or "") for name, field in _fields(Settings)]
    return GENERATED + _INTRO + table(("variable", "type", "default", "meaning"), rows)


def _fields(model: type[BaseModel], prefix: str = "CLICKGOOSE_") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, f"{prefix}{name.upper()}__")
        else:
            yield prefix + name.upper(), field


def _type(field: FieldInfo) -> str:
    kind = field.annotation
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "").replace("pydantic.types.", "")


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None or field.default is None:
        return "unset"
    return f"`{field.default}`"
