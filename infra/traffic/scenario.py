"""The mixture: honest visitors, some of whom come back, attackers, and clients that are broken; in order of time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from infra.traffic.attackers import ATTACKERS, NUISANCES, Attacker
from infra.traffic.craft import Craft
from infra.traffic.population import Visitor
from infra.traffic.recorded.play import by_hand
from infra.traffic.visits import FRAUD, Campaign, Visit

EVENTS_PER_ARRIVAL = 3.9
_KNOWN_VISITORS = 2_000
_LEAST_AWAY_MS = 30 * 60_000
_BACK_AT_ONCE = 0.2  # of those who would come back sooner: the others are somebody else
_USUAL_GAP_MS = 26_000.0  # between arrivals, of 90,000 events in a week
_SECOND_DEVICE = 0.12  # of the visits of somebody known who has an account


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of the arrivals (visits of honest people, campaigns of the others), and which attackers take part."""

    attacks: float = 0.11
    nuisances: float = 0.02
    returning: float = 0.25
    by_hand: float = 0.012  # recorded browsers that people use, so that the recording machine is no tell
    shared: float = 0.008  # devices that many honest people use: a kiosk, a family's tablet
    kinds: tuple[str, ...] = tuple(ATTACKERS)
    nuisance_kinds: tuple[str, ...] = tuple(NUISANCES)

    def __post_init__(self) -> None:
        """Refuse kinds that do not exist."""
        unknown = sorted({*self.kinds} - {*ATTACKERS} | {*self.nuisance_kinds} - {*NUISANCES})
        if unknown:
            raise ValueError(f"no such kind of traffic: {', '.join(unknown)}; known: {', '.join(ATTACKERS)}")


HONEST_ONLY = Mix(attacks=0.0, nuisances=0.0)


class Due(NamedTuple):
    """One event of a visit, when it leaves the browser (ms), and the attack campaign that it is of."""

    at: int
    visit: Visit
    number: int
    campaign: int = -1  # of an attack, from 0; -1 for honest visitors and nuisances


class Scenario:
    """Arrivals from a seed. ``gap`` is the mean time between arrivals in ms; see ``EVENTS_PER_ARRIVAL``."""

    def __init__(self, craft: Craft, mix: Mix, start: int, gap: float) -> None:
        self._craft = craft
        self._mix = mix
        self._start = start
        self._campaigns = count()
        self._known: list[tuple[Visitor, str, int]] = []  # with the last visit's start
        self.become(gap)

    def become(self, gap: float) -> None:
        """Let arrivals from now on be this far apart (ms, in the mean), of people from so many more places."""
        self._gap = gap
        self._craft.whereabouts.crowd = max(1.0, _USUAL_GAP_MS / gap)

    def events(self) -> Iterator[Due]:
        """Yield events in order of time, for ever."""
        waiting: list[tuple[int, int, Due]] = []
        serials = count()
        at = float(self._start)
        while True:
            at += self._craft.random.expovariate(1 / self._gap)
            while waiting and waiting[0][0] <= at:
                yield heapq.heappop(waiting)[2]
            arrived, campaign = self._arrival(int(at))
            for offset, visit in arrived:
                of = campaign if visit.label == FRAUD else -1
                for number, event in enumerate(visit.events):
                    due = Due(int(at) + offset + event.offset, visit, number, of)
                    heapq.heappush(waiting, (due.at, next(serials), due))

    def _arrival(self, at: int) -> tuple[Campaign, int]:
        """Return the visits that begin now, and the number of the attack campaign that they are, or -1."""
        craft, mix = self._craft, self._mix
        point = craft.random.random()
        if point < mix.attacks:
            return self._one_of(ATTACKERS, mix.kinds)(craft, at), next(self._campaigns)
        return self._no_attack(point, at), -1

    def _no_attack(self, point: float, at: int) -> Campaign:
        craft, mix = self._craft, self._mix
        if point < mix.attacks + mix.nuisances:
            return self._one_of(NUISANCES, mix.nuisance_kinds)(craft, at)
        if point > 1 - mix.shared:
            return self._shared_device(at)
        if point > 1 - mix.shared - mix.by_hand:
            return [(0, by_hand(craft, at))]
        return [(0, self._honest(at))]

    def _shared_device(self, at: int) -> Campaign:
        """Return honest visits of many accounts on one device, minutes apart."""
        craft, start, campaign = self._craft, 0.0, Campaign()
        visitor = craft.visitor(at)
        for _ in range(craft.random.randint(4, 10)):
            campaign.append((int(start), craft.honest(visitor, craft.account(), fixed=True)))
            start += craft.random.uniform(60_000, 420_000)
        return campaign

    def _one_of(self, table: Mapping[str, tuple[Attacker, float]], kinds: tuple[str, ...]) -> Attacker:
        weights = [table[kind][1] for kind in kinds]
        return table[self._craft.random.choices(kinds, weights)[0]][0]

    def _honest(self, at: int) -> Visit:
        craft = self._craft
        if self._known and craft.random.random() < self._mix.returning:
            which = craft.random.randrange(len(self._known))
            visitor, account, last = self._known[which]
            if at - last >= _LEAST_AWAY_MS or craft.random.random() < _BACK_AT_ONCE:
                self._known[which] = (visitor, account, at)
                if account and craft.whereabouts.is_second_device(_SECOND_DEVICE):
                    visitor = craft.second_device(at, visitor)
                return craft.honest(visitor, account)
        visitor = craft.visitor(at)
        account = craft.account() if craft.random.random() < 0.6 else ""
        if len(self._known) < _KNOWN_VISITORS:
            self._known.append((visitor, account, at))
        else:
            self._known[craft.random.randrange(_KNOWN_VISITORS)] = (visitor, account, at)
        return craft.honest(visitor, account)
