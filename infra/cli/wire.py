"""``clickgoose seal`` and ``clickgoose schema``: the wire format by hand."""

from __future__ import annotations

import base64
import json
import secrets
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

_CODECS = {"raw": 0, "deflate": 1, "lz4": 2, "json": 3}
schema_app = typer.Typer(help="Print what the wire format is generated from.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("seal")(seal)
    app.add_typer(schema_app, name="schema")


def seal(
    session: Annotated[Path, typer.Option(help="The answer of POST /v1/sessions.")],
    event: Annotated[Path, typer.Option(help="The event in nested JSON; see `clickgoose schema json`.")],
    codec: Annotated[Literal["raw", "deflate", "lz4", "json"], typer.Option(help="How the payload is packed.")] = "raw",
    device: Annotated[str | None, typer.Option(help="Device id, 32 hex digits; unset: a new one.")] = None,
    sequence: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Number of the event in its session.")] = 0,
    curl: Annotated[bool, typer.Option("--curl", help="Print a curl command that sends it, instead of bytes.")] = False,
    cacert: Annotated[Path | None, typer.Option(help="Certificate for curl; unset: the local stack's, if any.")] = None,
) -> None:
    """Seal and sign one event as the browser agent does.

    The body goes to standard output, its headers and the event id to standard error. Exit code 2: wrong use.

    Examples:

      clickgoose seal --session session.json --event event.json --curl > send.sh && sh send.sh

      clickgoose seal --session session.json --event event.json --codec lz4 > body.bin
    """
    from infra.traffic.api import sign
    from schemas.framing import FRAMES_CONTENT_TYPE, pack_frames
    from schemas.sealed import Header

    opened = _session(session)
    device_id = _device(device or opened.get("device_id"))
    event_id, now = secrets.token_bytes(16), time.time_ns() // 1_000_000
    try:
        header = Header(opened["key_id"], bytes.fromhex(opened["session_id"]), device_id, event_id, sequence, now)
        sealed = _sealed(header, _body(event, codec), opened["seal_key"], codec)
        sign_key = base64.b64decode(opened["sign_key"])
    except (KeyError, TypeError, ValueError):
        _refuse(f"{session} is not what POST /v1/sessions answered.")
    kind = "application/json" if curl else FRAMES_CONTENT_TYPE
    body = json.dumps({"events": [base64.b64encode(sealed).decode()]}).encode() if curl else pack_frames([sealed])
    headers = {
        "Authorization": f"Bearer {opened.get('token')}",
        "Content-Type": kind,
        "X-Clickgoose-Signature": sign(sign_key, now, body),
    }
    typer.echo(f"event id {event_id.hex()}", err=True)
    if curl:
        typer.echo(_curl_command(str(opened.get("endpoint")), headers, body, cacert))
        return
    for name, value in headers.items():
        typer.echo(f"{name}: {value}", err=True)
    sys.stdout.buffer.write(body)


def _session(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        _refuse(f"{path} cannot be read: {error.strerror}.")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        _refuse(f"{path} is not what POST /v1/sessions answered.")
    return found


def _device(text: str | None) -> bytes:
    if text is None:
        return secrets.token_bytes(16)
    try:
        device_id = bytes.fromhex(text)
    except ValueError:
        device_id = b""
    if len(device_id) != 16:
        _refuse("A device id has 32 hex digits.")
    return device_id


def _body(path: Path, codec: str) -> bytes:
    """Return the payload: the event's own JSON, or the vector form of it."""
    from schemas.catalogue import load_catalogue
    from schemas.nested import NestedError, columns_of, parse_nested
    from schemas.payload import encode_payloads

    try:
        text = path.read_bytes()
        columns = columns_of([parse_nested(text)], load_catalogue())
    except OSError as error:
        _refuse(f"{path} cannot be read: {error.strerror}.")
    except NestedError as error:
        _refuse(f"{path}: {error}.")
    return text if codec == "json" else encode_payloads(*columns)[0]


def _sealed(header: Any, body: bytes, seal_key: str, codec: str) -> bytes:
    from schemas.sealed import Codec
    from schemas.sealed import seal as seal_body

    return seal_body(header, body, base64.b64decode(seal_key), secrets.token_bytes(12), Codec(_CODECS[codec]))


def _curl_command(endpoint: str, headers: dict[str, str], body: bytes, cacert: Path | None) -> str:
    from infra.settings import Settings

    own = cacert or Settings().home / "tls" / "cert.pem"
    words = ["curl", "--silent", "--show-error"]
    words += ["--cacert", str(own)] if cacert or own.is_file() else []
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    return shlex.join([*words, "--data-binary", body.decode(), endpoint])


@schema_app.command("json")
def schema_json() -> None:
    """Print the JSON Schema of the nested form of an event.

    Example: clickgoose schema json > event.schema.json
    """
    from schemas.catalogue import load_catalogue
    from schemas.log_codes import load_log_codes

    catalogue, codes = load_catalogue(), load_log_codes()
    entry = {
        "type": "object",
        "required": ["code"],
        "properties": {
            "code": {"enum": sorted(codes.by_code), "description": "see `clickgoose schema log-codes`"},
            "t": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1, "description": "ms since the page opened"},
            "value": {"type": "number"},
            "target": {"enum": list(codes.targets)},
        },
    }
    found = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "clickgoose event, nested form",
        "type": "object",
        "required": ["signals"],
        "properties": {
            "catalogue": {"type": "integer", "default": catalogue.version},
            "signals": catalogue.json_schema(),
            "activity": {"type": "array", "maxItems": 10_000, "items": entry},
        },
    }
    typer.echo(json.dumps(found, indent=2))


@schema_app.command("log-codes")
def schema_log_codes(as_json: AsJson = False) -> None:
    """Print the codes of the activity log.

    Example: clickgoose schema log-codes --json
    """
    from schemas.log_codes import load_log_codes

    codes = load_log_codes()
    fields = ("code", "name", "category", "severity", "colour", "value")
    rows = [{name: getattr(code, name) for name in fields} for code in codes.by_code.values()]
    if as_json:
        typer.echo(json.dumps({"codes": rows, "targets": codes.targets}))
    else:
        _table(fields, rows)


@schema_app.command("catalogue")
def schema_catalogue(
    family: Annotated[str | None, typer.Option(help="Only this family, e.g. webgl.")] = None, as_json: AsJson = False
) -> None:
    """Print the signals.

    Example: clickgoose schema catalogue --family webgl
    """
    from schemas.catalogue import load_catalogue

    catalogue = load_catalogue()
    if family is not None and family not in catalogue.families:
        _refuse(f"There is no family {family}; known: {', '.join(catalogue.families)}.")
    fields = ("name", "kind", "position", "since", "unit", "doc")
    rows = [
        {name: getattr(signal, name) for name in fields}
        for signal in catalogue.by_name.values()
        if family in (None, signal.family)
    ]
    if as_json:
        typer.echo(json.dumps({"version": catalogue.version, "digest": catalogue.digest(), "signals": rows}))
    else:
        _table(fields, rows)


def _table(fields: Sequence[str], rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*fields)
    for row in rows:
        table.add_row(*(str(row[name]) for name in fields))
    Console().print(table)


def _refuse(sentence: str) -> NoReturn:
    typer.echo(f"error: {sentence}", err=True)
    raise typer.Exit(2)
