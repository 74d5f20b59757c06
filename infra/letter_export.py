"""Dead letters as JSON lines or CSV in a file: written whole or not at all, readable by its owner alone."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from infra.dead_letters import DeadLetters, DeadLettersError, Filter
from infra.letter_payload import as_base64

Format = Literal["jsonl", "csv"]
_TOLD = 1_000  # letters between two reports of progress
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PAYLOAD = "payload_base64"


def export_letters(
    store: DeadLetters,
    wanted: Filter,
    file: Path,
    form: Format,
    *,
    payloads: bool,
    force: bool,
    on_progress: Callable[[int], None],
) -> int:
    """Write all letters of a filter; return how many. DeadLettersError where it cannot be.

    The newest failure comes first; with payloads they come as they are stored.
    """
    written = 0
    with _whole_file(file, force) as handle:
        write = _writer(handle, form)
        for letter, payload in store.all(wanted, payloads=payloads):
            row = letter.as_json()
            write({**row, _PAYLOAD: as_base64(payload)} if payloads else row)
            written += 1
            if written % _TOLD == 0:
                on_progress(written)
    return written


def _writer(handle: IO[str], form: Format) -> Callable[[dict[str, Any]], object]:
    if form == "jsonl":
        return lambda row: handle.write(json.dumps(row) + "\n")
    names: list[str] = []
    rows = csv.writer(handle)

    def write(row: dict[str, Any]) -> None:
        if not names:
            names.extend(row)
            rows.writerow(names)
        rows.writerow([_cell(row[name]) for name in names])

    return write


def _cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


@contextmanager
def _whole_file(file: Path, force: bool) -> Iterator[IO[str]]:
    """Give a file beside the wanted one that takes its place at the end, with mode 0600."""
    if file.exists() and not force:
        raise DeadLettersError(f"{file} is there already: give --force to replace it")
    try:
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # of mode 0600
    except OSError as error:
        raise DeadLettersError(f"cannot write in {file.parent}: {error.strerror}") from error
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as handle:
            yield handle
        if force:
            beside.replace(file)
        else:
            os.link(beside, file)  # refuses where somebody made one meanwhile
    except OSError as error:
        raise DeadLettersError(f"cannot write {file}: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)
