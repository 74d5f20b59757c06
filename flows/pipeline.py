"""The pipeline, as the diagram in the README has it. Read this first.

::

                                                     +-----------+------------------- remember --------------------+
                                                     v           v                                                 |
    raw -> decode -> verify_mask -> normalize -> velocity -> recognize -> relate -> enrich -> score -> judge -> decide
              |           |             |            |           |           |         |        |        |         |
              +-----------+-------------+------------+-----------+-----------+---------+--------+--------+         v
                                                                                           dead letters         results
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any, Protocol

from enrichers.address_table import load_address_table
from enrichers.prevalence_seed import load_prevalence_seed
from enrichers.stage import load_enrich
from flows.chain import Chain, FollowingStage
from flows.parcel import Parcel
from flows.run_stage import Monitor, run_session, run_stage
from flows.stages.decode import Decode
from flows.stages.normalize import Normalize
from flows.stages.recognize import Recognize
from flows.stages.relate import NO_KEY, Relate
from flows.stages.velocity import Velocity
from flows.stages.verify_mask import VerifyMask
from schemas.batches import (
    Counted,
    Decided,
    Decoded,
    Enriched,
    Judged,
    Normalized,
    RawBatch,
    Recognized,
    Related,
    Scored,
    Verified,
)
from schemas.keys import KeyRing
from schemas.recognition import LabelledFraud
from schemas.shared import NothingShared, SharedCounts
from schemas.stage import Applies, KeyedStage, Stage
from scoring.decide import Decide
from scoring.deployment import CurrentDeployment, LastTaken
from scoring.judge import Judge
from scoring.policy import CurrentPolicies, FixedPolicies
from scoring.stage import ScoreStage


class Keyed(Protocol):
    """The open state of the keyed stages: of one partition, a ``ChainSession``, or of several."""

    @property
    def first(self) -> Applies[Normalized, Counted]:
        """Return velocity's."""
        ...

    @property
    def second(self) -> Applies[Counted, Recognized]:
        """Return recognize's."""
        ...

    @property
    def last(self) -> Applies[Judged, Decided]:
        """Return decide's."""
        ...

    def remember(self, batch: Decided, /) -> None:
        """Take note of scores and decisions."""
        ...


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The ten stages in order. ``velocity``, ``recognize`` and ``decide`` are keyed by Kafka partition.

    The others hold no state. The keyed ones are saved together: ``keyed`` is all three as one.
    """

    decode: Stage[RawBatch, Decoded]
    verify_mask: Stage[Decoded, Verified]
    normalize: Stage[Verified, Normalized]
    velocity: KeyedStage[Normalized, Counted]
    recognize: FollowingStage[Counted, Recognized]
    relate: Stage[Recognized, Related]
    enrich: Stage[Related, Enriched]
    score: Stage[Enriched, Scored]
    judge: Stage[Scored, Judged]
    decide: Decide

    @property
    def keyed(self) -> Chain[Normalized, Counted, Recognized]:
        """Return the stages with a state as one."""
        return Chain(self.velocity, self.recognize, self.decide)

    def run(self, parcel: Parcel[RawBatch], session: Keyed, monitor: Monitor) -> Parcel[Decided]:
        """Run all stages on one parcel without Bytewax: what tests, replays, training and benchmarks do.

        The session remembers the scores: give it parcels of at most ``schemas.velocity.SCORE_LAG`` rows.
        """
        return self.decided(self.featured(parcel, session, monitor), session, monitor)

    def featured(self, parcel: Parcel[RawBatch], session: Keyed, monitor: Monitor) -> Parcel[Enriched]:
        """Run all stages before the score: what a model is trained on. The session is told no scores."""
        return self.enriched(self.extracted(parcel, monitor), session, monitor)

    def extracted(self, parcel: Parcel[RawBatch], monitor: Monitor) -> Parcel[Verified]:
        """Run what needs nothing but the record itself: what the topic ``events.extracted`` holds."""
        return run_stage(self.verify_mask, run_stage(self.decode, parcel, monitor), monitor)

    def enriched(self, parcel: Parcel[Verified], session: Keyed, monitor: Monitor) -> Parcel[Enriched]:
        """Run the stages from ``normalize`` to ``enrich``: what the topic ``events.enriched`` holds."""
        normalized = run_stage(self.normalize, parcel, monitor)
        counted = run_session(self.velocity.name, session.first, normalized, monitor)
        recognized = run_session(self.recognize.name, session.second, counted, monitor)
        return run_stage(self.enrich, run_stage(self.relate, recognized, monitor), monitor)

    def decided(self, parcel: Parcel[Enriched], session: Keyed, monitor: Monitor) -> Parcel[Decided]:
        """Run the stages from ``score`` to ``decide``, and let the session remember."""
        judged = run_stage(self.judge, run_stage(self.score, parcel, monitor), monitor)
        decided = run_session(self.decide.name, session.last, judged, monitor)
        session.remember(decided.batch)
        return decided

    def __iter__(self) -> Iterator[Any]:
        """Give the stages in order."""
        return iter(getattr(self, field.name) for field in fields(self))


def build_pipeline(
    keys: KeyRing,
    deployment: CurrentDeployment,
    *,
    lateness_ms: int,
    policies: CurrentPolicies | None = None,
    shared: SharedCounts | None = None,
    labels: LabelledFraud | None = None,
    entity_key: bytes = NO_KEY,
    store_features: bool = False,
    judge: Stage[Scored, Judged] | None = None,
) -> Pipeline:
    """Put the stages together; without policies, by each model's own thresholds, and without ``judge`` by no rules.

    DataFileError where a data file of the look-ups is missing or damaged.
    """
    taken = LastTaken(deployment)
    return Pipeline(
        decode=Decode(keys),
        verify_mask=VerifyMask(),
        normalize=Normalize(locate=load_address_table()),
        velocity=Velocity(lateness_ms=lateness_ms, salt=_salt_of(entity_key)),
        recognize=Recognize(load_prevalence_seed(), labels),
        relate=Relate(shared or NothingShared(), entity_key),
        enrich=load_enrich(**({"labels": labels.version} if labels and labels.version else {})),
        score=ScoreStage(taken, store_features=store_features),
        judge=judge or Judge(),
        decide=Decide(policies or FixedPolicies(), taken.own_policy),
    )


def _salt_of(key: bytes) -> int:
    """Return what velocity mixes into its tags: whoever does not know the key cannot choose ids whose tags collide."""
    return int.from_bytes(blake2b(b"velocity" + key, digest_size=8).digest(), "little")
