"""ingest: the HTTP tier beside a bare FastAPI endpoint that reads a body of the same size, in the same rounds.

Kafka and Valkey are real and take what is accepted, on the same cores. Plain HTTP: TLS ends where the tier is run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from infra.bench.measure import Figures, ProcessFigures, RowsLost, combined
from infra.bench.pages import Request, open_pages, refusal, requests_of
from infra.bench.rig import Rig
from infra.bench.rules_http import AnswersWrong, Client


@dataclass(frozen=True, slots=True)
class Load:
    """How it is measured: ``rounds`` of so many seconds each of one event a request, bare, and of batches."""

    seconds: float = 4.0
    rounds: int = 3
    together: int = 20
    connections: int = 128  # a request waits for Kafka: with 32 the tier has nothing to do half of the time
    pages: int = 200
    requests: int = 4_000  # made beforehand; sent again where they do not suffice: the tier does not look at event ids


def bench_ingest(
    rig: Rig, records: Sequence[bytes], load: Load, said: Callable[[str], None] = lambda word: None
) -> Figures:
    """Return the best round of each; RowsLost where an event was not accepted."""
    said("making requests")
    urls = {"ingest": rig.ingest(), "bare": rig.bare()}
    pages = open_pages(urls["ingest"], rig.api_key, load.pages)
    single = requests_of(records[: load.requests], rig.keys, pages, 1)
    many = requests_of(records[: load.requests], rig.keys, pages, load.together)
    kinds = {"single": ("ingest", single), "bare": ("bare", single), "batches": ("ingest", many)}
    for service, requests in kinds.values():
        _round(rig, service, urls[service], requests, replace(load, seconds=min(1.0, load.seconds)))
    found: dict[str, list[Figures]] = {kind: [] for kind in kinds}
    for number in range(1, load.rounds + 1):
        said(f"round {number} of {load.rounds}")
        for kind, (service, requests) in kinds.items():
            found[kind].append(_round(rig, service, urls[service], requests, load))
    best = {kind: max(rounds, key=lambda one: one.events_per_s) for kind, rounds in found.items()}
    ratio = best["single"].events_per_s / best["bare"].events_per_s
    spent = {kind: _of(best[kind], service) for kind, (service, _) in list(kinds.items())[:2]}
    details: dict[str, Any] = {
        "requests_per_s": best["single"].events_per_s,
        "bare_requests_per_s": best["bare"].events_per_s,
        "to_bare": round(ratio, 3),
        "to_bare_by_cpu": round(spent["bare"] / spent["single"], 3),  # of the service's own processor time
        "body_bytes": round(sum(len(one.wire) for one in single) / len(single)),
        "together": load.together,
        "cpu_us_per_request": spent,
        "rounds": {kind: [one.events_per_s for one in rounds] for kind, rounds in found.items()},
    }
    return replace(best["batches"], name="ingest", batch=load.together, details=details)


def _of(figures: Figures, service: str) -> float:
    return next(one.report()["cpu_us_per_event"] for one in figures.processes if one.name == service)


def _round(rig: Rig, service: str, url: str, requests: Sequence[Request], load: Load) -> Figures:
    """Send for some seconds; return the rate of events, and what each process spent."""
    wires = [one.wire for one in requests]
    events = [len(one.event_ids) for one in requests]
    laps = int(load.seconds * 20_000 / len(wires)) + 1
    client = Client(url, load.connections, lambda number, whole: refusal(whole, events[number % len(events)]))
    before = rig.cpu()
    try:
        run = client.fastest(wires * laps, load.seconds)
    except AnswersWrong as wrong:
        raise RowsLost(str(wrong)) from None
    finally:
        client.close()
    sent = sum(events[number % len(events)] for number in range(len(run.latencies)))
    spent = rig.cpu_since(before)
    parts = (service,) if service == "bare" else (service, "kafka", "redis")
    processes = [ProcessFigures(name, sent, spent[name], rig.rss_mb(name)) for name in (*parts, "load")]
    return combined(service, 1, sent, run.seconds, processes)
