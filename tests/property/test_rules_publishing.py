"""Any row of publications, roll-backs and retirements leaves the registry as a plain model says."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.rules.registry_state import (
    MOST_SHADOWS,
    Owned,
    State,
    decode,
    encode,
    in_force_digest,
    published,
    retired,
    rolled_back,
)
from scoring.rules.watch import WatchedRules
from scoring.storage import RegistryError
from tests.rules_registry_kit import ALICE, BOB, Shelf, tags

NUMBERS = range(7)
DIGESTS = [f"{number:016x}" for number in NUMBERS]
owners = st.sampled_from([None, "shop", "rival"])
publications = st.tuples(
    st.just("publish"), owners, st.sampled_from(NUMBERS), st.sampled_from(["draft", "shadow", "live"])
)
returns = st.tuples(st.just("rollback"), owners, st.just(0), st.just(""))
retirements = st.tuples(st.just("retire"), owners, st.sampled_from(NUMBERS), st.just(""))
steps = st.lists(st.one_of(publications, publications, returns, retirements), max_size=30)


class Model:
    """One owner: the stage of each set, and a pile of those that were live, as one would do it on paper."""

    def __init__(self) -> None:
        self.stages: dict[int, str] = {}
        self.pile: list[int | None] = []  # what was live under what is, the latest last

    @property
    def live(self) -> int | None:
        return next((number for number, stage in self.stages.items() if stage == "live"), None)

    def publish(self, number: int, to: str) -> bool:
        if self.stages.get(number) == to:
            return True
        crowded = to == "shadow" and sum(stage == "shadow" for stage in self.stages.values()) >= MOST_SHADOWS
        if crowded or self.stages.get(number) == "live":
            return False
        if to == "live":
            self._make_live(number)
        self.stages[number] = to
        return True

    def retire(self, number: int) -> bool:
        if number not in self.stages:
            return False
        if self.stages[number] == "live":
            self.pile.append(number)
        self.stages[number] = "retired"
        return True

    def roll_back(self) -> bool:
        while self.pile and self.pile[-1] == self.live:
            self.pile.pop()
        if not self.pile:
            return False
        back = self.pile.pop()
        if self.live is not None:
            self.stages[self.live] = "retired"
        self.stages[back] = "live"  # type: ignore[index]
        return True

    def _make_live(self, number: int) -> None:
        if self.live is not None:
            self.pile.append(self.live)
            self.stages[self.live] = "retired"


@given(steps)
@settings(max_examples=100, deadline=None)
def test_the_state_is_what_a_plain_model_says(row: list[tuple[str, str | None, int, str]]) -> None:
    state, models = State(), {owner: Model() for owner in (None, "shop", "rival")}
    for did, owner, number, to in row:
        model, before = models[owner], state
        try:
            if did == "publish":
                state, good = published(state, owner, DIGESTS[number], to, ALICE), model.publish(number, to)  # type: ignore[arg-type]
            elif did == "retire":
                state, good = retired(state, owner, DIGESTS[number], BOB), model.retire(number)
            else:
                state, good = rolled_back(state, owner, BOB), model.roll_back()
            assert good
        except RegistryError:
            again = {"publish": lambda: model.publish(number, to), "retire": lambda: model.retire(number)}  # noqa: B023
            assert not again.get(did, model.roll_back)()
            assert state is before
        assert decode(encode(state)) == state
        for other, kept in models.items():
            assert dict(state.of(other).stages()) == {DIGESTS[one]: stage for one, stage in kept.stages.items()}
        for other in models:
            if other != owner:
                assert state.of(other) == before.of(other)


@given(steps)
@settings(max_examples=15, deadline=None)
def test_the_watch_follows_whatever_is_published(row: list[tuple[str, str | None, int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shelf = Shelf(Path(folder))
        watch = WatchedRules(shelf.registry)
        names: dict[str, int] = {}
        for did, owner, number, to in row:
            try:
                if did == "publish":
                    names[shelf.publish(number, to, owner)] = number  # type: ignore[arg-type]
                elif did == "retire":
                    shelf.retire(shelf.add(number, owner), owner)
                else:
                    shelf.roll_back(owner)
            except RegistryError:
                continue
            watch.look()
            for merchant in ("shop", "rival", "other"):
                live = {shelf.state.of(one).live for one in (None, merchant)} - {None}
                assert set(tags(watch(), merchant)) == {f"t{names[digest]}" for digest in live}
            assert watch().state == in_force_digest(shelf.state)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_state_or_one_sentence(data: bytes) -> None:
    try:
        assert isinstance(decode(data).everyone, Owned)
    except ValueError as error:
        assert "\n" not in str(error)
