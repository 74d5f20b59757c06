"""All plain paths of a program's selectors through an event, walked by one generated function.

A step that several paths share is made once. It is the same as to read each ``Selector`` alone. Nothing of a rule gets
into the generated text: names are handed in by number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from scoring.rules.selector_tokens import Fault
from scoring.rules.selectors import Document, Selector, compiled, walk

Walk = Callable[[Mapping[str, Any]], tuple[dict[str, Any], list[Any]]]
"""From an event to what plain selectors give, by their texts, and to a row of it; both are new each time."""
MOST_PATHS: Final = 1_000
"""More take too long to generate; what is left out is read when it is asked for."""
_Step = tuple[str | int, int]


def plain_paths(texts: Iterable[str]) -> dict[str, tuple[_Step, ...]]:
    """Return the paths of those selectors that are plain, by their texts."""
    found: dict[str, tuple[_Step, ...]] = {}
    for text in texts:
        selector = compiled(text)
        if isinstance(selector, Selector) and selector.path is not None and len(found) < MOST_PATHS:
            found[text] = selector.path
    return found


def walker(paths: Mapping[str, tuple[_Step, ...]], fields: Mapping[int, str], size: int) -> Walk:
    """Return what walks an event. ``fields``: texts by their place in a row of ``size``, which has None elsewhere."""
    writer = _Writer()
    values = {text: writer.path(path) for text, path in paths.items()}
    row = [values[fields[slot]] if slot in fields else "None" for slot in range(size)]
    return writer.function(values, row)


class _Writer:
    """Writes a statement for each step; values have names by number."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._globals: dict[str, Any] = {}
        self._names: dict[tuple[_Step, ...], str] = {}  # by the steps that lead there; a column is in a fault

    def path(self, path: tuple[_Step, ...]) -> str:
        """Write the steps that are not made yet; return the name of the last one's value."""
        value = "event"
        for end, (step, column) in enumerate(path, 1):
            name = self._names.get(path[:end])
            if name is None:
                name = self._names[path[:end]] = f"v{len(self._names)}"
                said = f"{self._given(_one_step(step, column))}({value})"
                if isinstance(step, str):
                    said = f"{value}.get({self._given(step)}) if type({value}) is dict else {said}"
                self._lines.append(f"{name} = {said}")
            value = name
        return value

    def function(self, values: Mapping[str, str], row: Iterable[str]) -> Walk:
        """Return what was written as a function."""
        seen = ", ".join(f"{self._given(text)}: {value}" for text, value in values.items())
        body = [*self._lines, f"return {{{seen}}}, [{', '.join(row)}]"]
        text = "def walk(event):\n" + "\n".join(f"    {line}" for line in body)
        exec(compile(text, "<paths>", "exec"), self._globals)  # noqa: S102 # numbers alone are in the text
        found: Walk = self._globals["walk"]
        return found

    def _given(self, constant: Any) -> str:
        name = f"k{len(self._globals)}"
        self._globals[name] = constant
        return name


def _one_step(step: str | int, column: int) -> Callable[[Any], Any]:
    read = walk(((step, column),))

    def stepped(value: Any) -> Any:
        return value if value is None or isinstance(value, Fault) else read(Document(value))

    return stepped
