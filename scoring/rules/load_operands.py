"""Operands as they are written: ``field: .data.amount``, ``sum: payments, over: 3d`` and so on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, cast

from schemas.smart_signals import SMART_SIGNALS
from scoring.rules.answers import FUNCTIONS, Function
from scoring.rules.document import (
    Catalogue,
    FieldOperand,
    HistoryOperand,
    ListOperand,
    Operand,
    ScoreOperand,
    SignalOperand,
)
from scoring.rules.places import Placed, Reader, shown, suggestion
from scoring.rules.selector_tokens import Fault
from scoring.rules.selectors import compiled
from scoring.rules.times import LONGEST_WINDOW, duration, written

KINDS: Final = ("field", *FUNCTIONS, "list", "signal", "score")
_OF_KIND: Final[dict[str, tuple[str, ...]]] = {
    "field": ("times",),
    "list": ("field",),
    "signal": ("part",),
    "score": ("times",),
    **dict.fromkeys(FUNCTIONS, ("over", "of", "include_self", "times")),
}
MODIFIERS: Final = tuple(sorted({name for names in _OF_KIND.values() for name in names} - {"field"}))
LONGEST_NAME: Final = 64


class Known(NamedTuple):
    """Names that a file may use."""

    catalogues: Mapping[str, Catalogue]
    lists: frozenset[str] | None = None  # None: they are not known here


class OperandReader:
    """Reads operands; mistakes go to the reader."""

    def __init__(self, reader: Reader, known: Known) -> None:
        self._reader = reader
        self._known = known

    def kind(self, fields: Mapping[str, Placed]) -> str | None:
        """Return what kind of operand these fields describe; ``field`` is a part of ``list``."""
        found = [kind for kind in KINDS if kind in fields and not (kind == "field" and "list" in fields)]
        return found[0] if len(found) == 1 else None

    def read(self, node: Placed, kind: str, fields: Mapping[str, Placed]) -> Operand | None:
        """Return the operand, None where it has mistakes. ``fields`` may have comparators, which are left alone."""
        before = len(self._reader.mistakes)
        allowed = (kind, *_OF_KIND[kind])
        for name in (name for name in (*KINDS, *MODIFIERS) if name in fields and name not in allowed):
            self._reader.say(fields[name], f"{kind} cannot have {name!r}; it may have {', '.join(_OF_KIND[kind])}")
        if kind == "field":
            made = self._field(fields)
        elif kind == "list":
            made = self._list(node, fields)
        elif kind == "signal":
            made = self._signal(fields)
        elif kind == "score":
            self._reader.chosen(fields["score"], "score", ("model",))
            made = ScoreOperand(self._times(fields))
        else:
            made = self._history(node, cast(Function, kind), fields)
        return made if len(self._reader.mistakes) == before else None

    def selector(self, node: Placed, where: str) -> str | None:
        """Return a selector's text, None where it is none."""
        if not isinstance(node.value, str):
            self._reader.say(node, f"{where} must be a selector, as .data.amount, not {shown(node)}")
            return None
        found = compiled(node.value)
        if isinstance(found, Fault):
            self._reader.say(node, f"{where}: {found.said} (selector, column {found.column})", found.column - 1)
            return None
        return node.value

    def window(self, node: Placed, where: str) -> int | None:
        """Return a window in ms, None where it is none."""
        ms = duration(node.value)
        if not ms:
            self._reader.say(node, f"{where} is {shown(node)}; give a duration, as 30s, 15m, 3h or 7d")
            return None
        if ms > LONGEST_WINDOW:
            said = f"{where} is {written(ms)}; history is kept for {written(LONGEST_WINDOW)}; give at most that"
            self._reader.say(node, said)
            return None
        return ms

    def _field(self, fields: Mapping[str, Placed]) -> Operand | None:
        text = self.selector(fields["field"], "field")
        times = self._times(fields)
        return FieldOperand(text, times) if text is not None else None

    def _list(self, node: Placed, fields: Mapping[str, Placed]) -> Operand | None:
        name = self._reader.text(fields["list"], "list", LONGEST_NAME)
        if name and self._known.lists is not None and name not in self._known.lists:
            self._reader.say(fields["list"], f"there is no list {name!r}; {suggestion(name, self._known.lists)}")
        if "field" not in fields:
            self._reader.say(node, "list needs the value to look for; add `field: .entities.user`")
            return None
        text = self.selector(fields["field"], "field")
        return ListOperand(name, text) if name and text is not None else None

    def _signal(self, fields: Mapping[str, Placed]) -> Operand | None:
        name = fields["signal"].value
        if name not in SMART_SIGNALS:
            said = f"there is no smart signal {shown(fields['signal'])}; {suggestion(str(name), SMART_SIGNALS)}"
            self._reader.say(fields["signal"], said)
            return None
        if "part" not in fields:
            return SignalOperand(name)
        part = self._reader.chosen(fields["part"], "part", ("result", "confidence"))
        return SignalOperand(name, cast(Literal["result", "confidence"], part)) if part else None

    def _history(self, node: Placed, function: Function, fields: Mapping[str, Placed]) -> Operand | None:
        name = fields[function].value
        catalogue = self._known.catalogues.get(name) if isinstance(name, str) else None
        if catalogue is None:
            said = f"there is no catalogue {shown(fields[function])}; {suggestion(str(name), self._known.catalogues)}"
            self._reader.say(fields[function], said)
        elif catalogue.value is None and function not in ("count", "since"):
            said = f"{function} of {name!r} needs values; give the catalogue `value: .data.amount`, or use count"
            self._reader.say(fields[function], said)
        over = self.window(fields["over"], "over") if "over" in fields else catalogue.window if catalogue else None
        if catalogue and over and over > catalogue.window:
            said = f"over is {written(over)}, but {name!r} keeps {written(catalogue.window)}; widen its window"
            self._reader.say(fields["over"], said)
        of = self.selector(fields["of"], "of") if "of" in fields else catalogue.entity if catalogue else None
        include = self._reader.flag(fields["include_self"], "include_self") if "include_self" in fields else False
        times = self._times(fields)
        if catalogue is None or over is None or of is None:
            return None
        return HistoryOperand(function, catalogue, over, of, include, times)

    def _times(self, fields: Mapping[str, Placed]) -> float:
        if "times" not in fields:
            return 1.0
        node = fields["times"]
        if is_number(node.value) and node.value != 0:
            return float(node.value)
        self._reader.say(node, f"times is {shown(node)}; give a number other than 0")
        return 1.0


def is_number(value: Any) -> bool:
    """Return whether it is a finite number that a comparison can hold."""
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e300 and math.isfinite(value)
    )
