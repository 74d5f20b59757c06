"""What the ingest tier needs to know; the composition root makes it from the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ingest_api.merchants import Merchants
from schemas.keys import KeyRing

if TYPE_CHECKING:
    from scoring.registry import Registry

AgentCodec = Literal["raw", "deflate-raw"]
AGENT_DIR = Path(__file__).parent / "agent" / "bundle"
Network = IPv4Network | IPv6Network
_RECORD_LIMIT = 900_000  # Kafka refuses records above 1 MiB; the envelope and the batch need their share


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """All choices of one ingest process. Sizes in bytes, times as named."""

    keys: KeyRing
    merchants: Merchants
    bootstrap: str
    redis_url: str = field(repr=False)
    spool_dir: Path
    public_url: str
    clickhouse_url: str | None = field(default=None, repr=False)  # None: no labels, no explanations
    model_registry: Callable[[], Registry] | None = None  # None: the models that came with clickgoose
    topic: str = "events.raw"
    session_ttl_seconds: int = 1_800
    max_event_bytes: int = 65_536
    max_request_bytes: int = 1_048_576
    max_events_per_request: int = 100
    max_skew_seconds: int = 300
    max_age_seconds: int = 86_400
    session_events_per_minute: int = 600
    merchant_events_per_second: int = 20_000
    address_requests_per_minute: int = 6_000
    merchant_labels_per_minute: int = 60_000
    merchant_explanations_per_minute: int = 60
    merchant_decisions_per_second: int = 5_000
    merchant_list_entries_per_minute: int = 60_000
    max_decision_bytes: int = 65_536
    decision_ttl_seconds: int = 86_400
    decisions_topic: str = "events.decisions"
    decisions_spool_dir: Path | None = None  # None: beside the other spool
    entity_key: bytes = field(default=b"clickgoose entities", repr=False)  # keys every digest of an entity
    rules_answer_seconds: float = 0.25
    produce_timeout_ms: int = 2_000
    spool_max_bytes: int = 4 * 1024**3
    pending_seconds: int = 120
    max_waiting_polls: int = 10_000
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    cors_origins: tuple[str, ...] = ("*",)
    agent_dir: Path = AGENT_DIR
    agent_codec: AgentCodec = "raw"

    def __post_init__(self) -> None:
        """Refuse what could not work, in one sentence."""
        if self.max_event_bytes > _RECORD_LIMIT:
            raise ValueError(f"max_event_bytes may be at most {_RECORD_LIMIT}: Kafka refuses larger records")
        if self.max_request_bytes < self.max_event_bytes + 4:
            raise ValueError("max_request_bytes must leave room for one event of max_event_bytes")
        self.proxy_networks()

    def proxy_networks(self) -> tuple[Network, ...]:
        """Return the networks whose X-Forwarded-For is believed; ValueError names a wrong one."""
        return tuple(ip_network(text) for text in self.trusted_proxies)
