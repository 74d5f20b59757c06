"""enrich: the stage that gives every event its smart signals."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from enrichers.address_table import load_address_table
from enrichers.behaviour import BEHAVIOUR, VERSION
from enrichers.network_lists import covering
from enrichers.registry import SIGNALS
from enrichers.signal import Jury, SmartSignal
from enrichers.versions import data_versions
from enrichers.view import View
from schemas.batches import Enriched, Related, SmartSignals
from schemas.columns import widen
from schemas.stage import StageOut

_NO_VERSIONS: Mapping[str, str] = MappingProxyType({})


class Enrich:
    """All smart signals over a batch, each on its own, none seeing another's verdict. Every row goes on.

    ``versions`` says by kind of data which version the look-ups hold; results name it.
    """

    name = "enrich"

    def __init__(
        self, signals: tuple[SmartSignal, ...] = SIGNALS, *, versions: Mapping[str, str] = _NO_VERSIONS
    ) -> None:
        self._names = tuple(signal.name for signal in signals)
        every = {BEHAVIOUR: VERSION, **versions}
        self._data = tuple(data_of(signal, every) for signal in signals)
        self._jury = Jury(signals, record=True)

    def __call__(self, batch: Related, /) -> StageOut[Enriched]:
        """Return the batch with its smart signals, [n, S] each."""
        verdict = self._jury.judge(View(batch))
        return StageOut(widen(Enriched, batch, smart=SmartSignals(self._names, *verdict, self._data)))


def load_enrich(**more: str) -> Enrich:
    """Return the stage with the data of this installation; ``more`` are versions of what else was injected.

    DataFileError where a data file is missing or damaged.
    """
    signals = covering(SIGNALS, load_address_table().covers)
    return Enrich(signals, versions={**data_versions(), **more})


def data_of(signal: SmartSignal, versions: Mapping[str, str]) -> str:
    """Return the versions of the data that a signal rests on: "asn 2026.6.1; hosting 1.4", "" where it has none."""
    used = [f"{kind} {versions[kind]}" for kind in signal.data_kinds if kind in versions]
    if any(mark in one for one in used for mark in ",;"):
        raise ValueError(f"a version of the data of smart signal {signal.name} holds a comma or a semicolon: {used}")
    return "; ".join(used)
