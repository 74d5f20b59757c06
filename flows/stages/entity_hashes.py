"""The names that entities have in the shared counts: BLAKE2b of 64 bits (RFC 7693) under a key, a person a kind.

Addresses, networks, numbers and devices are hashed by a compiled loop, for each of them is one block of 128 bytes; the
state after the block of the key is made once. ``hashlib`` makes those of texts, and a test holds both together.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from flows.stages.device_state.compiled import SOURCES, kernels_of, step
from flows.stages.device_state.pointers import NOT_PLAIN, are_plain, matrix_in, numbers_of, plain_ones, vector_in
from schemas.batches import U64

kernel = kernels_of(*SOURCES, Path(__file__))
KEY_BYTES: Final = 64  # of a key, the first ones
_BLOCK: Final = 128
_REMEMBERED: Final = 16_384  # texts of a kind, 4 MB: one is hashed anew in 1 µs
_PLACES: Final = 1 << 13  # values of a kind that are remembered at most
_U = np.uint64
_IV = np.array(
    [0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
     0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179], np.uint64
)  # fmt: skip
_SIGMA = np.array(
    [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
     [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4], [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
     [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13], [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
     [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11], [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
     [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5], [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0]],
    np.int64,
)  # fmt: skip
_ROUNDS = 12


@step
def _mixed(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    """RFC 7693's G."""
    a = a + b + x
    d ^= a
    d = (d >> _U(32)) | (d << _U(32))
    c += d
    b ^= c
    b = (b >> _U(24)) | (b << _U(40))
    a = a + b + y
    d ^= a
    d = (d >> _U(16)) | (d << _U(48))
    c += d
    b ^= c
    b = (b >> _U(63)) | (b << _U(1))
    return a, b, c, d


@step
def _compress(h: U64, m: U64, count: int, last: bool, made: U64) -> None:
    """RFC 7693's F: ``made`` is the state after a block, ``count`` the bytes up to its end."""
    a0, a1, a2, a3, b0, b1, b2, b3 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
    c0, c1, c2, c3 = _IV[0], _IV[1], _IV[2], _IV[3]
    d0, d1, d2, d3 = _IV[4] ^ _U(count), _IV[5], _IV[6], _IV[7]
    if last:
        d2 = ~d2
    for turn in range(_ROUNDS):
        s = turn % 10
        a0, b0, c0, d0 = _mixed(a0, b0, c0, d0, m[_SIGMA[s, 0]], m[_SIGMA[s, 1]])
        a1, b1, c1, d1 = _mixed(a1, b1, c1, d1, m[_SIGMA[s, 2]], m[_SIGMA[s, 3]])
        a2, b2, c2, d2 = _mixed(a2, b2, c2, d2, m[_SIGMA[s, 4]], m[_SIGMA[s, 5]])
        a3, b3, c3, d3 = _mixed(a3, b3, c3, d3, m[_SIGMA[s, 6]], m[_SIGMA[s, 7]])
        a0, b1, c2, d3 = _mixed(a0, b1, c2, d3, m[_SIGMA[s, 8]], m[_SIGMA[s, 9]])
        a1, b2, c3, d0 = _mixed(a1, b2, c3, d0, m[_SIGMA[s, 10]], m[_SIGMA[s, 11]])
        a2, b3, c0, d1 = _mixed(a2, b3, c0, d1, m[_SIGMA[s, 12]], m[_SIGMA[s, 13]])
        a3, b0, c1, d2 = _mixed(a3, b0, c1, d2, m[_SIGMA[s, 14]], m[_SIGMA[s, 15]])
    made[0], made[1], made[2], made[3] = h[0] ^ a0 ^ c0, h[1] ^ a1 ^ c1, h[2] ^ a2 ^ c2, h[3] ^ a3 ^ c3
    made[4], made[5], made[6], made[7] = h[4] ^ b0 ^ d0, h[5] ^ b1 ^ d1, h[6] ^ b2 ^ d2, h[7] ^ b3 ^ d3


@kernel
def _absorb(h: U64, m: U64, made: U64) -> None:
    """Take in the block of a key."""
    _compress(h, m, _BLOCK, False, made)


_NUMBERS = numbers_of((np.uint64,))
_words_in, _vector_in, _sizes_in = matrix_in(np.uint64), vector_in(np.uint64), vector_in(np.int64)


