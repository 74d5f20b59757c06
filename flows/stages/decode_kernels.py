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
RECEIVED_AT, ADDRESS_AT = 4, 12
LENGTHS: Final = (28, 29, 30, 31, 3)  # of the names, in their order
LENGTHS_AT, EVENT_TYPE_LENGTH_AT = LENGTHS[0], LENGTHS[-1]
HEADER_BYTES, SEALED_MIN_BYTES, AROUND_BYTES = 68, 97, 96  # around a plaintext: header, nonce and tag
KEY_AT, SESSION_AT, DEVICE_AT, EVENT_AT, SEQUENCE_AT, SENT_AT = 4, 8, 24, 40, 56, 60
ENVELOPE_MARK: Final = (67, 69, 1)  # "CE", version
SEALED_MARK: Final = (67, 71, 1)  # "CG", version
# Of the payload (schemas.payload).
PAYLOAD_VERSION, MAX_ENTRIES, ABSENT_TEXT, PREFIX_BYTES, ENTRY_BYTES = 1, 10_000, 0xFFFF, 16, 11
RAW, MAX_BODY_BYTES = 0, 262_144  # what a plaintext begins with whose body is one already, and the most bytes of that
ALIGN: Final = 4  # bytes: where bodies start, one after their codec byte
LATEST: Final = 1 << 62  # what no clock can show reads as the largest
# What a record, then its plaintext, turned out to be.
GOOD, NO_ENVELOPE, NO_HEADER, OTHER_VERSION, NO_PAYLOAD, PACKED = range(6)
# What is known of each row's place, int64 each.
START, FIRST, END, FOUND, BODY, ENTRIES, LOG, TEXTS, TEXT_BYTES, CATALOGUE, PLACES = range(11)
# Eight booleans of a byte at once: a one in every byte of a word, the bit of each, and what brings any to its top bit.
_EACH, _BIT_OF_EACH = np.uint64(0x0101010101010101), np.uint64(0x8040201008040201)
_BELOW_TOP = np.uint64(0x7F7F7F7F7F7F7F7F)


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
def read_heads(heads: Any, sizes: Any, ids: Any, numbers: Any, times: Any, places: Any, names: Any) -> Any:
    """Read envelopes and headers, and give each payload its place in a room of memory, one behind the other.

    ``heads``: uint8[n, W], the first bytes of each record, zeros behind its end; ``sizes``: bytes of each. Written:
    ``ids``: address, session, device and event, uint8[4, n, 16]; ``numbers``: key id and sequence, uint32[2, n];
    ``times``: sent and received, int64[2, n]; ``places``, int64[PLACES, n]: where the sealed event starts, where its
    plaintext does and ends, one and the same place where there is none, and what it is: UNREAD where W does not
    suffice; ``names``, uint8[n * W]: those of all rows, by column, a zero behind each. Returns whether any is UNREAD,
    how many are not GOOD, the bytes of the room that plaintexts take, and those of the names: 0 where these are not
    written, since a row is not GOOD or zeros do not tell them apart.
    """
    address, session, device, event = ids[0], ids[1], ids[2], ids[3]
    width = heads.shape[1]
    unread, other, used = False, 0, np.int64(0)
    for row in range(len(heads)):
        head = heads[row]
        at = ENVELOPE_BYTES + np.int64(head[EVENT_TYPE_LENGTH_AT])
        for place in range(LENGTHS_AT, LENGTHS_AT + 4):
            at += np.int64(head[place])
        places[START, row] = at
        if at + HEADER_BYTES > width and sizes[row] > width:
            unread = True
            continue
        for byte in range(16):
            address[row, byte] = head[ADDRESS_AT + byte]
        for byte in range(16):
            session[row, byte] = _octet(head, at + SESSION_AT + byte)
            device[row, byte] = _octet(head, at + DEVICE_AT + byte)
            event[row, byte] = _octet(head, at + EVENT_AT + byte)
        key, count, clock, received = np.uint32(0), np.uint32(0), np.uint64(0), np.uint64(0)
        for byte in range(4):
            key |= np.uint32(_octet(head, at + KEY_AT + byte)) << np.uint32(8 * byte)
            count |= np.uint32(_octet(head, at + SEQUENCE_AT + byte)) << np.uint32(8 * byte)
        for byte in range(8):
            clock |= np.uint64(_octet(head, at + SENT_AT + byte)) << np.uint64(8 * byte)
            received |= np.uint64(head[RECEIVED_AT + byte]) << np.uint64(8 * byte)
        numbers[0, row], numbers[1, row] = key, count
        times[0, row] = np.int64(min(clock, np.uint64(LATEST)))
        times[1, row] = np.int64(min(received, np.uint64(LATEST)))
        found = _kind(head, at, sizes[row])
        first = used + ALIGN - 1
        size = sizes[row] - at - AROUND_BYTES if found == GOOD else 0
        places[FIRST, row], places[END, row], places[FOUND, row] = first, first + size, found
        used += (size + 2 * (ALIGN - 1)) // ALIGN * ALIGN
        other += found != GOOD
    named = 0 if unread or other else _put_names(heads, names)
    return unread, other, used, named


