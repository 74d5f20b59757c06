"""Rulesets: rules and catalogues that were published together, named by their content, and joined for a merchant.

**Isolation.** A merchant's set and the global one know only their own catalogues; a merchant is judged by its own set
and the global one, never by another's, and history and lists are always of the merchant whose event it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Final, NamedTuple

from scoring.rules.document import Catalogue, Rule
from scoring.rules.load import Loaded, Scope
from scoring.rules.reach import order

_DIGITS: Final = 16  # of a digest, in hexadecimal


@dataclass(frozen=True)
class Ruleset:
    """Rules and their catalogues, immutable. ``order`` of rules: the highest priority first, then by id."""

    scope: Scope = "global"
    catalogues: tuple[Catalogue, ...] = ()
    rules: tuple[Rule, ...] = ()

    @classmethod
    def of(cls, loaded: Loaded, scope: Scope) -> Ruleset:
        """Return what was loaded. ValueError, with the first of them, where it has mistakes."""
        if loaded.mistakes:
            more = f" ({len(loaded.mistakes) - 1} more)" if len(loaded.mistakes) > 1 else ""
            raise ValueError(f"{loaded.mistakes[0]}{more}")
        by_name = sorted(loaded.catalogues, key=lambda catalogue: catalogue.name)
        return cls(scope, tuple(by_name), tuple(sorted(loaded.rules, key=order)))

    @cached_property
    def digest(self) -> str:
        """Return what names the content, 16 hexadecimal digits: the same for files that decide alike.

        Order in the files, comments, places, descriptions and examples are no part of it.
        """
        said = {
            "scope": self.scope,
            "catalogues": [content(catalogue) for catalogue in self.catalogues],
            "rules": [content(rule) | {"description": ""} for rule in self.rules],
        }
        return _digest(said)


class Scoped(NamedTuple):
    """A rule of a joined set, with the set that it is of."""

    scope: Scope
    rule: Rule


NO_OWN, NO_GLOBAL = Ruleset("own"), Ruleset()


@dataclass(frozen=True)
class Joined:
    """What a merchant's events are judged by: its own set and the global one."""

    own: Ruleset = NO_OWN
    everyone: Ruleset = NO_GLOBAL

    @cached_property
    def rules(self) -> tuple[Scoped, ...]:
        """Return all rules: the highest priority first, of one priority the merchant's own first, then by id."""
        both = [Scoped(one.scope, rule) for one in (self.own, self.everyone) for rule in one.rules]
        return tuple(sorted(both, key=lambda scoped: -scoped.rule.priority))  # stable

    @cached_property
    def named(self) -> Mapping[tuple[str, str], Scoped]:
        """Return all rules by scope and id."""
        return {(scoped.scope, scoped.rule.id): scoped for scoped in self.rules}

    @cached_property
    def catalogues(self) -> tuple[Catalogue, ...]:
        """Return all catalogues that the merchant's events write."""
        return (*self.own.catalogues, *self.everyone.catalogues)

    @cached_property
    def digest(self) -> str:
        """Return what names both sets, 16 hexadecimal digits."""
        return joined_digest(self.own.digest, self.everyone.digest)


@dataclass(frozen=True)
class Rulebook:
    """All rulesets in force: one for everybody, and those of merchants."""

    everyone: Ruleset = NO_GLOBAL
    of_merchant: Mapping[str, Ruleset] = field(default_factory=dict)

    @cached_property
    def _joined(self) -> dict[str, Joined]:
        return {merchant: Joined(own, self.everyone) for merchant, own in self.of_merchant.items()}

    @cached_property
    def _common(self) -> Joined:
        return Joined(everyone=self.everyone)

    def of(self, merchant: str) -> Joined:
        """Return what a merchant's events are judged by."""
        return self._joined.get(merchant, self._common)

    @cached_property
    def digest(self) -> str:
        """Return what names all of it, 16 hexadecimal digits."""
        return _digest([self.everyone.digest, sorted((name, own.digest) for name, own in self.of_merchant.items())])


def content(thing: Any) -> Any:
    """Return a rule, a catalogue or a part of one as plain JSON that says all that matters to what it decides."""
    if is_dataclass(thing) and not isinstance(thing, type):
        said = {one.name: content(getattr(thing, one.name)) for one in fields(thing) if one.compare}
        return {"kind": type(thing).__name__} | said
    if isinstance(thing, tuple | list):
        return [content(one) for one in thing]
    return thing


def joined_digest(own: str, everyone: str) -> str:
    """Return what names a merchant's own set and the global one together, as decisions do."""
    return _digest([own, everyone])


def _digest(said: Any) -> str:
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()[:_DIGITS]
