"""``clickgoose rules publish | rollback | retire``: which rules judge."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from infra.cli.rules_parts import Json, failure_of, refuse, run_examples, sentence_of
from infra.cli.rules_sets import (
    Expect,
    Merchant,
    Note,
    Root,
    as_object,
    found_set,
    is_digest,
    lines_of,
    live_or_none,
    opened,
    read_good,
    told,
)

if TYPE_CHECKING:
    from scoring.rules.differences import Differences
    from scoring.rules.registry import RulesRegistry, Text
    from scoring.rules.registry_state import Owner, State
    from scoring.rules.ruleset import Ruleset


class To(StrEnum):
    """Where a ruleset can be published to."""

    DRAFT = "draft"
    SHADOW = "shadow"
    LIVE = "live"


_FURTHER: Final = {To.DRAFT: ("shadow", "live"), To.SHADOW: ("live",), To.LIVE: ()}


class _Candidate(NamedTuple):
    """A ruleset that is to be published, and what it means."""

    owner: Owner
    ruleset: Ruleset
    texts: tuple[Text, ...]  # none: it is in the registry already, as ``digest``
    digest: str
    before: str | None
    diff: Differences


def register(group: typer.Typer) -> None:
    """Add the commands to ``clickgoose rules``."""
    group.command("publish")(publish)
    group.command("rollback")(rollback)
    group.command("retire")(retire)


def publish(
    what: Annotated[
        list[str],
        typer.Argument(metavar="PATH|DIGEST...", help="Files or directories of rules, or one set that is published"),
    ],
    to: Annotated[To, typer.Option(help="What it shall do")] = To.DRAFT,
    merchant: Merchant = None,
    note: Note = "",
    expect: Expect = None,
    rules: Root = None,
    as_json: Json = False,
) -> None:
    """Publish rules: as a draft (nothing follows), in shadow (judged by without effect), or live.

    The files are checked and their examples run first. Their texts are kept as one ruleset, named by its content, that
    never changes; merchants/<id>/ in a directory are rulesets of their own, all published in one step. What changes
    against the rules that are live is printed. Every running process takes it up within a second.

    Exit codes: 0 published, or so already; 1 the files have mistakes, an example does not come out, or it is refused;
    2 wrong use, or a file cannot be read.

    Examples:

      clickgoose rules publish rules --note "FRAUD-12"

      clickgoose rules publish 3f0c --to shadow

      clickgoose rules publish rules/shop.yaml --merchant shop --to live --expect 9b1d07c2a4e85f36 --json
    """
    _check_use(what, merchant, expect)
    with told():
        registry = opened(rules)
        state, _ = registry.read_state()
        if is_digest(what[0]):
            candidates = [_stored(registry, state, what[0], merchant)]
        else:
            candidates = _read(registry, state, [Path(one) for one in what], merchant, as_json)
        if expect is not None and len(candidates) > 1:
            refuse("--expect speaks of one ruleset, and these are several; publish them one by one", 2)
        candidates = [_put(registry, one, note) for one in candidates]
        state = _change(registry, candidates, to, note, expect)
    if as_json:
        said = {"root": registry.address, "mistakes": [], "failed": []}
        typer.echo(json.dumps({**said, "rulesets": [_as_object(one, state) for one in candidates]}))
        return
    for one in candidates:
        _print_published(one, _stage(state, one))


def rollback(
    merchant: Merchant = None, note: Note = "", expect: Expect = None, rules: Root = None, as_json: Json = False
) -> None:
    """Make the ruleset live that was so before; the one that is live is retired. Twice goes two steps back.

    Exit codes: 0 done; 1 there was none before, it cannot be used, or something else is live than expected.

    Examples:

      clickgoose rules rollback --note "too many denials"

      clickgoose rules rollback --merchant shop --json
    """
    from infra.storages import author
    from scoring.rules.registry_state import expected, rolled_back

    with told():
        registry = opened(rules)
        state, _ = registry.read_state()
        if expect is not None:
            state = expected(state, merchant, _expected_set(expect))
        shown = state.of(merchant).live
        before = live_or_none(registry, state, merchant)
        back = rolled_back(state, merchant, author(), note).of(merchant).live
        after = registry.load(str(back), merchant).ruleset
        registry.change(lambda now: rolled_back(expected(now, merchant, shown), merchant, author(), note))
    _print_change(registry, merchant, {"live": back, "live_before": shown}, before, after, as_json)


def retire(
    digest: Annotated[str, typer.Argument(help="The set, or how its digest begins")],
    merchant: Merchant = None,
    note: Note = "",
    rules: Root = None,
    as_json: Json = False,
) -> None:
    """Take a ruleset out of use: a draft, a shadow, or the live one, after which its owner has no live rules.

    Exit codes: 0 done, or so already; 1 there is no such set, or another writer came between.

    Examples:

      clickgoose rules retire 3f0c --note "tried for a week"
    """
    from infra.storages import author
    from scoring.rules.registry_state import expected, retired

    with told():
        registry = opened(rules)
        state, _ = registry.read_state()
        owner, whole = found_set(state, digest, merchant)
        shown = state.of(owner).live
        was_live = shown == whole
        before = live_or_none(registry, state, owner) if was_live else _none(owner)
        registry.change(lambda now: retired(expected(now, owner, shown), owner, whole, author(), note))
    said = {"retired": whole, "live": None if was_live else shown, "live_before": shown}
    _print_change(registry, owner, said, before, _none(owner), as_json)


def _check_use(what: list[str], merchant: str | None, expect: str | None) -> None:
    """End with exit code 2 where the arguments do not fit together."""
    if any(map(is_digest, what)) and len(what) > 1:
        refuse("name files, or one set that is published: not both, and not several sets", 2)
    if merchant is not None and any((Path(one) / "merchants").is_dir() for one in what):
        refuse(f"--merchant takes files of one merchant; name the directory of {merchant} itself", 2)
    if expect is not None:
        _expected_set(expect)


def _expected_set(expect: str) -> str | None:
    if expect == "none":
        return None
    if len(expect) != 16 or not is_digest(expect):
        refuse(f"{expect!r} is no digest of a ruleset; give all 16 digits, as `clickgoose rules list` shows them", 2)
    return expect


def _stored(registry: RulesRegistry, state: State, digest: str, merchant: Owner) -> _Candidate:
    from scoring.rules.differences import differences

    owner, whole = found_set(state, digest, merchant)
    ruleset = registry.load(whole, owner).ruleset
    diff = differences(live_or_none(registry, state, owner), ruleset)
    return _Candidate(owner, ruleset, (), whole, state.of(owner).live, diff)


def _read(registry: RulesRegistry, state: State, paths: list[Path], merchant: Owner, as_json: bool) -> list[_Candidate]:
    """Return what files say, once they are good and their examples come out."""
    from scoring.rules.differences import differences
    from scoring.rules.registry import digest_of

    read = read_good(paths, merchant, as_json)
    failed = [one for one in run_examples(read) if not one.good]
    if failed:
        if as_json:
            typer.echo(json.dumps({"mistakes": [], "failed": [failure_of(one) for one in failed], "rulesets": []}))
        for one in failed if not as_json else ():
            typer.echo(sentence_of(one), err=True)
        refuse(f"{len(failed)} examples do not come out as they say: nothing was published")
    if not read.texts:
        refuse("there are no files of rules here: nothing was published", 2)
    found = []
    for owner, texts in read.texts.items():
        ruleset = read.ruleset(owner)
        diff = differences(live_or_none(registry, state, owner), ruleset)
        found.append(_Candidate(owner, ruleset, texts, digest_of(owner, texts), state.of(owner).live, diff))
    return found


def _put(registry: RulesRegistry, one: _Candidate, note: str) -> _Candidate:
    """Put a set that was read from files into the registry, without a role."""
    from infra.storages import author

    return one._replace(digest=registry.add(one.owner, one.texts, author(), note).file.digest) if one.texts else one


def _change(registry: RulesRegistry, candidates: list[_Candidate], to: To, note: str, expect: str | None) -> State:
    """Write all of it in one step, unless something else became live since it was compared.

    What files say is not taken back: a set that is in shadow or live already stays so when they are published again.
    """
    from infra.storages import author
    from scoring.rules.registry_state import expected, published

    by = author()

    def transition(now: State) -> State:
        for one in candidates:
            if expect is not None:
                now = expected(now, one.owner, _expected_set(expect))
            stage = _stage(now, one)
            if one.texts and stage in _FURTHER[to]:
                continue
            if to is To.LIVE and stage != "live" and expect is None:
                now = expected(now, one.owner, one.before)
            now = published(now, one.owner, one.digest, to.value, by, note)
        return now

    return registry.change(transition)


def _stage(state: State, one: _Candidate) -> str:
    return dict(state.of(one.owner).stages()).get(one.digest, "retired")


def _as_object(one: _Candidate, state: State) -> dict[str, Any]:
    said = {"merchant": one.owner, "digest": one.digest, "stage": _stage(state, one), "live_before": one.before}
    return {**said, "diff": as_object(one.diff)}


def _print_published(one: _Candidate, stage: str) -> None:
    from scoring.rules.registry_state import named

    counted = f"{len(one.ruleset.rules)} rules, {len(one.ruleset.catalogues)} catalogues"
    said = {"draft": "is a draft", "shadow": "is in shadow", "live": "is live"}[stage]
    typer.echo(f"{one.digest} {said} ({named(one.owner)}; {counted})")
    if one.before == one.digest:
        typer.echo("it was live before")
        return
    typer.echo(f"against {one.before or 'nothing, as nothing was live'}:")
    typer.echo("\n".join(lines_of(one.diff)))
    if stage != "live":
        after = "shadow" if stage == "draft" else "live"
        typer.echo(f"next: clickgoose rules publish {one.digest} --to {after}")


def _print_change(
    registry: RulesRegistry, owner: Owner, said: dict[str, Any], before: Ruleset, after: Ruleset, as_json: bool
) -> None:
    from scoring.rules.differences import differences
    from scoring.rules.registry_state import named

    diff = differences(before, after)
    if as_json:
        typer.echo(json.dumps({"root": registry.address, "merchant": owner, **said, "diff": as_object(diff)}))
        return
    live = said["live"]
    if "retired" in said:
        typer.echo(f"{said['retired']} is retired ({named(owner)})")
    typer.echo(f"{live} is live ({named(owner)})" if live else f"no ruleset is live now ({named(owner)})")
    if live != said["live_before"]:
        typer.echo("\n".join(lines_of(diff)))


def _none(owner: Owner) -> Ruleset:
    from scoring.rules.registry import scope_of
    from scoring.rules.ruleset import Ruleset

    return Ruleset(scope_of(owner))
