"""Every setting of clickgoose, read once per process from the environment (prefix ``CLICKGOOSE_``, nesting ``__``).

Precedence: environment, then what the running local stack wrote to ``<home>/stack.json``, then the defaults.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from infra.cores import cores_in
from infra.settings_refused import refused, unreadable
from infra.turns import MICROSECONDS
from schemas.dead_letter import OUR_FAULTS, Fault
from schemas.velocity import SCORE_LAG


def _are_cores(words: str) -> str:
    cores_in(words)
    return words


Cores = Annotated[str, AfterValidator(_are_cores)]


class Section(BaseModel):
    """A frozen group of settings; an unknown name is an error, not silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(Section):
    """Where Kafka is, and how the topics are laid out."""

    bootstrap: str | None = Field(default=None, description="host:port[,host:port]; unset: the local stack's")
    partitions: int = Field(default=4, ge=1, le=1024, description="Partitions of each event topic")
    replication: int = Field(default=1, ge=1, le=7)
    retention_hours: int = Field(default=168, ge=1)


class ClickHouseSettings(Section):
    """Where ClickHouse is."""

    url: str | None = Field(default=None, description="clickhouse://user:password@host:port/database")


class RedisSettings(Section):
    """Where Redis or Valkey is."""

    url: str | None = Field(default=None, description="redis://host:port/0")
    result_ttl_seconds: int = Field(default=86_400, ge=60)
    pack_results: bool = Field(
        default=True, description="Results in a sixth of the memory; false while an older ingest tier reads them"
    )
    shared_prefix: str = Field(default="v", description="Begins the keys of what devices share; flows with one add up")
    shared_tags: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Hash tags of the shared counts, a power of two: some for a cluster; a change begins anew",
    )
    shared_timeout_ms: float = Field(
        default=100.0, gt=0, description="Shared counts that take longer are left out: the result says degraded"
    )
    shared_backlog_rows: int = Field(
        default=262_144, ge=1_024, description="So many events wait to be counted while Redis is away, 80 bytes each"
    )
    entity_key: SecretStr | None = Field(
        default=None, description="Keys the hashes of addresses, accounts and cards in Redis; unset: a known key"
    )

    @field_validator("shared_tags")
    @classmethod
    def _power_of_two(cls, tags: int) -> int:
        if tags & (tags - 1):
            raise ValueError("it must be a power of two")
        return tags


class IngestSettings(Section):
    """The HTTP tier."""

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535, description="0: a free port, printed and kept in stack.json")
    tls: bool = Field(default=True, description="Serve HTTPS; the local stack makes its own certificate")
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    url: str | None = Field(default=None, description="Where clients reach the ingest tier")
    session_ttl_seconds: int = Field(default=1800, ge=60, le=86_400)
    max_event_bytes: int = Field(default=65_536, ge=1_024)
    max_request_bytes: int = Field(default=1_048_576, ge=65_536)
    max_events_per_request: int = Field(default=100, ge=1, le=1_000)
    max_skew_seconds: int = Field(default=300, ge=1)
    max_age_seconds: int = Field(default=86_400, ge=60)
    session_events_per_minute: int = Field(default=600, ge=1)
    merchant_events_per_second: int = Field(default=20_000, ge=1)
    address_requests_per_minute: int = Field(default=6_000, ge=1)
    merchant_labels_per_minute: int = Field(default=60_000, ge=1_000)
    merchant_explanations_per_minute: int = Field(default=60, ge=1)
    merchant_list_entries_per_minute: int = Field(default=60_000, ge=1_000)
    merchant_decisions_per_second: int = Field(default=5_000, ge=1)
    max_decision_bytes: int = Field(default=65_536, ge=1_024, le=262_144)
    decision_ttl_seconds: int = Field(
        default=86_400, ge=60, description="So long an event id stands with the answer that it was given"
    )
    produce_timeout_ms: int = Field(default=2_000, ge=100)
    spool_max_bytes: int = Field(default=4 * 1024**3, ge=1024**2)
    trusted_proxies: tuple[str, ...] = Field(
        default=("127.0.0.0/8", "::1/128"), description="Networks whose X-Forwarded-For is believed"
    )
    cors_origins: tuple[str, ...] = Field(
        default=("*",), description="Pages that may send events with headers, and read the answers"
    )
    agent_codec: Literal["raw", "deflate-raw"] = Field(
        default="raw",
        description="How the browser agent is asked to pack events; deflate-raw: fewer bytes, more work",
    )


