"""Honest visitors: drawn from the repaired population, complete, and the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from random import Random

from infra.traffic.cells import CELLS, device_of, major_version
from infra.traffic.countries import COUNTRIES, Country, address_in
from infra.traffic.disguise import disguise, engine_version, updated
from infra.traffic.graphics import architecture_of
from infra.traffic.network import load_network
from infra.traffic.oddities import add_oddities
from infra.traffic.profile import Draw, profile
from infra.traffic.signals import Signals
from infra.traffic.support import Support, Table, cell_support
from infra.traffic.whereabouts import PLAIN, Whereabouts


@dataclass(frozen=True, slots=True)
class Visitor:
    """One browser on one device, with all signals that it shows on a page of its own."""

    browser: str
    system: str
    device: str
    engine: str
    country: Country
    device_id: bytes
    address: bytes
    signals: Signals
    oddities: tuple[str, ...] = ()
    line: str = PLAIN  # what the connection passes besides the own line: infra.traffic.whereabouts
    at: int = 0  # what its clock showed when the signals were read, ms since the epoch


@cache
def _supports() -> tuple[Table, ...]:
    network = load_network()
    return tuple(cell_support(network, cell) for cell in CELLS)


@cache
def _cells(browser: str, system: str, engine: str) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the cells of a kind, "" for any, with their cumulative weights; ValueError where there is none."""
    fits = [
        number
        for number, cell in enumerate(CELLS)
        if browser in ("", cell.browser) and system in ("", cell.system) and engine in ("", cell.engine)
    ]
    if not fits:
        raise ValueError(f"the population has no {browser} {engine} on {system}".replace("  ", " "))
    return tuple(fits), tuple(accumulate(CELLS[number].weight for number in fits))


_FROM_ELSEWHERE = 0.036  # live in another country than the one whose language they read: docs/traffic.md
_COUNTRY_WEIGHTS = list(accumulate(country.weight for country in COUNTRIES))


class Population:
    """Draws visitors. The n-th visitor depends on the seed and the draws before it, and on nothing else."""

    def __init__(self, seed: int, whereabouts: Whereabouts | None = None) -> None:
        self._random = Random(f"clickgoose population {seed}")
        self._whereabouts = whereabouts or Whereabouts(seed)
        self._tables = _supports()

    def visitor(
        self, at: int, browser: str = "", system: str = "", engine: str = "", country: Country | None = None
    ) -> Visitor:
        """Return the next visitor, of the wanted kind, whose clock shows ``at`` (ms since the epoch)."""
        random = self._random
        draw = self._draw(*_cells(browser, system, engine), country)
        signals = profile(draw, at, random)
        oddities = add_oddities(signals, draw.cell.browser, draw.cell.system, draw.cell.engine, draw.device, random)
        device_id = random.randbytes(16)
        own = address_in(random.choice(draw.country.networks), random.random())
        line = self._whereabouts.line(draw.cell.browser, draw.device, oddities)
        return Visitor(
            browser=draw.cell.browser,
            system=draw.cell.system,
            device=draw.device,
            engine=draw.cell.engine,
            country=draw.country,
            device_id=device_id,
            address=self._whereabouts.home(draw.country, draw.device, own, line),
            signals=signals,
            oddities=tuple(oddities),
            line=line,
            at=at,
        )

    def visitors(self, count: int, at: int) -> list[Visitor]:
        """Return the next visitors."""
        return [self.visitor(at) for _ in range(count)]

    def _draw(self, cells: tuple[int, ...], weights: tuple[float, ...], wanted: Country | None) -> Draw:
        random = self._random
        at = random.choices(cells, cum_weights=weights)[0]
        cell = CELLS[at]
        support: Support = self._tables[at].draw(random.random())
        card = support.cards.draw(random.random())
        hints = support.hints[architecture_of(card["renderer"], cell.system)].draw(random.random())
        own, hints = updated(cell, support.user_agent, hints, random)
        user_agent, hints = disguise(cell, own, hints, random)
        country = wanted or random.choices(COUNTRIES, cum_weights=_COUNTRY_WEIGHTS)[0]
        moved = random.random() < _FROM_ELSEWHERE
        raised = random.choices(COUNTRIES, cum_weights=_COUNTRY_WEIGHTS)[0] if moved else country
        return Draw(
            cell=cell,
            user_agent=user_agent,
            version=major_version(own),
            device=device_of(support.user_agent),
            hints=hints,
            card=card,
            row={name: table.draw(random.random()) for name, table in support.nodes.items()},
            country=country,
            zone=random.choice(country.zones),
            languages=random.choices(raised.languages, range(len(raised.languages) + 2, 2, -1))[0],
            engine_version=engine_version(cell, user_agent, own),
        )
