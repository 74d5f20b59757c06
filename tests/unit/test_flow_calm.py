"""A flow that runs is spared the collector and long turns of other threads, and leaves nothing of it behind."""

from __future__ import annotations

import gc
import sys

import pytest

from infra.flow_calm import calm


def test_what_is_loaded_is_frozen_while_the_flow_runs_and_all_is_as_before_afterwards() -> None:
    before = gc.get_threshold(), sys.getswitchinterval()
    with calm():
        assert gc.get_freeze_count() > 1_000
        assert gc.get_threshold()[0] > before[0][0]
        assert sys.getswitchinterval() < before[1]
    assert (gc.get_threshold(), sys.getswitchinterval()) == before
    assert gc.get_freeze_count() == 0


def test_a_flow_that_fails_leaves_nothing_behind_either() -> None:
    before = gc.get_threshold(), sys.getswitchinterval()
    with pytest.raises(RuntimeError), calm():
        raise RuntimeError
    assert (gc.get_threshold(), sys.getswitchinterval()) == before
