"""Reads recovery files: YAML as people write it; every mistake with its line and what to do.

::

    name: key-of-tuesday
    author: Anna, payments
    why: The agent of 3 June sealed with key 2 and named it 7
    steps:
      - when:
          reason: decode.unknown_key
          merchant: [shop-1, shop-2]
          fields:
            header.key_id: {equals: 7}
        do:
          - re-key: {key_id: 2}
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from infra.recovery_operations import OperationReader, is_pattern, safe_text
from schemas.catalogue import Catalogue, load_catalogue
from schemas.dead_letter import Reason
from schemas.recovery import (
    ENVELOPE,
    HEADER,
    MOST_CHARACTERS,
    MOST_OPERATIONS,
    MOST_PATTERN,
    MOST_STEPS,
    MOST_VALUES,
    MOST_WORDS,
    NAME_FORM,
    TESTS,
    Conditions,
    FieldTest,
    RecoveryFile,
    Step,
    field_kind,
)
from scoring.rules.places import Mistake, Placed, Reader, shown, suggestion
from scoring.rules.texts import placed

_WHOLE: Final = ("name", "author", "why", "steps")
_WHEN: Final = ("reason", "stage", "version", "merchant", "catalogue", "detail", "fields")
_STEP: Final = ("when", "do")
_MOST_AUTHOR: Final = 200
_REASONS: Final = tuple(reason.value for reason in Reason)
_GROUPS: Final = tuple(dict.fromkeys(f"{reason.partition('.')[0]}." for reason in _REASONS))
_VERSIONS: Final = 65_535  # of a catalogue: u16 on the wire


class RecoveryRefused(ValueError):
    """A recovery file cannot be used; its text is one sentence about the first mistake."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda one: (one.line, one.column)))
        more = len(self.mistakes) - 1
        others = f" ({more} more: see all with `clickgoose deadletters repair check`)" if more else ""
        super().__init__(f"{self.mistakes[0]}{others}")


def read_recovery(path: Path) -> RecoveryFile:
    """Read a file. RecoveryRefused where it cannot be used, OSError where it cannot be read."""
    return parse_recovery(path.read_bytes(), str(path))


def parse_recovery(data: bytes, name: str) -> RecoveryFile:
    """Read what is in a file. RecoveryRefused has every mistake in it, with its place and what to do."""
    found = placed(data, name)
    if isinstance(found, Mistake):
        raise RecoveryRefused([found])
    if found[1] is None:
        raise RecoveryRefused([Mistake(name, 1, 1, "the file is empty; give name, author, why and steps")])
    reader = Reader(name)
    made = _File(reader, load_catalogue()).read(found[1], data)
    if reader.mistakes or made is None:
        raise RecoveryRefused(reader.mistakes)
    return made


