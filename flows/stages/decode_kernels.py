"""Loops over records and payloads, compiled: what is read by place from bytes, each row by itself.

Numba keeps what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder. All that the loops are compiled with stands in this file, but for the layouts: they
are constants of formats that never change within a version (``schemas.envelope``, ``sealed`` and ``payload``), and
``flows.stages.decode_heads`` holds them against these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
# Byte places of an envelope, whose names begin at its end, and of a sealed event (schemas.envelope, schemas.sealed).
ENVELOPE_BYTES: Final = 32
RECEIVED_AT, ADDRESS_AT, LENGTHS_AT, EVENT_TYPE_LENGTH_AT = 4, 12, 28, 3
HEADER_BYTES, SEALED_MIN_BYTES = 68, 97
KEY_AT, SESSION_AT, DEVICE_AT, EVENT_AT, SEQUENCE_AT, SENT_AT = 4, 8, 24, 40, 56, 60
ENVELOPE_MARK: Final = (67, 69, 1)  # "CE", version
SEALED_MARK: Final = (67, 71, 1)  # "CG", version
# Of the payload (schemas.payload).
PAYLOAD_VERSION, MAX_ENTRIES, ABSENT_TEXT, PREFIX_BYTES, ENTRY_BYTES = 1, 10_000, 0xFFFF, 16, 11
LATEST: Final = 1 << 62  # what no clock can show reads as the largest
# What a head turned out to be.
GOOD, NO_ENVELOPE, NO_HEADER, OTHER_VERSION, UNREAD = 0, 1, 2, 3, 4


def kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _part(function: F) -> F:
    """Make a function a part of the kernels that call it."""
    return cast(F, numba.njit(error_model="numpy", inline="always")(function))


@_part
def _octet(head: Any, place: Any) -> Any:
    """Return a byte, 0 behind the end of the record."""
    return head[place] if place < head.shape[0] else np.uint8(0)


@_part
def _copy(target: Any, first: Any, source: Any, at: Any, count: Any) -> None:
    """Copy a stretch; places are unsigned, so that none is asked whether it counts from the end."""
    for each in range(np.uintp(count)):
        target[np.uintp(first) + each] = source[np.uintp(at) + each]


@kernel
def read_heads(heads: Any, sizes: Any, ids: Any, numbers: Any, start: Any, found: Any) -> None:
    """Read envelopes and headers.

    ``heads``: uint8[n, W], the first bytes of each record, zeros behind its end; ``sizes``: bytes of each. Written:
    ``ids``: address, session, device and event, uint8[n, 16] each; ``numbers``: key id and sequence uint32[n], sent
    and received int64[n]; ``start``: where the sealed event starts, int64[n]; ``found``: what it is, uint8[n], UNREAD
    where W does not suffice.
    """
    address, session, device, event = ids
    key_id, sequence, sent_at, received_at = numbers
    width = heads.shape[1]
    for row in range(len(heads)):
        head = heads[row]
        at = ENVELOPE_BYTES + np.int64(head[EVENT_TYPE_LENGTH_AT])
        for place in range(LENGTHS_AT, LENGTHS_AT + 4):
            at += np.int64(head[place])
        start[row] = at
        if at + HEADER_BYTES > width and sizes[row] > width:
            found[row] = UNREAD
            continue
        clock = np.uint64(0)
        for byte in range(8):
            clock |= np.uint64(head[RECEIVED_AT + byte]) << np.uint64(8 * byte)
        received_at[row] = np.int64(min(clock, np.uint64(LATEST)))
        for byte in range(16):
            address[row, byte] = head[ADDRESS_AT + byte]
        for byte in range(16):
            session[row, byte] = _octet(head, at + SESSION_AT + byte)
            device[row, byte] = _octet(head, at + DEVICE_AT + byte)
            event[row, byte] = _octet(head, at + EVENT_AT + byte)
        key, count, clock = np.uint32(0), np.uint32(0), np.uint64(0)
        for byte in range(4):
            key |= np.uint32(_octet(head, at + KEY_AT + byte)) << np.uint32(8 * byte)
            count |= np.uint32(_octet(head, at + SEQUENCE_AT + byte)) << np.uint32(8 * byte)
        for byte in range(8):
            clock |= np.uint64(_octet(head, at + SENT_AT + byte)) << np.uint64(8 * byte)
        key_id[row], sequence[row], sent_at[row] = key, count, np.int64(min(clock, np.uint64(LATEST)))
        if (
            head[0] != ENVELOPE_MARK[0] or head[1] != ENVELOPE_MARK[1] or head[2] != ENVELOPE_MARK[2]
            or at > sizes[row]
        ):  # fmt: skip
            found[row] = NO_ENVELOPE
        elif at + SEALED_MIN_BYTES > sizes[row] or head[at] != SEALED_MARK[0] or head[at + 1] != SEALED_MARK[1]:
            found[row] = NO_HEADER
        elif head[at + 2] != SEALED_MARK[2]:
            found[row] = OTHER_VERSION
        else:
            found[row] = GOOD if head[at + 3] == 0 else NO_HEADER


@kernel
def measure(octets: Any, spans: Any, texts: Any, out: Any) -> None:
    """Check the layout of payloads, and say how much room they take.

    ``octets``: uint8[m]; ``spans``: where each payload starts, a multiple of four, and its bytes, int64[2, n], 0 bytes
    where there is none. Written are ``texts``: starts within the text bytes and lengths of this build's texts,
    int32[n, T] each, -1 where absent, and ``out``: is it good bool[n], catalogue uint16[n], int64[n] each: entries,
    where they start, where the text bytes start, and how many there are.
    """
    starts, lengths = texts
    good, catalogue, entries, log_at, text_at, text_bytes = out
    words = octets.view(np.uint16)
    width = lengths.shape[1]
    for row in range(len(good)):
        first, size = spans[0, row], spans[1, row]
        good[row], catalogue[row], entries[row], text_bytes[row] = False, 0, 0, 0
        log_at[row], text_at[row] = first, first
        starts[row, :], lengths[row, :] = 0, -1
        if size < PREFIX_BYTES:
            continue
        word = first // 2
        if words[word] != PAYLOAD_VERSION or words[word + 6] > MAX_ENTRIES:
            continue
        numbers, booleans = np.int64(words[word + 2]), np.int64(words[word + 3])
        categories, sent = np.int64(words[word + 4]), np.int64(words[word + 5])
        at = PREFIX_BYTES + 4 * numbers + 4 * categories
        end = (at + 2 * sent + 2 * ((booleans + 7) // 8) + 3) // 4 * 4
        if end > size:
            continue
        count, total = np.int64(words[word + 6]), np.int64(0)
        for text in range(sent):
            length = words[(first + at) // 2 + text]
            if text < width:
                starts[row, text] = total
                lengths[row, text] = -1 if length == ABSENT_TEXT else length
            if length != ABSENT_TEXT:
                total += length
        if end + count * ENTRY_BYTES + total != size:
            starts[row, :], lengths[row, :] = 0, -1
            continue
        for text in range(sent, width):
            starts[row, text] = total
        good[row], catalogue[row], entries[row] = True, words[word + 1], count
        log_at[row], text_at[row], text_bytes[row] = first + end, first + end + count * ENTRY_BYTES, total


@kernel
def lay_out(octets: Any, first: Any, measured: Any, signals: Any, log: Any, tails: Any) -> None:
    """Copy payloads into columns: what an agent of another version does not send is absent, what is not known left out.

    ``measured`` as ``measure`` writes it, ``first`` where each payload starts. Written: ``signals``: numbers by their
    bits uint32[n, N], categories uint32[n, C], and bits of 8 a byte of booleans that are known, and true, uint8[n, B /
    8] each; ``log``: time, value by its bits, code, target of all entries; ``tails``: all text bytes.
    """
    good, _, entries, log_at, text_at, text_bytes = measured
    numbers, categories, known, true, booleans = signals
    time, value, code, target = log
    words, halves = octets.view(np.uint32), octets.view(np.uint16)
    entry = tail = np.int64(0)
    absent = np.float32(np.nan).view(np.uint32)
    for row in range(len(good)):
        sent = bits = others = np.int64(0)
        if good[row]:
            place = first[row] // 2
            sent, bits, others = np.int64(halves[place + 2]), np.int64(halves[place + 3]), np.int64(halves[place + 4])
        at = (first[row] + PREFIX_BYTES) // 4
        shown = min(sent, numbers.shape[1])
        _copy(numbers[row], 0, words, at, shown)
        for column in range(shown, numbers.shape[1]):
            numbers[row, column] = absent
        at += sent
        shown = min(others, categories.shape[1])
        _copy(categories[row], 0, words, at, shown)
        for column in range(shown, categories.shape[1]):
            categories[row, column] = 0
        here = 4 * (at + others) + (2 * np.int64(halves[first[row] // 2 + 5]) if good[row] else 0)
        there = here + (bits + 7) // 8
        shown = min(bits, booleans)
        whole = shown // 8
        for byte in range(whole):
            known[row, byte] = octets[here + byte]
            true[row, byte] = octets[there + byte] & octets[here + byte]
        for byte in range(whole, known.shape[1]):
            known[row, byte] = true[row, byte] = 0
        if shown % 8:
            mask = np.uint8((1 << (shown % 8)) - 1)
            known[row, whole] = octets[here + whole] & mask
            true[row, whole] = octets[there + whole] & octets[here + whole] & mask
        count = entries[row]
        at = log_at[row]
        _copy(time, entry, words, at // 4, count)
        _copy(value, entry, words, at // 4 + count, count)
        _copy(code, entry, halves, at // 2 + 4 * count, count)
        _copy(target, entry, octets, at + 10 * count, count)
        entry += count
        _copy(tails, tail, octets, text_at[row], text_bytes[row])
        tail += text_bytes[row]
