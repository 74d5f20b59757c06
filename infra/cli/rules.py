"""``clickgoose rules``: check and test files of rules."""

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

rules_app = typer.Typer(
    help="Check and test files of rules: velocity, clauses and lists over any JSON (docs/rules.md).",
    no_args_is_help=True,
)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Paths = Annotated[
    list[Path], typer.Argument(help="Files, or directories of them; merchants/<id>/ in one has that merchant's rules")
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(rules_app, name="rules")


@rules_app.command("check")
def check(paths: Paths, as_json: Json = False) -> None:
    """Check files of rules: every mistake with its place and what to do. All paths together are checked as one set.

    Exit codes: 0 the files are good; 1 they have mistakes; 2 one cannot be read.

    Examples:

      clickgoose rules check rules/payment.yaml

      clickgoose rules check rules --json
    """
    read = _read(paths)
    rulesets = {
        name: {"digest": one.digest, "rules": len(one.rules), "catalogues": len(one.catalogues)}
        for name, one in read.rulesets.items()
    }
    if as_json:
        good = {} if read.mistakes else rulesets
        typer.echo(json.dumps({"rulesets": good, "mistakes": [mistake._asdict() for mistake in read.mistakes]}))
    elif read.mistakes:
        _say(read.mistakes)
    else:
        for name, said in rulesets.items():
            typer.echo(f"{name}: rules {said['rules']}, catalogues {said['catalogues']}, digest {said['digest']}")
    if read.mistakes:
        raise typer.Exit(1)


@rules_app.command("test")
def test(paths: Paths, as_json: Json = False) -> None:
    """Run the examples that are kept beside the rules, and say which rules have none.

    Every rule is tried alone, as if it were live. History that an example names is replayed in memory.

    Exit codes: 0 all examples come out as they say; 1 one does not, or the files have mistakes; 2 one cannot be read.

    Examples:

      clickgoose rules test rules/payment.yaml

      clickgoose rules test rules --json
    """
    read = _read(paths)
    if read.mistakes:
        if as_json:
            typer.echo(json.dumps({"mistakes": [mistake._asdict() for mistake in read.mistakes]}))
        else:
            _say(read.mistakes)
        raise typer.Exit(1)
    checked = _run(read)
    rules = [rule for ruleset in read.rulesets.values() for rule in ruleset.rules]
    bare = [rule for rule in rules if not rule.examples]
    failed = [one for one in checked if not one.good]
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "mistakes": [],
                    "rules": len(rules),
                    "without_examples": [rule.id for rule in bare],
                    "examples": len(checked),
                    "failed": [_failure(one) for one in failed],
                }
            )
        )
    else:
        for one in failed:
            typer.echo(_sentence(one), err=True)
        for rule in bare:
            typer.echo(f"{rule.file}:{rule.line}: rule {rule.id} has no examples; add one that matches", err=True)
        covered = f"{len(rules) - len(bare)} of {len(rules)} rules have examples"
        typer.echo(f"{len(checked) - len(failed)} of {len(checked)} examples come out as they say; {covered}")
    if failed:
        raise typer.Exit(1)


def _read(paths: Sequence[Path]) -> RulesRead:
    from infra.rules_files import read_rules

    try:
        return read_rules(paths)
    except OSError as error:
        where = f"{error.filename} cannot be read: {error.strerror}" if error.filename else str(error)
        _refuse(where, 2)


def _run(read: RulesRead) -> list[Checked]:
    """Run the examples, with a bar on standard error where that takes a while."""
    from rich.console import Console
    from rich.progress import track

    from scoring.rules.examples import check_examples

    console = Console(stderr=True)
    sets = list(read.rulesets.values())
    shown = console.is_terminal and sum(len(rule.examples) for one in sets for rule in one.rules) > 1_000
    each = track(sets, "examples", console=console, disable=not shown, transient=True)
    return [checked for one in each for checked in check_examples(one)]


def _failure(one: Checked) -> dict[str, Any]:
    said = one.trace._asdict() if one.trace else {"status": "not evaluated", "fault": "", "tree": None}
    place = {"file": one.rule.file, "line": one.example.line, "rule": one.rule.id}
    return (
        place
        | {"wanted": "match" if one.example.matches else "no_match"}
        | {name: said[name] for name in ("status", "fault", "tree")}
    )


def _sentence(one: Checked) -> str:
    wanted = "match" if one.example.matches else "not match"
    failure = _failure(one)
    fault = f" ({failure['fault']})" if failure["fault"] else ""
    seen = f"; it saw {json.dumps(failure['tree'])}" if failure["tree"] else ""
    said = f"rule {one.rule.id} should {wanted} here and says {failure['status']}{fault}{seen}"
    return f"{one.rule.file}:{one.example.line}: {said}"


def _say(mistakes: Sequence[Mistake]) -> None:
    typer.echo("\n".join(map(str, mistakes)), err=True)


def _refuse(sentence: str, code: int) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
