"""The parts of one ingest process, made from the configuration or handed in by a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from ingest_api.access import Access
from ingest_api.agent_bundle import ServedFile, load_bundle
from ingest_api.appender import KafkaAppender
from ingest_api.checks import Checks
from ingest_api.clickhouse_link import ClickHouseLink, Connect, connector
from ingest_api.config import IngestConfig
from ingest_api.decider import Decider, Sources
from ingest_api.decision_store import DecisionStore
from ingest_api.delivery import Appender, Delivery
from ingest_api.explanations import Explanations
from ingest_api.label_store import LabelStore
from ingest_api.metrics import Metrics
from ingest_api.rates import Rates
from ingest_api.redis_link import RedisLink
from ingest_api.redis_link import connect as connect_redis
from ingest_api.results import Results
from ingest_api.rule_history import RuleHistory
from ingest_api.spool import Spool
from ingest_api.tokens import Tokens
from ingest_api.watchlist_calls import ListCalls
from scoring.rules.history_keys import HistoryKeys

Clock = Callable[[], int]
_LABELS_ANSWER_SECONDS = 5.0
_EXPLAIN_ANSWER_SECONDS = 6.0
_EXPLAIN_THREADS, _EXPLAIN_WAITING = 2, 6


@dataclass(slots=True)
class Parts:
    """What the routes work with. ``clock`` gives Unix milliseconds."""

    config: IngestConfig
    clock: Clock
    metrics: Metrics
    tokens: Tokens
    checks: Checks
    access: Access
    rates: Rates
    delivery: Delivery
    decider: Decider
    results: Results
    links: tuple[RedisLink, RedisLink]
    agent: Mapping[str, ServedFile]
    labels: LabelStore | None  # None: no ClickHouse is known
    explanations: Explanations | None
    watchlists: ListCalls | None  # None: nobody can change lists here
    clickhouse: tuple[ClickHouseLink, ...]
    draining: bool = False

    async def start(self) -> None:
        """Begin to send what an earlier process left on disk."""
        for way in (self.delivery, self.decider.delivery):
            if isinstance(way.appender, KafkaAppender):
                way.appender.start()
        await self.delivery.start()
        await self.decider.delivery.start()

    def drain(self) -> None:
        """Prepare to stop: answer long polls, take no new events."""
        self.draining = True
        self.results.release()

    async def close(self) -> None:
        """Stop everything: what is queued goes to Kafka or to disk."""
        await self.results.close()
        await self.delivery.close()
        await self.decider.close()
        if self.labels is not None:
            await self.labels.close()
        if self.watchlists is not None:
            await self.watchlists.close()
        await asyncio.gather(*(link.close() for link in self.links), *(link.close() for link in self.clickhouse))


def assemble(
    config: IngestConfig,
    clock: Clock,
    registry: CollectorRegistry,
    appender: Appender | None = None,
    redis: Callable[[], Redis] | None = None,
    clickhouse: Connect | None = None,
    sources: Sources | None = None,
    decisions: Appender | None = None,
) -> Parts:
    """Make the parts; BundleError or SpoolError where the agent or the spool cannot be used."""
    agent = load_bundle(config.agent_dir)
    make_redis = redis or (lambda: connect_redis(config.redis_url))
    writes, reads = RedisLink(make_redis()), RedisLink(make_redis())
    metrics = Metrics(registry)
    spool = Spool(config.spool_dir, config.spool_max_bytes)
    kafka = appender or KafkaAppender(config.bootstrap, config.topic, config.produce_timeout_ms)
    tokens = Tokens(config.keys, config.max_age_seconds)
    rates = Rates(config, writes, metrics)
    writing = _link("labels", config, clickhouse, _LABELS_ANSWER_SECONDS, threads=1, waiting=0)
    asking = _link("explain", config, clickhouse, _EXPLAIN_ANSWER_SECONDS, _EXPLAIN_THREADS, _EXPLAIN_WAITING)
    to_clickhouse = tuple(link for link in (writing, asking) if link is not None)
    for link in to_clickhouse:
        metrics.watch_clickhouse(link)
    return Parts(
        config=config,
        clock=clock,
        metrics=metrics,
        tokens=tokens,
        checks=Checks(config),
        access=Access(config, tokens, rates),
        rates=rates,
        delivery=Delivery(kafka, spool, metrics),
        decider=_decider(config, writes, metrics, sources or Sources(), decisions),
        results=Results(reads, config.max_waiting_polls, writes),
        links=(writes, reads),
        agent=agent,
        labels=LabelStore(writing, clock, metrics) if writing else None,
        explanations=Explanations(asking, config.model_registry) if asking else None,
        watchlists=ListCalls(sources.desk) if sources is not None and sources.desk is not None else None,
        clickhouse=to_clickhouse,
    )


def _decider(
    config: IngestConfig, link: RedisLink, metrics: Metrics, sources: Sources, appender: Appender | None
) -> Decider:
    """Return what decides, with a way to Kafka and a spool of its own."""
    keys = HistoryKeys(config.entity_key)
    spool = Spool(config.decisions_spool_dir or config.spool_dir / "decisions", config.spool_max_bytes)
    kafka = appender or KafkaAppender(config.bootstrap, config.decisions_topic, config.produce_timeout_ms)
    return Decider(
        sources,
        DecisionStore(link, config.decision_ttl_seconds, config.rules_answer_seconds),
        RuleHistory(link, keys, seconds=config.rules_answer_seconds),
        Delivery(kafka, spool, metrics.decisions),
        keys,
        metrics.decisions,
        config.max_skew_seconds * 1_000,
    )


def _link(
    name: str, config: IngestConfig, connect: Connect | None, answer_seconds: float, threads: int, waiting: int
) -> ClickHouseLink | None:
    """Return a way to ClickHouse, or None where its address is not known."""
    if connect is None and config.clickhouse_url is not None:
        connect = connector(config.clickhouse_url, answer_seconds)
    return ClickHouseLink(name, connect, threads, waiting) if connect else None
