"""A registry of rules for tests: small rulesets that are told apart by one number, published as people do it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scoring.rollout import Author
from scoring.rules.evaluate import Happening
from scoring.rules.given import GivenAnswers
from scoring.rules.in_force import InForce
from scoring.rules.registry import RulesRegistry, Text
from scoring.rules.registry_state import Owner, Stage, State, published, retired, rolled_back
from scoring.storage import DirectoryStorage, StorageAway, Stored
from tests.rules_kit import NOON

ALICE = Author("alice@desk", "2026-11-22T12:00:00+00:00")
BOB = Author("bob@desk", "2026-11-22T12:05:00+00:00")


def text(number: int, name: str = "payment.yaml") -> Text:
    """Return a file whose one rule tags a payment over 0 with its number."""
    rule = f"{{id: r{number}, when: {{field: .data.amount, gt: 0}}, actions: [{{tag: t{number}}}]}}"
    return Text(name, f"rules: [{rule}]\n")


class Shelf:
    """A registry, and short names for what people do with it."""

    def __init__(self, root: Path | DirectoryStorage, kept: Path | None = None) -> None:
        storage = DirectoryStorage(root) if isinstance(root, Path) else root
        self.registry = RulesRegistry(storage, DirectoryStorage(kept) if kept else None)

    @property
    def state(self) -> State:
        return self.registry.read_state()[0]

    def add(self, number: int, owner: Owner = None) -> str:
        return self.registry.add(owner, [text(number)], ALICE).file.digest

    def publish(self, number: int, to: Stage = "live", owner: Owner = None) -> str:
        digest = self.add(number, owner)
        self.registry.change(lambda state: published(state, owner, digest, to, ALICE))
        return digest

    def roll_back(self, owner: Owner = None) -> None:
        self.registry.change(lambda state: rolled_back(state, owner, BOB))

    def retire(self, digest: str, owner: Owner = None) -> None:
        self.registry.change(lambda state: retired(state, owner, digest, BOB))


class Moody(DirectoryStorage):
    """A directory that answers only while it is not ``away``, and lets others act before a write."""

    away = False
    between: Callable[[], None] | None = None

    def read(self, name: str) -> Stored | None:
        if self.away:
            raise StorageAway("s3://rules does not answer: it sleeps")
        return super().read(name)

    def replace(self, name: str, data: bytes, tag: str | None) -> bool:
        if self.between and name == "rules.json":
            self.between()
        return super().replace(name, data, tag)


def tags(current: InForce, merchant: str = "shop") -> tuple[str, ...]:
    """Return which of the numbered rules judge a payment of a merchant."""
    return _tags(current.live, merchant)


def shadow_tags(current: InForce, merchant: str = "shop") -> list[tuple[str, ...]]:
    """Return the same of each shadow that matters to the merchant."""
    return [_tags(engine, merchant) for engine in current.shadows_of(merchant)]


def _tags(engine, merchant: str) -> tuple[str, ...]:  # type: ignore[no-untyped-def]
    happening = Happening({"data": {"amount": 5}}, "payment", "e1", NOON)
    outcome = engine.plan(merchant, happening).decide(GivenAnswers({}, {}))
    return tuple(sorted(outcome.tags))


def damage(root: Path, digest: str, change: Callable[[bytes], bytes] = lambda data: data[:-9]) -> None:
    """Change the file of a set, as an accident or somebody with access may."""
    path = root / "sets" / digest / "ruleset.json"
    data = change(path.read_bytes())
    beside = path.with_suffix(".new")
    beside.write_bytes(data)
    beside.replace(path)
