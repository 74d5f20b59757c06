"""``clickgoose policies``: the thresholds that decide, by merchant and event type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from scoring.policy import Policies, Policy

policies_app = typer.Typer(
    help="Check and show the policies file (flow.policies_file): who is reviewed or denied from which score on, and "
    "what decides while rules cannot ask.",
    no_args_is_help=True,
)
_WHEN_DEGRADED = {
    "allow": "allow",
    "review": "review",
    "deny": "deny",
    "model": "rules that need neither, and the model, decide",
}
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(policies_app, name="policies")


@policies_app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="A policies file, as flow.policies_file names it")], as_json: Json = False
) -> None:
    """Check a policies file: every mistake with its line and what to do. A running flow refuses what this refuses.

    Exit codes: 0 the file is good; 1 it has mistakes; 2 it cannot be read.

    Examples:

      clickgoose policies check policies.yaml

      clickgoose policies check policies.yaml --json
    """
    from infra.policies_file import read_policies
    from scoring.yaml_places import ProblemsFound

    try:
        policies = read_policies(file)
    except OSError as error:
        _refuse(f"{file} cannot be read: {error.strerror or error}", 2)
    except ProblemsFound as found:
        if as_json:
            problems = [problem._asdict() for problem in found.problems]
            typer.echo(json.dumps({"file": str(file), "digest": None, "policies": 0, "problems": problems}))
            raise typer.Exit(1) from None
        _refuse("\n".join(f"{file}:{problem.line}: {problem.said}" for problem in found.problems), 1)
    count = len(policies.content())
    if as_json:
        typer.echo(json.dumps({"file": str(file), "digest": policies.digest, "policies": count, "problems": []}))
    else:
        typer.echo(f"{file}: {count} {'policy' if count == 1 else 'policies'}, digest {policies.digest}")


@policies_app.command("show")
def show(
    merchant: Annotated[str | None, typer.Option(help="Show the policy of this merchant's events")] = None,
    event_type: Annotated[str | None, typer.Option(help="Show the policy of events of this type")] = None,
    file: Annotated[Path | None, typer.Option(help="A policies file; unset: flow.policies_file")] = None,
    as_json: Json = False,
) -> None:
    """Show all policies, or with a merchant or an event type the one that decides, and where it comes from.

    The most specific one decides: of the merchant and the event type, of the merchant, of the event type, the default,
    and else the live model's own thresholds.

    Exit codes: 0 shown; 1 the file has mistakes; 2 it, or the model, cannot be read.

    Examples:

      clickgoose policies show

      clickgoose policies show --merchant shop-1 --event-type pay_out

      clickgoose policies show --file policies.yaml --json
    """
    from infra.settings import Settings

    settings = Settings()
    path = file or settings.flow.policies_file
    policies = _policies(path)
    named = {"file": str(path) if path else None, "digest": policies.digest}
    if merchant is None and event_type is None:
        _show_all(named, policies, as_json)
        return
    said = named | {"merchant": merchant, "event_type": event_type, **_deciding(policies, merchant, event_type)}
    if as_json:
        typer.echo(json.dumps(said))
        return
    typer.echo(
        f"review from {said['review']:g}, deny from {said['deny']:g}, left {said['margin']:g} below: "
        f"of the {said['of']} ({path or 'no policies file'}, digest {policies.digest})\n"
        f"while history or lists cannot be asked: {_WHEN_DEGRADED[said['degraded']]}"
    )


def _policies(path: Path | None) -> Policies:
    from infra.policies_file import read_policies
    from scoring.policy import Policies
    from scoring.yaml_places import ProblemsFound

    if path is None:
        return Policies()
    try:
        return read_policies(path)
    except OSError as error:
        _refuse(f"{path} cannot be read: {error.strerror or error}", 2)
    except ProblemsFound as found:
        _refuse(str(found), 1)


def _deciding(policies: Policies, merchant: str | None, event_type: str | None) -> dict[str, Any]:
    """Return the thresholds that decide, and of what they are."""
    of, found = policies.which(merchant or "", event_type or "")
    policy = found or _own()
    limits = {"of": of, "review": policy.review, "deny": policy.deny, "margin": policy.margin}
    return limits | {"degraded": policies.when_degraded(merchant or "")}


def _own() -> Policy:
    """Return the live model's own thresholds."""
    from infra.models import registry_of
    from infra.settings import Settings
    from scoring.model import ModelError
    from scoring.policy import Policy

    settings = Settings()
    try:
        registry = registry_of(settings)
        manifest = registry.manifest(settings.model_version or registry.rollout().roles.live)
    except ModelError as error:
        _refuse(str(error), 2)
    return Policy.usual(manifest.review, manifest.deny)


def _show_all(named: dict[str, Any], policies: Policies, as_json: bool) -> None:
    if as_json:
        said = {"policies": policies.content(), "degraded": policies.degraded_content()}
        typer.echo(json.dumps(named | said))
        return
    from rich.console import Console
    from rich.table import Table

    where = named["file"] or "no policies file: each model decides by its own thresholds"
    table = Table(title=f"{where}, digest {policies.digest}", title_justify="left")
    for name in ("merchant", "event type", "review", "deny", "margin"):
        table.add_column(name, justify="left" if name in ("merchant", "event type") else "right")
    for one in policies.content():
        limits = (f"{one[name]:g}" for name in ("review", "deny", "margin"))
        table.add_row(one["merchant"] or "every", one["event_type"] or "every", *limits)
    Console().print(table)
    degraded = policies.degraded_content()
    typer.echo(f"While history or lists cannot be asked: {_WHEN_DEGRADED[degraded['default']]}")
    for merchant, said in degraded["merchants"].items():
        typer.echo(f"  of {merchant}: {_WHEN_DEGRADED[said]}")


def _refuse(sentence: str, code: int) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
