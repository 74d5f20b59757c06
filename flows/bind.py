"""bind: a stage becomes a Bytewax operator. Nearly all that clickgoose asks of Bytewax is in this file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import bytewax.operators as op
from bytewax._bytewax import cli_main
from bytewax.dataflow import Dataflow, Stream

from flows.parcel import Parcel
from flows.run_stage import Monitor, run_stage
from schemas.batches import Decided, Judged, RawBatch
from schemas.stage import Stage

if TYPE_CHECKING:
    from flows.checkpoints import Checkpoints  # a flow without a state need not load what makes one

In = TypeVar("In", bound=RawBatch)
Out = TypeVar("Out", bound=RawBatch)


def bind_stage(up: Stream[Parcel[In]], stage: Stage[In, Out], monitor: Monitor) -> Stream[Parcel[Out]]:
    """Run a stateless stage on every parcel. The step id is the stage's name."""
    return op.map(stage.name, up, lambda parcel: run_stage(stage, parcel, monitor))


def bind_keyed(up: Stream[Parcel[In]], name: str, checkpoints: Checkpoints[In, Out]) -> Stream[Parcel[Out]]:
    """Run the keyed stages where their partitions are read: nothing is exchanged between workers.

    Bytewax keeps no state for them. The state of each Kafka partition and the offset that fits it are one log, written
    by ``Checkpoints`` when the source ends an epoch (docs/adr/0002-state-and-offsets-in-one-log.md).
    """
    return op.map(name, up, checkpoints.apply)


def bind_decide(up: Stream[Parcel[Judged]], name: str, checkpoints: Checkpoints[Any, Any]) -> Stream[Parcel[Decided]]:
    """Decide with the state that lies in the same log, on the same worker, as ``bind_keyed`` says."""
    return op.map(name, up, checkpoints.decide)


def bind_remember(up: Stream[Parcel[Decided]], checkpoints: Checkpoints[Any, Any]) -> Stream[Parcel[Decided]]:
    """Hand scores and decisions back to the keyed stages, on the same worker.

    A worker runs one parcel through all steps before its source polls again or ends an epoch (a test watches it), so a
    parcel finds every earlier one remembered, and a snapshot finds every applied row scored.
    """
    return op.map("remember", up, checkpoints.remember)


class ClusterBroken(RuntimeError):
    """A Bytewax cluster cannot go on: one of its processes ended, or a step of this one failed."""


def run_bytewax(flow: Dataflow, epoch: timedelta, process: int = 0, addresses: Sequence[str] = ()) -> None:
    """Run a dataflow on one worker of this process until its sources end.

    With ``addresses`` (host:port, one a process, the same list everywhere) the workers of all processes are one
    cluster. When one ends the others end with ClusterBroken; what a step raised is hidden by Bytewax then.
    """
    run: Any = cli_main  # its stub is untyped
    if not addresses:
        run(flow, epoch_interval=epoch)
        return
    try:
        run(flow, process_id=process, addresses=list(addresses), epoch_interval=epoch)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # pyo3 gives it no importable name
            raise
        raise ClusterBroken(
            "the cluster broke: another process of it ended, or a step of this one failed, which its log says"
        ) from None
