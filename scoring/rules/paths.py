"""All plain paths of a program's selectors through an event, walked by one generated function.

A step that several paths share is made once. It is the same as to read each ``Selector`` alone. Nothing of a rule gets
into the generated text: names are handed in by number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from scoring.rules.selector_tokens import Fault
from scoring.rules.selectors import Document, Selector, compiled, walk

Walk = Callable[[Mapping[str, Any]], dict[str, Any]]
MOST_STEPS: Final = 5_000
"""What has more takes too long to generate; what is left out is read as it is asked for."""
_Step = tuple[str | int, int]


def walker(texts: Iterable[str]) -> Walk:
    """Return a function from an event to what plain selectors give, by their texts; others are left out."""
    writer = _Writer()
    for text in dict.fromkeys(texts):
        selector = compiled(text)
        if isinstance(selector, Selector) and selector.path is not None and len(writer.lines) < MOST_STEPS:
            writer.path(text, selector.path)
    return writer.function()


class _Writer:
    """Writes a statement for each step; values have names by number."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._globals: dict[str, Any] = {}
        self._names: dict[tuple[_Step, ...], str] = {}  # by the path that leads there; a column is in a fault
        self._found: list[str] = []

    def path(self, text: str, path: tuple[_Step, ...]) -> None:
        """Write the steps that are not made yet."""
        value = "event"
        for end, (step, column) in enumerate(path, 1):
            name = self._names.get(path[:end])
            if name is None:
                name = self._names[path[:end]] = f"v{len(self._names)}"
                otherwise = f"{self._given(_one_step(step, column))}({value})"
                if isinstance(step, str):
                    otherwise = f"{value}.get({self._given(step)}) if type({value}) is dict else {otherwise}"
                self.lines.append(f"{name} = {otherwise}")
            value = name
        self._found.append(f"{self._given(text)}: {value}")

    def function(self) -> Walk:
        """Return what was written as a function."""
        body = [*self.lines, f"return {{{', '.join(self._found)}}}"]
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
