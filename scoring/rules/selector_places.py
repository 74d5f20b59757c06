"""Where in an event a selector may look, for any event: so that it can be told whether what was not kept matters.

A place is the path to a value; a step of None is any member. Every construct says which places it hands on untouched
(``given``) and which it looked at on its way. What is made of values is new and stands nowhere: all that it was made
of counts as looked at. ``See`` takes the places that an expression is given and returns what it does with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

Place = tuple[str | None, ...]
Places = frozenset[Place]
MOST: Final = 64  # places handed on; beyond, the whole event counts as looked at
_NOWHERE: Final[Places] = frozenset()


class Look(NamedTuple):
    """A place that is looked at. ``whole``: also at all below it, else only whether it is there, null or false."""

    place: Place
    whole: bool


class Sight(NamedTuple):
    """What an expression does with the places that it is given."""

    given: Places
    looked: frozenset[Look] = frozenset()


See = Callable[[Places], Sight]
EVERYTHING: Final = Sight(_NOWHERE, frozenset((Look((), whole=True),)))


def all_looks(see: See) -> frozenset[Look]:
    """Return where a selector looks in an event; the value that it gives is looked at as a whole."""
    seen = see(frozenset(((),)))
    return seen.looked | _looks(seen.given, whole=True)


def meets(look: Look, path: tuple[str, ...]) -> bool:
    """Return whether a look may meet what is at or below a path, or something that holds it."""
    if any(one not in (None, other) for one, other in zip(look.place, path, strict=False)):
        return False
    return look.whole or len(path) <= len(look.place)


def itself(places: Places) -> Sight:
    """Hand on what is given: ``.``."""
    return Sight(places)


def constant(_: Places) -> Sight:
    """Look at nothing: ``1``, ``"text"``, ``empty``."""
    return Sight(_NOWHERE)


def whole(places: Places) -> Sight:
    """Make something of all that is given: ``length``, ``add``, a slice."""
    return Sight(_NOWHERE, _looks(places, whole=True))


def truth(places: Places) -> Sight:
    """Look whether it is null or false: ``not``."""
    return Sight(_NOWHERE, _looks(places, whole=False))


def there(places: Places) -> Sight:
    """Hand on what is not null: ``values``."""
    return Sight(places, _looks(places, whole=False))


def step(name: str | int | None) -> See:
    """Hand on one member of each: ``.a``, ``.[0]``; of None all of them: ``.[]``. From the end, it may be any."""
    known = None if name is None or (isinstance(name, int) and name < 0) else str(name)
    return lambda places: there(frozenset((*place, known) for place in places))


def piped(first: See, second: See) -> See:
    """Hand on through one expression, then through another."""

    def see(places: Places) -> Sight:
        before = first(places)
        if len(before.given) > MOST:
            return EVERYTHING
        after = second(before.given)
        return Sight(after.given, before.looked | after.looked)

    return see


def either(left: See, right: See) -> See:
    """Hand on what the one gives and what the other gives: ``a, b``."""

    def see(places: Places) -> Sight:
        one, other = left(places), right(places)
        return Sight(one.given | other.given, one.looked | other.looked)

    return see


def chosen(asked: See, *ways: See) -> See:
    """Hand on by one of several ways, as the truth of something says: ``if``."""
    see = piped(asked, truth)
    for way in ways:
        see = either(see, way)
    return see


def made_of(*parts: See) -> See:
    """Make something new of what several expressions give: operators, ``[...]``."""
    see: See = constant
    for part in parts:
        see = either(see, piped(part, whole))
    return see


def truths(*parts: See) -> See:
    """Make true or false of whether what several expressions give is null or false: ``and``, ``or``."""
    see: See = constant
    for part in parts:
        see = either(see, piped(part, truth))
    return see


def each(inner: See) -> See:
    """Give an expression every member of what is given."""
    return piped(step(None), inner)


def selected(inner: See) -> See:
    """Hand on what an expression says true of: ``select``."""
    return chosen(inner, itself)


def _looks(places: Places, *, whole: bool) -> frozenset[Look]:
    return frozenset(Look(place, whole) for place in places)
