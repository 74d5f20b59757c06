"""The watch of published rules: it looks at the registry, builds what is new beside what judges, and swaps in one step.

A ruleset that cannot be used never takes the place of one that can: what was in force for its owner goes on, the reason
is told once, and the watch tries again later. Other owners do not wait for that. Whoever judges calls the watch, which
never waits and always gives a whole value.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from scoring.rules.evaluate import Engine
from scoring.rules.in_force import InForce
from scoring.rules.registry import RulesRegistry
from scoring.rules.registry_state import STATE_FILE, Owned, Owner, State, in_force_digest
from scoring.rules.ruleset import NO_GLOBAL, Rulebook, Ruleset
from scoring.storage import RegistryError, StorageAway

log = logging.getLogger("clickgoose.rules")
_CLOSE_SECONDS: Final = 1.0
_LONGEST_PAUSE: Final = 64  # looks between two tries of a set that was refused
_PREPARED: Final = 256  # programs that are compiled before a swap; the others at their first event


_Sets = dict[tuple[Owner, str], Ruleset]


class _Judged(NamedTuple):
    """The rulesets of one owner that are in force, by their digests."""

    live: str | None = None
    shadows: tuple[str, ...] = ()


class WatchedRules:
    """Gives what is in force, from another thread where it was started.

    ``taken`` is told of each InForce, the first one too, and ``refused`` of each reason once, on the watch's thread.
    RegistryError where the registry cannot be read at the start and nothing is kept of it.
    """

    def __init__(
        self,
        registry: RulesRegistry,
        seconds: float = 0.25,
        taken: Callable[[InForce], None] = lambda _: None,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._registry = registry
        self._seconds = seconds
        self._tell_taken = taken
        self._tell_refused = refused
        self._tag: str | None = None  # of the state that was looked at last
        self._tries = 0  # of that state, since something in it was refused
        self._looks_left = 0  # before the next try
        self._said: set[str] = set()
        self._away = False
        self._judged: dict[Owner, _Judged] = {}
        self._sets: _Sets = {}  # those in force
        self._current = InForce()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._take(self._first(), at_start=True)

    def __call__(self) -> InForce:
        """Return what is in force."""
        return self._current

    def start(self) -> None:
        """Look again and again in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="rules-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking. An object store that hangs is not awaited."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def look(self) -> bool:
        """Look once. Return whether other rules are in force from now on."""
        try:
            state, tag = self._registry.read_state()
        except StorageAway as away:
            return self._say_away(str(away))
        except RegistryError as error:
            self._refuse(str(error))
            return False
        if tag is None and self._tag is not None:  # nobody takes it away: a disk is not mounted
            return self._say_away(f"{self._registry.address}/{STATE_FILE} is no longer there")
        self._away = False
        if tag != self._tag:
            self._tag, self._tries, self._looks_left = tag, 0, 0
            self._said.clear()
        elif not self._due():
            return False
        return self._take(state)

    def _run(self) -> None:
        while not self._closing.wait(self._seconds):
            try:
                self.look()
            except Exception as error:  # a bug of ours must not end the watch, nor what judges
                self._refuse(str(error) or type(error).__name__)

    def _first(self) -> State:
        kept = self._registry.kept_state()
        try:
            state, self._tag = self._registry.read_state()
        except StorageAway as away:
            if kept is None:
                raise
            self._away = True
            log.warning("%s; the rules that were taken last are in force", away)
            return kept
        return state if self._tag is not None or kept is None else kept

    def _due(self) -> bool:
        """Return whether a state with a refused set is to be tried again: after 1, 2, 4, ... looks."""
        if not self._tries:
            return False
        self._looks_left -= 1
        return self._looks_left < 0

    def _take(self, state: State, at_start: bool = False) -> bool:
        """Build what a state says, and swap where that is something else."""
        found: _Sets = {}
        complete = True
        judged: dict[Owner, _Judged] = {}
        for owner in state.owners():
            judged[owner], good = self._owned(owner, state.of(owner), found, at_start)
            complete = complete and good
        self._tries = 0 if complete else self._tries + 1
        self._looks_left = min(_LONGEST_PAUSE, 1 << min(self._tries, 16))
        if complete:
            self._said.clear()
            self._keep(state)
        judged = {owner: one for owner, one in judged.items() if one != _Judged()}
        if judged == self._judged and not at_start:
            return False
        current = _built(judged, found, self._current)
        self._judged, self._sets = judged, found
        self._current = current
        self._tell_taken(current)
        log.info("rules are in force", extra={"state": current.state, "rulesets": len(found)})
        return True

    def _owned(self, owner: Owner, owned: Owned, found: _Sets, at_start: bool) -> tuple[_Judged, bool]:
        """Return what of an owner's sets is to be in force, and whether that is all; the sets go to ``found``."""
        before = self._judged.get(owner, _Judged())
        live, good = owned.live, True
        if live is not None and not self._load(live, owner, found):
            good = False
            others = owned.earlier() if at_start else tuple(filter(None, [before.live]))
            live = next((digest for digest in others if self._load(digest, owner, found)), None)
        shadows = tuple(digest for digest in owned.shadows if self._load(digest, owner, found))
        return _Judged(live, tuple(one for one in shadows if one != live)), good and shadows == owned.shadows

    def _load(self, digest: str, owner: Owner, found: _Sets) -> bool:
        """Find a set among those in force, or load it."""
        ready = found.get((owner, digest)) or self._sets.get((owner, digest))
        if ready is None:
            try:
                ready = self._registry.load(digest, owner).ruleset
            except RegistryError as error:
                self._refuse(f"{error}; what was in force before goes on")
                return False
        found[owner, digest] = ready
        return True

    def _keep(self, state: State) -> None:
        try:
            self._registry.keep_state(state)
        except RegistryError as error:
            log.warning("the state of the rules is not kept: %s", error)

    def _say_away(self, sentence: str) -> bool:
        if not self._away:
            self._away = True
            log.warning("%s; the rules that are in force go on", sentence)
        return False

    def _refuse(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            log.error("%s", sentence)
            self._tell_refused(sentence)


def _built(judged: Mapping[Owner, _Judged], sets: _Sets, before: InForce) -> InForce:
    """Return engines for what is live, and for each shadow beside what is live for the others.

    A global shadow is a rulebook of its own; shadows of different merchants, who never meet, share one.
    """
    everyone = judged.get(None, _Judged())
    merchants = {owner: one for owner, one in judged.items() if owner is not None}
    live = {owner: sets[owner, one.live] for owner, one in merchants.items() if one.live}
    shared = sets[None, everyone.live] if everyone.live else NO_GLOBAL
    books = [Rulebook(sets[None, digest], live) for digest in everyone.shadows]
    for place in range(max((len(one.shadows) for one in merchants.values()), default=0)):
        tried = {owner: sets[owner, one.shadows[place]] for owner, one in merchants.items() if len(one.shadows) > place}
        books.append(Rulebook(shared, {**live, **tried}))
    judge = Engine(Rulebook(shared, live), before.live)
    engines = [judge, *(Engine(book, judge) for book in books)]  # where a shadow changes nothing it is the same
    _prepare(engines)
    said = State(_owned(everyone), {owner: _owned(one) for owner, one in merchants.items()})
    return InForce(judge, tuple(engines[1:]), in_force_digest(said))


def _owned(one: _Judged) -> Owned:
    return Owned(one.live, one.shadows)


def _prepare(engines: Sequence[Engine]) -> None:
    """Compile before the swap what the first events would else wait for."""
    named = (
        (engine, merchant, event_type)
        for engine in engines
        for merchant in ("", *engine.book.of_merchant)
        for event_type in ("", *engine.event_types(merchant))
    )
    for engine, merchant, event_type in islice(named, _PREPARED):
        _ = engine.program(merchant, event_type).joined.digest  # every decision names it
