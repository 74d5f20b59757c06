"""What the outcomes of a replay depend on beside its plan: model, policies, rules and lists, copied when it begins.

The copies lie in the run's directory, so that a run is resumed with what it was begun with, whatever is promoted or
published meanwhile::

    inputs/models.json, models/<version>/   which model scores, candidate and shadows
    inputs/policies.yaml                    where there are policies
    inputs/rules.json, sets/<digest>/       a registry of rules, with what is in force
    inputs/lists.npz                        all lists, as digests of their values
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

from enrichers.versions import data_versions
from flows.lookups.labelled_fraud import ReputationFileError, load_labelled_fraud
from infra.flow_serving import build_name
from infra.flow_shared import entity_key
from infra.models import registry_of, trust_of
from infra.policies_file import parse_policies
from infra.replay_lists import read_lists
from infra.rules_files import read_rules
from infra.rules_registry import rules_registry_of
from infra.settings import Settings
from infra.watchlists import list_keys
from replay.run_record import RunOptions, Versions
from scoring.deployment import Deployment
from scoring.model import Model, ModelError
from scoring.policy import Policies
from scoring.rollout import Author
from scoring.rules.in_force import InForce
from scoring.rules.registry import RulesRegistry
from scoring.rules.registry_state import Owned, Owner, State, encode
from scoring.rules.watch import WatchedRules
from scoring.rules.watchlist_table import Columns, ListTable, Rows
from scoring.rules.watchlists import ListName
from scoring.storage import DirectoryStorage, RegistryError

NO_RULES, LIVE_RULES = "none", "live"
_MODELS, _POLICIES, _LISTS = "models.json", "policies.yaml", "lists.npz"
_NOBODY: Final = Author("replay", "1970-01-01T00:00:00Z")


class InputsRefused(Exception):
    """What a replay should run with is not there, or cannot be used; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run runs with."""

    deployment: Deployment
    policies: Policies
    rules: InForce
    lists: ListTable
    versions: Versions

    @property
    def fingerprint(self) -> str:
        """Return what names all of it."""
        said = {name: getattr(self.versions, name) for name in self.versions.__struct_fields__}
        return json.dumps(said, sort_keys=True)


def keep_inputs(settings: Settings, options: RunOptions, into: Path) -> None:
    """Copy everything; InputsRefused, where something is not there or cannot be used."""
    into.mkdir(parents=True, exist_ok=True)
    try:
        _keep_models(settings, options.model, into)
        _keep_policies(settings, options.policies, into)
        _keep_rules(settings, options.rules, into)
        _keep_lists(settings, into)
    except (ModelError, RegistryError, ValueError) as error:
        raise InputsRefused(str(error)) from error
    except OSError as error:
        raise InputsRefused(f"{error.filename or into} cannot be read: {error.strerror or error}") from error


def rules_of(settings: Settings, wanted: str) -> InForce:
    """Return the rules that a run would judge by; InputsRefused as above."""
    with tempfile.TemporaryDirectory(prefix="clickgoose-replay-") as scratch:
        try:
            _keep_rules(settings, wanted, Path(scratch))
            return WatchedRules(RulesRegistry(DirectoryStorage(Path(scratch))), refused=_refuse)()
        except (RegistryError, ValueError) as error:
            raise InputsRefused(str(error)) from error
        except OSError as error:
            raise InputsRefused(f"{error.filename or wanted} cannot be read: {error.strerror or error}") from error


def load_inputs(settings: Settings, kept: Path) -> Inputs:
    """Return what was copied."""
    try:
        deployment = _deployment(kept)
        policies = _policies(kept)
        rules = WatchedRules(RulesRegistry(DirectoryStorage(kept)), refused=_refuse)()
        lists, digest = _lists(settings, kept)
        labels = load_labelled_fraud(settings.flow.reputation_file)
    except (ModelError, RegistryError, ReputationFileError, ValueError) as error:
        raise InputsRefused(str(error)) from error
    except OSError as error:
        raise InputsRefused(f"{error.filename or kept} cannot be read: {error.strerror or error}") from error
    counted = [settings.flow.lateness_seconds, settings.flow.store_features, labels.version if labels else ""]
    secret = sha256(b"replay" + entity_key(settings)).hexdigest()  # another key gives other counts
    return Inputs(
        deployment, policies, rules, lists,
        Versions(
            build=build_name(),
            model=deployment.live.version,
            candidate=deployment.candidate.version if deployment.candidate else "",
            percent=deployment.percent,
            shadows=tuple(model.version for model in deployment.shadows),
            policies=policies.digest,
            rules=rules.state,
            lists=digest,
            list_entries=lists.columns.size,
            settings=_digest([*counted, secret]),
            data=_digest(data_versions()),
        ),
    )  # fmt: skip


def _refuse(sentence: str) -> None:
    raise RegistryError(sentence)


def _digest(said: Any) -> str:
    return sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:16]


# Models.


def _keep_models(settings: Settings, wanted: str, into: Path) -> None:
    found: dict[str, Path] = {}
    if wanted and Path(wanted).is_dir():
        directory = Path(wanted)
        live = Model.load(directory, trust_of(settings, shipped=True)).version
        roles: dict[str, Any] = {"live": live}
        found[live] = directory
    else:
        registry = registry_of(settings)
        if wanted:
            roles = {"live": _known(registry.versions(), wanted, registry.address)}
        else:
            roles = _roles(settings, registry)
        for name in {roles["live"], roles.get("candidate"), *roles.get("shadows", ())} - {None, ""}:
            registry.load(name)  # every check
            found[name] = registry.path(name)
    for name, path in found.items():
        shutil.copytree(path, into / "models" / name, dirs_exist_ok=True)
    (into / _MODELS).write_text(json.dumps(roles, sort_keys=True), "utf-8")


def _known(versions: tuple[str, ...], wanted: str, address: str) -> str:
    if wanted not in versions:
        raise ModelError(
            f"there is no model {wanted} in {address}, nor a directory of that name: `clickgoose model list` names them"
        )
    return wanted


def _roles(settings: Settings, registry: Any) -> dict[str, Any]:
    """Return what scores now."""
    if settings.model_version:
        return {"live": settings.model_version}
    roles = registry.rollout().roles
    return {
        "live": roles.live,
        "candidate": roles.candidate.version if roles.candidate else "",
        "percent": roles.candidate.percent if roles.candidate else 0.0,
        "shadows": list(roles.shadows),
    }


def _deployment(kept: Path) -> Deployment:
    roles = json.loads((kept / _MODELS).read_text("utf-8"))

    def load(name: str) -> Model:
        return Model.load(kept / "models" / name)

    candidate = load(roles["candidate"]) if roles.get("candidate") else None
    shadows = tuple(map(load, roles.get("shadows", ())))
    return Deployment(load(roles["live"]), candidate, roles.get("percent", 0.0) if candidate else 0.0, shadows)


# Policies.


def _keep_policies(settings: Settings, wanted: str, into: Path) -> None:
    path = Path(wanted) if wanted else settings.flow.policies_file
    if path is None:
        return
    data = path.read_bytes()
    parse_policies(data, str(path))
    (into / _POLICIES).write_bytes(data)


def _policies(kept: Path) -> Policies:
    path = kept / _POLICIES
    return parse_policies(path.read_bytes(), str(path)) if path.exists() else Policies()


# Rules.


def _keep_rules(settings: Settings, wanted: str, into: Path) -> None:
    """Fill a registry of the run's own, in which what it judges by is live."""
    own = RulesRegistry(DirectoryStorage(into))
    if wanted == NO_RULES:
        state = State()
    elif wanted == LIVE_RULES:
        state = _live_rules(settings, own)
    elif Path(wanted).exists():
        state = _rules_of_files(Path(wanted), own)
    else:
        state = _rules_with(settings, wanted, own)
    DirectoryStorage(into).write("rules.json", encode(state))


