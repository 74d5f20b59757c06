"""What the real stages, decode to enrich, say of recorded or live clients; and the table of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any

from enrichers.present import present
from flows.pipeline import Pipeline, build_pipeline
from infra.traffic.recorded.corpus import Recorded, Shown
from schemas.batches import Related
from schemas.catalogue import load_catalogue
from schemas.envelope import Attested, address_bytes, wrap
from schemas.nested import Entry, NestedEvent, columns_of
from schemas.payload import encode_payloads
from schemas.sealed import Codec, Header, seal
from scoring.deployment import only
from scoring.model import Model, find_model
from tests.attackers.clients import BY_NAME, CLIENTS
from tests.wire import LATENESS, RING, digest, raw_batch

TELLING = ("bot", "headless", "tampering", "anti_detect_browser")
"""The signals of which an attacker must have one, and a control none."""
HOME = address_bytes("87.128.0.1")  # in a network of homes in Germany, where the browsers' time zone is
_ARRIVES_MS = 40


@dataclass(frozen=True, slots=True)
class Judged:
    """What is said of one client: for each visit and event, by smart signal, its result and reasons."""

    name: str
    kind: str
    version: str
    visits: list[list[dict[str, Any]]]

    def true_signals(self, visit: int) -> dict[str, set[str]]:
        """Return the telling signals that are true on any event of a visit, with their reasons."""
        found: dict[str, set[str]] = {}
        for event in self.visits[visit]:
            for name in TELLING:
                if event[name].result:
                    found.setdefault(name, set()).update(event[name].reasons)
        return found

    def caught(self) -> bool:
        """Return whether every visit has a telling signal for a reason that is right for this client."""
        right = set(BY_NAME[self.name].right)
        return all(
            any(reasons & right for reasons in self.true_signals(visit).values()) for visit in range(len(self.visits))
        )

    def accused(self) -> dict[str, set[str]]:
        """Return the telling signals that are true on any event of any visit, with their reasons."""
        found: dict[str, set[str]] = {}
        for visit in range(len(self.visits)):
            for name, reasons in self.true_signals(visit).items():
                found.setdefault(name, set()).update(reasons)
        return found


def pipeline() -> Pipeline:
    """Return the pipeline as it is deployed."""
    model = Model.load(find_model())
    return build_pipeline(RING, only(model), lateness_ms=LATENESS)


def judge(recorded: Recorded, stages: Pipeline) -> Judged:
    """Send every event of every visit through the stages before the score. Each visit is a device of its own."""
    visits = [_judge_visit(f"{recorded.name} {number}", visit, stages) for number, visit in enumerate(recorded.visits)]
    return Judged(recorded.name, recorded.kind, recorded.version, visits)


def _judge_visit(name: str, visit: Sequence[Shown], stages: Pipeline) -> list[dict[str, Any]]:
    return present(_through(name, visit, list(stages)[:-1]))


def before_signals(recorded: Recorded, stages: Pipeline) -> Related:
    """Return all events of a client as the smart signals are given them."""
    before = list(takewhile(lambda stage: stage.name != "enrich", stages))
    return Related.concat(
        [_through(f"{recorded.name} {number}", visit, before) for number, visit in enumerate(recorded.visits)]
    )


def _through(name: str, visit: Sequence[Shown], stages: Iterable[Any]) -> Any:
    batch: Any = raw_batch([_record(name, event) for event in visit])
    for stage in stages:
        out = stage.open(()).apply(batch) if hasattr(stage, "open") else stage(batch)
        refused = [letter.reason for letter in out.errs]
        assert not refused and not out.dropped, f"{name}: {stage.name} refused {refused}"
        batch = out.oks
    return batch


def _record(visit: str, event: Shown) -> bytes:
    """Return a recorded event as the ingest tier would append it: sealed with the tests' key."""
    nested = NestedEvent(event.signals, [Entry(**entry) for entry in event.activity])
    body = encode_payloads(*columns_of([nested], load_catalogue()))[0]
    session = digest("attackers", visit)[:16]
    header = Header(
        key_id=1,
        session_id=session,
        device_id=digest("device", visit)[:16],
        event_id=digest("event", visit, event.sequence)[:16],
        sequence=event.sequence,
        sent_at=event.sent_at,
    )
    key = RING.derive(1, session, "seal")
    assert key is not None
    sealed = seal(header, body, key, digest("nonce", visit, event.sequence)[:12], Codec.RAW)
    return wrap(Attested("demo-shop", "order-1", ""), event.sent_at + _ARRIVES_MS, HOME, sealed)


def table(all_judged: Iterable[Judged]) -> str:
    """Return client by signal, with the reasons in the order of their names; a control's line says what must not be."""
    lines = ["| client | what it is | events | caught | signals and reasons |", "|---|---|---|---|---|"]
    turn = {client.name: number for number, client in enumerate(CLIENTS)}
    for judged in sorted(all_judged, key=lambda one: turn[one.name]):
        said = "; ".join(f"**{name}**: {', '.join(sorted(why))}" for name, why in sorted(judged.accused().items()))
        events = sum(map(len, judged.visits))
        if judged.kind == "control":
            caught = "wrongly" if said else "no, rightly"
        else:
            caught = "yes" if judged.caught() else "**no**"
        lines.append(f"| {judged.name} | {BY_NAME[judged.name].what} | {events} | {caught} | {said or 'none'} |")
    return "\n".join(lines) + "\n"


def ordered(visit: Sequence[Shown]) -> bool:
    """Return whether a visit's events are in their order."""
    return all(one.sequence < other.sequence for one, other in pairwise(visit))
