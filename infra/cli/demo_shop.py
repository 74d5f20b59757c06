"""``clickgoose demo-shop``: a small shop with clickgoose built in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from infra.demo_shop.clickgoose import Account
    from infra.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo-shop")(demo_shop)


def demo_shop(
    url: Annotated[
        str | None, typer.Option(help="The ingest tier; unset: CLICKGOOSE_INGEST__URL or the stack's.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free port.")] = 0,
    home: Annotated[Path | None, typer.Option(help="Home of the local stack, for API key and certificate.")] = None,
    direct: Annotated[
        bool | None,
        typer.Option(
            "--direct/--proxied",
            help="Pages send events to the ingest tier, or to the shop, which passes them on. Unset: proxied where "
            "the tier's certificate is the stack's own, which no browser trusts.",
        ),
    ] = None,
    port_file: Annotated[Path | None, typer.Option(help="Write the URL here once pages are served.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the URL as one JSON object.")] = False,
) -> None:
    """Serve a product, a checkout with the browser agent, and a page that shows the score. Prints the link.

    It is the merchant demo-shop of the local stack, or whoever CLICKGOOSE_API_KEY belongs to. It listens on loopback
    only and takes orders whatever clickgoose does. Exit code 0 after SIGTERM or Ctrl-C.

    Examples:

      clickgoose demo-shop

      clickgoose demo-shop --port 8080 --url https://127.0.0.1:8443

      CLICKGOOSE_API_KEY=cg_… clickgoose demo-shop --url https://ingest.example --direct
    """
    from infra.demo_shop.app import ShopConfig
    from infra.demo_shop.server import HOST, serve_shop
    from infra.settings import Settings
    from infra.stack.files import write_atomically
    from ingest_api.server import bind, url_of

    account = _account(Settings(home=home) if home else Settings(), url)
    config = ShopConfig(account, proxied=account.certificate is not None if direct is None else not direct)
    try:
        bound = bind(HOST, port)
    except OSError as error:
        _refuse(f"The address {HOST}:{port} cannot be used: {error.strerror}.", 1)
    link = url_of(bound, None)

    def ready() -> None:
        typer.echo(json.dumps({"url": link, "ingest": account.url, "proxied": config.proxied}) if as_json else link)
        if port_file is not None:
            write_atomically(port_file, link + "\n", 0o644)

    if not serve_shop(config, bound, ready):
        raise typer.Exit(1)


def _account(settings: Settings, url: str | None) -> Account:
    """Return whose shop it is, and where the ingest tier is."""
    from infra.demo_shop.clickgoose import Account
    from infra.stack.child import StackError
    from infra.stack.secrets import load_secrets

    url = (url or settings.ingest.url or "").rstrip("/")
    if not url.startswith(("http://", "https://")):
        _refuse("No ingest tier is known: give --url with its address, or set CLICKGOOSE_INGEST__URL.", 2)
    key = os.environ.get("CLICKGOOSE_API_KEY")
    if not key:
        try:
            key = load_secrets(settings.home).api_key()
        except StackError as error:
            _refuse(f"{error} Or set CLICKGOOSE_API_KEY.", 1)
    own = settings.ingest.tls_certificate or settings.home / "tls" / "cert.pem"
    return Account(url, key, own if url.startswith("https:") and own.is_file() else None)


def _refuse(sentence: str, code: int) -> NoReturn:
    typer.echo(f"error: {sentence}", err=True)
    raise typer.Exit(code)
