"""``clickgoose model train | verify``: a model from data, and whether its graph is what was trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.model_parts import Json, Root, Version, errors, needs_training, opened, print_figures, told

if TYPE_CHECKING:
    from scoring.train import Plan
    from scoring.training_set import TrainingSet


def register(group: typer.Typer) -> None:
    """Add the commands to ``clickgoose model``."""
    group.command("train", epilog="Example: clickgoose model train --events 20000 --out /tmp/models --json")(train)
    group.command("verify", epilog="Example: clickgoose model verify goose-1a2b3c4d")(verify)


def train(
    events: Annotated[
        int, typer.Option(min=1_000, help="Events of simulated traffic; the shipped model saw the default")
    ] = 90_000,
    seed: Annotated[int, typer.Option(help="Of traffic and training: one seed, one model")] = 7,
    trees: Annotated[int, typer.Option(min=1, max=2_000, help="At most; training stops early")] = 300,
    depth: Annotated[int, typer.Option(min=1, max=8)] = 6,
    out: Annotated[Path | None, typer.Option(help="Directory of models; unset: clickgoose's own")] = None,
    default: Annotated[bool, typer.Option(help="Make it the live version of the directory")] = True,
    as_json: Json = False,
) -> None:
    """Train on simulated traffic, calibrate, export to ONNX, compare with XGBoost, and write the model.

    The data is semi-synthetic, and the model card says so. CLICKGOOSE_MODELS__SIGNING_KEY_FILE signs it.
    """
    needs_training()
    from infra.models import author, signer_of
    from infra.settings import Settings
    from scoring.model import MODELS
    from scoring.release import name_current, release
    from scoring.train import Plan
    from scoring.train import train as fit
    from scoring.verify import ParityError

    with told(code=2):
        signer = signer_of(Settings().models.signing_key_file)
    plan = Plan(seed=seed, trees=trees, depth=depth)
    try:
        data = _prepared(events, seed)
        trained = _fitted(data, plan, fit)
        directory, parity = release(trained, plan, out or MODELS, signer=signer)
    except (ParityError, ValueError) as refused:
        typer.echo(f"no model was written: {refused}", err=True)
        raise typer.Exit(1) from None
    if default:
        name_current(out or MODELS, directory.name, author())
    size = (directory / "model.onnx").stat().st_size
    figures = {
        "version": directory.name,
        "path": str(directory),
        "trees": trained.trees,
        "bytes": size,
        "parity": {"rows": parity.rows, "margin": parity.margin, "contribution": parity.contribution},
        **trained.metrics,
    }
    print_figures(figures, as_json)


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


def _prepared(events: int, seed: int) -> TrainingSet:
    from rich.progress import Progress

    from infra.training import training_set

    with Progress(console=errors()) as progress:
        bar = progress.add_task("simulating and enriching events", total=events)
        return training_set(events, seed, lambda done: progress.update(bar, completed=done))


def _fitted(data: TrainingSet, plan: Plan, fit: Any) -> Any:
    from rich.progress import Progress

    with Progress(console=errors()) as progress:
        bars: dict[str, Any] = {}

        def tell(step: str, done: int, of: int) -> None:
            bar = bars[step] = bars[step] if step in bars else progress.add_task(step, total=of)
            progress.update(bar, completed=done)

        return fit(data, plan, tell)
