"""What the commands that publish rules share: the registry, sets by their digests, and how differences are printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from infra.cli.rules_parts import read_paths, refuse, say_mistakes

if TYPE_CHECKING:
    from infra.rules_files import RulesRead
    from scoring.rules.differences import Differences, Kinds
    from scoring.rules.registry import RulesRegistry
    from scoring.rules.registry_state import Owner, State
    from scoring.rules.ruleset import Ruleset

Root = Annotated[
    str | None, typer.Option("--rules", help="Root of rules: a directory, or s3://, gs://, az://; unset: the settings'")
]
Merchant = Annotated[str | None, typer.Option(help="The merchant whose own rules they are; unset: the global ones")]
Note = Annotated[str, typer.Option(help="Why, for the history")]
Expect = Annotated[
    str | None, typer.Option(help="Change nothing unless this set is live now; none: unless no set is live")
]
DIGEST = re.compile(r"[0-9a-f]{4,16}\Z")
_LONGEST_SHOWN = 200  # characters of one side of a difference


class Side(NamedTuple):
    """One of two rulesets that are compared."""

    name: str
    ruleset: Ruleset


def opened(root: str | None) -> RulesRegistry:
    """Return the registry of a root, else of the settings."""
    from infra.rules_registry import rules_registry_of
    from infra.settings import Settings

    return rules_registry_of(Settings(), root)


@contextmanager
def told() -> Iterator[None]:
    """End with one sentence where a ruleset or the registry is refused."""
    from scoring.storage import RegistryError

    try:
        yield
    except RegistryError as refused:
        refuse(str(refused))


def is_digest(argument: str) -> bool:
    """Return whether an argument names a published set, and no file."""
    return DIGEST.match(argument) is not None and not Path(argument).exists()


def found_set(state: State, digest: str, merchant: Owner = None) -> tuple[Owner, str]:
    """Return whose a set is, and its whole digest. RegistryError where none, or more than one, begins so."""
    from scoring.storage import RegistryError

    owners = state.owners() if merchant is None else (merchant,)
    found = {(owner, one) for owner in owners for one, _ in state.of(owner).stages() if one.startswith(digest)}
    if len(found) == 1:
        return found.pop()
    if not found and merchant is not None and len(digest) == 16:
        return merchant, digest  # retired long ago: it is no longer listed
    many = f"{len(found)} rulesets begin with {digest}" if found else f"there is no ruleset {digest}"
    raise RegistryError(f"{many}; see `clickgoose rules list`")


def live_or_none(registry: RulesRegistry, state: State, owner: Owner) -> Ruleset:
    """Return what is live for an owner; an empty ruleset where nothing is, or it cannot be read, which is said."""
    from scoring.rules.registry import scope_of
    from scoring.rules.ruleset import Ruleset
    from scoring.storage import RegistryError

    live = state.of(owner).live
    if live is not None:
        try:
            return registry.load(live, owner).ruleset
        except RegistryError as error:
            typer.echo(f"what is live cannot be compared: {error}", err=True)
    return Ruleset(scope_of(owner))


def read_good(paths: list[Path], merchant: Owner, as_json: bool) -> RulesRead:
    """Read files; end with exit code 1 where they have mistakes, 2 where one cannot be read."""
    read = read_paths(paths, merchant)
    if read.mistakes:
        if as_json:
            import json

            typer.echo(json.dumps({"mistakes": [mistake._asdict() for mistake in read.mistakes]}))
        else:
            say_mistakes(read.mistakes)
        raise typer.Exit(1)
    return read


def as_object(found: Differences) -> dict[str, Any]:
    """Return differences as JSON has them."""
    return {
        "rules": _kinds_object(found.rules),
        "catalogues": _kinds_object(found.catalogues),
        "new_histories": [one._asdict() for one in found.new_histories],
    }


def lines_of(found: Differences) -> list[str]:
    """Return differences as people read them."""
    lines = [*_kinds_lines("catalogue", found.catalogues), *_kinds_lines("rule", found.rules)]
    for one in found.new_histories:
        readers = f"{', '.join(one.rules)} will see" if one.rules else "its rules will see"
        lines.append(f"! catalogue {one.catalogue} begins a new history: {readers} nothing of what happened before")
    return lines or ["  nothing that decides differs"]


def _kinds_object(kinds: Kinds) -> dict[str, Any]:
    changed = [{"id": one.id, "parts": [part._asdict() for part in one.parts]} for one in kinds.changed]
    return {"added": kinds.added, "removed": kinds.removed, "changed": changed}


def _kinds_lines(what: str, kinds: Kinds) -> Iterator[str]:
    yield from (f"+ {what} {name}" for name in kinds.added)
    yield from (f"- {what} {name}" for name in kinds.removed)
    for one in kinds.changed:
        yield f"~ {what} {one.id}"
        for part in one.parts:
            yield f"    {part.part}: {_short(part.before)} -> {_short(part.after)}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."
