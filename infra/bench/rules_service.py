"""The two services of ``clickgoose bench rules``, each a process on one core: decisions, and a bare FastAPI endpoint.

``python -m infra.bench.rules_service '{"kind": ..., ...}'`` prints its URL and serves until SIGTERM; then it prints how
many decisions it has recorded.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

MERCHANT: Final = "bench"
API_KEY: Final = "an api key of the benchmark alone"
ENTITY_KEY: Final = b"an entity key of the benchmark alone"
NO_LIMIT: Final = 10**9
PATIENCE_SECONDS: Final = 5.0
"""How long history may take: on a busy machine a slow answer is to be seen in the latency, not left out as degraded."""


class Asked(msgspec.Struct, frozen=True):
    """What a service is to be. ``core``: None leaves that to the system."""

    kind: str  # rules or bare
    folder: str
    redis_url: str = ""
    rules: int = 100
    catalogues: int = 20
    event_types: tuple[str, ...] = ("payment",)  # each with rules of its own; of one alone they name none
    core: int | None = None
    answer_bytes: int = 0  # of the bare endpoint
    kafka: str = ""


def main() -> None:
    """Serve."""
    asked = msgspec.json.decode(sys.argv[1], type=Asked)
    if asked.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {asked.core})
    if asked.kind == "bare":
        _serve_bare(asked)
    else:
        _serve_rules(asked)


def _say(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def _serve_rules(asked: Asked) -> None:
    from infra.bench.rules_load import book
    from ingest_api.app import create_app
    from ingest_api.appender import Delivered
    from ingest_api.checks import Record
    from ingest_api.config import IngestConfig
    from ingest_api.decider import Sources
    from ingest_api.merchants import Merchants
    from ingest_api.redis_link import connect
    from ingest_api.server import bind, serve, url_of
    from schemas.keys import KeyRing
    from scoring.rules.in_force import InForce

    class Counted:
        """Takes records as Kafka would, and keeps their number."""

        records = 0

        async def append(self, records: Sequence[Record]) -> list[Delivered]:
            self.records += len(records)
            return [Delivered.YES] * len(records)

        async def alive(self, seconds: float) -> bool:
            return True

        async def close(self) -> None:
            return None

    counted = Counted()
    config = IngestConfig(
        keys=KeyRing({1: b"\1" * 32}),
        merchants=Merchants({MERCHANT: (hashlib.sha256(API_KEY.encode()).digest(),)}),
        bootstrap=asked.kafka,
        redis_url=asked.redis_url,
        spool_dir=Path(asked.folder) / "spool",
        public_url="http://127.0.0.1",
        merchant_decisions_per_second=NO_LIMIT,
        entity_key=ENTITY_KEY,
        rules_answer_seconds=PATIENCE_SECONDS,
    )
    in_force = InForce.of(book(asked.rules, asked.catalogues, asked.event_types))
    decisions = None if asked.kafka else counted
    app = create_app(
        config,
        appender=counted,
        decisions=decisions,
        sources=Sources(rules=lambda: in_force),
        redis=lambda: connect(asked.redis_url, PATIENCE_SECONDS),
    )
    bound = bind("127.0.0.1", 0)
    serve(app, bound, None, lambda: _say(url=url_of(bound, None)))
    _say(recorded=None if asked.kafka else counted.records)


def _serve_bare(asked: Asked) -> None:
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()
    answer = {"replayed": False, "degraded": [], "uncounted": [], "filler": ""}
    answer["filler"] = "x" * max(asked.answer_bytes - len(json.dumps(answer)), 0)

    @app.post("/v1/decisions")
    async def bare(body: dict[str, Any]) -> dict[str, Any]:
        return {"event_id": body["event_id"], **answer}

    bound = socket.create_server(("127.0.0.1", 0), backlog=2_048)
    _say(url=f"http://127.0.0.1:{bound.getsockname()[1]}")
    config = uvicorn.Config(app, loop="uvloop", http="httptools", ws="none", log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main()
