"""The masking report: recall on the whole corpus, and false alarms on honest events. ``make masking`` prints it.

Example: python -m tests.masking_report 20000
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from random import Random

from flows.stages.verify_mask import VerifyMask
from infra.traffic.craft import Craft
from infra.traffic.scenario import HONEST_ONLY, Scenario
from schemas.batches import Decoded, Signals, Texts, Verified
from schemas.catalogue import load_catalogue
from schemas.dead_letter import DeadLetter
from schemas.nested import pack_texts
from schemas.stage import StageOut
from tests.builders import decoded
from tests.honest_pages import START, drawn_id, drawn_page
from tests.masking_corpus import Variant, corpus
from tests.wire import HONEST

TEXTS = [signal.name for signal in load_catalogue().texts]
HONEST_TEXTS = {name: value for name, value in HONEST.items() if name in TEXTS}
ONE_IN = 10_000
SECTIONS = ("catalogue", "numbers", "known", "booleans", "categories")
Row = tuple[Sequence[bytes | None], str, str]  # texts in wire order, transaction, linked id


def with_ids(
    batch: Decoded, transactions: Sequence[str], linked_ids: Sequence[str], card_tokens: Sequence[str] | None = None
) -> Decoded:
    """Return the batch with these ids of the merchant, and no card tokens unless they are given."""
    tokens = ("",) * len(batch) if card_tokens is None else tuple(card_tokens)
    event = replace(batch.event, transaction=tuple(transactions), linked_id=tuple(linked_ids), card_token=tokens)
    return replace(batch, event=event)


def with_tail(batch: Decoded, texts: Texts) -> Decoded:
    """Return the batch with these texts."""
    return replace(batch, signals=Signals(*(getattr(batch.signals, name) for name in SECTIONS), texts))


def with_texts(rows: Sequence[Sequence[bytes | None]]) -> Decoded:
    """Return a batch with exactly these texts, laid out one after the other."""
    return with_tail(decoded([{}] * len(rows)), pack_texts(rows, len(TEXTS)))


def batch_of(variants: Sequence[Variant]) -> Decoded:
    """Return honest events with the leaks in them."""
    batch = decoded([{**HONEST_TEXTS, **variant.texts} for variant in variants])
    transactions = [variant.transaction or "order-1" for variant in variants]
    linked_ids = [variant.linked_id or "customer-1" for variant in variants]
    return with_ids(batch, transactions, linked_ids, [variant.card_token for variant in variants])


def missed(variants: Sequence[Variant], out: StageOut[Verified]) -> list[str]:
    """Return the names of the variants that the stage let through or gave another reason."""
    found: dict[int, DeadLetter] = {letter.offset: letter for letter in out.errs}
    pairs = ((variant, found.get(row)) for row, variant in enumerate(variants))
    return [variant.name for variant, letter in pairs if letter is None or letter.reason is not variant.reason]


def generated_rows(seed: int) -> Iterator[Row]:
    """Yield honest events of the traffic generator, for ever."""
    for due in Scenario(Craft(seed, small=True), HONEST_ONLY, START, 1_000.0).events():
        signals = due.visit.events[due.number].all_signals()
        yield [_bytes(signals.get(name)) for name in TEXTS], due.visit.transaction, due.visit.linked_id


def drawn_rows(seed: int) -> Iterator[Row]:
    """Yield honest events with drawn pages and ids, for ever: orders, hashes, dates, prices, stack traces."""
    random = Random(f"honest pages {seed}")
    while True:
        page = {**HONEST_TEXTS, **drawn_page(random)}
        yield [_bytes(page.get(name)) for name in TEXTS], drawn_id(random), drawn_id(random)


def _bytes(value: object) -> bytes | None:
    return None if value is None else str(value).encode()


def alarms(rows: Iterator[Row], count: int) -> int:
    """Return how many of so many rows the stage refuses, in batches of 256."""
    stage, refused = VerifyMask(), 0
    while batch := list(islice(rows, min(256, count))):
        count -= len(batch)
        texts, transactions, linked_ids = zip(*batch, strict=True)
        refused += len(stage(with_ids(with_texts(texts), transactions, linked_ids)).errs)
    return refused


@dataclass(frozen=True, slots=True)
class Report:
    """Recall over the corpus, and alarms among so many honest events of each of the two sources."""

    variants: int
    missed: list[str]
    recall: float
    honest_events: int
    alarms_generated: int
    alarms_drawn: int
    allowed: int

    @property
    def good(self) -> bool:
        """Tell whether nothing was missed, and no source raised more alarms than allowed."""
        return not self.missed and max(self.alarms_generated, self.alarms_drawn) <= self.allowed


def report(events: int) -> Report:
    """Return the figures, over so many honest events of each of the two sources."""
    variants = corpus()
    lost = missed(variants, VerifyMask()(batch_of(variants)))
    return Report(
        variants=len(variants),
        missed=lost,
        recall=1 - len(lost) / len(variants),
        honest_events=events,
        alarms_generated=alarms(generated_rows(7), events),
        alarms_drawn=alarms(drawn_rows(7), events),
        allowed=events // ONE_IN,
    )


def main() -> int:
    """Print the report; 1 where a variant was missed, or honest events raised more than one alarm in 10,000."""
    parser = argparse.ArgumentParser(description="Recall on the masking corpus, and false alarms on honest events.")
    parser.add_argument("events", nargs="?", type=int, default=20_000, help="of each kind, default 20000")
    found = report(parser.parse_args().events)
    sys.stdout.write(json.dumps(asdict(found)) + "\n")
    return int(not found.good)


if __name__ == "__main__":
    sys.exit(main())
