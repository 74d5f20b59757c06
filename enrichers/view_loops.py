"""All that a program over views reads of a batch, gathered by one compiled call: columns are read where they lie.

What is handed over are ids of tuples: see ``schemas.pointers``. The loops are those of ``compiled``, ``where_loops``
and ``compiled_clues``; as calls of their own, each took over a dozen arrays that do not change.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from enrichers import compiled, compiled_clues, where_loops
from enrichers.compiled import gather_past, gather_shown
from enrichers.compiled_clues import bot_clues, headless_clues, input_clues, rare_parts
from enrichers.where_loops import look_around
from schemas.kernels import kernels_of, part
from schemas.pointers import NOT_PLAIN, SOURCES, are_plain, array_in, numbers_of

_LOOPS: Final = (compiled, compiled_clues, where_loops)
kernel = kernels_of(Path(__file__), *(Path(str(one.__file__)) for one in _LOOPS), *SOURCES)
BOT, HEADLESS, INPUT, RARE = range(4)
"""Loops of clues that ``gather`` runs."""
TABLES: Final = (10, 7, 1, 5)
"""How many arrays each of them takes beside a batch."""
COLUMNS: Final = (
    np.bool_, np.bool_, np.uint64, np.float32, np.uint32, np.uint8, np.uint8, np.uint8, np.uint8, np.uint8, np.float32,
    np.float32, np.uint16, np.uint32, np.uint16, np.float32, np.int64, np.uint32, np.int64, np.int64, np.float32,
    np.float32, np.float32, np.uint8, np.float32, np.float32, np.float32, np.float32, np.int64, np.int64, np.float32,
    np.float32,
)  # fmt: skip
"""The types of the columns of a batch that are read, as ``View.columns`` has them."""


class Starts(NamedTuple):
    """Where stretches begin among the columns of their kind, as the first table has them; -1 of what is not asked."""

    counts: int
    older: int
    cause: int
    where: int
    classified: int
    speed: int
    language: int
    bot: int
    headless: int
    input: int
    rare: int


_TYPES: Final = numbers_of(COLUMNS)
_KINDS: Final = len(COLUMNS)  # behind the columns: kinds of renderers, and what is written
_SHOWN, _CAUSES, _PAST, _WHERE = 1, 9, 15, 21  # among the tables
_BOT: Final = 31
_HEADLESS: Final = _BOT + TABLES[BOT]
_INPUT: Final = _HEADLESS + TABLES[HEADLESS]
_RARE: Final = _INPUT + TABLES[INPUT]
LAST_TABLE: Final = _RARE + TABLES[RARE]
"""How many tables there are."""
_flags_in, _u8_in, _u16_in, _u32_in, _u64_in, _i64_in, _f32_in, _f64_in = (
    array_in(kind) for kind in (np.bool_, np.uint8, np.uint16, np.uint32, np.uint64, np.int64, np.float32, np.float64)
)
_bytes_in, _words_in, _floats_in, _times_in, _table_in = (
    array_in(kind, 2) for kind in (np.uint8, np.uint32, np.float32, np.int64, np.bool_)
)
_cube_in, _counts_in, _shared_in = (
    array_in(np.uint8, 3), array_in(np.uint32, 3, flat=True), array_in(np.float32, 4, flat=True),
)  # fmt: skip


@part
def _shown(columns: Any) -> Any:
    """Return what ``gather_shown`` takes of a batch."""
    return (
        _bytes_in(columns, 0), _bytes_in(columns, 1), _u64_in(columns, 2), _floats_in(columns, 3),
        _words_in(columns, 4), _u8_in(columns, 5), _u8_in(columns, 6), _u8_in(columns, 7), _u8_in(columns, 8),
        _u8_in(columns, 9), _f32_in(columns, 10), _f32_in(columns, 11), _u16_in(columns, 12), _u32_in(columns, 13),
        _u16_in(columns, 14), _floats_in(columns, 15),
    )  # fmt: skip


@part
def _past(columns: Any) -> Any:
    """Return what ``gather_past`` takes of a batch."""
    return (
        _i64_in(columns, 16), _counts_in(columns, 17), _i64_in(columns, 18), _i64_in(columns, 19),
        _shared_in(columns, 20), _floats_in(columns, 21), _floats_in(columns, 22), _u8_in(columns, 23),
    )  # fmt: skip


@part
def _six(tables: Any, first: Any) -> Any:
    return (
        _i64_in(tables, first), _i64_in(tables, first + 1), _i64_in(tables, first + 2), _i64_in(tables, first + 3),
        _i64_in(tables, first + 4), _i64_in(tables, first + 5),
    )  # fmt: skip


@part
def _look_around(columns: Any, tables: Any, language: Any, found: Any) -> None:
    clocks, limits = _f32_in(tables, _WHERE + 4), _f64_in(tables, _WHERE + 9)
    look_around(
        (_u16_in(columns, 12), _u32_in(columns, 13), _f32_in(columns, 24), _f32_in(columns, 25), _u16_in(columns, 14)),
        (_floats_in(columns, 26), _floats_in(columns, 27), _times_in(columns, 28)),
        (_f32_in(columns, 11), language, _i64_in(columns, 16)),
        (_cube_in(tables, _WHERE), _floats_in(tables, _WHERE + 1), _f64_in(tables, _WHERE + 2),
         _u16_in(tables, _WHERE + 3), (clocks[0], clocks[1], clocks[2], clocks[3])),
        (_u32_in(tables, _WHERE + 5), _u8_in(tables, _WHERE + 6), _table_in(tables, _WHERE + 7),
         _u32_in(tables, _WHERE + 8)),
        (np.uint16(limits[0]), np.uint8(limits[1]), np.uint8(limits[2]), np.uint8(limits[3]), limits[4]),
        found,
    )  # fmt: skip


@part
def _bot(shown: Any, tables: Any, causes: Any, found: Any) -> Any:
    """Set the clues as if nobody were a crawler; return how many may be one."""
    suspects, named = _flags_in(tables, _BOT + 9), _i64_in(tables, _BOT + 3)
    browsers, many = shown[5], 0
    for row in range(len(browsers)):
        many += suspects[browsers[row]] or causes[named[2] + named[1], row] != 0
    bot_clues(
        (shown[3], shown[0], shown[1], shown[4], shown[5], shown[7], shown[15]),
        (_i64_in(tables, _BOT), _i64_in(tables, _BOT + 1), _i64_in(tables, _BOT + 2), named[0],
         _i64_in(tables, _BOT + 4)),
        (_flags_in(tables, _BOT + 5), _flags_in(tables, _BOT + 6), _flags_in(tables, _BOT + 7)),
        (_u32_in(tables, _BOT + 8)[0], _u32_in(tables, _BOT + 8)[1:]),
        causes[named[2] :],
        np.zeros((3, len(browsers)), np.uint8),
        found,
    )  # fmt: skip
    return many


@part
def _headless(shown: Any, tables: Any, causes: Any, kinds: Any, found: Any) -> None:
    at, electron = _i64_in(tables, _HEADLESS), _u32_in(tables, _HEADLESS + 6)
    headless_clues(
        (shown[3], shown[4], shown[5], shown[6], shown[7]),
        at[2:],
        (_flags_in(tables, _HEADLESS + 1), _flags_in(tables, _HEADLESS + 2), _flags_in(tables, _HEADLESS + 3),
         _flags_in(tables, _HEADLESS + 4), _flags_in(tables, _HEADLESS + 5)),
        electron[0],
        causes[at[1] :],
        (kinds, at[0]),
        found,
    )  # fmt: skip


@part
def _input(columns: Any, tables: Any, shown: Any, found: Any) -> None:
    time, started = _i64_in(columns, 16), _i64_in(columns, 29)
    since = np.empty(len(time), np.int64)
    for row in range(len(time)):
        since[row] = time[row] - started[row]
    input_clues(shown[15], _i64_in(tables, _INPUT), since, found)


@part
def _rare(columns: Any, tables: Any, shown: Any, found: Any) -> None:
    at, limits = _i64_in(tables, _RARE), _f32_in(tables, _RARE + 4)
    rare_parts(
        (shown[0], shown[3], shown[5]),
        (_floats_in(columns, 30), _floats_in(columns, 31)),
        (at[0], at[1]),
        (_i64_in(tables, _RARE + 1), _flags_in(tables, _RARE + 2), _flags_in(tables, _RARE + 3)),
        (limits[0], limits[1], limits[2], limits[3], limits[4]),
        found,
    )


@kernel
def gather(columns: int, tables: int) -> int:
    """Fill floats float32, hashes uint32 and codes uint8, [k, n] each, which are the last of the columns.

    ``columns``: ``COLUMNS``, kinds of renderers uint8[n], and these. ``tables``: ``Starts``, int64; the places that
    ``gather_shown`` takes, those of causes, the places of ``gather_past``; what ``look_around`` takes as zones, lists
    and limits; and the tables of the four loops. Return how many rows may be crawlers, of which ``bot_clues`` is to be
    asked again; or ``NOT_PLAIN``, where nothing was written.
    """
    if not are_plain(columns, _TYPES):
        return NOT_PLAIN
    shown, starts = _shown(columns), _i64_in(tables, 0)
    floats, hashes, codes = (
        _floats_in(columns, _KINDS + 1), _words_in(columns, _KINDS + 2), _bytes_in(columns, _KINDS + 3),
    )  # fmt: skip
    causes = codes[starts[2] : starts[3]]
    asked = (
        _i64_in(tables, _SHOWN), _i64_in(tables, _SHOWN + 1), _i64_in(tables, _SHOWN + 2), _i64_in(tables, _SHOWN + 3),
        _i64_in(tables, _SHOWN + 4), _i64_in(tables, _SHOWN + 5), _i64_in(tables, _SHOWN + 6),
        _i64_in(tables, _SHOWN + 7),
    )  # fmt: skip
    gather_shown(shown, (asked, _six(tables, _CAUSES)), (floats, hashes, codes, causes))
    gather_past(_past(columns), _six(tables, _PAST), (floats[starts[0] :], codes[starts[1] :]))
    _look_around(columns, tables, hashes[starts[6]], (codes[starts[3] : starts[4]], floats[starts[5]]))
    suspects = 0
    if starts[7] >= 0:
        suspects = _bot(shown, tables, causes, codes[starts[7] :])
    if starts[8] >= 0:
        _headless(shown, tables, causes, _u8_in(columns, _KINDS), codes[starts[8] :])
    if starts[9] >= 0:
        _input(columns, tables, shown, codes[starts[9] :])
    if starts[10] >= 0:
        _rare(columns, tables, shown, codes[starts[10] :])
    return suspects
