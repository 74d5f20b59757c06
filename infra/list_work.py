"""What the commands on lists do: changes of any merchant's lists and the global ones, a file of values, and the proof.

A command works on the stores themselves: it does not read a million entries to change one.
"""

from __future__ import annotations

import csv
import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from infra.settings import Settings
from infra.watchlists import FollowedLists
from infra.watchlists_clickhouse import ListChanges
from ingest_api.watchlist_items import Item, Refusal, check_entry
from scoring.rules.watchlist_copy import Kept, read_kept
from scoring.rules.watchlist_desk import Status, Summary, status_of
from scoring.rules.watchlist_load import ask, names_of
from scoring.rules.watchlist_store import ListStore, Wanted
from scoring.rules.watchlist_verify import Difference, clear_away, compare, removals
from scoring.rules.watchlists import LIST_MODES, ListName, Mode

ROWS_AT_ONCE: Final = 5_000
_COLUMNS: Final = ("value", "kind", "until", "reason")


class ListsRefused(Exception):
    """Wrong use; the text is one sentence that says what to do."""


class Order(NamedTuple):
    """What a command says of all entries. ``name``: a list, or of a snooze the rule."""

    list: ListName
    kind: str
    until: str | None
    reason: str
    author: str


class RefusedRow(NamedTuple):
    """A row of a file that is not taken, without its value."""

    line: int
    reason: Refusal


class Proof(NamedTuple):
    """What a restore did, and how both sides are now, by list."""

    entries: int
    brought: int
    removed: int
    cleared: int
    lists: dict[ListName, Difference]

    @property
    def good(self) -> bool:
        """Return whether both sides say the same."""
        return all(one.good for one in self.lists.values())