@_part
def _put_names(heads: Any, names: Any) -> Any:
    """Write what envelopes name, column after column: each name, and a zero behind it.

    Returns the bytes that they take; 0 where a byte of a name is zero or no ASCII: then zeros do not tell them apart.
    """
    starts = np.zeros(6, np.int64)
    for row in range(len(heads)):
        for column in range(5):
            starts[column + 1] += 1 + np.int64(heads[row, LENGTHS[column]])
    for column in range(5):
        starts[column + 1] += starts[column]
    used, every, least = starts[5], np.uint8(0), np.uint8(255)
    for row in range(len(heads)):
        head, place = heads[row], np.uintp(ENVELOPE_BYTES)
        for column in range(5):
            first, length = np.uintp(starts[column]), np.uintp(head[LENGTHS[column]])
            for byte in range(length):
                octet = head[place + byte]
                every, least = every | octet, min(least, octet)
                names[first + byte] = octet
            names[first + length] = 0
            starts[column] += np.int64(length) + 1
            place += length
    return used if every < 128 and least > 0 else 0


@_part
def _kind(head: Any, at: Any, size: Any) -> Any:
    """Return what a record is whose sealed event starts there."""
    if (
        head[0] != ENVELOPE_MARK[0] or head[1] != ENVELOPE_MARK[1] or head[2] != ENVELOPE_MARK[2] or at > size
    ):  # fmt: skip
        return NO_ENVELOPE
    if at + SEALED_MIN_BYTES > size or head[at] != SEALED_MARK[0] or head[at + 1] != SEALED_MARK[1]:
        return NO_HEADER
    if head[at + 2] != SEALED_MARK[2]:
        return OTHER_VERSION
    return GOOD if head[at + 3] == 0 else NO_HEADER


@kernel
def measure(octets: Any, places: Any, texts: Any, sums: Any, any_form: Any) -> Any:
    """Check the layout of payloads, and say how much room they take.

    ``octets``: uint8[m]; ``places``: where each plaintext starts, a payload a byte behind, and ends, as ``read_heads``
    writes it. Written are in ``places`` what it is (GOOD, PACKED or NO_PAYLOAD), its entries and where they start,
    where its text bytes start and how many there are, and its catalogue; in ``texts``, int32[2, n, T], starts within
    the text bytes and lengths of this build's texts, -1 where absent; in ``sums``, int64[2, n + 1], where the entries
    and the text bytes of each row begin among those of all. PACKED is only what is not RAW or too long, and unless
    ``any_form``. Returns how many are PACKED, how many NO_PAYLOAD, and the entries and text bytes of all rows.
    """
    starts, lengths = texts[0], texts[1]
    words = octets.view(np.uint16)
    width = lengths.shape[1]
    packed = other = 0
    sums[0, 0] = sums[1, 0] = 0
    for row in range(places.shape[1]):
        first, size = places[FIRST, row] + 1, places[END, row] - places[FIRST, row] - 1
        places[BODY, row], places[CATALOGUE, row], places[ENTRIES, row], places[TEXT_BYTES, row] = NO_PAYLOAD, 0, 0, 0
        places[LOG, row], places[TEXTS, row] = first, first
        starts[row, :], lengths[row, :] = 0, -1
        sums[0, row + 1], sums[1, row + 1] = sums[0, row], sums[1, row]
        if size >= 0 and not any_form and (octets[first - 1] != RAW or size > MAX_BODY_BYTES):
            places[BODY, row] = PACKED
            packed += 1
            continue
        other += 1
        word = first // 2
        if size < PREFIX_BYTES or words[word] != PAYLOAD_VERSION or words[word + 6] > MAX_ENTRIES:
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
        other -= 1
        places[BODY, row], places[CATALOGUE, row], places[ENTRIES, row] = GOOD, words[word + 1], count
        places[LOG, row], places[TEXTS, row] = first + end, first + end + count * ENTRY_BYTES
        places[TEXT_BYTES, row] = total
        sums[0, row + 1] += count
        sums[1, row + 1] += total
    rows = places.shape[1]
    return packed, other, sums[0, rows], sums[1, rows]


