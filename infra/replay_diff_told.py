"""A diff of which one side, or both, are kept in files: both sides as results tell them (``replay.diff_told``)."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, Protocol

import numpy as np

from infra import replay_diff_sql as sql
from infra.replay_diff_clickhouse import DiffError, DiffTables, Extent
from infra.replay_diff_files import FilesSide, Window, chosen_rows
from infra.replay_diff_sides import Side, Sides
from infra.replay_diff_told_sql import TOLD, told_row
from replay.diff import Letters
from replay.diff_rows import Details, Heads, Keys, Names, first_of_each, ids_hex
from replay.diff_told import TOLD_AS, Told, details_of, heads_of
from schemas.columns import I8
from scoring.compare import NOT_LABELLED

_ROWS_AT_ONCE: Final = 2_048
_FEW: Final = 2_000  # events that are asked for by id, rather than with their whole bucket
_NO_LETTERS: Final = Letters(np.empty((0, 2), np.int64), (), ())


class OneSide(Protocol):
    """Where one side's events are read."""

    def extent(self) -> Extent:
        """Return how much there is of it."""
        ...

    def told(self, part: int, parts: int, ids: Collection[bytes] | None = None) -> Iterator[list[Told]]:
        """Yield the events of a bucket, some at a time; of ``ids`` alone, 32 hexadecimal digits each, where given."""
        ...

    def letters(self) -> Iterator[tuple[Window, Letters]]:
        """Yield the dead letters by windows of their places, in order, of each place one."""
        ...

    def reasons(self, heads: Heads, /) -> list[str]:
        """Return why events of the other side are dead-lettered on this one; empty where they are not."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class TableSide:
    """A side that is in ClickHouse, as results would tell it."""

    def __init__(self, url: str, database: str, sides: Sides) -> None:
        self.tables = DiffTables(url, (database, database), sides.live_database, sides.chosen)

    def extent(self) -> Extent:
        """Return how much there is of it."""
        return self.tables.open()[0]

    def told(self, part: int, parts: int, ids: Collection[bytes] | None = None) -> Iterator[list[Told]]:
        """Yield the events of a bucket, some at a time; of ``ids`` alone where given."""
        tables = self.tables
        bucket = sql.hashes(part, parts)
        if ids is not None and len(ids) <= _FEW:
            bucket += f" AND {sql.ids_in([bytes.fromhex(one.decode()) for one in ids])}"
        for rows in tables.streamed(TOLD, bucket, _ROWS_AT_ONCE):
            told = [told_row(row) for row in rows if ids is None or row[0] in ids]
            yield chosen_rows(told, tables.chosen)

    def letters(self) -> Iterator[tuple[Window, Letters]]:
        """Yield the dead letters by windows of their places, in order."""
        for window in sorted(self.tables.windows(0)):
            yield window, self.tables.window(0, window)

    def reasons(self, heads: Heads, /) -> list[str]:
        """Return why events of the other side are dead-lettered on this one."""
        return self.tables.reasons(0, heads)

    def close(self) -> None:
        """Disconnect."""
        self.tables.close()


class ToldTables:
    """Both sides, as ``DiffTables`` gives them. ``url``: of ClickHouse; empty: two sides in files, without labels."""

    def __init__(self, url: str, sides: Sides) -> None:
        self.chosen = sides.chosen
        both = sides.a.files is not None and sides.b.files is not None
        self._sides = tuple(_opened(url, side, sides, more=both) for side in (sides.a, sides.b))
        self._notes = [TOLD_AS]
        table = next((side for side in self._sides if isinstance(side, TableSide)), None)
        # Labels are of events that were received, so history has the same.
        self._labelled = TableSide(url, sides.live_database, sides) if table is None and url else table
        self._labels_open = table is not None

    def close(self) -> None:
        """Let go of all."""
        for side in {*self._sides, *((self._labelled,) if self._labelled else ())}:
            side.close()

    def notes(self) -> list[str]:
        """Return what a reader must know."""
        return self._notes

    def open(self) -> tuple[Extent, Extent]:
        """Find out how much there is of each side."""
        a, b = (side.extent() for side in self._sides)
        if not self._labels_open:
            self._open_labels()
        return a, b

    def _open_labels(self) -> None:
        try:
            if self._labelled is None:
                raise DiffError("there is no ClickHouse")
            self._labelled.extent()
        except DiffError as error:
            self._labelled = None
            self._notes.append(f"labels were not looked for: {error}")

    def heads(self, side: int, part: int, parts: int, names: tuple[Names, Names]) -> Heads:
        """Return the heads of a bucket; ``names``: of merchants and of versions, which both sides share."""
        found, appended = [Heads.none()], [np.empty(0, np.int64)]
        for rows in self._sides[side].told(part, parts):
            found.append(heads_of(rows, *names))
            appended.append(np.array([one.appended_at for one in rows], np.int64))
        heads = Heads.concat(found)
        return heads.take(first_of_each(heads, np.concatenate(appended)))

    def details(self, side: int, part: tuple[int, int], wanted: Heads, merchants: Names) -> Details:
        """Return the details of events of a bucket, in the order of their heads."""
        ids = [one.encode() for one in ids_hex(wanted, np.arange(len(wanted)))]
        keys = zip(ids, wanted.merchant.tolist(), wanted.partition.tolist(), wanted.offset.tolist(), strict=True)
        rows_of = {key: row for row, key in enumerate(keys)}
        found: list[Details] = []
        places: list[int] = []
        for rows in self._sides[side].told(*part, frozenset(ids)):
            at = [rows_of.get((one.event_id, merchants[one.merchant], one.partition, one.offset), -1) for one in rows]
            if kept := [one for one, row in zip(rows, at, strict=True) if row >= 0]:
                found.append(details_of(kept))
                places += [row for row in at if row >= 0]
        if len(places) != len(wanted):
            raise DiffError("events went away while they were compared: try again")
        return Details.concat(found).take(np.argsort(np.array(places), kind="stable"))

    def labels(self, part: int, parts: int, wanted: Keys, merchants: Names) -> I8:
        """Return what merchants said of events: 1 fraud, 0 genuine, -1 nothing."""
        if self._labelled is None:
            return np.full(len(wanted[1]), NOT_LABELLED, np.int8)
        return self._labelled.tables.labels(part, parts, wanted, merchants)

    def reasons(self, side: int, heads: Heads) -> list[str]:
        """Return why events of the other side are dead-lettered on this one; empty where they are not."""
        return self._sides[side].reasons(heads)

    def letters(self) -> Iterator[tuple[Letters, Letters]]:
        """Yield the letters of both sides, a window of places at a time, in the order of places."""
        if not self.chosen.whole_devices:
            return
        a, b = (_numbered(side.letters(), number) for number, side in enumerate(self._sides))
        for _, found in groupby(heapq.merge(a, b, key=lambda one: one[:2]), lambda one: one[0]):
            of_side = {number: letters for _, number, letters in found}
            yield of_side.get(0, _NO_LETTERS), of_side.get(1, _NO_LETTERS)

    def shown(self, side: int, ids: Iterable[bytes]) -> list[dict[str, Any]]:
        """Return whole events by id, for examples."""
        wanted = frozenset(one.hex().encode() for one in ids)
        if not wanted:
            return []
        found: dict[tuple[bytes, bytes], Told] = {}
        for rows in self._sides[side].told(0, 1, wanted):
            for one in rows:
                key, order = (one.event_id, one.merchant), (one.appended_at, one.partition, one.offset)
                before = found.get(key)
                if before is None or order < (before.appended_at, before.partition, before.offset):
                    found[key] = one
        return [_shown(one) for one in found.values()]


def _opened(url: str, side: Side, sides: Sides, *, more: bool) -> FilesSide | TableSide:
    if side.files is not None:
        return FilesSide(side.files, sides.chosen, more=more)
    if not url:
        raise DiffError(f"no ClickHouse, which has {side.name}: run `clickgoose up`, or set CLICKGOOSE_CLICKHOUSE__URL")
    return TableSide(url, side.database, sides)


def _numbered(letters: Iterator[tuple[Window, Letters]], side: int) -> Iterator[tuple[Window, int, Letters]]:
    return ((window, side, found) for window, found in letters)


def _shown(one: Told) -> dict[str, Any]:
    """Return an event as ``SHOWN_NAMES`` has it; what no result says is None."""
    texts = one.factor_texts.decode().split("\n") if one.factors else []
    sure = np.frombuffer(one.smart_confidences, "<f4").tolist()
    said: dict[str, Any] = {
        **{name: getattr(one, name).decode() for name in ("merchant", "event_id", "session_id", "decision",
                                                          "decided_by", "model", "build", "ruleset", "policy",
                                                          "smart_names")},
        **{name: getattr(one, name) for name in ("partition", "offset", "occurred_at", "score")},
        "event_type": None, "review": None, "deny": None,
        "factors": _names(one.factors), "factor_texts": texts, "rules": _names(one.rules),
        "contributions": np.frombuffer(one.contributions, "<f4").tolist(),
        "smart_results": np.frombuffer(one.smart_results, np.int8).tolist(),
        "smart_confidences": [None if np.isnan(value) else value for value in sure],
        "counts": np.frombuffer(one.counts, "<u4").tolist(),
    }  # fmt: skip
    return {name: said[name] for name in sql.SHOWN_NAMES}


def _names(joined: bytes) -> Sequence[str]:
    return joined.decode().split(",") if joined else []
