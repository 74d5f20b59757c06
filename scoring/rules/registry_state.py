"""Which ruleset does what: draft, shadow, live or retired, for everybody and each merchant, and how it came to that.

One file, ``rules.json`` in the root of a registry, holds it. Every change gives a new value; the file is replaced as a
whole. The functions know no clock and no user: the author of a change is given to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Annotated, Final, Literal, get_args

import msgspec

from scoring.rollout import Author
from scoring.storage import RegistryError

STATE_FILE: Final = "rules.json"
FORMAT: Final = 1
MOST_SHADOWS: Final = 4  # of one owner: each is evaluated for every event of the owner
HISTORY_KEPT: Final = 200  # changes of one owner; older ones are forgotten
RETIRED_KEPT: Final = 100  # of one owner; older ones are no longer listed, their files stay
LONGEST_NOTE: Final = 500
_DIGITS: Final = 16

Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
Merchant = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]  # as the ingest tier takes them
Stage = Literal["draft", "shadow", "live", "retired"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
Owner = str | None
"""Whose ruleset it is: a merchant's, or everybody's (None)."""


class Surprise(RegistryError):
    """Something else is live than whoever publishes thinks: nothing was changed."""


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change, as the history keeps it."""

    at: str
    by: str
    did: Literal["publish", "rollback", "retire"]
    digest: Digest  # of the set that it was done with
    to: Stage
    before: Digest | None  # what was live
    after: Digest | None
    note: str = ""


