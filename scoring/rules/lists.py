"""What lists and snoozes say, asked without waiting: every process keeps them in memory and follows their changes."""

from __future__ import annotations

from typing import Final, Protocol

from scoring.rules.answers import Entity, Entry, Membership, Standing, Unanswered

_NOTHING: Final = Standing()


class MerchantLists(Protocol):
    """The lists of one merchant, and the global ones. It may be false where there are none: then nothing is asked."""

    def member(self, membership: Membership, /) -> Entry | Unanswered | None:
        """Return the line of the list that has the value, None where it has not."""

    def standing(self, entity: Entity, /) -> Standing | Unanswered:
        """Return what is said of an entity."""


class Lists(Protocol):
    """The lists of all merchants, as they are known at one moment."""

    def of(self, merchant: str, /) -> MerchantLists:
        """Return those that a merchant's events are judged by."""


class NoLists:
    """There are none."""

    def of(self, merchant: str, /) -> NoLists:
        """Return itself: the same holds for everybody."""
        return self

    def __bool__(self) -> bool:
        """Return that nobody needs to ask."""
        return False

    def member(self, membership: Membership, /) -> None:
        """Return that no list has the value."""

    def standing(self, entity: Entity, /) -> Standing:
        """Return that nothing is said."""
        return _NOTHING
