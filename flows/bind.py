"""bind: a stage becomes a Bytewax operator. Nearly all that clickgoose asks of Bytewax is in this file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar

import bytewax.operators as op
from bytewax._bytewax import cli_main
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators import StatefulBatchLogic

from flows.checkpoints import Checkpoints
from flows.parcel import Parcel
from flows.run_stage import Monitor, run_stage
from schemas.batches import RawBatch
from schemas.stage import Stage

In = TypeVar("In", bound=RawBatch)
Out = TypeVar("Out", bound=RawBatch)


def bind_stage(up: Stream[Parcel[In]], stage: Stage[In, Out], monitor: Monitor) -> Stream[Parcel[Out]]:
    """Run a stateless stage on every parcel. The step id is the stage's name: it is part of stored state."""
    return op.map(stage.name, up, lambda parcel: run_stage(stage, parcel, monitor))


def bind_keyed(up: Stream[Parcel[In]], name: str, checkpoints: Checkpoints[In, Out]) -> Stream[Parcel[Out]]:
    """Run the keyed stage, keyed by Kafka partition, with its snapshots taken at the end of each epoch."""
    keyed = op.key_on(f"{name}_by_partition", up, lambda parcel: str(parcel.span.partition))
    applied = op.stateful_batch(name, keyed, lambda _resume: _PartitionLogic(checkpoints))
    return op.key_rm(f"{name}_without_key", applied)


class _PartitionLogic(StatefulBatchLogic[Parcel[Any], Parcel[Any], None]):
    """Hands parcels to the checkpointed session of their partition. Bytewax keeps no state of its own for it."""

    def __init__(self, checkpoints: Checkpoints[Any, Any]) -> None:
        self._checkpoints = checkpoints
        self._partition: int | None = None

    def on_batch(self, values: list[Parcel[Any]]) -> tuple[Iterable[Parcel[Any]], bool]:
        self._partition = values[-1].span.partition
        return [self._checkpoints.apply(parcel) for parcel in values], StatefulBatchLogic.RETAIN

    def snapshot(self) -> None:
        if self._partition is not None:
            self._checkpoints.snapshot(self._partition)


def run_bytewax(flow: Dataflow, epoch: timedelta) -> None:
    """Run a dataflow on one worker of this process until its sources end."""
    run: Any = cli_main  # its stub is untyped
    run(flow, epoch_interval=epoch)