class Owned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rulesets of one owner by what they do; each has one stage."""

    live: Digest | None = None
    shadows: tuple[Digest, ...] = ()
    drafts: tuple[Digest, ...] = ()
    retired: tuple[Digest, ...] = ()  # the latest last
    history: tuple[Change, ...] = ()  # oldest first

    def __post_init__(self) -> None:
        """Refuse a set with two stages."""
        named = [digest for digest, _ in self.stages()]
        if len(set(named)) < len(named):
            raise ValueError("a ruleset has two stages at once")

    def stages(self) -> Iterator[tuple[str, Stage]]:
        """Give every set with its stage: the live one, shadows, drafts, then the retired ones, the latest first."""
        if self.live is not None:
            yield self.live, "live"
        yield from ((digest, "shadow") for digest in self.shadows)
        yield from ((digest, "draft") for digest in self.drafts)
        yield from ((digest, "retired") for digest in reversed(self.retired))

    def earlier(self) -> tuple[str, ...]:
        """Return the sets that were live before, the latest first, each once, without what is live.

        What a rollback took back is left out: rolling back twice goes two steps back, and not to and fro.
        """
        stack: list[str] = []
        for change in self.history:
            if change.before is None or change.before == change.after:
                continue
            if change.did != "rollback":
                stack.append(change.before)
            elif change.after in stack:
                while stack.pop() != change.after:
                    pass
        return tuple(digest for digest in dict.fromkeys(reversed(stack)) if digest != self.live)


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    everyone: Owned = Owned()
    merchants: dict[Merchant, Owned] = {}
    format: int = FORMAT

    def of(self, owner: Owner) -> Owned:
        """Return the rulesets of an owner."""
        return self.everyone if owner is None else self.merchants.get(owner, Owned())

    def owners(self) -> tuple[Owner, ...]:
        """Return everybody, then the merchants by name."""
        return None, *sorted(self.merchants)


def decode(data: bytes) -> State:
    """Read the file. ValueError, in one sentence, where it is damaged or of another form."""
    try:
        state = msgspec.json.decode(data, type=State)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"it is damaged or of another form ({error}); restore it from a copy") from error
    if state.format != FORMAT:
        raise ValueError(f"it is of format {state.format}, and this build reads format {FORMAT}; take a newer build")
    return state


def encode(state: State) -> bytes:
    """Return the file."""
    return msgspec.json.format(msgspec.json.encode(state), indent=1) + b"\n"


def in_force_digest(state: State) -> str:
    """Return what names all that is live or in shadow, 16 hexadecimal digits."""
    roles = [(owner or "", state.of(owner).live, state.of(owner).shadows) for owner in state.owners()]
    said = msgspec.json.encode([one for one in roles if one[1] or one[2]])
    return sha256(said).hexdigest()[:_DIGITS]


def named(owner: Owner) -> str:
    """Return an owner for people."""
    return "global" if owner is None else f"merchant {owner}"


def expected(state: State, owner: Owner, live: str | None) -> State:
    """Return the state where this set is live for the owner (None: no set is). Else Surprise."""
    found = state.of(owner).live
    if found != live:
        raise Surprise(
            f"{found or 'no ruleset'} is live ({named(owner)}), not {live or 'none'} as expected: nothing was changed; "
            "look at `clickgoose rules list`, and run this again"
        )
    return state


def published(state: State, owner: Owner, digest: str, to: Stage, author: Author, note: str = "") -> State:
    """Return the state with a set at a stage; what was live before it is retired. RegistryError where it may not be."""
    owned = state.of(owner)
    if dict(owned.stages()).get(digest) == to:
        return state
    if to == "retired":
        raise RegistryError("a ruleset is published as draft, shadow or live; `clickgoose rules retire` takes it out")
    if digest == owned.live:
        raise RegistryError(
            f"{digest} is live ({named(owner)}) and cannot become a {to}: publish another one live, or retire it"
        )
    if to == "shadow" and len(owned.shadows) >= MOST_SHADOWS:
        raise RegistryError(
            f"{MOST_SHADOWS} rulesets are in shadow already ({named(owner)}): {', '.join(owned.shadows)}; retire one"
        )
    return _moved(state, owner, digest, to, "publish", author, note)


def rolled_back(state: State, owner: Owner, author: Author, note: str = "") -> State:
    """Return the state with the set live that was so before. RegistryError where there was none."""
    owned = state.of(owner)
    back = next(iter(owned.earlier()), None)
    if back is None:
        held = f"before {owned.live}; `clickgoose rules retire {owned.live}` takes it out" if owned.live else "yet"
        raise RegistryError(f"no ruleset was live ({named(owner)}) {held}")
    return _moved(state, owner, back, "live", "rollback", author, note)


def retired(state: State, owner: Owner, digest: str, author: Author, note: str = "") -> State:
    """Return the state with a set that does nothing any more. RegistryError where the owner has no such set."""
    stage = dict(state.of(owner).stages()).get(digest)
    if stage is None:
        raise RegistryError(f"there is no ruleset {digest} ({named(owner)}); see `clickgoose rules list`")
    return state if stage == "retired" else _moved(state, owner, digest, "retired", "retire", author, note)


def _moved(
    state: State,
    owner: Owner,
    digest: str,
    to: Stage,
    did: Literal["publish", "rollback", "retire"],
    author: Author,
    note: str,
) -> State:
    if len(note) > LONGEST_NOTE:
        raise RegistryError(f"a note has at most {LONGEST_NOTE} characters; shorten it")
    owned = state.of(owner)
    before = owned.live
    live = digest if to == "live" else None if before == digest else before
    shadows, drafts, gone = (
        tuple(one for one in some if one != digest) for some in (owned.shadows, owned.drafts, owned.retired)
    )
    if to == "shadow":
        shadows = (*shadows, digest)
    elif to == "draft":
        drafts = (*drafts, digest)
    gone += tuple(one for one in (before if live != before else None, digest if to == "retired" else None) if one)
    gone = tuple(dict.fromkeys(gone))[-RETIRED_KEPT:]
    change = Change(author.at, author.by, did, digest, to, before, live, note)
    after = Owned(live, shadows, drafts, gone, (*owned.history, change)[-HISTORY_KEPT:])
    if owner is None:
        return msgspec.structs.replace(state, everyone=after)
    return msgspec.structs.replace(state, merchants={**state.merchants, owner: after})
