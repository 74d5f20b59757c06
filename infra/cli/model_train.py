"""``clickgoose model train | export-data``: a model from data, and the data as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from infra.cli.model_parts import Json, errors, needs_training, print_figures, told

if TYPE_CHECKING:
    from infra.training_source import Source
    from scoring.drift import Last
    from scoring.signing import Signer
    from scoring.train import Plan, Trained
    from scoring.training_set import TrainingSet


class From(StrEnum):
    """Where labelled events come from."""

    SIMULATION = "simulation"
    CLICKHOUSE = "clickhouse"
    FILES = "files"


class Stored(StrEnum):
    """The sources that files can be made of."""

    SIMULATION = "simulation"
    CLICKHOUSE = "clickhouse"


class Unlabelled(StrEnum):
    """What becomes of events that nobody labelled."""

    IGNORE = "ignore"
    GENUINE = "genuine"


Events = Annotated[int, typer.Option(min=1_000, help="Events to simulate; the shipped model saw the default")]
Seed = Annotated[int, typer.Option(help="Of simulation and training: one seed and one source, one model")]
Since = Annotated[str, typer.Option(help="ClickHouse: events from 90d ago, or from 2026-06-01 (UTC)")]
Until = Annotated[str | None, typer.Option(help="ClickHouse: events before then; unset: now")]
NotLabelled = Annotated[Unlabelled, typer.Option(help="ClickHouse: what events without a label are")]
GenuineAfter = Annotated[
    int, typer.Option(min=1, help="ClickHouse: days after which an event without a label can count as genuine")
]
Rows = Annotated[int, typer.Option(min=100, help="ClickHouse: at most; beyond it a weighted sample. 100,000 take 1 GB")]
Url = Annotated[str | None, typer.Option(help="clickhouse://user:password@host:port/database; unset: of the settings")]


def register(group: typer.Typer) -> None:
    """Add the commands to ``clickgoose model``."""
    group.command("train", epilog="Example: clickgoose model train --from clickhouse --since 120d --no-default")(train)
    group.command("export-data", epilog="Example: clickgoose model export-data --from clickhouse --out data")(
        export_data
    )


def train(
    source: Annotated[From, typer.Option("--from", help="Where labelled events come from")] = From.SIMULATION,
    events: Events = 90_000,
    seed: Seed = 7,
    files: Annotated[Path | None, typer.Option(help="Directory that export-data wrote; with --from files")] = None,
    since: Since = "90d",
    until: Until = None,
    unlabelled: NotLabelled = Unlabelled.IGNORE,
    genuine_after: GenuineAfter = 60,
    rows: Rows = 200_000,
    url: Url = None,
    trees: Annotated[int, typer.Option(min=1, max=2_000, help="At most; training stops early")] = 300,
    depth: Annotated[int, typer.Option(min=1, max=8)] = 6,
    out: Annotated[Path | None, typer.Option(help="Directory of models; unset: clickgoose's own")] = None,
    default: Annotated[bool, typer.Option(help="Make it the live version of the directory")] = True,
    key: Annotated[
        Path | None, typer.Option(help="Private key to sign it with; unset: CLICKGOOSE_MODELS__SIGNING_KEY_FILE")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train, calibrate, measure, export to ONNX, compare with XGBoost, and write the model with its report.

    The events are split by time: the model is trained on the first, calibrated on the second and judged on the last
    part, and attack campaigns that began earlier are left out of the last two. One seed and the same events give the
    same version.

    Exit codes: 0 the model is written; 1 the data is not enough or not fit, and nothing was written; 2 wrong use.

    Examples:

      clickgoose model train --events 20000 --out /tmp/models --json

      clickgoose model train --from clickhouse --since 120d --unlabelled genuine --genuine-after 90 --out models

      clickgoose model train --from files --files data --out models --no-default
    """
    needs_training()
    from infra.models import signer_of
    from infra.settings import Settings
    from infra.storages import author
    from infra.training_source import TrainingDataError
    from scoring.model import MODELS, ModelError
    from scoring.release import name_current
    from scoring.train import Plan
    from scoring.verify import ParityError

    with told(code=2):
        signer = signer_of(key or Settings().models.signing_key_file)
    plan = Plan(seed=seed, trees=trees, depth=depth)
    models = out or MODELS
    found = _source(source, (events, seed), files, (since, until, unlabelled, genuine_after, rows, url))
    try:
        figures, version = _made(found(), plan, models, signer)
    except (ModelError, ParityError, TrainingDataError, ValueError) as refused:
        _refuse(f"no model was written: {refused}", 1)
    if default:
        name_current(models, version, author())
    print_figures(figures, as_json)


