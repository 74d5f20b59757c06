"""The sections that say what is to be done about an event, and why: score, rules and decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from schemas.columns import F32, I8, I16, U8, Bool, Chosen, Columns
from schemas.ruling import NO_DECISION, Ruling


@dataclass(frozen=True, slots=True, eq=False)
class Score(Columns):
    """What the models say. The top K factors are indices into the factor groups of the build, -1 where fewer.

    Shadows score for comparison only: nothing that a merchant sees depends on them.
    """

    versions: tuple[str, ...]  # of the models that scored rows of the batch, each once
    model: U8  # [n]: which of them scored the row
    score: F32  # 0 to 100
    factor: I8  # [n, K]
    contribution: F32  # [n, K], log-odds
    shadows: tuple[str, ...]  # versions of the shadow models
    shadow_score: F32  # [n, S]: by each shadow; NaN where it failed
    observed: F32  # [n, O]: values of the features that sentences about factors name; O is 0 once they are said
    features: U8  # [n, W]: the row of features, as scoring.stored_features packs it; W is 0 where it is not kept

    @classmethod
    def of(cls, version: str, score: F32) -> Self:
        """Return bare scores float32[n] of one model: no factors, no shadows, nothing kept."""
        rows = len(score)
        numbers, bytes_ = np.empty((rows, 0), np.float32), np.empty((rows, 0), np.uint8)
        model, factor = np.zeros(rows, np.uint8), np.empty((rows, 0), np.int8)
        return cls((version,), model, score, factor, numbers, (), numbers, numbers, bytes_)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.model)

    def _take(self, rows: Chosen) -> Self:
        return replace(self, **_taken(self, rows))

    @classmethod
    def _concat(cls, parts: Sequence[Self]) -> Self:
        if any(part.shadows != parts[0].shadows for part in parts):
            raise ValueError("cannot join batches with different shadow models")
        versions = tuple(dict.fromkeys(version for part in parts for version in part.versions))
        places = [np.array([versions.index(one) for one in part.versions], np.uint8) for part in parts]
        joined: dict[str, Any] = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
            if field.name not in ("versions", "model", "shadows")
        }
        model = np.concatenate([place[part.model] for place, part in zip(places, parts, strict=True)])
        return cls(versions=versions, model=model, shadows=parts[0].shadows, **joined)


@dataclass(frozen=True, slots=True, eq=False)
class Rules(Columns):
    """What rules and lists say of each event, before the score is looked at. Decisions are of schemas.result.DECISIONS.

    Whole rulesets that are tried in the shadow, R of them, are judged for comparison only.
    """

    rulesets: tuple[str, ...]  # digests of those that rows of the batch were judged by, each once
    ruleset: I16  # [n]: which of them, -1 where no rule and no list looks at the event
    override: U8  # [n]: what a list or a rule decides, NO_DECISION where none does
    by: U8  # [n]: who: of schemas.ruling.BY
    added: F32  # [n]: points that rules add to the score
    degraded: Bool  # [n]: history or lists could not be asked
    said: tuple[Ruling | None, ...]  # None where no rule and no list looks at the event
    shadows: tuple[str, ...]  # digests of the shadows' rulebooks
    shadow_override: U8  # [n, R]
    shadow_added: F32  # [n, R]

    @classmethod
    def none(cls, rows: int, shadows: tuple[str, ...] = ()) -> Self:
        """Return that no rule looks at any of the rows."""
        shape = rows, len(shadows)
        return cls(
            rulesets=(),
            ruleset=_filled(rows, -1, np.int16),
            override=_filled(rows, NO_DECISION, np.uint8),
            by=np.zeros(rows, np.uint8),
            added=np.zeros(rows, np.float32),
            degraded=np.zeros(rows, np.bool_),
            said=(None,) * rows,
            shadows=shadows,
            shadow_override=_filled(shape, NO_DECISION, np.uint8),
            shadow_added=np.zeros(shape, np.float32),
        )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ruleset)

    def ruleset_of(self, row: int) -> str:
        """Return the digest of the ruleset that a row was judged by, empty where none looks at it."""
        number = int(self.ruleset[row])
        return "" if number < 0 else self.rulesets[number]

    def _take(self, rows: Chosen) -> Self:
        said = self.said[rows] if isinstance(rows, slice) else tuple(self.said[row] for row in rows.tolist())
        return replace(self, said=said, **_taken(self, rows))

    @classmethod
    def _concat(cls, parts: Sequence[Self]) -> Self:
        if any(part.shadows != parts[0].shadows for part in parts):
            raise ValueError("cannot join batches with different shadow rulesets")
        names = tuple(dict.fromkeys(name for part in parts for name in part.rulesets))
        # The last place is for -1.
        places = [np.array([*map(names.index, part.rulesets), -1], np.int16) for part in parts]
        joined: dict[str, Any] = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
            if field.name not in ("rulesets", "ruleset", "said", "shadows")
        }
        ruleset = np.concatenate([place[part.ruleset] for place, part in zip(places, parts, strict=True)])
        said = tuple(one for part in parts for one in part.said)
        return cls(rulesets=names, ruleset=ruleset, said=said, shadows=parts[0].shadows, **joined)


@dataclass(frozen=True, slots=True, eq=False)
class Decision(Columns):
    """What is to be done, and what it rests on besides score and rules: enough to decide the same again.

    Decisions are of schemas.result.DECISIONS.
    """

    policy: str  # digest of the policies in force
    decision: U8
    by: U8  # who decided: of schemas.ruling.BY
    by_policy: U8  # what the policy makes of the score with the points of rules: the session's standing decision now
    before: U8  # the session's standing decision before the event: what hysteresis compares with
    review: F32  # [n]: the thresholds of the merchant and the event type
    deny: F32
    margin: F32  # how far below a threshold the score must fall to leave the stricter decision of before
    shadow: U8  # [n, S]: what the shadows' scores would decide, each by the same thresholds and without hysteresis
    shadow_rules: U8  # [n, R]: what would be decided with each shadow ruleset in place of the live ones

    @classmethod
    def of(cls, decision: U8) -> Self:
        """Return bare decisions uint8[n] that no score and no policy stands behind."""
        rows = len(decision)
        limits = np.full(rows, 100, np.float32)
        zeros, none = np.zeros(rows, np.uint8), np.empty((rows, 0), np.uint8)
        return cls("", decision, zeros, decision, zeros, limits, limits, limits, none, none)


def _filled(shape: int | tuple[int, int], value: int, dtype: Any) -> Any:
    """Return what ``numpy.full`` does, in a third of the time: batches without rules are the rule."""
    column = np.empty(shape, dtype)
    column.fill(value)
    return column


def _taken(section: Columns, rows: Chosen) -> dict[str, Any]:
    """Return the rows of a section's arrays, by field."""
    columns = {field.name: getattr(section, field.name) for field in fields(section)}
    return {name: column[rows] for name, column in columns.items() if isinstance(column, np.ndarray)}
