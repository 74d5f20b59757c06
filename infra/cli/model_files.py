"""``clickgoose model keygen | sign | publish | fetch``: whose models are, and how they get from root to root."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infra.cli.model_parts import Json, Root, WantedVersion, errors, opened, print_figures, told


def register(group: typer.Typer) -> None:
    """Add the commands to ``clickgoose model``."""
    group.command("keygen", epilog="Example: clickgoose model keygen --out signing.pem")(keygen)
    group.command("sign", epilog="Example: clickgoose model sign goose-1a2b3c4d --key signing.pem")(sign)
    group.command("publish", epilog="Example: clickgoose model publish out/goose-1a2b3c4d --models s3://bucket/models")(
        publish
    )
    group.command("fetch", epilog="Example: clickgoose model fetch goose-1a2b3c4d --models s3://bucket/models --out m")(
        fetch
    )


def keygen(
    out: Annotated[Path, typer.Option(help="File for the private key; it must not be there yet")], as_json: Json = False
) -> None:
    """Make a key to sign models with. The private key goes to a file, the public one is printed.

    Give the public key to the flows, in CLICKGOOSE_MODELS__TRUSTED_KEYS; keep the private one from them.

    Exit codes: 0 done; 2 the file is there already, or cannot be written.
    """
    import os

    from scoring.signing import Signer, key_id

    signer = Signer.new()
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        typer.echo(f"{out}: {error.strerror}; name another file", err=True)
        raise typer.Exit(2) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(signer.pem())
    public = signer.public_text()
    print_figures({"private_key": str(out), "public_key": public, "id": key_id(public)}, as_json)


def sign(
    version: WantedVersion,
    key: Annotated[Path | None, typer.Option(help="Private key; unset: CLICKGOOSE_MODELS__SIGNING_KEY_FILE")] = None,
    models: Root = None,
    as_json: Json = False,
) -> None:
    """Sign a model's manifest, which names the digests of all its files.

    Exit codes: 0 done; 1 there is no such model; 2 the key cannot be used.
    """
    from infra.models import signer_of
    from infra.settings import Settings
    from scoring.signing import key_id

    file = key or Settings().models.signing_key_file
    if file is None:
        raise typer.BadParameter("name the private key: --key FILE; `clickgoose model keygen` makes one")
    with told(code=2):
        signer = signer_of(file)
        assert signer is not None  # noqa: S101 - a file was named
    with told():
        registry = opened(models)
        registry.sign(version, signer)
    trusted = registry.signed_by(version) is not None
    print_figures({"version": version, "signed_by": key_id(signer.public_text()), "trusted_here": trusted}, as_json)


def publish(
    directory: Annotated[Path, typer.Argument(help="A model directory, as out/goose-1a2b3c4d")],
    models: Root = None,
    as_json: Json = False,
) -> None:
    """Put a model into a registry, after every check. It scores nothing until it is promoted.

    Exit codes: 0 done, or there already; 1 refused; 2 wrong use.
    """
    with told():
        registry = opened(models)
        version = registry.publish(directory)
    print_figures({"version": version, "root": registry.address}, as_json)


def fetch(
    version: WantedVersion,
    out: Annotated[Path | None, typer.Option(help="Directory to put VERSION/ in; unset: the cache of the flow")] = None,
    models: Root = None,
    as_json: Json = False,
) -> None:
    """Fetch a model from an object store, after every check: to look at it, or so that a flow finds it at hand.

    Exit codes: 0 done; 1 refused, or the store does not answer; 2 wrong use.
    """
    from scoring.registry import Registry
    from scoring.storage import DirectoryStorage

    with told(), errors().status(f"fetching {version}"):
        registry = opened(models)
        model = registry.load(version)
        if out is not None:
            Registry(DirectoryStorage(out), registry.trust).publish(model.directory)
    place = model.directory if out is None else out / version
    print_figures({"version": version, "path": str(place)}, as_json)
