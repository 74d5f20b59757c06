"""The form of clickgoose's own small tables: lines of text under a head that says version and digest.

::

    # version 2026.6
    # sha256 of what follows the head's lines
    # what it is
    AD,42.50,1.52
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from enrichers.data_file import REMEDY, DataFileError

_VERSION, _DIGEST, _COMMENT = "# version ", "# sha256 ", "#"


class TextTable(NamedTuple):
    """What a file holds."""

    version: str
    sha256: str
    lines: tuple[str, ...]


def with_digest(text: str) -> str:
    """Return a table's text whose head has the version in its first line, with the digest in its second."""
    first, *rest = text.splitlines(keepends=True)
    if not first.startswith(_VERSION):
        raise ValueError("a table's text begins with its version")
    rest = [line for line in rest if not line.startswith(_DIGEST)]
    body = [line for line in rest if not line.startswith(_COMMENT)]
    return "".join((first, f"{_DIGEST}{_digest(body)}\n", *rest))


def read_text_table(path: Path) -> TextTable:
    """Return a file's lines without its head; DataFileError where it is missing or damaged."""
    try:
        lines = path.read_text("utf-8").splitlines(keepends=True)
    except OSError as error:
        raise DataFileError(f"The data file {path} cannot be read ({error.strerror}); {REMEDY}") from None
    except ValueError:
        raise DataFileError(f"The data file {path} is damaged; {REMEDY}") from None
    head = [line for line in lines if line.startswith(_COMMENT)]
    body = [line for line in lines if not line.startswith(_COMMENT)]
    said = _digest(body)
    if len(head) < 2 or not head[0].startswith(_VERSION) or head[1] != f"{_DIGEST}{said}\n":
        raise DataFileError(f"The data file {path} is damaged; {REMEDY}")
    return TextTable(head[0].removeprefix(_VERSION).strip(), said, tuple(line.rstrip("\n") for line in body))


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("".join(lines).encode()).hexdigest()