class _File:
    def __init__(self, reader: Reader, catalogue: Catalogue) -> None:
        self._reader = reader
        self._catalogue = catalogue

    def read(self, root: Placed, data: bytes) -> RecoveryFile | None:
        reader = self._reader
        parts = reader.fields(root, "the file", _WHOLE)
        for missing in (name for name in _WHOLE if name not in parts):
            reader.say(root, f"the file lacks {missing}; {_HINTS[missing]}")
        if len(parts) < len(_WHOLE):
            return None
        name = reader.text(parts["name"], "name", 64)
        if name is not None and not re.match(NAME_FORM, name):
            likely = re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).strip("-_.") or "repair"
            reader.say(parts["name"], f"name is {name!r}; did you mean {likely}?")
        author = safe_text(reader, parts["author"], "author", _MOST_AUTHOR)
        why = safe_text(reader, parts["why"], "why", MOST_WORDS)
        steps = tuple(self._steps(parts["steps"]))
        digest = hashlib.sha256(data).hexdigest()
        return RecoveryFile(name or "", author or "", why or "", steps, data.decode("utf-8", "replace"), digest)

    def _steps(self, node: Placed) -> Iterator[Step]:
        items = self._reader.items(node, "steps")
        if isinstance(node.value, list) and not 0 < len(items) <= MOST_STEPS:
            self._reader.say(node, f"steps has {len(items)} items; give 1 to {MOST_STEPS}")
        for place, item in enumerate(items[:MOST_STEPS]):
            where = f"steps[{place}]"
            parts = self._reader.fields(item, where, _STEP)
            if item.is_mapping and len(parts) < len(_STEP):
                missing = " and ".join(name for name in _STEP if name not in parts)
                self._reader.say(item, f"{where} lacks {missing}; it needs `when` with conditions and `do` with a list")
            elif len(parts) == len(_STEP):
                yield self._step(parts, where, item.line)

    def _step(self, parts: dict[str, Placed], where: str, line: int) -> Step:
        when = self._conditions(parts["when"], f"{where}.when")
        items = self._reader.items(parts["do"], f"{where}.do")
        if isinstance(parts["do"].value, list) and not 0 < len(items) <= MOST_OPERATIONS:
            said = f"{where}.do has {len(items)} operations; give 1 to {MOST_OPERATIONS}"
            self._reader.say(parts["do"], said)
        operations = OperationReader(self._reader, self._catalogue, when)
        read = (operations.read(item, f"{where}.do[{place}]") for place, item in enumerate(items[:MOST_OPERATIONS]))
        return Step(when, tuple(one for one in read if one is not None), line)

    def _conditions(self, node: Placed, where: str) -> Conditions:
        parts = self._reader.fields(node, where, _WHEN)
        if node.is_mapping and not node.value:
            self._reader.say(node, f"{where} is empty; say which letters are meant, as `reason: decode.bad_nested`")
        texts = {
            name: tuple(self._texts(parts.get(name), f"{where}.{name}"))
            for name in ("reason", "stage", "version", "merchant")
        }
        for place, reason in texts["reason"]:
            if reason not in _REASONS and reason not in _GROUPS:
                hint = suggestion(reason, (*_REASONS, *_GROUPS))
                self._reader.say(place, f"{where}.reason has {reason!r}, which is no reason; {hint}")
        of = {name: tuple(text for _, text in found) for name, found in texts.items()}
        return Conditions(
            reasons=of["reason"],
            stages=of["stage"],
            versions=of["version"],
            merchants=of["merchant"],
            catalogue=self._versions(parts.get("catalogue"), f"{where}.catalogue"),
            detail=self._pattern(parts["detail"], f"{where}.detail") if "detail" in parts else "",
            fields=tuple(self._fields(parts.get("fields"), f"{where}.fields")),
        )

    def _texts(self, node: Placed | None, where: str) -> Iterator[tuple[Placed, str]]:
        """Give one text or a list of them, with their places."""
        if node is None:
            return
        items = node.value if isinstance(node.value, list) else [node]
        if not 0 < len(items) <= MOST_VALUES:
            self._reader.say(node, f"{where} has {len(items)} items; give 1 to {MOST_VALUES:,}, or leave it out")
        for item in items[:MOST_VALUES]:
            text = self._reader.text(item, where, MOST_CHARACTERS)
            if text is not None:
                yield item, text

    def _versions(self, node: Placed | None, where: str) -> tuple[int, int] | None:
        if node is None:
            return None
        if isinstance(node.value, list):
            ends = self._range(node, where)
            return None if ends is None else (int(ends[0]), int(ends[1]))
        version = self._reader.whole(node, where, 0, _VERSIONS)
        return None if version is None else (version, version)

    def _pattern(self, node: Placed, where: str) -> str:
        text = self._reader.text(node, where, MOST_PATTERN)
        return text if text is not None and is_pattern(self._reader, node, where, text) else ""

    def _fields(self, node: Placed | None, where: str) -> Iterator[FieldTest]:
        for key, value in self._reader.entries(node, where) if node is not None else ():
            kind = field_kind(key.value, self._catalogue)
            if kind is None:
                hint = suggestion(key.value, (*self._catalogue.by_name, *ENVELOPE, *HEADER))
                self._reader.say(key, f"{where} has no field {key.value!r}; {hint}")
                continue
            tests = self._reader.fields(value, f"{where}.{key.value}", TESTS)
            if value.is_mapping and not tests:
                self._reader.say(value, f"{where}.{key.value} tests nothing; give one of {', '.join(TESTS)}")
            for test, operand in tests.items():
                made = self._test(key.value, kind, test, operand, f"{where}.{key.value}.{test}")
                if made is not None:
                    yield made

    def _test(self, field: str, kind: str, test: str, node: Placed, where: str) -> FieldTest | None:
        if test == "present":
            return FieldTest(field, "present", self._reader.flag(node, where))
        wanted = {"range": "number", "matches": "text"}.get(test, kind)
        if kind != wanted:
            said = f"{where} is for {wanted}s, and {field} is of kind {kind}; use equals, in or present"
            self._reader.say(node, said)
            return None
        if test == "range":
            ends = self._range(node, where)
            return None if ends is None else FieldTest(field, "range", ends)
        if test == "matches":
            return FieldTest(field, "matches", self._pattern(node, where))
        return self._values(field, kind, node, where, several=test == "in")

    def _values(self, field: str, kind: str, node: Placed, where: str, *, several: bool) -> FieldTest:
        if not several:
            return FieldTest(field, "equals", self._constant(node, kind, where))
        items = self._reader.items(node, where)
        if isinstance(node.value, list) and not 0 < len(items) <= MOST_VALUES:
            self._reader.say(node, f"{where} has {len(items)} values; give 1 to {MOST_VALUES:,}")
        return FieldTest(field, "in", tuple(self._constant(item, kind, where) for item in items[:MOST_VALUES]))

    def _constant(self, node: Placed, kind: str, where: str) -> Any:
        value = node.value
        good = {
            "number": isinstance(value, int | float) and not isinstance(value, bool),
            "boolean": isinstance(value, bool),
            "id": isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32}", value) is not None,
        }.get(kind, isinstance(value, str) and len(value) <= MOST_CHARACTERS)
        if not good:
            self._reader.say(node, f"{where} cannot be {shown(node)}; give {_CONSTANTS[kind]}")
        return value

    def _range(self, node: Placed, where: str) -> tuple[float, float] | None:
        items = self._reader.items(node, where)
        values = [item.value for item in items]
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        if len(values) == 2 and numbers and values[0] <= values[1]:
            return values[0], values[1]
        if isinstance(node.value, list):
            self._reader.say(node, f"{where} must be two numbers, the lower one first, as [0, 100]")
        return None


_HINTS: Final = {
    "name": "give a short one, as key-of-tuesday",
    "author": "say who wrote it",
    "why": "say why, for whoever looks at it later",
    "steps": "give a list of steps, each with `when` and `do`",
}
_CONSTANTS: Final = {
    "number": "a number",
    "boolean": "true or false",
    "id": "32 hexadecimal digits in quotes",
    "text": f"text of at most {MOST_CHARACTERS:,} characters, in quotes",
    "category": "the text that the browser said, in quotes",
}