class ListWork:
    """The stores of the settings, for one command. ListsRefused where one is not known."""

    def __init__(self, settings: Settings) -> None:
        if settings.redis.url is None or settings.clickhouse.url is None:
            raise ListsRefused(
                "no Redis or ClickHouse is known: run `clickgoose up`, or set CLICKGOOSE_REDIS__URL and "
                "CLICKGOOSE_CLICKHOUSE__URL"
            )
        self.lists = FollowedLists(settings)
        assert self.lists.store is not None and self.lists.truth is not None  # noqa: S101 -- there is a ClickHouse
        self._store: ListStore = self.lists.store
        self.truth: ListChanges = self.lists.truth
        self._port, self._copy = self.lists.port, self.lists.copy

    def close(self) -> None:
        """Let go of the connections."""
        self.lists.close()

    def named(self, merchant: str, name: str, mode: Mode | None) -> ListName:
        """Return the list of a name; ListsRefused where its mode must be said, or is another."""
        known = next((one.mode for one in self._names() if one[0] == merchant and one[2] == name), None)
        if known is None and mode is None:
            raise ListsRefused(f"there is no list {name} yet: say what it does, --mode allow, deny or named")
        if known is not None and mode not in (None, known):
            raise ListsRefused(f"{name} is a list of mode {known}, which a name keeps: use another name")
        found = known or mode
        assert found is not None  # noqa: S101 -- refused above
        return ListName(merchant, found, name)

    def _names(self) -> list[ListName]:
        (epoch,) = ask(self._port, ("GET", self._copy.epoch))
        if epoch is None:
            self._store.restore()
        return [name for name in names_of(self._port, self._copy).values() if name and name.mode in LIST_MODES]

    def change(self, order: Order, values: Iterable[str], removing: bool = False) -> list[Status | Refusal]:
        """Change some entries; return what became of each."""
        checked = [self._check(order, {"value": value}, removing) for value in values]
        return self._made(order, checked)

    def _made(self, order: Order, checked: Sequence[Item | Refusal]) -> list[Status | Refusal]:
        wanted = [self._wanted(order, one) for one in checked if isinstance(one, Item)]
        before = self._store.change(wanted, "command")
        done = iter([status_of(one.until, was) for one, was in zip(wanted, before, strict=True)])
        return [one if isinstance(one, Refusal) else next(done) for one in checked]

    def _check(self, order: Order, row: dict[str, str], removing: bool) -> Item | Refusal:
        entry: dict[str, Any] = {"kind": order.kind, "until": order.until} | {
            name: text for name, text in row.items() if text
        }
        if removing or entry["until"] is None:
            del entry["until"]
        elif entry["until"].isdigit():
            entry["until"] = int(entry["until"])
        if order.list.mode == "snooze":
            entry["rule"] = order.list.name
        if "value" not in entry:
            return Refusal.BAD_VALUE
        try:
            raw = msgspec.Raw(msgspec.json.encode(entry))
        except UnicodeEncodeError:  # bytes of a file that are no UTF-8
            return Refusal.BAD_VALUE
        return check_entry(raw, order.list.mode, order.reason, time.time_ns() // 1_000_000, removing)

    def _wanted(self, order: Order, item: Item) -> Wanted:
        digest = self.lists.keys.digest(order.list.merchant, item.kind, item.value)
        return Wanted(order.list, item.kind, digest, item.until, item.reason, order.author)

    def bring(self, order: Order, rows: Iterable[tuple[int, dict[str, str]]]) -> Iterator[tuple[int, list[RefusedRow]]]:
        """Add rows; give after every few thousand the last line that is in effect, and the rows that were refused."""
        part: list[tuple[int, dict[str, str]]] = []
        for numbered in rows:
            part.append(numbered)
            if len(part) == ROWS_AT_ONCE:
                yield self._bring(order, part)
                part = []
        if part:
            yield self._bring(order, part)

    def _bring(self, order: Order, part: list[tuple[int, dict[str, str]]]) -> tuple[int, list[RefusedRow]]:
        checked = [self._check(order, row, removing=False) for _, row in part]
        done = self._made(order, checked)
        refused = [RefusedRow(line, one) for (line, _), one in zip(part, done, strict=True) if isinstance(one, Refusal)]
        return part[-1][0], refused

    def summaries(self, merchant: str | None) -> list[Summary]:
        """Return all lists with their entries; the whole copy is read."""
        assert self.lists.desk is not None  # noqa: S101 -- there is a ClickHouse
        return self.lists.desk.summaries(merchant)

    def digests(self, name: ListName, kind: str, values: Sequence[str]) -> list[bytes]:
        """Return the digests of values."""
        return [self.lists.keys.digest(name.merchant, kind, value) for value in values]

    def kept(self, name: ListName, digests: Sequence[bytes]) -> list[Kept]:
        """Return what the copy says of entries."""
        return read_kept(ask(self._port, *self._copy.kept(name, digests)))

    def verify(self) -> dict[ListName, Difference]:
        """Compare copy and truth."""
        return compare(self._port, self._copy, self.truth, time.time_ns() // 1_000)[0]

    def restore(self) -> Proof:
        """Make the copy from the truth, take out of it what the truth has not, and compare."""
        restored = self._store.restore()
        now_us = time.time_ns() // 1_000
        _, extra = compare(self._port, self._copy, self.truth, now_us)
        codes = {int.from_bytes(code, "big"): name for code, name in names_of(self._port, self._copy).items() if name}
        removed = sum(
            int(count)
            for name, records in removals(extra, codes, now_us)
            for count in ask(self._port, *self._copy.apply(name, records))
        )
        cleared = clear_away(self._port, self._copy, now_us)
        return Proof(restored.entries, restored.brought, removed, cleared, self.verify())


class Importing(NamedTuple):
    """How far an import of a file is, kept beside the file, so that the same command goes on after a stop."""

    path: Path  # of the note itself
    mark: str  # names the file and what is done with it
    line: int  # that is in effect; 0: none

    @classmethod
    def of(cls, file: Path, order: Order, again: bool) -> Importing:
        """Return how far it is; an import of another file, or with other words, begins at the first line."""
        found = file.stat()
        said = json.dumps([found.st_size, found.st_mtime_ns, *order])
        mark = hashlib.sha256(said.encode()).hexdigest()
        path = file.with_name(file.name + ".importing")
        try:
            kept = json.loads(path.read_text("utf-8"))
            line = int(kept["line"]) if kept["mark"] == mark and not again else 0
        except (OSError, ValueError, KeyError, TypeError):
            line = 0
        return cls(path, mark, line)

    def note(self, line: int) -> None:
        """Keep how far it is."""
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.write_text(json.dumps({"mark": self.mark, "line": line}), "utf-8")
        fresh.replace(self.path)

    def done(self) -> None:
        """Forget it: the file is in effect."""
        self.path.unlink(missing_ok=True)


def read_rows(file: Path, after: int) -> Iterator[tuple[int, dict[str, str]]]:
    """Give the rows of a file behind a line, each with its line: one value a line, or CSV with a header (.csv).

    OSError where it cannot be read; ListsRefused where a CSV has other columns than value, kind, until and reason.
    """
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        if file.suffix.lower() != ".csv":
            for number, line in enumerate(lines, 1):
                if number > after and line.strip():
                    yield number, {"value": line.strip()}
            return
        reader = csv.DictReader(lines, strict=False)
        names = reader.fieldnames or ()
        if "value" not in names or not set(names) <= set(_COLUMNS):
            raise ListsRefused(f"the first line of {file.name} names the columns: value, and any of {_COLUMNS[1:]}")
        for row in reader:
            if reader.line_num > after:
                yield reader.line_num, {name: (text or "").strip() for name, text in row.items() if name is not None}


def lines_of(file: Path) -> int:
    """Return about how many lines a file has, from its first part, for a progress bar."""
    with file.open("rb") as opened:
        first = opened.read(1 << 20)
    lines = max(first.count(b"\n"), 1)
    return lines if len(first) < 1 << 20 else int(lines * file.stat().st_size / len(first))