def export_data(
    out: Annotated[Path, typer.Option(help="Directory of the files; made where it is not there")],
    source: Annotated[Stored, typer.Option("--from", help="Where labelled events come from")] = Stored.CLICKHOUSE,
    events: Events = 90_000,
    seed: Seed = 7,
    since: Since = "90d",
    until: Until = None,
    unlabelled: NotLabelled = Unlabelled.IGNORE,
    genuine_after: GenuineAfter = 60,
    rows: Rows = 200_000,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Write labelled events as Parquet files: features by name, label, time, kind, campaign, source, weight.

    Training on the files gives the same model as training on their source.

    Exit codes: 0 written; 1 there is nothing to write, or the directory holds data already; 2 wrong use.

    Example:

      clickgoose model export-data --from simulation --events 20000 --out /tmp/data
    """
    needs_training()
    from infra.training_files import write_files
    from infra.training_source import TrainingDataError

    found = _source(From(source), (events, seed), None, (since, until, unlabelled, genuine_after, rows, url))
    try:
        with _progress() as tell:
            written = write_files(found(), out, lambda done, of: tell("writing events", done, of))
    except TrainingDataError as refused:
        _refuse(str(refused), 1)
    except OSError as error:
        _refuse(f"{out} cannot be written: {error.strerror or error}", 2)
    print_figures({"directory": str(out), "files": len(written), "events": sum(written.values())}, as_json)


def _source(
    source: From,
    simulation: tuple[int, int],
    files: Path | None,
    stored: tuple[str, str | None, Unlabelled, int, int, str | None],
) -> Callable[[], Source]:
    """Return what opens the source; wrong use ends the command."""
    if source is From.FILES:
        if files is None:
            _refuse("--from files needs --files DIRECTORY: what `clickgoose model export-data` wrote", 2)
        from infra.training_files import from_files

        return lambda: from_files(files)
    if source is From.CLICKHOUSE:
        return _stored(*stored)
    from infra.training import simulated

    return lambda: simulated(*simulation)


def _stored(
    since: str, until: str | None, unlabelled: Unlabelled, genuine_after: int, rows: int, url: str | None
) -> Callable[[], Source]:
    import time

    from infra.cli.time_range import range_of
    from infra.settings import Settings
    from infra.training_clickhouse import DAY_MS, Wanted, from_clickhouse

    now = int(time.time() * 1000)
    try:
        first, last = range_of(since, until, now)
    except ValueError as error:
        _refuse(str(error), 2)
    where = url or Settings().clickhouse.url
    if where is None:
        _refuse("no ClickHouse: run `clickgoose up`, or set CLICKGOOSE_CLICKHOUSE__URL", 2)
    border = now - genuine_after * DAY_MS if unlabelled is Unlabelled.GENUINE else None
    return lambda: from_clickhouse(where, Wanted(first, last, rows, border))


def _made(source: Source, plan: Plan, models: Path, signer: Signer | None) -> tuple[dict[str, Any], str]:
    """Train and write; return what is printed, and the version."""
    from infra.training_source import joined
    from scoring.model import MODEL_FILE
    from scoring.release import release
    from scoring.report import Report, make_report
    from scoring.train import train as fit

    with _progress() as tell:
        data: TrainingSet = joined(source, lambda done, of: tell("collecting events", done, of))
        trained: Trained = fit(data, plan, tell)
        tell("measuring", 0, 1)

        def report(version: str) -> Report:
            return make_report(data, trained, plan, _earlier(models, version))

        directory, parity = release(trained, plan, models, source.told, signer, report)
        tell("measuring", 1, 1)
    figures = {
        "version": directory.name,
        "path": str(directory),
        "trees": trained.trees,
        "bytes": (directory / MODEL_FILE).stat().st_size,
        "parity": {"rows": parity.rows, "margin": parity.margin, "contribution": parity.contribution},
        **trained.metrics,
    }
    return figures, directory.name


def _earlier(models: Path, version: str) -> Last | None:
    """Return the model that drift is measured against: the live one, or what a version that is live was compared with.

    So training a version again gives the same report.
    """
    from scoring.drift import read_last
    from scoring.model import ModelError, current_version, find_model, read_manifest
    from scoring.report_file import compared_with

    try:
        live = current_version(models)
        if live == version:
            before = compared_with(find_model(live, models))
            if before is None:
                return None
            live = before
        directory = find_model(live, models)
        return read_last(directory, live, read_manifest(directory).metrics)
    except ModelError:
        return None  # there is none, or it was made by another build


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show bars with the time that is left, one a step; the function moves them."""
    from rich.progress import Progress

    with Progress(console=errors()) as progress:
        bars: dict[str, Any] = {}

        def tell(step: str, done: int, of: int) -> None:
            if step not in bars:
                bars[step] = progress.add_task(step, total=of)
            progress.update(bars[step], completed=done)

        yield tell


def _refuse(sentence: str, code: int) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
