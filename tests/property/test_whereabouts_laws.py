"""The compiled look at where rows are is the same rules said column by column."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from enrichers.country_languages import load_country_languages
from enrichers.country_zones import ELSEWHERE, FITS, NEIGHBOUR, load_country_zones
from enrichers.whereabouts import Whereabouts
from schemas.batches import F32, I64, U8, U16, History, Network
from schemas.catalogue import category_hash
from schemas.countries import COUNTRIES
from schemas.event_time import LATEST
from schemas.networks import NETWORK_BIT, NETWORK_CLASSES
from schemas.velocity import PLACES_KEPT
from tests.judged import middle

seeds = st.integers(0, 2**32 - 1)
CODES = ("DE", "AT", "US", "AU", "IN", "NP", "BR", "KI")
MIDDLES = np.array([*(middle(code) for code in CODES), (np.nan, np.nan), (10, 10)], np.float32)
TAGS = np.array([0, 1, *map(category_hash, ("de", "de-AT", "vi-VN", "en", "pt-BR", "hi"))], np.uint32)
DIRECT = ("cdn", "crawler", "hosting", "vpn", "tor", "relay", "proxy", "residential_proxy", "gateway")


def drawn(rows: int, seed: int) -> tuple[Network, History, F32, np.ndarray, I64]:
    """Return rows at places, clocks, languages and times that matter to the rules."""
    rng = np.random.default_rng(seed)
    here, before = (
        MIDDLES[rng.integers(0, len(MIDDLES), rows)],
        MIDDLES[rng.integers(0, len(MIDDLES), (rows, PLACES_KEPT))],
    )
    time = rng.choice([0, 951_782_399_999, 951_782_400_000, 1_700_000_000_000, 1_709_164_800_000, LATEST], rows)
    time = np.minimum(time + rng.integers(0, 400 * 86_400_000, rows), LATEST)
    network = Network(
        country=rng.integers(0, len(COUNTRIES), rows).astype(np.uint16),
        asn=rng.choice(np.array([0, 14_593, 7_155, 3_320, 405_000, 2**32 - 1], np.uint32), rows),
        latitude=here[:, 0], longitude=here[:, 1],
        classes=(1 << rng.integers(0, len(NETWORK_CLASSES), rows)).astype(np.uint16) * (rng.random(rows) < 0.5),
    )  # fmt: skip
    nothing = np.zeros((rows, 4), np.float32)
    history = History(
        np.ones(rows, np.uint32), np.zeros((rows, 24), np.uint8), nothing, before[:, :, 0], before[:, :, 1],
        time[:, None] - rng.choice([0, 1_000, 3_600_000, 86_400_000], before.shape[:2]),
    )  # fmt: skip
    offset = rng.choice(np.array([np.nan, np.inf, -900, -840, -60, -330, -345, -7, 0, 300, 480, 841], np.float32), rows)
    return network, history, offset, rng.choice(TAGS, rows), time.astype(np.int64)


def clock(country: U16, offset: F32, time: I64) -> U8:
    """Return how offsets fit countries in the month, by the calendar of NumPy."""
    fit = load_country_zones().tables[0]
    slot = np.where(np.abs(offset) <= 840, np.nan_to_num(offset, posinf=0) / 15 + 64.5, 127).astype(np.int64)
    return np.asarray(fit[country, time.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64) % 12, slot])


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(0, 30))
def test_each_answer_is_that_of_the_rules_column_by_column(seed: int, rows: int) -> None:
    network, history, offset, language, time = drawn(rows, seed)
    where = Whereabouts(network, history, offset, language, time)
    known = load_country_languages()
    fits = clock(network.country, offset, time)
    assert where.clock.tolist() == fits.tolist()
    _, _, spoken = known.tables
    assert where.foreign_language.tolist() == (~spoken[known.number(language), network.country]).tolist()
    satellite = np.isin(network.asn, (14_593, 7_155))
    assert where.satellite.tolist() == satellite.tolist()
    standing = np.uint16(sum(NETWORK_BIT[name] for name in DIRECT))
    assert where.stands_in.tolist() == (satellite | ((network.classes & standing) != 0)).tolist()


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(0, 30))
def test_each_answer_about_the_past_follows_from_the_journeys(seed: int, rows: int) -> None:
    network, history, offset, language, time = drawn(rows, seed)
    where = Whereabouts(network, history, offset, language, time)
    journeys = where.journeys
    assert where.was_elsewhere.tolist() == np.isin(np.arange(rows), journeys.row).tolist()
    same = (history.latitude == network.latitude[:, None]) & (history.longitude == network.longitude[:, None])
    assert where.was_here.tolist() == same.any(axis=1).tolist()
    there = clock(journeys.country, offset[journeys.row], time[journeys.row]) == FITS
    differs = np.isin(where.clock, (NEIGHBOUR, ELSEWHERE))
    assert where.clock_of_where_it_was.tolist() == (differs & np.isin(np.arange(rows), journeys.row[there])).tolist()
    fastest = (history.latitude[:, 0] + network.latitude) * np.float32(0)
    np.fmax.at(fastest, journeys.row, journeys.kilometres / journeys.hours)
    np.testing.assert_array_equal(where.kmh, fastest)  # a zero may have either sign
