"""Roll-out: which versions score, and how it came to that. ``rollout.json`` in the root of a registry holds it.

Every change gives a new value; the file is replaced as a whole. The functions know no clock and no user: the author of
a change is given to them.
"""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

import msgspec

ROLLOUT_FILE = "rollout.json"
FORMAT = 1
HISTORY_KEPT = 200  # changes; older ones are forgotten
_VERSION = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_VERSION_NAME = re.compile(_VERSION)

VersionName = Annotated[str, msgspec.Meta(pattern=_VERSION)]


class Author(NamedTuple):
    """Who changed it, and when."""

    by: str  # as alice@host
    at: str  # ISO 8601, UTC


class Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version that scores the events of some devices in place of the live one."""

    version: VersionName
    percent: Annotated[float, msgspec.Meta(gt=0, lt=100)]  # of devices


class Roles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which version does what."""

    live: VersionName
    candidate: Candidate | None = None
    shadows: tuple[VersionName, ...] = ()

    def __post_init__(self) -> None:
        """Refuse roles that exclude each other."""
        if self.candidate and self.candidate.version == self.live:
            raise ValueError(f"{self.live} cannot be live and its own candidate")
        if len(set(self.shadows)) < len(self.shadows) or self.live in self.shadows:
            raise ValueError("a shadow is named once, and is not the live version")

    def versions(self) -> tuple[str, ...]:
        """Return every version that has a role, the live one first, each once."""
        candidate = (self.candidate.version,) if self.candidate else ()
        return tuple(dict.fromkeys((self.live, *candidate, *self.shadows)))


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change, as the history keeps it."""

    at: str
    by: str
    did: str  # promote, rollback, shadow add, shadow remove
    before: Roles | None  # none: it was the first
    after: Roles


class Rollout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    roles: Roles
    history: tuple[Change, ...] = ()  # oldest first
    format: int = FORMAT

    def earlier(self) -> tuple[str, ...]:
        """Return the versions that were live before the one that is, the latest first, each once.

        What a rollback took back is left out: rolling back twice goes two steps back, and not to and fro.
        """
        stack: list[str] = []
        for change in self.history:
            if change.before is None or change.before.live == change.after.live:
                continue
            if change.did != "rollback":
                stack.append(change.before.live)
            elif change.after.live in stack:
                while stack.pop() != change.after.live:
                    pass
        return tuple(version for version in dict.fromkeys(reversed(stack)) if version != self.roles.live)


def decode(data: bytes) -> Rollout:
    """Read the file. ValueError, in one sentence, where it is damaged or of another form."""
    try:
        rollout = msgspec.json.decode(data, type=Rollout)
    except msgspec.DecodeError as error:
        raise ValueError(
            f"it is damaged or of another form ({error}); restore it, or name a live model again"
        ) from error
    if rollout.format != FORMAT:
        raise ValueError(f"it is of format {rollout.format}, and this build reads format {FORMAT}; take a newer build")
    return rollout


def encode(rollout: Rollout) -> bytes:
    """Return the file."""
    return msgspec.json.format(msgspec.json.encode(rollout), indent=1) + b"\n"


def is_version(name: str) -> bool:
    """Return whether this can be a version's name: it becomes part of a path."""
    return _VERSION_NAME.fullmatch(name) is not None


def promoted(rollout: Rollout | None, version: str, author: Author, percent: float = 100.0) -> Rollout:
    """Return the roll-out with the version live, or as the candidate for less than all devices.

    A new live version ends the roll-out of a candidate. ValueError for a share that is none.
    """
    if not 0 < percent <= 100:
        raise ValueError(f"{percent:g} is no share of devices; give more than 0 and at most 100 percent")
    if percent == 100:
        shadows = tuple(shadow for shadow in rollout.roles.shadows if shadow != version) if rollout else ()
        return _changed(rollout, Roles(version, None, shadows), "promote", author)
    if rollout is None:
        raise ValueError(f"no model is live, so {version} cannot be tried on a part; promote it without --percent")
    if version == rollout.roles.live:
        raise ValueError(f"{version} is live for all devices already; promote another, or leave out --percent")
    roles = msgspec.structs.replace(rollout.roles, candidate=Candidate(version, percent))
    return _changed(rollout, roles, "promote", author)


def rolled_back(rollout: Rollout, author: Author, version: str | None = None) -> Rollout:
    """Return the roll-out one step back: without its candidate, else with the version that was live before.

    With ``version``, that one is live again, for all devices. ValueError where there is nothing to go back to.
    """
    roles = rollout.roles
    if version is None and roles.candidate:
        return _changed(rollout, msgspec.structs.replace(roles, candidate=None), "rollback", author)
    back = version or next(iter(rollout.earlier()), None)
    if back is None:
        raise ValueError(f"no version was live before {roles.live}; name one with --to")
    shadows = tuple(shadow for shadow in roles.shadows if shadow != back)
    return _changed(rollout, Roles(back, None, shadows), "rollback", author)


def shadowed(rollout: Rollout, version: str, author: Author) -> Rollout:
    """Return the roll-out with one more shadow. ValueError where it is live."""
    if version == rollout.roles.live:
        raise ValueError(f"{version} is live: it cannot be its own shadow")
    shadows = tuple(dict.fromkeys((*rollout.roles.shadows, version)))
    return _changed(rollout, msgspec.structs.replace(rollout.roles, shadows=shadows), "shadow add", author)


def unshadowed(rollout: Rollout, version: str, author: Author) -> Rollout:
    """Return the roll-out without this shadow. ValueError where it is none."""
    if version not in rollout.roles.shadows:
        raise ValueError(f"{version} is no shadow; there are: {', '.join(rollout.roles.shadows) or 'none'}")
    shadows = tuple(shadow for shadow in rollout.roles.shadows if shadow != version)
    return _changed(rollout, msgspec.structs.replace(rollout.roles, shadows=shadows), "shadow remove", author)


def _changed(rollout: Rollout | None, roles: Roles, did: str, author: Author) -> Rollout:
    """Return the roll-out with a change, or the same where nothing changes."""
    if rollout and roles == rollout.roles:
        return rollout
    before, history = (rollout.roles, rollout.history) if rollout else (None, ())
    change = Change(author.at, author.by, did, before, roles)
    return Rollout(roles, (*history, change)[-HISTORY_KEPT:])
