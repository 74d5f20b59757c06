"""Records that no flow can read, and one that makes a stage raise: each ends in the backup, alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager

from schemas.dead_letter import Reason
from schemas.envelope import Attested, wrap
from schemas.sealed import Header
from tests.faults.harness import Case, World
from tests.faults.load import PARTITIONS, joined
from tests.faults.process import BUG_SEQUENCE
from tests.wire import NOW, enveloped, header, payload, sealed

Fault = Callable[[str], AbstractContextManager[Case]]
GARBAGE = (b"", b"\x00", b"CE", bytes(range(256)) * 64, b"CG" + b"\x02" * 90)
NEARLY = wrap(Attested("demo-shop", "order", ""), NOW, bytes(16), b"\xff" * 4000)


def test_poison_ends_in_the_backup_and_takes_nothing_else_with_it(world: World, fault: Fault) -> None:
    with fault("poison: garbage, and records that a stage raises on") as one:
        bugs = [enveloped(row, sealed(row, payload(), head=buggy(row))) for row in range(2)]
        load = one.append(seconds=2.0)
        with joined(load):
            poison = [*GARBAGE, NEARLY, *bugs]
            world.system.append([(number % PARTITIONS, value) for number, value in enumerate(poison)])
            one.offered += len(poison)
        account = one.settle(dead={Reason.BAD_ENVELOPE: len(GARBAGE), Reason.BAD_HEADER: 1, Reason.BUG: len(bugs)})
        assert account.scored == world.form.events


def buggy(row: int) -> Header:
    """Return a header that makes the stage of ``tests/faults/process.py`` raise."""
    return header(row)._replace(sequence=BUG_SEQUENCE, event_id=os.urandom(16))
