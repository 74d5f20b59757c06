"""What an event holds, while it is repaired: a vector payload or nested JSON, each written back in its own form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec
import numpy as np

from schemas.batches import Activity
from schemas.catalogue import Catalogue
from schemas.nested import NestedError, NestedEvent, columns_of, nested_of, pack_texts
from schemas.payload import decode_payloads, encode_payloads
from schemas.sealed import Codec

_MOST_TIME = 0xFFFFFFFF  # ms since the page opened


class NotRepairable(Exception):
    """A letter cannot be repaired; the text says why, and holds no value of it."""


class Content(Protocol):
    """The signals by name, as nested JSON has them, and the activity log."""

    signals: dict[str, Any]

    @property
    def version(self) -> int:
        """Return the catalogue's version that the agent spoke."""
        ...

    def without_activity(self, code: int) -> None:
        """Take all entries of a log code away."""
        ...

    def without_unknown(self) -> None:
        """Take signals away that the catalogue does not have."""
        ...

    def scale_times(self, factor: float) -> None:
        """Multiply the times of all entries."""
        ...

    def body(self) -> bytes:
        """Return the payload's body. NotRepairable where it has no such form."""
        ...


def content_of(codec: Codec, body: bytes, catalogue: Catalogue) -> Content:
    """Read a body. NotRepairable where it cannot be read at all."""
    return _nested(body, catalogue) if codec is Codec.NESTED_JSON else _vector(body, catalogue)


@dataclass(slots=True)
class _Vector:
    """Columns of one row; texts that nobody changed keep their bytes, whatever these are."""

    signals: dict[str, Any]
    version: int
    activity: Activity
    catalogue: Catalogue
    texts: dict[str, tuple[str, bytes]]  # as shown, and as sent

    def without_activity(self, code: int) -> None:
        log = self.activity
        kept = log.code != code
        ends = np.array([0, int(kept.sum())], np.int64)
        self.activity = Activity(ends, log.time[kept], log.value[kept], log.code[kept], log.target[kept])

    def without_unknown(self) -> None:
        """Nothing to do: a vector has no names."""

    def scale_times(self, factor: float) -> None:
        times = np.rint(self.activity.time.astype(np.float64) * factor)
        if times.size and times.max() > _MOST_TIME:
            raise NotRepairable("a time of the activity log would be over 49 days")
        self.activity = replace(self.activity, time=times.astype(np.uint32))

    def body(self) -> bytes:
        event = NestedEvent(signals=self.signals, catalogue=self.version)
        try:
            signals, _ = columns_of([event], self.catalogue)
            sent = [self._sent(signal.name) for signal in self.catalogue.texts]
            texts = pack_texts([sent], len(self.catalogue.texts))
            return encode_payloads(replace(signals, texts=texts), self.activity)[0]
        except (NestedError, ValueError) as error:
            raise NotRepairable(str(error)) from None

    def _sent(self, name: str) -> bytes | None:
        value = self.signals.get(name)
        if value is None:
            return None
        shown, sent = self.texts.get(name, (None, b""))
        return sent if shown == value else str(value).encode("utf-8", "surrogatepass")


def _vector(body: bytes, catalogue: Catalogue) -> Content:
    signals, activity, good = decode_payloads([body], catalogue)
    if not good[0]:
        raise NotRepairable("its payload's blocks do not add up to its length")
    nested = nested_of(signals, activity, 0, catalogue)
    columns = ((signal.name, signals.texts.column(signal.position)[0]) for signal in catalogue.texts)
    texts = {name: (sent.decode("utf-8", "replace"), sent) for name, sent in columns if sent is not None}
    return _Vector(nested["signals"], nested["catalogue"], activity, catalogue, texts)


@dataclass(slots=True)
class _Nested:
    """Nested JSON as it was sent: what is not touched stays, and ``decode`` says whether it is right."""

    signals: dict[str, Any]
    whole: dict[str, Any]
    catalogue: Catalogue

    @property
    def version(self) -> int:
        found = self.whole.get("catalogue", 1)
        return found if isinstance(found, int) else -1

    def without_activity(self, code: int) -> None:
        entries = self.whole.get("activity")
        if isinstance(entries, list):
            self.whole["activity"] = [one for one in entries if not (isinstance(one, dict) and one.get("code") == code)]

    def without_unknown(self) -> None:
        for name in [name for name in self.signals if name not in self.catalogue.by_name]:
            del self.signals[name]

    def scale_times(self, factor: float) -> None:
        entries = self.whole.get("activity")
        for entry in entries if isinstance(entries, list) else ():
            time = entry.get("t") if isinstance(entry, dict) else None
            if not isinstance(time, int | float) or isinstance(time, bool):
                continue
            if not 0 <= time * factor <= _MOST_TIME:
                raise NotRepairable("a time of the activity log would be over 49 days, or below 0")
            entry["t"] = round(time * factor)

    def body(self) -> bytes:
        try:
            return msgspec.json.encode({**self.whole, "signals": self.signals})
        except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
            raise NotRepairable("its nested form cannot be written again") from None


def _nested(body: bytes, catalogue: Catalogue) -> Content:
    try:
        whole = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NotRepairable("its nested form is no JSON") from None
    signals = whole.get("signals") if isinstance(whole, dict) else None
    if not isinstance(signals, dict):
        raise NotRepairable("its nested form has no signals")
    return _Nested(signals, whole, catalogue)
