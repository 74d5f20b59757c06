"""Registry of rules: immutable rulesets named by their content, and one file that says what each of them does.

Under the root lie ``sets/<digest>/ruleset.json``, the texts of the files as they were published, and ``rules.json``.
What is loaded comes from these texts by the loader that reads files, so a ruleset is good or it is not used at all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from scoring.rollout import Author
from scoring.rules.load import Loaded, Scope, load
from scoring.rules.places import Mistake
from scoring.rules.registry_state import (
    LONGEST_NOTE,
    STATE_FILE,
    Digest,
    Merchant,
    Owner,
    State,
    decode,
    encode,
    named,
)
from scoring.rules.ruleset import Ruleset
from scoring.rules.texts import placed
from scoring.storage import RegistryError, Storage, StorageAway, Stored

SETS: Final = "sets"
MOST_SET_BYTES: Final = 8 << 20  # of all texts of one ruleset
_SET_FORMAT: Final = 1
_DIGITS: Final = 16
_TRIES: Final = 20
_PAUSE_SECONDS: Final = 0.01
Transition = Callable[[State], State]


class Conflict(RegistryError):
    """Others changed the registry again and again between reading and writing it."""


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a ruleset, as its author wrote it."""

    name: str  # below the directory that was published
    text: str


class SetFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A published ruleset: what it is, who published it first, and its texts."""

    digest: Digest
    merchant: Merchant | None  # None: it is everybody's
    decides: Digest  # the digest that decisions name: of what decides, without comments and examples
    rules: int
    catalogues: int
    by: str
    at: str
    note: str
    files: tuple[Text, ...]
    format: int = _SET_FORMAT


class Published(NamedTuple):
    """A ruleset as it was loaded and verified."""

    file: SetFile
    ruleset: Ruleset


def scope_of(owner: Owner) -> Scope:
    """Return how an owner's rules name their catalogues."""
    return "global" if owner is None else "own"


def digest_of(owner: Owner, files: Sequence[Text]) -> str:
    """Return what names a ruleset, 16 hexadecimal digits: the owner and every character of its files."""
    said = json.dumps([owner, sorted((file.name, file.text) for file in files)], separators=(",", ":"))
    return sha256(said.encode()).hexdigest()[:_DIGITS]


def load_texts(files: Sequence[Text], scope: Scope) -> Loaded:
    """Read texts as files are read."""
    read = [placed(file.text.encode("utf-8", "surrogatepass"), file.name) for file in files]
    mistakes = tuple(one for one in read if isinstance(one, Mistake))
    loaded = load([one for one in read if not isinstance(one, Mistake)], scope)
    return loaded._replace(mistakes=(*mistakes, *loaded.mistakes))


class RulesRegistry:
    """What `clickgoose rules`, the flow and the service ask for rules.

    ``kept``: where sets and the state are kept beside, for a start while an object store is away.
    """

    def __init__(self, storage: Storage, kept: Storage | None = None) -> None:
        self._storage = storage
        self._kept = kept

    @property
    def address(self) -> str:
        """Return where it is, for people."""
        return self._storage.address

    def read_state(self) -> tuple[State, str | None]:
        """Return the state and its tag; an empty one without tag where there is none. RegistryError where damaged."""
        stored = self._storage.read(STATE_FILE)
        if stored is None:
            return State(), None
        try:
            return decode(stored.data), stored.tag
        except ValueError as error:
            raise RegistryError(f"{self.address}/{STATE_FILE} cannot be used: {error}") from error

    def keep_state(self, state: State) -> None:
        """Note a state beside."""
        if self._kept is not None:
            self._kept.write(STATE_FILE, encode(state))

    def kept_state(self) -> State | None:
        """Return the state that was noted last, or none."""
        try:
            stored = self._kept.read(STATE_FILE) if self._kept else None
            return decode(stored.data) if stored else None
        except ValueError:
            return None

    def change(self, transition: Transition) -> State:
        """Change the state; where another writer came between, the transition is asked again with what is new.

        RegistryError where the transition refuses, Conflict where others always come between.
        """
        for attempt in range(_TRIES):
            before, tag = self.read_state()
            after = transition(before)
            if after == before or self._storage.replace(STATE_FILE, encode(after), tag):
                return after
            time.sleep(_PAUSE_SECONDS * min(attempt, 5))
        raise Conflict(f"others change {self.address}/{STATE_FILE} all the time: run this again")

    def add(self, owner: Owner, files: Sequence[Text], author: Author, note: str = "") -> Published:
        """Put a ruleset into the registry; one that is there stays as it is. RegistryError where it has mistakes."""
        if len(note) > LONGEST_NOTE:
            raise RegistryError(f"a note has at most {LONGEST_NOTE} characters; shorten it")
        if sum(len(file.text.encode("utf-8", "surrogatepass")) for file in files) > MOST_SET_BYTES:
            raise RegistryError(f"the files have more than {MOST_SET_BYTES >> 20} MiB together; shorten the examples")
        files = tuple(sorted(files, key=lambda file: file.name))
        try:
            ruleset = Ruleset.of(load_texts(files, scope_of(owner)), scope_of(owner))
        except ValueError as error:
            raise RegistryError(str(error)) from error
        digest = digest_of(owner, files)
        made = SetFile(
            digest,
            owner,
            ruleset.digest,
            len(ruleset.rules),
            len(ruleset.catalogues),
            author.by,
            author.at,
            note,
            files,
        )
        present = self._storage.read(_path(digest))
        if present is not None and (sound := _verified(present, digest, owner)):
            return Published(sound, ruleset)
        data = msgspec.json.encode(made)
        if not self._storage.replace(_path(digest), data, present.tag if present else None):
            return self.load(digest, owner)  # somebody published the same just now
        return Published(made, ruleset)

    def load(self, digest: str, owner: Owner) -> Published:
        """Return an owner's ruleset. RegistryError where it is not what was published, or this build cannot use it."""
        file = self.read_set(digest, owner)
        try:
            return Published(file, Ruleset.of(load_texts(file.files, scope_of(owner)), scope_of(owner)))
        except ValueError as error:
            raise RegistryError(f"ruleset {digest} ({named(owner)}) cannot be used by this build: {error}") from error

    def read_set(self, digest: str, owner: Owner) -> SetFile:
        """Return what was published, verified but not loaded. RegistryError where it is something else."""
        beside = self._kept.read(_path(digest)) if self._kept else None
        if beside is not None and (sound := _verified(beside, digest, owner)):
            return sound  # it never changes: what is kept is as good as what is far away
        stored = self._storage.read(_path(digest))
        if stored is None:
            raise RegistryError(f"there is no ruleset {digest} in {self.address}; see `clickgoose rules list`")
        sound = _verified(stored, digest, owner)
        if sound is None:
            raise RegistryError(
                f"{self.address}/{_path(digest)} is not what was published for {named(owner)}: it was damaged, "
                "tampered with or made by another build; publish the files again, or roll back"
            )
        if self._kept is not None:
            self._kept.write(_path(digest), stored.data)
        return sound


def _verified(stored: Stored, digest: str, owner: Owner) -> SetFile | None:
    """Return the set that a file holds, None where it is not the one of this name, or another owner's."""
    try:
        file = msgspec.json.decode(stored.data, type=SetFile)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    sound = file.format == _SET_FORMAT and file.digest == digest and file.merchant == owner
    return file if sound and digest_of(owner, file.files) == digest else None


def _path(digest: str) -> str:
    return f"{SETS}/{digest}/ruleset.json"


__all__ = ["Conflict", "Published", "RegistryError", "RulesRegistry", "SetFile", "StorageAway", "Text"]