class FlowSettings(Section):
    """The dataflow process."""

    poll_max_events: int = Field(
        default=512,
        ge=1,
        le=SCORE_LAG,
        description="Events of one batch; an event sees the scores of its device's events 1,024 offsets before it, so "
        "more would make results depend on how batches are cut",
    )
    poll_wait_ms: float = Field(
        default=0.0, ge=0, le=100, description="How long events of a batch are gathered, at least, however few they are"
    )
    poll_longest_wait_ms: float = Field(
        default=2.0,
        ge=0,
        le=1000,
        description="At most so long after a batch of 32 events or more: as long as it took. While batches are smaller "
        "nothing is waited for. More spares processor time at a middling load, and adds to the latency; under full "
        "load batches are full without a wait",
    )
    fetch_queue_bytes: int = Field(
        default=16 * 1024**2, ge=4 * 1024**2, description="Records that are fetched from Kafka and not polled yet"
    )
    epoch_seconds: float = Field(default=1.0, gt=0, le=60)
    lateness_seconds: int = Field(default=86_400, ge=0, description="Older events are velocity.too_late")
    reputation_file: Path | None = Field(
        default=None, description="Labelled fraud, as `clickgoose reputation build` writes it; unset: no labels"
    )
    policies_file: Path | None = Field(
        default=None,
        description="Thresholds by merchant and event type (`clickgoose policies check`); a change is taken within a "
        "second; unset: those of each model",
    )
    store_features: bool = Field(
        default=True,
        description="Keep the features of every event in ClickHouse for 120 days, about 0.3 KB an event: explaining an "
        "event and comparing models later needs them",
    )
    clickhouse_block_rows: int = Field(default=4_000, ge=1)
    clickhouse_block_seconds: float = Field(
        default=1.0,
        gt=0,
        description="So long rows wait for a block that is not full; up to three times as long while ClickHouse takes "
        "more than a fifth of it for one: half of what a block of a thousand rows costs does not grow with them",
    )
    clickhouse_slow_block_rows: int = Field(
        default=20_000, ge=1, description="Rows of a block while ClickHouse takes more than a second for one"
    )
    kafka_block_ms: float = Field(
        default=20.0,
        ge=0,
        le=1_000,
        description="So long results, alerts and dead letters wait on their way to Kafka for others to share a "
        "request, unless there are a thousand; scores in Redis do not wait",
    )
    sink_attempts: int = Field(default=5, ge=1)
    sink_give_up_seconds: float = Field(
        default=5.0, gt=0, description="After so long a block goes to the backup, however few its attempts"
    )
    sink_queue_rows: int = Field(default=40_000, ge=1, description="Rows that may wait for one sink")
    sink_steady_rows: int = Field(
        default=10_000,
        ge=1,
        description="Rows that may wait for one sink while it takes blocks as it should, at least two blocks: what "
        "is more waits in Kafka. The rest of the queue is for a store that is slow or away",
    )
    sink_queue_bytes: int = Field(
        default=512 * 1024**2, ge=16 * 1024**2, description="The same in bytes; all sinks together, as they share rows"
    )
    redrive: bool = Field(
        default=True, description="Rows that wait in the backup for ClickHouse or Redis go back by themselves"
    )
    redrive_rows_per_second: float = Field(default=2_000.0, gt=0, description="Of one process, to each of the two")
    redrive_attempts: int = Field(
        default=5, ge=1, description="A row that is refused alone so often, while others are taken, stays in the backup"
    )
    redrive_probe_seconds: float = Field(default=2.0, gt=0, description="How often one that is away is asked")
    bug_share_limit: float = Field(default=0.05, gt=0, le=1)
    dead_share_limit: float = Field(
        default=0.25, gt=0, le=1, description="The flow stops where more of a partition's last rows died; 1: never"
    )
    dead_share_rows: int = Field(default=10_000, ge=100, description="So many of a partition's last rows are looked at")
    dead_share_least_rows: int = Field(default=1_000, ge=1, description="Before so many rows, no share stops the flow")
    dead_run_limit: int = Field(
        default=2_000, ge=1, description="The flow stops where so many rows of a partition die one after the other"
    )
    dead_faults: tuple[Fault, ...] = Field(
        default=OUR_FAULTS,
        description="Whose dead letters count; with client or merchant, who sends rubbish stops the flow",
    )
    metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Of the first process, the next ones follow; 0: free ports"
    )
    metrics_host: str = Field(default="127.0.0.1", description="Where /metrics and /ready are served")
    drain_seconds: float = Field(default=25.0, gt=0, description="A drain that takes longer ends as on kill -9")
    cores: Cores = Field(
        default="",
        description="Cores that processes are bound to, one each in turn, as in 0-2,5: shorter latencies where a core "
        "has room for all of a process, and no other to go to when it has not; empty: the system chooses",
    )


