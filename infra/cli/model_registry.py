"""``clickgoose model list | show | verify | promote | rollback | shadow``: which models there are, and who scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from infra.cli.model_parts import Json, Root, Version, WantedVersion, needs_training, opened, print_figures, told

if TYPE_CHECKING:
    from scoring.registry import Registry
    from scoring.rollout import Rollout

_CHANGES_SHOWN = 5


def register(group: typer.Typer) -> None:
    """Add the commands to ``clickgoose model``."""
    group.command("list", epilog="Example: clickgoose model list --json")(list_models)
    group.command("show", epilog="Example: clickgoose model show goose-1a2b3c4d --json")(show)
    group.command("verify", epilog="Example: clickgoose model verify goose-1a2b3c4d")(verify)
    group.command(
        "promote",
        epilog="Example: clickgoose model promote goose-1a2b3c4d --percent 10, and later without --percent",
    )(promote)
    group.command(
        "rollback", epilog="Examples: clickgoose model rollback; clickgoose model rollback --to goose-1a2b3c4d --json"
    )(rollback)
    shadows = typer.Typer(
        help="Models that score every event beside the live one, for comparison.", no_args_is_help=True
    )
    shadows.command("add", epilog="Example: clickgoose model shadow add goose-1a2b3c4d")(shadow_add)
    shadows.command("remove", epilog="Example: clickgoose model shadow remove goose-1a2b3c4d")(shadow_remove)
    group.add_typer(shadows, name="shadow")


def list_models(models: Root = None, as_json: Json = False) -> None:
    """List the versions, what each of them does, and the last changes.

    Exit codes: 0 all can be used by this build; 1 one that scores cannot, or the registry cannot be read.
    """
    with told():
        registry = opened(models)
        rollout, _ = registry.read_rollout()
        rows = [_row(registry, version, rollout) for version in registry.versions()]
    if as_json:
        print_figures({"root": registry.address, "models": rows, "rollout": _as_object(rollout)}, as_json)
    else:
        _print_table(registry.address, rows, rollout)
    named = set(rollout.roles.versions()) if rollout else set()
    lacking = named - {row["version"] for row in rows if not row["problem"]}
    if lacking:
        typer.echo(f"{', '.join(sorted(lacking))} should score and cannot: `clickgoose model rollback`", err=True)
        raise typer.Exit(1)


def show(version: Version = None, models: Root = None, as_json: Json = False) -> None:
    """Show a model: what it was trained on, how good it was, who signed it, and whether this build takes it."""
    with told():
        registry = opened(models)
        name = version or registry.rollout().roles.live
        manifest = registry.manifest(name, trusted=False)
        problem = registry.problem(name)
    figures = {
        "version": manifest.version,
        "versions": list(registry.versions()),
        "signed_by": registry.signed_by(name),
        "problem": problem,
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
        "data_window": msgspec.to_builtins(manifest.data_window),
        **manifest.metrics,
    }
    print_figures(figures, as_json)


def promote(
    version: WantedVersion,
    percent: Annotated[
        float, typer.Option(help="Share of devices that it scores; 100: it becomes the live model")
    ] = 100.0,
    models: Root = None,
    as_json: Json = False,
) -> None:
    """Let a model score: all devices, or some of them as a candidate beside the live model.

    It is loaded first, with every check; what does not load, fit or verify is refused and nothing changes. Running
    flows take it up within `CLICKGOOSE_MODELS__WATCH_SECONDS`, without a restart.

    Exit codes: 0 done, or so already; 1 refused; 2 wrong use.
    """
    from scoring.rollout import promoted

    if not 0 < percent <= 100:
        raise typer.BadParameter(f"{percent:g} is no share of devices: give more than 0, and at most 100")
    with told():
        registry = opened(models)
        checked = _verified(registry, version)
        rollout = _changed(registry, lambda before, author: promoted(before, version, author, percent))
    print_figures({**_as_figures(rollout), "checked": checked}, as_json)


def rollback(
    to: Annotated[
        str | None, typer.Option(help="Version that shall be live; unset: end the candidate, else the one before")
    ] = None,
    models: Root = None,
    as_json: Json = False,
) -> None:
    """Go one step back: without the candidate, or to the model that was live before. Running flows follow.

    Exit codes: 0 done; 1 nothing to go back to, or that model cannot be used; 2 wrong use.
    """
    from scoring.rollout import rolled_back

    with told():
        registry = opened(models)
        live = registry.rollout().roles.live

        def usable(before: Rollout | None, author: Any) -> Rollout:
            after = rolled_back(before or registry.rollout(), author, to)
            if after.roles.live != live:
                registry.load(after.roles.live)
            return after

        rollout = _changed(registry, usable)
    print_figures(_as_figures(rollout), as_json)


def shadow_add(version: WantedVersion, models: Root = None, as_json: Json = False) -> None:
    """Let a model score every event beside the live one. Its scores are stored, and decide nothing.

    Exit codes: 0 done, or so already; 1 refused; 2 wrong use.
    """
    from scoring.rollout import shadowed

    with told():
        registry = opened(models)
        registry.load(version)
        rollout = _changed(registry, lambda before, author: shadowed(before or registry.rollout(), version, author))
    print_figures(_as_figures(rollout), as_json)


def shadow_remove(version: WantedVersion, models: Root = None, as_json: Json = False) -> None:
    """End a shadow.

    Exit codes: 0 done; 1 it is none; 2 wrong use.
    """
    from scoring.rollout import unshadowed

    with told():
        registry = opened(models)
        rollout = _changed(registry, lambda before, author: unshadowed(before or registry.rollout(), version, author))
    print_figures(_as_figures(rollout), as_json)


def verify(version: Version = None, models: Root = None, as_json: Json = False) -> None:
    """Check a model's files and signature, and compare its graph with XGBoost on missing values and exact thresholds.

    Exit codes: 0 all is well; 1 something is not; 2 wrong use, or the training extra is missing.
    """
    needs_training()
    from scoring.release import verify_directory
    from scoring.verify import ParityError

    with told():
        registry = opened(models)
        name = version or registry.rollout().roles.live
        signed_by = registry.signature_of(name)
        try:
            manifest, parity = verify_directory(registry.path(name, trusted=False))
        except ParityError as refused:
            typer.echo(f"model {name} is not what was trained: {refused}; train again", err=True)
            raise typer.Exit(1) from None
    figures = {
        "version": manifest.version,
        "rows": parity.rows,
        "margin": parity.margin,
        "score": parity.score,
        "contribution": parity.contribution,
        "sum_of_contributions": parity.sum_of_contributions,
        "signed_by": signed_by,
    }
    print_figures(figures, as_json)


def _changed(registry: Registry, transition: Callable[[Rollout | None, Any], Rollout]) -> Rollout:
    from infra.storages import author

    me = author()
    return registry.change(lambda before: transition(before, me))


def _verified(registry: Registry, version: str) -> str:
    """Load a version; where XGBoost is installed, compare with it too. Return what it was compared with."""
    from importlib.util import find_spec

    from scoring.model import ModelError

    registry.load(version)
    if find_spec("xgboost") is None or find_spec("onnx") is None:
        return "golden rows"
    from scoring.release import verify_directory
    from scoring.verify import ParityError

    try:
        verify_directory(registry.path(version))
    except ParityError as error:
        raise ModelError(f"model {version} is not what was trained: {error}; train again") from error
    return "golden rows, XGBoost"


def _row(registry: Registry, version: str, rollout: Rollout | None) -> dict[str, Any]:
    from scoring.model import ModelError

    row: dict[str, Any] = {"version": version, "role": _role(version, rollout), "problem": registry.problem(version)}
    try:
        manifest = registry.manifest(version, trusted=False)
    except ModelError:
        return row
    return {
        **row,
        "signed_by": registry.signed_by(version),
        "trees": manifest.trees,
        "roc_auc": manifest.metrics.get("roc_auc"),
        "data_window": msgspec.to_builtins(manifest.data_window),
    }


def _role(version: str, rollout: Rollout | None) -> str:
    if rollout is None:
        return ""
    roles = rollout.roles
    candidate = roles.candidate
    found = [
        *(["live"] if version == roles.live else []),
        *([f"candidate {candidate.percent:g}%"] if candidate and candidate.version == version else []),
        *(["shadow"] if version in roles.shadows else []),
    ]
    return ", ".join(found)


def _as_figures(rollout: Rollout) -> dict[str, Any]:
    roles = rollout.roles
    return {
        "live": roles.live,
        "candidate": roles.candidate.version if roles.candidate else None,
        "percent": roles.candidate.percent if roles.candidate else 0.0,
        "shadows": list(roles.shadows),
    }


def _as_object(rollout: Rollout | None) -> Any:
    return msgspec.to_builtins(rollout)


def _print_table(address: str, rows: list[dict[str, Any]], rollout: Rollout | None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=address, title_justify="left", box=None, pad_edge=False)
    for heading in ("version", "role", "signed by", "trees", "ROC-AUC", "problem"):
        table.add_column(heading)
    for row in rows:
        cells = (
            row["version"],
            row["role"],
            row.get("signed_by"),
            row.get("trees"),
            row.get("roc_auc"),
            row["problem"],
        )
        table.add_row(*("" if cell is None else str(cell) for cell in cells))
    console = Console()
    console.print(table, width=None if console.is_terminal else 200)
    for change in reversed(rollout.history[-_CHANGES_SHOWN:] if rollout else ()):
        before = change.before.live if change.before else "nothing"
        after = change.after
        candidate = f", candidate {after.candidate.version} {after.candidate.percent:g}%" if after.candidate else ""
        typer.echo(f"{change.at} {change.by}: {change.did}, {before} -> {after.live}{candidate}")
