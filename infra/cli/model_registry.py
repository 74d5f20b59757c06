"""``clickgoose model show``: which models there are, and which scores."""

from __future__ import annotations

import typer

from infra.cli.model_parts import Json, Models, Version, print_figures


def register(group: typer.Typer) -> None:
    """Add the commands to ``clickgoose model``."""
    group.command("show", epilog="Example: clickgoose model show --json")(show)


def show(version: Version = None, models: Models = None, as_json: Json = False) -> None:
    """Show a model's manifest, and which versions there are."""
    from scoring.model import MANIFEST_FILE, MODELS, ModelError, find_model, read_manifest

    place = models or MODELS
    try:
        manifest = read_manifest(find_model(version, place))
    except ModelError as refused:
        typer.echo(str(refused), err=True)
        raise typer.Exit(1) from None
    figures = {
        "version": manifest.version,
        "versions": sorted(path.parent.name for path in place.glob(f"*/{MANIFEST_FILE}")),
        "features": len(manifest.features),
        "feature_digest": manifest.feature_digest,
        "catalogue_digest": manifest.catalogue_digest,
        "groups": len(manifest.groups),
        "trees": manifest.trees,
        "depth": manifest.depth,
        "seed": manifest.seed,
        "review": manifest.review,
        "deny": manifest.deny,
        "data": manifest.data,
        **manifest.metrics,
    }
    print_figures(figures, as_json)
