"""``clickgoose ingest``: the HTTP tier as a process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from infra.settings import Settings
    from ingest_api.config import IngestConfig
    from ingest_api.server import Tls
    from scoring.registry import Registry

group = typer.Typer(help="Run the HTTP tier that takes events and answers scores.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(group, name="ingest")


@group.command(
    epilog="Examples: [bold]clickgoose ingest serve[/bold] · "
    "[bold]clickgoose ingest serve --port 8443 --port-file /run/ingest.url[/bold]"
)
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; unset: from the settings")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0: a free port; unset: from the settings")] = None,
    port_file: Annotated[Path | None, typer.Option(help="Write the URL here once requests are served")] = None,
    spool: Annotated[Path | None, typer.Option(help="Directory of this process's disk spool")] = None,
    home: Annotated[Path | None, typer.Option(help="Home of the local stack; unset: CLICKGOOSE_HOME")] = None,
) -> None:
    """Serve until SIGTERM, then drain: what is accepted goes to Kafka or the spool. Prints the URL."""
    from prometheus_client import CollectorRegistry

    from infra.decision_sources import DecisionSources
    from infra.settings import Settings
    from infra.turns import take_short_turns
    from ingest_api.app import create_app
    from ingest_api.logs import configure_logs
    from ingest_api.server import bind, url_of
    from ingest_api.server import serve as serve_app
    from ingest_api.spool import SpoolError

    settings = Settings(home=home) if home else Settings()
    address = (host or settings.ingest.host, settings.ingest.port if port is None else port)
    configure_logs()
    take_short_turns(settings.turn_microseconds)
    tls = _tls(settings)
    try:
        bound = bind(*address)
    except OSError as error:
        _refuse(f"The address {address[0]}:{address[1]} cannot be used: {error.strerror}.", 1)
    url = url_of(bound, tls)
    registry = CollectorRegistry()
    try:
        config = ingest_config(settings, url if host or port else settings.ingest.url or url, spool)
        app = create_app(config, registry=registry, sources=DecisionSources(settings, registry).sources)
    except (ValueError, SpoolError) as error:
        _refuse(str(error), 1)
    if not serve_app(app, bound, tls, lambda: _announce(url, port_file)):
        raise typer.Exit(1)


def ingest_config(settings: Settings, public_url: str, spool: Path | None = None) -> IngestConfig:
    """Return the ingest tier's own configuration; ValueError where a setting is missing or wrong."""
    from infra.flow_shared import entity_key
    from infra.keys import key_ring
    from ingest_api.config import IngestConfig
    from ingest_api.merchants import Merchants

    if not settings.kafka.bootstrap or not settings.redis.url:
        raise ValueError(
            "No Kafka or Redis is known: run `clickgoose up`, or set CLICKGOOSE_KAFKA__BOOTSTRAP and …REDIS__URL."
        )
    ingest = settings.ingest
    return IngestConfig(
        keys=key_ring(settings),
        merchants=Merchants.load(settings.merchants_file or settings.home / "merchants.json"),
        bootstrap=settings.kafka.bootstrap,
        redis_url=settings.redis.url,
        spool_dir=spool or settings.home / "spool",
        public_url=public_url.rstrip("/"),
        clickhouse_url=settings.clickhouse.url,
        model_registry=lambda: _models(settings),
        session_ttl_seconds=ingest.session_ttl_seconds,
        max_event_bytes=ingest.max_event_bytes,
        max_request_bytes=ingest.max_request_bytes,
        max_events_per_request=ingest.max_events_per_request,
        max_skew_seconds=ingest.max_skew_seconds,
        max_age_seconds=ingest.max_age_seconds,
        session_events_per_minute=ingest.session_events_per_minute,
        merchant_events_per_second=ingest.merchant_events_per_second,
        address_requests_per_minute=ingest.address_requests_per_minute,
        merchant_labels_per_minute=ingest.merchant_labels_per_minute,
        merchant_explanations_per_minute=ingest.merchant_explanations_per_minute,
        merchant_list_entries_per_minute=ingest.merchant_list_entries_per_minute,
        merchant_decisions_per_second=ingest.merchant_decisions_per_second,
        max_decision_bytes=ingest.max_decision_bytes,
        decision_ttl_seconds=ingest.decision_ttl_seconds,
        entity_key=entity_key(settings),
        produce_timeout_ms=ingest.produce_timeout_ms,
        spool_max_bytes=ingest.spool_max_bytes,
        trusted_proxies=ingest.trusted_proxies,
        cors_origins=ingest.cors_origins,
        agent_codec=ingest.agent_codec,
    )


def _models(settings: Settings) -> Registry:
    from infra.models import registry_of

    return registry_of(settings)


def _tls(settings: Settings) -> Tls | None:
    """Return where the certificate is, unless plain HTTP is wanted."""
    from ingest_api.server import Tls

    if not settings.ingest.tls:
        return None
    certificate = settings.ingest.tls_certificate or settings.home / "tls" / "cert.pem"
    key = settings.ingest.tls_key or settings.home / "tls" / "key.pem"
    for path in (certificate, key):
        if not path.is_file():
            _refuse(
                f"{path} does not exist: run `clickgoose up`, or set CLICKGOOSE_INGEST__TLS=false for plain HTTP.", 1
            )
    return Tls(certificate, key)


def _announce(url: str, port_file: Path | None) -> None:
    """Print the URL, and write it whole or not at all."""
    typer.echo(url)
    if port_file is not None:
        fresh = port_file.with_name(port_file.name + ".new")
        fresh.write_text(url + "\n", "utf-8")
        fresh.replace(port_file)


def _refuse(sentence: str, code: int) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