def _live_rules(settings: Settings, own: RulesRegistry, instead: tuple[Owner, str] | None = None) -> State:
    """Copy what is live and in shadow; ``instead``: a set that takes the place of its owner's live one."""
    registry = rules_registry_of(settings)
    state, _ = registry.read_state()
    owned: dict[Owner, Owned] = {}
    for owner in state.owners():
        now = state.of(owner)
        live = instead[1] if instead and instead[0] == owner else now.live
        shadows = tuple(one for one in now.shadows if one != live)
        for digest in filter(None, (live, *shadows)):
            own.add(owner, registry.load(digest, owner).file.files, _NOBODY)
        owned[owner] = Owned(live, shadows)
    everyone = owned.pop(None, Owned())
    return State(everyone, {owner: one for owner, one in owned.items() if owner is not None})


def _rules_with(settings: Settings, digest: str, own: RulesRegistry) -> State:
    registry = rules_registry_of(settings)
    state, _ = registry.read_state()
    for owner in state.owners():
        if digest in dict(state.of(owner).stages()):
            return _live_rules(settings, own, (owner, digest))
    raise RegistryError(
        f"there is no ruleset {digest} in {registry.address}, nor a file or directory of that name: "
        "`clickgoose rules list` names them"
    )


def _rules_of_files(path: Path, own: RulesRegistry) -> State:
    read = read_rules([path])
    if read.mistakes:
        raise RegistryError(str(read.mistakes[0]))
    live = {owner: own.add(owner, texts, _NOBODY).file.digest for owner, texts in read.texts.items()}
    everyone = Owned(live.pop(None, None))
    return State(everyone, {owner: Owned(digest) for owner, digest in live.items() if owner is not None})


# Lists.


def _keep_lists(settings: Settings, into: Path) -> None:
    names, rows = read_lists(settings)
    with (into / _LISTS).open("wb") as file:
        np.savez(file, names=np.array(json.dumps(names)), **rows._asdict())


def _lists(settings: Settings, kept: Path) -> tuple[ListTable, str]:
    with np.load(kept / _LISTS, allow_pickle=False) as file:
        said = str(file["names"])
        rows = Rows(*(file[name] for name in Rows._fields))
    names = tuple(ListName(*name) for name in json.loads(said))
    hashed = sha256(said.encode())
    for column in rows:
        hashed.update(np.ascontiguousarray(column).tobytes())
    return ListTable(list_keys(settings), names, Columns(rows)), hashed.hexdigest()[:16]


__all__: list[str] = ["Inputs", "InputsRefused", "keep_inputs", "load_inputs"]
