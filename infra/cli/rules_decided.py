"""``clickgoose rules decided``: which published rulesets a decision was made by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from infra.cli.rules_parts import Json, refuse
from infra.cli.rules_sets import Root, opened, told

if TYPE_CHECKING:
    from scoring.rules.registry import RulesRegistry
    from scoring.rules.registry_state import Owner, State


class _Decided(NamedTuple):
    """A merchant's own set (None: it had none) and the global one, by the digests of the registry."""

    merchant: str | None
    own: str | None
    everyone: str | None


def register(group: typer.Typer) -> None:
    """Add the command to ``clickgoose rules``."""
    group.command("decided")(decided)


def decided(
    digest: Annotated[str, typer.Argument(help="What a decision or a result says under rulesets, 16 digits")],
    rules: Root = None,
    as_json: Json = False,
) -> None:
    """Say which published rulesets a decision was made by: those that the digest in its answer stands for.

    Comments, examples and descriptions are no part of that digest, so more than one may be found.

    Exit codes: 0 found; 1 no rulesets that are listed make this digest.

    Examples:

      clickgoose rules decided 5d1f0c7be2a94d31 --json
    """
    with told():
        registry = opened(rules)
        state, _ = registry.read_state()
        found = list(_search(registry, state, digest))
    if not found:
        refuse(f"no rulesets that are listed in {registry.address} make {digest}; they may be of another root")
    if as_json:
        said = [{"merchant": one.merchant, "own": one.own, "global": one.everyone} for one in found]
        typer.echo(json.dumps({"root": registry.address, "decided": said}))
        return
    for one in found:
        whose = "any merchant without rules of its own" if one.merchant is None else f"merchant {one.merchant}"
        typer.echo(f"{whose}: own {one.own or 'none'}, global {one.everyone or 'none'}")


def _search(registry: RulesRegistry, state: State, digest: str) -> Iterator[_Decided]:
    from scoring.rules.ruleset import NO_GLOBAL, NO_OWN, joined_digest

    shared = [(None, NO_GLOBAL.digest), *_sets(registry, state, None)]
    for merchant in state.owners():
        own = [(None, NO_OWN.digest)] if merchant is None else list(_sets(registry, state, merchant))
        for name, decides in own:
            for everyone, shared_decides in shared:
                if joined_digest(decides, shared_decides) == digest:
                    yield _Decided(merchant, name, everyone)


def _sets(registry: RulesRegistry, state: State, owner: Owner) -> Iterator[tuple[str | None, str]]:
    """Give the sets of an owner that can be read, each with the digest of what it decides."""
    from scoring.storage import RegistryError, StorageAway

    for name, _ in state.of(owner).stages():
        try:
            yield name, registry.read_set(name, owner).decides
        except StorageAway:
            raise
        except RegistryError as error:
            typer.echo(str(error), err=True)
