"""Binding to cores: lists that are read, programs that stay where they were put, and refusals of one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.cores import MOST, bind_to, bound_to, cores_in, listed
from infra.flow import Place
from infra.flow_serving import FlowRefused
from infra.settings import Settings
from infra.settings_refused import SettingsRefused

ROOT = Path(__file__).parents[2]
OWN = tuple(sorted(os.sched_getaffinity(0)))
ABSENT = MOST - 1
TELL = "import os; print(*sorted(os.sched_getaffinity(0)))"


def told(argv: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


@pytest.mark.parametrize(
    ("words", "cores"),
    [("", ()), (" ", ()), ("0", (0,)), ("3,1", (3, 1)), ("0-2,5", (0, 1, 2, 5)), (" 4 , 2 - 3 ,2", (4, 2, 3))],
)
def test_a_list_names_its_cores_in_order_and_each_once(words: str, cores: tuple[int, ...]) -> None:
    assert cores_in(words) == cores


@given(st.lists(st.integers(0, MOST - 1), unique=True))
def test_what_is_listed_is_read_back(cores: list[int]) -> None:
    assert cores_in(listed(cores)) == tuple(cores)


@pytest.mark.parametrize("words", ["a", "0,", ",0", "-1", "3-1", "0--2", "1024", "99999", "0;1", "٣"])
def test_what_is_no_list_is_refused_in_one_sentence(words: str) -> None:
    with pytest.raises(ValueError, match=r"^cores are numbers and ranges below 1,024, as 0-2,5, and not '.*'$"):
        cores_in(words)


def test_a_setting_that_is_no_list_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKGOOSE_FLOW__CORES", "first")
    with pytest.raises(SettingsRefused, match=r"^CLICKGOOSE_FLOW__CORES cannot be used: .* as 0-2,5, and not 'first'"):
        Settings()


def test_a_program_that_is_started_bound_stays_on_its_cores() -> None:
    assert told(bound_to(OWN[-1:], [sys.executable, "-c", TELL])) == (0, str(OWN[-1]), "")


def test_a_program_of_no_cores_is_started_as_it_is() -> None:
    assert bound_to((), ["valkey-server", "--port", "0"]) == ["valkey-server", "--port", "0"]


def test_a_program_whose_cores_are_not_there_is_not_started() -> None:
    code, said, why = told(bound_to((ABSENT,), ["echo", "started"]))
    assert (code, said) == (1, "")
    assert why == f"echo cannot be started: cores {ABSENT} are not among those of this process: " + (
        ", ".join(map(str, OWN)) + "."
    )


def test_a_program_that_is_not_there_is_one_sentence() -> None:
    code, _, why = told(bound_to(OWN[:1], ["/nowhere/valkey"]))
    assert (code, why) == (1, "/nowhere/valkey cannot be started: No such file or directory.")


def test_without_cores_nothing_is_bound() -> None:
    assert bind_to(()) is None
    assert tuple(sorted(os.sched_getaffinity(0))) == OWN


def test_the_processes_of_a_flow_are_bound_to_one_core_each_in_turn() -> None:
    def bound(ordinal: int) -> set[int]:
        Place(ordinal, 3).bind((OWN[0], OWN[-1]))
        return os.sched_getaffinity(0)

    found = []
    for ordinal in range(3):
        with ThreadPoolExecutor(1) as own_thread:  # which is all that is bound, and ends here
            found.append(own_thread.submit(bound, ordinal).result())
    assert found == [{OWN[0]}, {OWN[-1]}, {OWN[0]}]


def test_a_flow_whose_core_is_not_there_is_refused() -> None:
    with pytest.raises(FlowRefused, match=f"^process 0 cannot be bound to its core: cores {ABSENT} are not among"):
        Place().bind((ABSENT,))
    assert tuple(sorted(os.sched_getaffinity(0))) == OWN
