"""The vendored seed: made of the population, read back, and useful on the first day."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from enrichers.prevalence_seed import DataFileError, load_prevalence_seed, pack_prevalence_seed
from flows.stages.recognize import Recognize
from infra.data.prevalence import SEEDED, batch_of, prevalence_seed
from infra.traffic.population import Population
from schemas.batches import Counted, Recognition
from schemas.columns import widen
from schemas.environment import SYSTEMS
from schemas.recognition import COMBINATIONS
from tests.builders import counted

AT = 1_790_000_000_000
PLACES = [COMBINATIONS.index(name) for name in SEEDED]


@pytest.fixture(scope="module")
def first_day() -> Recognition:
    """Return what is said of 3,000 visitors whom the seed was not made of, each one the first of a partition."""
    population = Population(77)
    said = []
    for _ in range(6):
        batch = batch_of(population.visitors(500, AT))
        rest = counted([{}] * 500)
        whole = widen(Counted, batch, velocity=rest.velocity, history=rest.history, session=rest.session)
        said.append(Recognize(load_prevalence_seed()).open(()).apply(whole).oks.recognition)
    return Recognition.concat(said)


def test_most_honest_visitors_are_not_rare_on_the_first_day(first_day: Recognition) -> None:
    for place in PLACES:
        tail = first_day.tail[:, place]
        assert np.nanmedian(tail) > 0.1, COMBINATIONS[place]
        assert (tail[~np.isnan(tail)] > 0.01).mean() > 0.95, COMBINATIONS[place]
    assert (np.nanmin(first_day.tail, axis=1) > 0.01).mean() > 0.9


def test_one_honest_visitor_in_a_thousand_is_as_rare_as_one_in_a_thousand(first_day: Recognition) -> None:
    for place in PLACES:
        assert (first_day.tail[:, place] <= 0.001).mean() < 0.004, COMBINATIONS[place]


def test_what_is_not_real_in_the_population_is_not_known(first_day: Recognition) -> None:
    unseeded = [place for place in range(len(COMBINATIONS)) if place not in PLACES]
    assert np.isnan(first_day.tail[:, unseeded]).all()


def test_a_windows_browser_on_the_graphics_of_a_phone_is_rare_from_the_first_event_on() -> None:
    batch = batch_of(Population(77).visitors(60, AT))
    environment, rest = batch.environment, counted([{}] * 60)
    phones = environment.system == SYSTEMS.index("android")
    environment.system[phones] = SYSTEMS.index("windows")
    whole = widen(Counted, batch, velocity=rest.velocity, history=rest.history, session=rest.session)
    place = COMBINATIONS.index("graphics")
    said = Recognize(load_prevalence_seed()).open(()).apply(whole).oks.recognition
    assert phones.sum() > 10
    assert (said.seen[phones, place] < 3).all()
    assert said.tail[np.flatnonzero(phones)[0], place] < 0.005
    assert (said.seen[~phones, place] > 2).mean() > 0.8


def test_the_same_population_gives_the_same_seed_and_a_file_gives_it_back(tmp_path: Path) -> None:
    seed, again = prevalence_seed(600, seed=3), prevalence_seed(600, seed=3)
    data = pack_prevalence_seed(seed, "test", "Apache-2.0", 600)
    assert data == pack_prevalence_seed(again, "test", "Apache-2.0", 600)
    path = tmp_path / "seed.bin"
    path.write_bytes(data)
    found = load_prevalence_seed(path)
    assert found.version == seed.version
    assert np.array_equal(found.kinds, seed.kinds)
    assert np.array_equal(found.keys, seed.keys)
    assert np.array_equal(found.counts, seed.counts)
    assert set(found.kinds.tolist()) == set(PLACES)


def test_a_missing_or_damaged_file_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="cannot be read"):
        load_prevalence_seed(tmp_path / "none.bin")
    path = tmp_path / "seed.bin"
    path.write_bytes(pack_prevalence_seed(prevalence_seed(50, seed=3), "test", "Apache-2.0", 50)[:-9])
    with pytest.raises(DataFileError, match="damaged"):
        load_prevalence_seed(path)
