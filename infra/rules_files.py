"""Files of rules on disk: one YAML file or a directory of them, read into values that know their places.

A directory holds the global rules, and below ``merchants/<id>/`` those of a merchant.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Final

import yaml

from infra.yaml_places import ProblemsFound, compose
from scoring.rules.document import MOST_BYTES
from scoring.rules.places import Mistake, Placed

MERCHANTS: Final = "merchants"
LIBRARY: Final = Path(__file__).parents[1] / "scoring" / "rules" / "library"
_SUFFIXES: Final = (".yaml", ".yml")
_MOST_FILES: Final = 1_000
_WHOLE: Final = re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,18})\Z")
_QUOTES: Final = ("'", '"')


def files_at(path: Path) -> list[Path]:
    """Return the files of one ruleset: the file itself, or those directly in the directory, by name.

    FileNotFoundError where there is none, OSError where it cannot be read.
    """
    if path.is_file():
        return [path]
    found = sorted(child for child in path.iterdir() if child.suffix in _SUFFIXES and child.is_file())
    if not found:
        raise FileNotFoundError(f"{path} has no file that ends in .yaml")
    return found[:_MOST_FILES]


def read_file(path: Path, name: str | None = None) -> tuple[str, Placed | None] | Mistake:
    """Return a file's name and content, or why it is no YAML of a ruleset. OSError where it cannot be read."""
    return placed(path.read_bytes(), name or str(path))


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
    if kind == "float":
        try:
            number = float(text.replace("_", ""))
        except ValueError:
            return text
        return number if math.isfinite(number) else text
    return text
