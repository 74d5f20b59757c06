"""Results of a replay in files: read back as they were written, cut at a checkpoint, and damage is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flows.sinks.encoded import EncodedParcel
from flows.sinks.kafka import OutputTopics, scored_records
from replay.outputs_files import FileResults
from replay.parts import Marks, OutputFailed
from replay.result_files import DIRECTORY, FilesDamaged, Kind, ResultFiles
from replay.sip_hash import sip_hashes
from schemas.dead_letter import encode_dead_letter
from schemas.result import decode_result
from tests.full_disk import full_disk
from tests.scored_parcels import encoded_parcel

ROWS = 150


def parcels(count: int = 6) -> list[EncodedParcel]:
    """Return parcels of two partitions in turns, each with letters: enough for several frames a file."""
    return [encoded_parcel(ROWS, first=(ROWS + 2) * (at // 2), dead=2, partition=at % 2) for at in range(count)]


def write(directory: Path, items: list[EncodedParcel], marks: Marks | None = None) -> Marks:
    """Write parcels behind a checkpoint; return the marks of the next one."""
    out = FileResults(directory, marks or {})
    out.write(items)
    found = out.sync()
    out.close()
    return found


def held(directory: Path, marks: Marks, kind: Kind = Kind.SCORED) -> list[bytes]:
    """Return the records that count, partition by partition."""
    files = ResultFiles(directory, marks)
    return [one for number in files.partitions(kind) for frame in files.frames(kind, number) for one in frame.records]


def records(items: list[EncodedParcel]) -> list[bytes]:
    """Return the results of parcels as files have them."""
    return [one for number in (0, 1) for item in items if item.spans[0].partition == number for one in item.records]


def test_results_alerts_and_letters_are_read_as_kafka_would_have_them(tmp_path: Path) -> None:
    items = parcels()
    marks = write(tmp_path, items)
    assert held(tmp_path, marks) == records(items)
    letters = sorted(encode_dead_letter(letter) for item in items for letter in item.parcel.errs)
    assert sorted(held(tmp_path, marks, Kind.DEAD_LETTER)) == letters
    files, topics = ResultFiles(tmp_path, marks), OutputTopics()
    frames = [frame for number in (0, 1) for frame in files.frames(Kind.SCORED, number)]
    assert len(frames) > 2
    alerts = [one for frame in frames for one, alert in zip(frame.records, frame.alert, strict=True) if alert]
    expected = [
        one
        for one in records(items)
        if any(record.topic == topics.alerts for record in scored_records(decode_result(one), one, topics))
    ]
    assert alerts == expected and 0 < len(alerts) < len(records(items))


def test_a_directory_and_its_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    write(tmp_path, parcels(1))
    assert (tmp_path / DIRECTORY).stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / DIRECTORY).iterdir()} == {0o600}


def test_what_lies_beyond_a_checkpoint_is_cut_off_and_comes_once(tmp_path: Path) -> None:
    items = parcels()
    marks = write(tmp_path, items[:2])
    beyond = write(tmp_path, items[2:5], marks)
    assert len(held(tmp_path, beyond)) > len(held(tmp_path, marks))
    with (tmp_path / DIRECTORY / "scored-00001.frames").open("ab") as torn:
        torn.write(b"CGRF\xff")
    (tmp_path / DIRECTORY / "scored-00007.frames").write_bytes(b"of a partition that no checkpoint knows")
    assert held(tmp_path, marks) == records(items[:2])
    marks = write(tmp_path, items[2:], marks)
    assert held(tmp_path, marks) == records(items)
    assert not (tmp_path / DIRECTORY / "scored-00007.frames").exists()


def test_a_run_that_begins_anew_leaves_nothing_of_the_first_try(tmp_path: Path) -> None:
    write(tmp_path, parcels(4))
    marks = write(tmp_path, parcels(2))
    assert held(tmp_path, marks) == records(parcels(2))


def _flipped(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


def _without_the_first_frame(data: bytes) -> bytes:
    size = 20 + int.from_bytes(data[12:16], "little")
    return data[size:] + data[:size]


@pytest.mark.parametrize(
    "damage",
    [_flipped, _without_the_first_frame, lambda data: data[:-1], lambda data: data[:9], lambda _: b"",
     lambda data: b"X" + data[1:], lambda data: data[:17] + bytes([data[17] ^ 4]) + data[18:]],
)  # fmt: skip
def test_damage_is_said_in_one_sentence(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    marks = write(tmp_path, parcels())
    path = tmp_path / DIRECTORY / "scored-00000.frames"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FilesDamaged, match="is damaged") as said:
        held(tmp_path, marks)
    assert "\n" not in str(said.value) and str(path) in str(said.value)


def test_a_file_that_is_gone_is_said_too(tmp_path: Path) -> None:
    marks = write(tmp_path, parcels())
    path = tmp_path / DIRECTORY / "dead_letter-00001.frames"
    path.unlink()
    with pytest.raises(FilesDamaged, match="No such file"):
        held(tmp_path, marks, Kind.DEAD_LETTER)
    with pytest.raises(OutputFailed, match="shorter than the checkpoint says"):
        write(tmp_path, [], marks)


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_once_there_is_room(tmp_path: Path) -> None:
    items = parcels()
    marks = write(tmp_path, items[:2])
    size = max(path.stat().st_size for path in (tmp_path / DIRECTORY).iterdir())
    with full_disk(size + 100), pytest.raises(OutputFailed, match="is full: make room and go on with --resume"):
        write(tmp_path, items[2:], marks)
    assert held(tmp_path, marks) == records(items[:2])
    assert held(tmp_path, write(tmp_path, items[2:], marks)) == records(items)


def test_ids_are_hashed_as_sip_hash_says() -> None:
    ids = np.random.default_rng(3).integers(0, 256, (50, 16)).astype(np.uint8)
    ids[0] = 0
    assert sip_hashes(ids).tolist() == [_sip(one.tobytes()) for one in ids]


def _sip(data: bytes) -> int:
    """Return SipHash-2-4 of 16 bytes under the key of zeros, as its authors write it."""
    most = (1 << 64) - 1
    a, b, c, d = 0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573

    def turned(value: int, bits: int) -> int:
        return (value << bits | value >> (64 - bits)) & most

    def rounds(a: int, b: int, c: int, d: int, count: int) -> tuple[int, int, int, int]:
        for _ in range(count):
            a, c = (a + b) & most, (c + d) & most
            b, d = turned(b, 13) ^ a, turned(d, 16) ^ c
            a = turned(a, 32)
            c, a = (c + b) & most, (a + d) & most
            b, d = turned(b, 17) ^ c, turned(d, 21) ^ a
            c = turned(c, 32)
        return a, b, c, d

    for word in (data[:8], data[8:], b"\0" * 7 + b"\x10"):
        d ^= int.from_bytes(word, "little")
        a, b, c, d = rounds(a, b, c, d, 2)
        a ^= int.from_bytes(word, "little")
    a, b, c, d = rounds(a, b, c ^ 0xFF, d, 4)
    return a ^ b ^ c ^ d
