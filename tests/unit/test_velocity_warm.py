"""What ``make setup`` compiles is what a session calls: nothing is left to be compiled when the first event comes."""

from __future__ import annotations

from flows.stages.device_state import state
from flows.stages.device_state.warm import compile_kernels
from flows.stages.velocity import Velocity
from tests.builders import normalized

KERNELS = (
    state.count_rows,
    state.note_rows,
    state.note_scores,
    state.repeat_journal,
    state.find_sessions,
    state.read_devices,
    state.read_rest,
    state.write_slices,
)


def compiled() -> list[int]:
    return [len(kernel.signatures) for kernel in KERNELS]


def test_a_session_needs_nothing_that_setup_did_not_compile() -> None:
    compile_kernels()
    before = compiled()
    batch = normalized([{}] * 3)
    session = Velocity().open(())
    session.apply(batch)
    first = session.snapshot()
    again = Velocity().open([first.data])
    again.apply(batch)
    Velocity().open([first.data, again.snapshot().data])
    assert min(before) > 0
    assert compiled() == before
