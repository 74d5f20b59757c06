"""Texts of rules as YAML: from bytes to values that know their places. Files and registries are read by this alone."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import yaml

from scoring.rules.document import MOST_BYTES
from scoring.rules.places import Mistake, Placed
from scoring.yaml_places import ProblemsFound, compose

_WHOLE: Final = re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,18})\Z")
_EXPONENT: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?[eE][-+]?[0-9]{1,3}\Z")  # a number of JSON that YAML 1.1 lacks
_QUOTES: Final = ("'", '"')


def placed(data: bytes, name: str) -> tuple[str, Placed | None] | Mistake:
    """Return a text's name and content, or why it is no YAML of a ruleset."""
    if len(data) > MOST_BYTES:
        return Mistake(name, 1, 1, f"the file has more than {MOST_BYTES >> 10} KiB; split it")
    try:
        root = compose(data, name)
    except ProblemsFound as found:
        return Mistake(name, found.problems[0].line, 1, found.problems[0].said)
    return name, _placed(root) if root is not None else None


def _placed(node: yaml.Node) -> Placed:
    line, column = node.start_mark.line + 1, node.start_mark.column + 1
    if isinstance(node, yaml.MappingNode):
        return Placed(tuple((_placed(key), _placed(value)) for key, value in node.value), line, column)
    if isinstance(node, yaml.SequenceNode):
        return Placed([_placed(one) for one in node.value], line, column)
    quoted = isinstance(node, yaml.ScalarNode) and node.style in _QUOTES
    return Placed(_scalar(node), line, column + quoted)


def _scalar(node: Any) -> Any:
    """Return a value as YAML 1.2 has it: `no` is a text, as is 12:30, and a date."""
    text: str = node.value
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind == "int" and _WHOLE.match(text):
        return int(text.replace("_", ""))
    if kind == "float" or (kind == "str" and node.style not in _QUOTES and _EXPONENT.match(text)):
        try:
            number = float(text.replace("_", ""))
        except ValueError:
            return text
        return number if math.isfinite(number) else text
    return text
