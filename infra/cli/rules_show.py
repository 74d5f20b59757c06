"""``clickgoose rules list | show | diff``: which rulesets there are, what one says, and what another would change."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.rules_parts import Json, refuse
from infra.cli.rules_sets import (
    Merchant,
    Root,
    Side,
    as_object,
    found_set,
    is_digest,
    lines_of,
    opened,
    read_good,
    told,
)

if TYPE_CHECKING:
    from scoring.rules.registry import Published, RulesRegistry
    from scoring.rules.registry_state import Change, Owner, State

_CHANGES_SHOWN = 5
_LIVE = "live"


def register(group: typer.Typer) -> None:
    """Add the commands to ``clickgoose rules``."""
    group.command("list")(list_sets)
    group.command("show")(show)
    group.command("diff")(diff)


def list_sets(merchant: Merchant = None, rules: Root = None, as_json: Json = False) -> None:
    """List the rulesets by owner and stage, and the last changes; with --merchant those of one.

    Exit codes: 0 all that is live or in shadow can be used by this build; 1 something cannot.

    Examples:

      clickgoose rules list

      clickgoose rules list --merchant shop --json
    """
    with told():
        registry = opened(rules)
        state, _ = registry.read_state()
        owners = state.owners() if merchant is None else (merchant,)
        rows = [row for owner in owners for row in _rows(registry, state, owner)]
    changes = sorted(
        ((owner, change) for owner in owners for change in state.of(owner).history), key=lambda one: one[1].at
    )
    if as_json:
        history = [{"merchant": owner, **_change_object(change)} for owner, change in changes]
        typer.echo(json.dumps({"root": registry.address, "rulesets": rows, "history": history}))
    else:
        _print_list(registry.address, rows, changes)
    broken = [row for row in rows if row["problem"]]
    if broken:
        for row in broken if not as_json else ():
            typer.echo(row["problem"], err=True)
        raise typer.Exit(1)


def show(
    digest: Annotated[str, typer.Argument(metavar="DIGEST|live", help="The set, or how its digest begins")],
    merchant: Merchant = None,
    out: Annotated[Path | None, typer.Option(help="Write its files to this directory, which must not exist")] = None,
    rules: Root = None,
    as_json: Json = False,
) -> None:
    """Show a ruleset: its rules, who published it and what was done with it; with --out get its files back.

    Exit codes: 0 shown; 1 there is no such set, or it cannot be used; 2 wrong use.

    Examples:

      clickgoose rules show live --merchant shop

      clickgoose rules show 3f0c --out /tmp/rules
    """
    if out is not None and out.exists():
        refuse(f"{out} exists already; name a directory that does not", 2)
    with told():
        registry = opened(rules)
        state, _ = registry.read_state()
        owner, whole = _resolved(state, digest, merchant)
        found = registry.load(whole, owner)
    if out is not None:
        _write_files(found, out)
    stage = dict(state.of(owner).stages()).get(whole, "retired")
    history = [change for change in state.of(owner).history if whole in (change.digest, change.before)]
    if as_json:
        typer.echo(json.dumps(_show_object(found, stage, history)))
    else:
        _print_set(found, stage, history)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A digest, `live`, or a path")],
    b: Annotated[str, typer.Argument(metavar="B", help="A digest, `live`, or a path")],
    merchant: Merchant = None,
    rules: Root = None,
    as_json: Json = False,
) -> None:
    """Say what changes from one ruleset to another: rules added, removed, and changed with what of them.

    Catalogues whose definition changes begin a new history, which is said too. Of a directory, the files of the owner
    are compared: with --merchant those in merchants/<id>/ where it has them.

    Exit codes: 0 compared, whatever differs; 1 one has mistakes, or cannot be used; 2 wrong use, or a file cannot be
    read.

    Examples:

      clickgoose rules diff live rules

      clickgoose rules diff 9b1d 3f0c --merchant shop --json
    """
    from scoring.rules.differences import differences

    with told():
        registry = opened(rules)
        state, _ = registry.read_state()
        before, after = (_side(registry, state, one, merchant, as_json) for one in (a, b))
    found = differences(before.ruleset, after.ruleset)
    if as_json:
        typer.echo(json.dumps({"a": before.name, "b": after.name, "same": not found, **as_object(found)}))
        return
    typer.echo(f"from {before.name} to {after.name}:")
    typer.echo("\n".join(lines_of(found)))


def _resolved(state: State, digest: str, merchant: Owner) -> tuple[Owner, str]:
    from scoring.rules.registry_state import named
    from scoring.storage import RegistryError

    if digest != _LIVE:
        return found_set(state, digest, merchant)
    live = state.of(merchant).live
    if live is None:
        raise RegistryError(f"no ruleset is live ({named(merchant)}); see `clickgoose rules list`")
    return merchant, live


def _side(registry: RulesRegistry, state: State, one: str, merchant: Owner, as_json: bool) -> Side:
    """Return a ruleset that a digest, ``live`` or a path names."""
    from scoring.rules.registry import scope_of
    from scoring.rules.ruleset import Ruleset

    if one == _LIVE and state.of(merchant).live is None:
        return Side("nothing, as nothing is live", Ruleset(scope_of(merchant)))
    if one == _LIVE or is_digest(one):
        owner, whole = _resolved(state, one, merchant)
        return Side(whole, registry.load(whole, owner).ruleset)
    path = Path(one)
    if merchant is not None and (path / "merchants" / merchant).is_dir():
        path = path / "merchants" / merchant
    read = read_good([path], merchant, as_json)
    return Side(str(path), read.book.everyone if merchant is None else read.book.of_merchant[merchant])


def _rows(registry: RulesRegistry, state: State, owner: Owner) -> list[dict[str, Any]]:
    owned = state.of(owner)
    last = {change.digest: change for change in owned.history}
    rows = []
    for digest, stage in owned.stages():
        changed = last.get(digest)
        rows.append(
            {
                "merchant": owner,
                "stage": stage,
                "digest": digest,
                "by": changed.by if changed else "",
                "at": changed.at if changed else "",
                "note": changed.note if changed else "",
                **_counts(registry, owner, digest, stage),
            }
        )
    return rows


def _counts(registry: RulesRegistry, owner: Owner, digest: str, stage: str) -> dict[str, Any]:
    """Return how much is in a set that judges, and why this build cannot use it, if so."""
    from scoring.storage import RegistryError, StorageAway

    if stage not in ("live", "shadow"):
        return {"rules": None, "catalogues": None, "problem": None}
    try:
        ruleset = registry.load(digest, owner).ruleset
    except StorageAway:
        raise
    except RegistryError as error:
        return {"rules": None, "catalogues": None, "problem": str(error)}
    return {"rules": len(ruleset.rules), "catalogues": len(ruleset.catalogues), "problem": None}


def _change_object(change: Change) -> dict[str, Any]:
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(change)
    return found


def _print_list(address: str, rows: list[dict[str, Any]], changes: list[tuple[Owner, Change]]) -> None:
    from scoring.rules.registry_state import named

    if not rows:
        typer.echo(f"{address}: nothing was published yet; `clickgoose rules publish rules` begins")
        return
    typer.echo(address)
    for row in rows:
        counted = "" if row["rules"] is None else f"{row['rules']} rules, {row['catalogues']} catalogues"
        said = "cannot be used" if row["problem"] else counted
        owner = row["merchant"] or "global"
        typer.echo(f"  {owner:<20} {row['stage']:<8} {row['digest']}  {said:<26} {row['at']} {row['by']} {row['note']}")
    typer.echo("last changes:")
    for owner, change in changes[-_CHANGES_SHOWN:]:
        typer.echo(f"  {_sentence(change)} ({named(owner)})")


def _sentence(change: Change) -> str:
    note = f": {change.note}" if change.note else ""
    return f"{change.at} {change.by} {change.did} {change.digest} to {change.to}{note}"


def _show_object(found: Published, stage: str, history: list[Change]) -> dict[str, Any]:
    import msgspec

    said: dict[str, Any] = msgspec.to_builtins(found.file)
    rules = [{"id": rule.id, "status": rule.status, "description": rule.description} for rule in found.ruleset.rules]
    return {
        **said,
        "stage": stage,
        "rules": rules,
        "catalogues": [one.name.id for one in found.ruleset.catalogues],
        "history": [_change_object(change) for change in history],
    }


def _print_set(found: Published, stage: str, history: list[Change]) -> None:
    from scoring.rules.differences import condition_text
    from scoring.rules.registry_state import named

    file = found.file
    note = f": {file.note}" if file.note else ""
    typer.echo(f"{file.digest} is {stage} ({named(file.merchant)}), published first {file.at} by {file.by}{note}")
    typer.echo(f"decisions call it {file.decides}; files: {', '.join(text.name for text in file.files)}")
    typer.echo(f"catalogues: {', '.join(one.name.id for one in found.ruleset.catalogues) or 'none'}")
    for rule in found.ruleset.rules:
        status = "" if rule.status == "live" else f" ({rule.status})"
        typer.echo(f"  {rule.id}{status}: {rule.description or condition_text(rule.when)}")
    for change in history:
        typer.echo(_sentence(change))


def _write_files(found: Published, out: Path) -> None:
    """Write texts below a directory, whatever way their names would lead."""
    try:
        for text in found.file.files:
            path = out.joinpath(*(part for part in PurePosixPath(text.name).parts if part not in ("/", "..")))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.text.encode("utf-8", "surrogatepass"))
    except OSError as error:
        refuse(f"{error.filename or out} cannot be written: {error.strerror or error}", 2)
    typer.echo(f"wrote {len(found.file.files)} files to {out}", err=True)
