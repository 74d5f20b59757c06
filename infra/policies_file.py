"""The file of policies: thresholds by merchant and event type, as people write them.

::

    default: {review: 40, deny: 80, margin: 5}
    degraded: review
    event_types:
      login: {review: 60, deny: 90}
    merchants:
      shop-1:
        review: 35
        deny: 70
        degraded: deny
        event_types:
          pay_out: {review: 20, deny: 50}

All parts may be left out. Each policy is whole: ``review`` and ``deny`` always, ``margin`` where it is not the usual
one. ``degraded``: what decides where rules could not ask history or lists.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from ingest_api.merchants import Merchants
from schemas.envelope import EVENT_TYPE_FORM
from scoring.policy import LIMITS, WHEN_DEGRADED, Policies, Policy, WhenDegraded
from scoring.yaml_places import Problem, ProblemsFound, compose, line_of

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_DEFAULT, _EVENT_TYPES, _MERCHANTS, _DEGRADED = "default", "event_types", "merchants", "degraded"


def read_policies(path: Path) -> Policies:
    """Read a file. ProblemsFound where it cannot be used, OSError where it cannot be read."""
    return parse_policies(path.read_bytes(), str(path))


def parse_policies(data: bytes, name: str) -> Policies:
    """Read what is in a file. ProblemsFound has every mistake in it, with its line and what to do."""
    reader = _Reader()
    policies = reader.read(compose(data, name))
    if reader.problems:
        raise ProblemsFound(name, sorted(reader.problems))
    return policies


class _Reader:
    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def read(self, root: yaml.Node | None) -> Policies:
        if root is None:
            self.problems.append(
                Problem(1, "the file is empty; give a default, or unset CLICKGOOSE_FLOW__POLICIES_FILE")
            )
            return Policies()
        parts = dict(self._items(root, "the file", (_DEFAULT, _DEGRADED, _EVENT_TYPES, _MERCHANTS)))
        default = self._policy(parts[_DEFAULT], _DEFAULT) if _DEFAULT in parts else None
        degraded = self._when_degraded(parts, "")
        of_event_type = dict(self._event_types(parts.get(_EVENT_TYPES), _EVENT_TYPES))
        of_merchant: dict[str, Policy] = {}
        of_both: dict[tuple[str, str], Policy] = {}
        degraded_of: dict[str, WhenDegraded] = {}
        for merchant, node in self._merchants(parts.get(_MERCHANTS)):
            where = f"{_MERCHANTS}.{merchant}"
            fields = dict(self._items(node, where, (*LIMITS, _DEGRADED, _EVENT_TYPES)))
            if said := self._when_degraded(fields, f"{where}."):
                degraded_of[merchant] = said
            for event_type, policy in self._event_types(fields.get(_EVENT_TYPES), f"{where}.{_EVENT_TYPES}"):
                of_both[merchant, event_type] = policy
            if set(LIMITS) & set(fields) or not fields:
                found = self._policy_of(fields, node, where)
                of_merchant |= {merchant: found} if found else {}
        return Policies(default, of_event_type, of_merchant, of_both, degraded or "model", degraded_of)

    def _when_degraded(self, fields: dict[str, yaml.Node], where: str) -> WhenDegraded | None:
        node = fields.get(_DEGRADED)
        if node is None:
            return None
        found = node.value if isinstance(node, yaml.ScalarNode) else None
        for known in WHEN_DEGRADED:
            if found == known:
                return known
        shown = "not one word" if found is None else repr(found)
        self._say(line_of(node), f"{where}{_DEGRADED} is {shown}; give {', '.join(WHEN_DEGRADED[:-1])} or model")
        return None

    def _merchants(self, node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
        for merchant, value, line in self._entries(node, _MERCHANTS):
            try:
                Merchants({merchant: ()})
            except ValueError:
                self._say(line, f"{merchant!r} is no merchant; take its id, letters and digits with '.', '_' or '-'")
            else:
                yield merchant, value

    def _event_types(self, node: yaml.Node | None, where: str) -> Iterator[tuple[str, Policy]]:
        for event_type, value, line in self._entries(node, where):
            if not event_type or not re.match(EVENT_TYPE_FORM, event_type):
                likely = re.sub(r"[^a-z0-9]+", "_", event_type.lower()).strip("_") or "payment"
                self._say(line, f"{event_type!r} is no event type; did you mean {likely}?")
            elif policy := self._policy(value, f"{where}.{event_type}"):
                yield event_type, policy

    def _policy(self, node: yaml.Node, where: str) -> Policy | None:
        return self._policy_of(dict(self._items(node, where, LIMITS)), node, where)

    def _policy_of(self, fields: dict[str, yaml.Node], node: yaml.Node, where: str) -> Policy | None:
        before = len(self.problems)
        if isinstance(node, yaml.MappingNode):
            missing = [name for name in ("review", "deny") if name not in fields]
            if missing:
                self._say(
                    line_of(node), f"{where} lacks {' and '.join(missing)}; every policy gives both, as review: 40"
                )
        values: dict[str, float] = {
            name: self._number(fields[name], f"{where}.{name}") for name in LIMITS if name in fields
        }
        if len(self.problems) > before:
            return None
        return self._sound(values, {name: line_of(node) for name, node in fields.items()}, where)

    def _sound(self, values: dict[str, float], lines: dict[str, int], where: str) -> Policy | None:
        if "review" not in values:
            return None  # no mapping, which was said
        review, deny, margin = values["review"], values["deny"], values.get("margin")
        for name in ("review", "deny"):
            if not 0 < values[name] <= 100:
                self._say(lines[name], f"{where}.{name} is {values[name]:g}; give a score above 0 and at most 100")
                return None
        if review >= deny:
            said = f"{where}.deny is {deny:g} and review {review:g}; give a deny above review"
            self._say(lines["deny"], said)
            return None
        widest = Policy.widest_margin(review, deny)
        if margin is not None and not 0 <= margin <= widest:
            self._say(lines["margin"], f"{where}.margin is {margin:g}; give 0 to {widest:g}, or leave it out")
            return None
        return Policy.usual(review, deny) if margin is None else Policy(review, deny, margin)

    def _number(self, node: yaml.Node, where: str) -> float:
        try:
            value = float(node.value) if node.tag in _NUMBERS else math.nan
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            shown = repr(node.value) if isinstance(node, yaml.ScalarNode) else "not one value"
            self._say(line_of(node), f"{where} is {shown}; give a number from 0 to 100")
        return value

    def _items(self, node: yaml.Node, where: str, known: tuple[str, ...]) -> Iterator[tuple[str, yaml.Node]]:
        for name, value, line in self._entries(node, where):
            if name in known:
                yield name, value
            else:
                likely = get_close_matches(name, known, 1)
                hint = f"did you mean {likely[0]}?" if likely else f"it may have {', '.join(known)}"
                self._say(line, f"{where} has no {name!r}; {hint}")

    def _entries(self, node: yaml.Node | None, where: str) -> Iterator[tuple[str, yaml.Node, int]]:
        """Give the entries of a mapping with their lines, each key once."""
        if node is None:
            return
        if not isinstance(node, yaml.MappingNode):
            self._say(line_of(node), f"{where} must hold names with values, as `review: 40`; indent them below it")
            return
        seen: dict[str, int] = {}
        for key, value in node.value:
            name, line = _text(key), line_of(key)
            if name in seen:
                self._say(line, f"{where} has {name!r} twice, first in line {seen[name]}; take one out")
                continue
            seen[name] = line
            yield name, value, line

    def _say(self, line: int, said: str) -> None:
        self.problems.append(Problem(line, said))


def _text(key: Any) -> str:
    """Return a key as it is written: YAML would take `no` for false and 123 for a number."""
    return str(key.value) if isinstance(key, yaml.ScalarNode) else "[...]"
