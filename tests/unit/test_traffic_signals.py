"""What the flow makes of simulated traffic: its networks, clocks and copies give the signals something to find."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from enrichers.address_table import load_address_table
from infra.traffic.countries import COUNTRIES, address_in
from infra.training import enriched_batches
from schemas.batches import Bool, Enriched
from schemas.networks import NETWORK_BIT

EVENTS = 5_000


class Judged:
    """All events of a run, with their kinds."""

    def __init__(self, batches: Sequence[Enriched], kinds: Sequence[str]) -> None:
        self.batch = batches[0].concat(batches)
        self.kind = np.array(kinds)
        self.honest: Bool = self.kind == "honest"

    def share(self, found: Bool, rows: Bool) -> float:
        """Return the share of some rows for which something holds."""
        return float(found[rows].mean())

    def is_true(self, signal: str) -> Bool:
        """Return where a signal is true, bool[n]."""
        return self.batch.smart.result[:, self.batch.smart.column(signal)] == 1

    def has_class(self, *names: str) -> Bool:
        """Return where the address is of one of some classes, bool[n]."""
        return self.batch.network.classes & sum(NETWORK_BIT[name] for name in names) > 0


@pytest.fixture(scope="module")
def judged() -> Judged:
    batches, kinds = [], []
    for batch, _, names, *_ in enriched_batches(EVENTS, 7):
        batches.append(batch)
        kinds += names
    return Judged(batches, kinds)


def test_copies_are_found_and_nothing_honest_is_one(judged: Judged) -> None:
    # The other copiers' events are recordings, most of whose copies come later.
    assert judged.share(judged.is_true("replayed"), judged.kind == "copier") > 0.2
    assert judged.share(judged.is_true("replayed"), judged.honest) < 0.002


def test_few_people_and_many_attackers_come_from_other_networks_than_homes(judged: Judged) -> None:
    elsewhere = judged.has_class("hosting", "vpn", "tor", "proxy", "gateway")
    assert 0.005 < judged.share(elsewhere, judged.honest) < 0.05
    assert judged.share(elsewhere, ~judged.honest) > 0.15
    assert judged.share(judged.has_class("tor"), judged.honest) < 0.005
    assert judged.share(judged.has_class("relay"), judged.honest) < 0.03


def test_clocks_contradict_addresses_of_few_people_and_of_more_attackers(judged: Judged) -> None:
    mismatch = judged.is_true("geo_timezone_mismatch")
    assert judged.share(mismatch, judged.honest) < 0.04
    assert judged.share(mismatch, ~judged.honest) > 2 * judged.share(mismatch, judged.honest)


def test_homes_and_carriers_have_hardly_any_class() -> None:
    lines = [network for country in COUNTRIES for network in (*country.networks, *country.mobile, *country.six)]
    points = [(number + 0.5) / 100 for number in range(100)]
    addresses = b"".join(address_in(network, point) for network in lines for point in points)
    classes = load_address_table()(np.frombuffer(addresses, np.uint8).reshape(-1, 16)).classes
    assert (classes > 0).mean() < 0.02
