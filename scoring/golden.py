"""Golden rows: what XGBoost gave for rows that try every border, kept with the model as ``golden.npz``.

A flow has no XGBoost. It runs the graph on these rows when it loads a model, and compares: a runtime or a machine that
computes otherwise is found before it scores a payment.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, fields
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from schemas.batches import F32

GOLDEN_FILE = "golden.npz"
TOLERANCE = 1e-5
# Scores are of 0 to 100; contributions are sums of as many float32 as there are trees, in another order: ten times.
ROOM = {"margin": 1.0, "score": 100.0, "contribution": 10.0, "sum_of_contributions": 10.0}

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Feature rows, and what is right for them. G factor groups."""

    rows: F32  # [n, F]: exact thresholds, their neighbours, NaN, 0 and far values; the first row is all NaN
    margin: F64  # [n], log-odds before calibration
    score: F64  # [n], 0 to 100
    contributions: F32  # [n, G], log-odds

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def encode(self) -> bytes:
        """Return the file: the same rows give the same bytes."""
        out = io.BytesIO()
        np.savez_compressed(out, **asdict(self))
        return out.getvalue()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the file. ValueError where it is none."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as found:
                golden = cls(*(found[column.name] for column in fields(cls)))
        except (OSError, KeyError, EOFError, ValueError, BadZipFile) as error:
            raise ValueError(f"not a file of golden rows ({type(error).__name__})") from error
        if not len(golden) or len({len(column) for column in asdict(golden).values()}) != 1:
            raise ValueError("not a file of golden rows (its columns differ in length)")
        return golden

    def differences(self, session: Any) -> dict[str, float]:
        """Return the largest differences of a graph's session: of margins relative to max(1, |margin|), else absolute.

        An ONNX Runtime session with the outputs margin, score and contributions. A NaN is an infinite difference.
        """
        margin, score, contributions = session.run(["margin", "score", "contributions"], {"features": self.rows})
        return {
            "margin": largest(np.abs(margin - self.margin) / np.maximum(np.abs(self.margin), 1.0)),
            "score": largest(np.abs(score - self.score)),
            "contribution": largest(np.abs(contributions - self.contributions)),
        }


def largest(values: NDArray[Any]) -> float:
    """Return the largest value; NaN counts as infinite, so that no comparison lets it through."""
    return float(np.nan_to_num(values, nan=np.inf).max())


def beyond(differences: dict[str, float], reference: str = "xgboost") -> str:
    """Return what differs by more than it may, in words; empty where nothing does."""
    over = {name: value for name, value in differences.items() if value > TOLERANCE * ROOM[name]}
    return "; ".join(
        f"{name} differs from {reference}'s by {value:.2g}, over {TOLERANCE * ROOM[name]:.0e}"
        for name, value in over.items()
    )
