"""Which devices a candidate scores: the share that was asked for, always the same ones, more of them when it rises."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pytest

from scoring.chosen_devices import chosen_devices

DEVICES = np.random.default_rng(6).integers(0, 256, (20_000, 16), np.uint8)
_WORD = 2**64 - 1


@pytest.mark.parametrize("percent", [0, 0.5, 1, 5, 10, 25, 50, 75, 99, 100])
@pytest.mark.parametrize("version", ["goose-8f5fd173", "goose-00c0ffee"])
def test_the_share_is_the_one_that_was_asked_for(percent: float, version: str) -> None:
    found = 100 * chosen_devices(DEVICES, version, percent).mean()
    assert found == percent if percent in (0, 100) else abs(found - percent) < 1


def test_devices_whose_ids_follow_one_another_are_spread_alike() -> None:
    counted = np.zeros((20_000, 16), np.uint8)
    counted[:, 8:] = np.arange(20_000, dtype=">u8").view(np.uint8).reshape(-1, 8)
    assert abs(chosen_devices(counted, "goose-8f5fd173", 20).mean() - 0.2) < 0.01


def test_whoever_is_in_stays_in_when_the_percentage_rises() -> None:
    before = chosen_devices(DEVICES, "goose-8f5fd173", 0)
    for percent in (0.1, 1, 2.5, 10, 10.001, 50, 100):
        now = chosen_devices(DEVICES, "goose-8f5fd173", percent)
        assert (now | ~before).all() and now.sum() >= before.sum()
        before = now


def test_the_next_candidate_begins_with_other_devices() -> None:
    first, second = (chosen_devices(DEVICES, version, 10) for version in ("goose-8f5fd173", "goose-8f5fd174"))
    both = (first & second).mean()
    assert 0.005 < both < 0.015  # 10% of 10%, by chance


def _mixed(number: int) -> int:
    """Return SplitMix64's finaliser of a number, by whole numbers of Python."""
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    number = (number ^ number >> 27) * 0x94D049BB133111EB & _WORD
    return number ^ number >> 31


def test_the_hash_is_the_one_that_is_documented() -> None:
    digest = blake2b(b"goose-8f5fd173", digest_size=16).digest()
    keys = [int.from_bytes(digest[at : at + 8], "little") for at in (0, 8)]
    expected = []
    for device in DEVICES[:500]:
        words = [int.from_bytes(device[at : at + 8].tobytes(), "little") for at in (0, 8)]
        place = _mixed(_mixed(words[0] ^ keys[0]) + (words[1] ^ keys[1]) & _WORD)
        expected.append(place / 2**64 < 0.3)
    assert chosen_devices(DEVICES[:500], "goose-8f5fd173", 30).tolist() == expected


def test_no_device_is_chosen_of_none() -> None:
    assert chosen_devices(DEVICES[:0], "goose-8f5fd173", 50).shape == (0,)
    assert chosen_devices(DEVICES[::7, :], "a", 50).tolist() == chosen_devices(DEVICES, "a", 50)[::7].tolist()
