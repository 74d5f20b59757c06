"""Functions that make objects of frozen classes with slots, written once for each type.

A frozen dataclass sets each of its fields by a call of ``object.__setattr__``, some 80 ns, and a batch of 14 sections
is made anew twenty times on its way. What is written here fills a twin, which has the same slots and is not frozen, so
that the interpreter stores a field by one instruction, and then gives it the frozen type: from there on it is as any
other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any


def maker(kind: type, parameters: str, values: Mapping[str, str]) -> Callable[..., Any]:
    """Return a function of ``parameters`` that makes a ``kind``, a frozen dataclass with slots.

    ``values`` gives an expression of the parameters for each field; both are names of fields alone, never data.
    """
    stores = [f"    new.{name} = {value}" for name, value in values.items()]
    lines = [
        f"def make({parameters}):",
        "    new = new_of(twin)",
        *stores,
        "    new.__class__ = kind",
        "    return new",
    ]
    scope: dict[str, Any] = {"new_of": object.__new__, "twin": _twin(kind), "kind": kind}
    exec("\n".join(lines), scope)  # noqa: S102 - as dataclasses writes an __init__: names of fields alone are in it
    return scope["make"]


def constructor(kind: type) -> Callable[..., Any]:
    """Return a function that makes a ``kind`` as its own constructor does, of the values of all fields in order."""
    names = [field.name for field in fields(kind)]
    return maker(kind, ", ".join(names), {name: name for name in names})


def _twin(kind: type) -> type:
    """Return a class of the same bases and slots whose objects may be filled."""
    own = {name: vars(kind)[name] for name in ("__slots__", "__orig_bases__") if name in vars(kind)}
    own |= {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(kind.__name__, kind.__bases__, own)