@kernel
def _hash_values(columns: int, memory: int, before: int) -> int:
    """Hash values of one or two words [n, 2 * kinds] to [n, kinds]: 0 where all are 0, else never 0.

    ``columns`` and ``memory`` are the ids of tuples: see ``device_state.pointers``. Remembered [kinds * places, 3] is
    the last value of each place, and its hash, 0 where there is none.
    """
    if not are_plain(columns, _NUMBERS):
        return NOT_PLAIN
    values, hashes = _words_in(columns, 0), _words_in(columns, 1)
    states, sizes, remembered = _words_in(memory, 0), _sizes_in(memory, 1), _words_in(memory, 2)
    m, made = _vector_in(memory, 3), _vector_in(memory, 4)
    mask = _PLACES - 1
    for row in range(len(values)):
        for kind in range(len(states)):
            one, two = values[row, 2 * kind], values[row, 2 * kind + 1]
            if not one and not two:
                hashes[row, kind] = 0
                continue
            word = (one ^ (two * _U(0x9E3779B97F4A7C15))) * _U(0xD6E8FEB86659FD93)
            place = kind * _PLACES + (np.int64(word >> _U(40)) & mask)
            known = remembered[place, 2]
            if not known or remembered[place, 0] != one or remembered[place, 1] != two:
                m[0], m[1] = one, two
                _compress(states[kind], m, before + sizes[kind], True, made)
                known = max(made[0], _U(1))
                remembered[place, 0], remembered[place, 1], remembered[place, 2] = one, two, known
            hashes[row, kind] = known
    return 0


class ValueHashes:
    """The hashes of values of one or two words. ``sizes``: the bytes of each kind's values, 8 or 16."""

    def __init__(self, sizes: Mapping[str, int], key: bytes) -> None:
        self._arguments = (dict(sizes), key)
        key = key[:KEY_BYTES]
        self._before = _BLOCK if key else 0
        states = np.stack([_begun(kind.encode(), key) for kind in sizes])
        remembered = np.zeros((len(sizes) * _PLACES, 3), np.uint64)
        block, made = np.zeros(16, np.uint64), np.zeros(8, np.uint64)
        self._memory = (states, np.array(list(sizes.values()), np.int64), remembered, block, made)
        self._one_at_a_time = threading.Lock()  # the loop lets go of the interpreter's

    def __reduce__(self) -> tuple[type[ValueHashes], tuple[dict[str, int], bytes]]:
        """Pickle without what is remembered."""
        return ValueHashes, self._arguments

    def __call__(self, values: U64) -> U64:
        """Return uint64[n, kinds] of values uint64[n, kinds, 2]: 0 for one of zeros alone, which says nothing."""
        columns = (values.reshape(len(values), 2 * values.shape[1]), np.empty(values.shape[:2], np.uint64))
        with self._one_at_a_time:
            if _hash_values(id(columns), id(self._memory), self._before) == NOT_PLAIN:
                columns = (*plain_ones(columns[:1], (np.uint64,)), columns[1])  # type: ignore[assignment] # as many
                _hash_values(id(columns), id(self._memory), self._before)
        return columns[1]


def _begun(kind: bytes, key: bytes) -> U64:
    state = _IV.copy()
    state[0] ^= _U(8 | len(key) << 8 | 1 << 16 | 1 << 24)  # bytes of a digest, of the key; fanout and depth of 1
    state[6:] ^= np.frombuffer(kind.ljust(16, b"\0"), "<u8")
    if key:
        made = np.empty(8, np.uint64)
        _absorb(state, np.frombuffer(key.ljust(_BLOCK, b"\0"), "<u8").astype(np.uint64), made)
        return made
    return state


class OwnHashes(dict[tuple[str, str], int]):
    """The hashes of texts that are a merchant's own, remembered for those that came last: 0 for an empty one."""

    def __init__(self, kind: str, key: bytes) -> None:
        super().__init__()
        self._kind, self._key = kind, key

    def __missing__(self, owned: tuple[str, str]) -> int:
        """Make a hash once."""
        if len(self) >= _REMEMBERED:
            self.clear()
        merchant, text = owned
        name = f"{len(merchant)}:{merchant}{text}".encode("utf-8", "surrogatepass")
        self[owned] = found = name_hash(self._kind, self._key, name) if text else 0
        return found

    def of(self, merchants: Sequence[str], texts: Sequence[str]) -> U64:
        """Return uint64[n]."""
        return np.fromiter(map(self.__getitem__, zip(merchants, texts, strict=True)), np.uint64, len(texts))


def name_hash(kind: str, key: bytes, name: bytes) -> int:
    """Return the hash of a name; never 0."""
    digest = hashlib.blake2b(name, digest_size=8, key=key[:KEY_BYTES], person=kind.encode())
    return int.from_bytes(digest.digest(), "little") or 1