class ModelSettings(Section):
    """Where models come from, and whose are taken."""

    root: str | None = Field(
        default=None, description="A directory, or s3://, gs:// or az://; unset: the models that came with clickgoose"
    )
    cache: Path | None = Field(
        default=None, description="Where those of an object store are kept; unset: <home>/models"
    )
    trusted_keys: tuple[str, ...] = Field(
        default=(), description="Public keys whose signatures are believed, as `clickgoose model keygen` prints them"
    )
    require_signature: bool | None = Field(
        default=None, description="Refuse unsigned models; unset: everywhere but in the shipped directory"
    )
    signing_key_file: Path | None = Field(
        default=None, description="Private key that `clickgoose model train` signs with"
    )
    watch_seconds: float = Field(default=1.0, gt=0, le=3600, description="How often the flow looks at the roll-out")


class RulesSettings(Section):
    """Where published rules are."""

    root: str | None = Field(
        default=None, description="A directory, or s3://, gs:// or az://; unset: the directory <home>/rules"
    )
    watch_seconds: float = Field(
        default=0.25, gt=0, le=60, description="How often each process looks for rules that were published"
    )


class StackSettings(Section):
    """The local stack's own choices; a part whose address is set above is not started at all."""

    kafka: Literal["auto", "apache", "tansu"] = Field(
        default="auto", description="auto: Apache Kafka where a JDK 17+ is found, else the small fallback broker"
    )
    kafka_port: int = Field(default=0, ge=0, le=65535, description="0: a free port, kept in the home")
    clickhouse_port: int = Field(default=0, ge=0, le=65535)
    redis_port: int = Field(default=0, ge=0, le=65535)
    clickhouse_config: Path | None = Field(default=None, description="ClickHouse config file, e.g. storage policies")
    clickhouse_nice: int = Field(
        default=5,
        ge=0,
        le=19,
        description="How far ClickHouse steps back behind the other processes where cores are short, as nice does; "
        "rows that it does not take in time wait in the backup",
    )
    kafka_cores: Cores = Field(default="", description="Cores that Kafka is bound to, as in 0-2,5; empty: all")
    redis_cores: Cores = Field(
        default="", description="The same of Valkey: on the core of a flow, neither waits for the other to wake there"
    )
    clickhouse_cores: Cores = Field(default="", description="The same of ClickHouse")
    ready_seconds: float = Field(default=60.0, gt=0, description="How long each part may take to become ready")


class Settings(BaseSettings):
    """One frozen value per process."""

    model_config = SettingsConfigDict(env_prefix="CLICKGOOSE_", env_nested_delimiter="__", frozen=True, extra="ignore")

    home: Path = Field(default=Path(".clickgoose"), description="Data directory of the local stack")
    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    redis: RedisSettings = RedisSettings()
    ingest: IngestSettings = IngestSettings()
    flow: FlowSettings = FlowSettings()
    stack: StackSettings = StackSettings()
    models: ModelSettings = ModelSettings()
    rules: RulesSettings = RulesSettings()
    model_version: str | None = Field(
        default=None, description="Pins one version: the roll-out is not looked at; unset: what rollout.json names"
    )
    master_keys: dict[int, SecretStr] = Field(
        default_factory=dict, description="key id -> 32 bytes in hex; the highest id seals new sessions"
    )
    merchants_file: Path | None = Field(default=None, description="Merchants and the digests of their API keys")
    turn_microseconds: int = Field(
        default=MICROSECONDS,
        ge=0,
        le=100_000,
        description="How long threads of the flow and of the ingest tier run before others have their turn, from 100; "
        "the shorter, the sooner they go on after a wait on a busy machine; needs Linux 6.12, 0: as the system has it",
    )

    def __init__(self, **values: Any) -> None:
        """Read all; ``values`` come before the environment. SettingsRefused where one cannot be used."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise refused(error) from None
        except SettingsError as error:
            raise unreadable(error) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the running stack's addresses behind the environment and before the defaults."""
        return init_settings, env_settings, StackFileSource(settings_cls, init_settings, env_settings)


class StackFileSource(PydanticBaseSettingsSource):
    """Reads ``<home>/stack.json``: a nested object of settings that the supervisor wrote when all was ready."""

    def __init__(self, settings_cls: type[BaseSettings], *before: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._before = before

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Unused: the whole file is read at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the file's ``settings`` object, or nothing where no stack runs."""
        home = next((h for h in (source().get("home") for source in self._before) if h), ".clickgoose")
        path = Path(home) / "stack.json"
        try:
            found = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        settings = found.get("settings", {})
        return {**_master_keys(Path(home)), **settings} if isinstance(settings, dict) else {}


def _master_keys(home: Path) -> dict[str, Any]:
    """Return the master keys from ``<home>/secrets.json``, the only file that holds them."""
    try:
        found = json.loads((home / "secrets.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    keys = found.get("master_keys")
    return {"master_keys": keys} if isinstance(keys, dict) else {}
