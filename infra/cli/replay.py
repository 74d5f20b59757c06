"""``clickgoose replay``: run a past range again, beside what is live; say what changed."""

from __future__ import annotations

from importlib import import_module

import typer

PARTS: tuple[str, ...] = (
    # One line a module beside this one that has ``register(app)``, in the order of ``--help``.
    "replay_plan",
    "replay_run",
    "replay_list",
    "replay_diff",
)

replay_app = typer.Typer(help="Run a past range again, beside what is live; say what changed.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(replay_app, name="replay")


@replay_app.callback()
def group() -> None:
    """Run a past range again, beside what is live; say what changed: see docs/replay.md."""


for part in PARTS:
    import_module(f"infra.cli.{part}").register(replay_app)
