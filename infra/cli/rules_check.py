"""``clickgoose rules check | test``: files of rules, and the examples beside them."""

from __future__ import annotations

import json

import typer

from infra.cli.rules_parts import Json, Paths, failure_of, read_paths, run_examples, say_mistakes, sentence_of


def register(group: typer.Typer) -> None:
    """Add the commands to ``clickgoose rules``."""
    group.command("check")(check)
    group.command("test")(test)


def check(paths: Paths, as_json: Json = False) -> None:
    """Check files of rules: every mistake with its place and what to do. All paths together are checked as one set.

    Exit codes: 0 the files are good; 1 they have mistakes; 2 one cannot be read.

    Examples:

      clickgoose rules check rules/payment.yaml

      clickgoose rules check rules --json
    """
    read = read_paths(paths)
    rulesets = {
        name: {"digest": one.digest, "rules": len(one.rules), "catalogues": len(one.catalogues)}
        for name, one in read.rulesets.items()
    }
    if as_json:
        good = {} if read.mistakes else rulesets
        typer.echo(json.dumps({"rulesets": good, "mistakes": [mistake._asdict() for mistake in read.mistakes]}))
    elif read.mistakes:
        say_mistakes(read.mistakes)
    else:
        for name, said in rulesets.items():
            typer.echo(f"{name}: rules {said['rules']}, catalogues {said['catalogues']}, digest {said['digest']}")
    if read.mistakes:
        raise typer.Exit(1)


def test(paths: Paths, as_json: Json = False) -> None:
    """Run the examples that are kept beside the rules, and say which rules have none.

    Every rule is tried alone, as if it were live. History that an example names is replayed in memory.

    Exit codes: 0 all examples come out as they say; 1 one does not, or the files have mistakes; 2 one cannot be read.

    Examples:

      clickgoose rules test rules/payment.yaml

      clickgoose rules test rules --json
    """
    read = read_paths(paths)
    if read.mistakes:
        if as_json:
            typer.echo(json.dumps({"mistakes": [mistake._asdict() for mistake in read.mistakes]}))
        else:
            say_mistakes(read.mistakes)
        raise typer.Exit(1)
    checked = run_examples(read)
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
                    "failed": [failure_of(one) for one in failed],
                }
            )
        )
    else:
        for one in failed:
            typer.echo(sentence_of(one), err=True)
        for rule in bare:
            typer.echo(f"{rule.file}:{rule.line}: rule {rule.id} has no examples; add one that matches", err=True)
        covered = f"{len(rules) - len(bare)} of {len(rules)} rules have examples"
        typer.echo(f"{len(checked) - len(failed)} of {len(checked)} examples come out as they say; {covered}")
    if failed:
        raise typer.Exit(1)
