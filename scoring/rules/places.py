"""Values that know where in a file they were written, and mistakes with their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple


class Mistake(NamedTuple):
    """What is wrong in a file, where, and what to do about it."""

    file: str
    line: int  # from 1
    column: int  # from 1
    said: str

    def __str__(self) -> str:
        """Return it as compilers say it."""
        return f"{self.file}:{self.line}:{self.column}: {self.said}"


class Placed(NamedTuple):
    """A value of a file. A mapping is a tuple of pairs, so that a key that comes twice is seen; a list is a list."""

    value: Any
    line: int
    column: int

    @property
    def is_mapping(self) -> bool:
        """Return whether it is a mapping."""
        return isinstance(self.value, tuple)


def plain(placed: Placed) -> Any:
    """Return a value without its places, as JSON has it. Of a key that comes twice the last counts."""
    if placed.is_mapping:
        return {str(key.value): plain(value) for key, value in placed.value}
    if isinstance(placed.value, list):
        return [plain(one) for one in placed.value]
    return placed.value


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return what somebody who wrote an unknown name should do."""
    names = sorted(known)
    if likely := get_close_matches(name, names, 1):
        return f"did you mean {likely[0]}?"
    if not names:
        return "there is none yet; add it, or take this out"
    return f"known are {', '.join(names[:12])}{' ...' if len(names) > 12 else ''}"


class Reader:
    """Collects the mistakes of one file, so that all are said at once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.mistakes: list[Mistake] = []

    def say(self, place: Placed, said: str, within: int = 0) -> None:
        """Note a mistake at a value, ``within`` columns into it."""
        self.mistakes.append(Mistake(self.file, place.line, place.column + within, said))

    def fields(self, node: Placed, where: str, known: Iterable[str]) -> dict[str, Placed]:
        """Return the fields of a mapping that may have the known ones only."""
        names = tuple(known)
        found: dict[str, Placed] = {}
        for key, value in self.entries(node, where):
            if key.value in names:
                found[key.value] = value
            else:
                self.say(key, f"{where} has no {key.value!r}; {suggestion(key.value, names)}")
        return found

    def entries(self, node: Placed, where: str) -> Iterator[tuple[Placed, Placed]]:
        """Give the entries of a mapping, each key once; keys are text."""
        if not node.is_mapping:
            self.say(node, f"{where} must hold names with values, as `name: value`; indent them below it")
            return
        seen: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key.value, str):
                self.say(key, f"{where}: {key.value!r} is no name; put it in quotes, or take it out")
            elif key.value in seen:
                self.say(key, f"{where} has {key.value!r} twice, first in line {seen[key.value]}; take one out")
            else:
                seen[key.value] = key.line
                yield key, value

    def items(self, node: Placed, where: str) -> list[Placed]:
        """Return the items of a list."""
        if isinstance(node.value, list):
            return list(node.value)
        self.say(node, f"{where} must be a list; write it as `[one, two]`")
        return []

    def text(self, node: Placed, where: str, most: int) -> str | None:
        """Return a text of 1 to ``most`` characters, None where it is something else."""
        if isinstance(node.value, str) and 0 < len(node.value) <= most:
            return node.value
        self.say(node, f"{where} must be text of 1 to {most} characters; put it in quotes")
        return None

    def whole(self, node: Placed, where: str, least: int, most: int) -> int | None:
        """Return a whole number inside a range, None where it is something else."""
        if isinstance(node.value, int) and not isinstance(node.value, bool) and least <= node.value <= most:
            return node.value
        self.say(node, f"{where} must be a whole number from {least} to {most}")
        return None

    def flag(self, node: Placed, where: str) -> bool:
        """Return true or false."""
        if isinstance(node.value, bool):
            return node.value
        self.say(node, f"{where} must be true or false")
        return False

    def chosen(self, node: Placed, where: str, among: Iterable[str]) -> str | None:
        """Return one of some words, None where it is something else."""
        words = tuple(among)
        if isinstance(node.value, str) and node.value in words:
            return node.value
        self.say(node, f"{where} cannot be {shown(node)}; {suggestion(str(node.value), words)}")
        return None


def shown(node: Placed) -> str:
    """Return what was written there, short."""
    if node.is_mapping:
        return "names with values"
    if isinstance(node.value, list):
        return "a list"
    text = repr(node.value)
    return text if len(text) <= 60 else text[:57] + "..."