@_part
def _spread(target: Any, at: Any, bits: Any) -> None:
    """Write the bits of a byte as a byte each, which is one store: a product puts each where a sum carries it up."""
    wide = (((np.uint64(bits) * _EACH) & _BIT_OF_EACH) + _BELOW_TOP) >> np.uint64(7) & _EACH
    for byte in range(np.uintp(8)):
        target[at + byte] = np.uint8(wide >> (np.uint64(8) * np.uint64(byte)))


@kernel
def lay_out(octets: Any, places: Any, signals: Any, log: Any, tails: Any) -> None:
    """Copy payloads into columns: what an agent of another version does not send is absent, what is not known left out.

    ``places`` as ``measure`` writes them. Written: ``signals``: catalogue uint16[n], numbers float32[n, N], categories
    uint32[n, C], and which booleans are known, and true, uint8[2, n, B]; ``log``: time, value, code, target of all
    entries; ``tails``: all text bytes. Numbers are copied by their bits.
    """
    catalogue, floats, categories, flags = signals
    known, true = flags[0], flags[1]
    booleans = known.shape[1]
    time, shown_value, code, target = log
    numbers, value = floats.view(np.uint32), shown_value.view(np.uint32)
    words, halves = octets.view(np.uint32), octets.view(np.uint16)
    entry = tail = np.int64(0)
    absent = np.float32(np.nan).view(np.uint32)
    for row in range(places.shape[1]):
        catalogue[row] = places[CATALOGUE, row]
        first, good = places[FIRST, row] + 1, places[BODY, row] == GOOD
        sent = bits = others = np.int64(0)
        if good:
            place = first // 2
            sent, bits, others = np.int64(halves[place + 2]), np.int64(halves[place + 3]), np.int64(halves[place + 4])
        at = (first + PREFIX_BYTES) // 4
        shown = min(sent, numbers.shape[1])
        _copy(numbers[row], 0, words, at, shown)
        for column in range(shown, numbers.shape[1]):
            numbers[row, column] = absent
        at += sent
        shown = min(others, categories.shape[1])
        _copy(categories[row], 0, words, at, shown)
        for column in range(shown, categories.shape[1]):
            categories[row, column] = 0
        here = 4 * (at + others) + (2 * np.int64(halves[first // 2 + 5]) if good else 0)
        there = here + (bits + 7) // 8
        shown = min(bits, booleans)
        whole = shown // 8
        known_row, true_row = known[row], true[row]
        for byte in range(np.uintp(whole)):
            sure = octets[np.uintp(here) + byte]
            _spread(known_row, byte * np.uintp(8), sure)
            _spread(true_row, byte * np.uintp(8), sure & octets[np.uintp(there) + byte])
        for column in range(8 * whole, booleans):
            sure = octets[here + whole] >> np.uint8(column & 7) & 1 if column < shown else np.uint8(0)
            known_row[column] = sure
            true_row[column] = sure & octets[there + whole] >> np.uint8(column & 7) if sure else np.uint8(0)
        count, at = places[ENTRIES, row], places[LOG, row]
        _copy(time, entry, words, at // 4, count)
        _copy(value, entry, words, at // 4 + count, count)
        _copy(code, entry, halves, at // 2 + 4 * count, count)
        _copy(target, entry, octets, at + 10 * count, count)
        entry += count
        _copy(tails, tail, octets, places[TEXTS, row], places[TEXT_BYTES, row])
        tail += places[TEXT_BYTES, row]
