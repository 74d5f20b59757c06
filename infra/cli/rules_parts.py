"""What the commands of ``clickgoose rules`` share: options, reading, running examples, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.rules_files import RulesRead
    from scoring.rules.examples import Checked
    from scoring.rules.places import Mistake

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Paths = Annotated[
    list[Path], typer.Argument(help="Files, or directories of them; merchants/<id>/ in one has that merchant's rules")
]


def read_paths(paths: Sequence[Path], merchant: str | None = None) -> RulesRead:
    """Read files of rules, a merchant's own or not; end with exit code 2 where one cannot be read."""
    from infra.rules_files import read_rules

    try:
        return read_rules(paths, merchant)
    except OSError as error:
        where = f"{error.filename} cannot be read: {error.strerror}" if error.filename else str(error)
        refuse(where, 2)


def run_examples(read: RulesRead) -> list[Checked]:
    """Run the examples, with a bar on standard error where that takes a while."""
    from rich.console import Console
    from rich.progress import track

    from scoring.rules.examples import check_examples

    console = Console(stderr=True)
    sets = list(read.rulesets.values())
    shown = console.is_terminal and sum(len(rule.examples) for one in sets for rule in one.rules) > 1_000
    each = track(sets, "examples", console=console, disable=not shown, transient=True)
    return [checked for one in each for checked in check_examples(one)]


def failure_of(one: Checked) -> dict[str, Any]:
    """Return an example that does not come out as it says, as JSON has it."""
    said = one.trace._asdict() if one.trace else {"status": "not evaluated", "fault": "", "tree": None}
    place = {"file": one.rule.file, "line": one.example.line, "rule": one.rule.id}
    return (
        place
        | {"wanted": "match" if one.example.matches else "no_match"}
        | {name: said[name] for name in ("status", "fault", "tree")}
    )


def sentence_of(one: Checked) -> str:
    """Return the same as one line with its place."""
    wanted = "match" if one.example.matches else "not match"
    failure = failure_of(one)
    fault = f" ({failure['fault']})" if failure["fault"] else ""
    seen = f"; it saw {json.dumps(failure['tree'])}" if failure["tree"] else ""
    said = f"rule {one.rule.id} should {wanted} here and says {failure['status']}{fault}{seen}"
    return f"{one.rule.file}:{one.example.line}: {said}"


def say_mistakes(mistakes: Sequence[Mistake]) -> None:
    """Print mistakes with their places on standard error."""
    typer.echo("\n".join(map(str, mistakes)), err=True)


def refuse(sentence: str, code: int = 1) -> NoReturn:
    """End with one sentence."""
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
