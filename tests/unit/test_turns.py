"""Turns of threads: what is asked of Linux is what a thread, its threads and the programs that it starts have."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from infra.settings import Settings
from infra.turns import MICROSECONDS, take_short_turns, with_short_turns

ROOT = Path(__file__).parents[2]
HEARD = tuple(map(int, platform.release().split(".")[:2])) >= (6, 12)
SHORT = MICROSECONDS * 1_000 if HEARD else 0
TELL = """
import ctypes, platform, struct, threading
def turn():
    words = bytearray(56)
    number = {"x86_64": 315, "aarch64": 275}[platform.machine()]
    assert ctypes.CDLL(None).syscall(number, 0, (ctypes.c_char * 56).from_buffer(words), 56, 0) == 0
    return struct.unpack("<IIQiIQQQII", words)[5]
"""


def told(code: str, *before: str) -> list[int]:
    argv = [*before, sys.executable, "-c", TELL + code]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [int(word) for word in done.stdout.split()]


def test_a_thread_has_the_turns_that_it_asked_for_and_so_have_those_that_it_starts() -> None:
    usual, own, started, given_back = told("""
from infra.turns import take_short_turns
take_short_turns(0)
print(turn())
assert take_short_turns()
print(turn())
thread = threading.Thread(target=lambda: print(turn()))
thread.start()
thread.join()
assert take_short_turns(0)
print(turn())
""")
    assert (own, started) == (SHORT, SHORT)
    assert given_back == usual
    assert (own != usual) == HEARD


def test_a_program_that_is_started_with_short_turns_has_them() -> None:
    assert told("print(turn())", *with_short_turns(["/usr/bin/env"])) == [SHORT]


def test_a_program_that_is_started_with_short_turns_is_what_it_would_be_without() -> None:
    argv = with_short_turns(["sh", "-c", "echo $0 $1; exit 7", "a", "b c"])
    done = subprocess.run(argv, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (7, b"a b c\n")


def test_a_program_that_is_not_there_is_one_sentence() -> None:
    done = subprocess.run(with_short_turns(["/nowhere/valkey"]), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "/nowhere/valkey cannot be started: No such file or directory.\n")


def test_where_the_system_knows_no_such_call_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "a machine of another kind")
    assert not take_short_turns()


def test_they_are_asked_for_unless_the_settings_say_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().turn_microseconds == MICROSECONDS
    monkeypatch.setenv("CLICKGOOSE_TURN_MICROSECONDS", "0")
    assert Settings().turn_microseconds == 0
