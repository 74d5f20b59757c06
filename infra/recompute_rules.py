"""What rules said of an event, made again: by the rulesets of those digests, on the answers that stores gave then."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from infra.recompute import Outcome, Part, compared
from schemas.result import DECISIONS
from schemas.ruling import BY, BY_DEGRADED, BY_MODEL, Ruling, decode_ruling
from scoring.judge_again import Seen
from scoring.judge_events import Event
from scoring.judge_heard import HeardAgain
from scoring.provenance import StoredDecision, same_bits
from scoring.rules.evaluate import Engine, Happening, Judgement, Signal
from scoring.rules.outcome import Outcome as Judged
from scoring.rules.registry import RulesRegistry
from scoring.rules.registry_state import Owner
from scoring.rules.ruleset import Rulebook, Ruleset
from scoring.rules.selectors import Selector, compiled
from scoring.storage import RegistryError

_NAME = "rules"
_NO_RULES = "no rule and no list looked at it"
_OF_A_FIELD = re.compile(r"[\s(\[]*\.[A-Za-z_]")  # a selector that begins at a field of the event
_CARD = "a rule looks at the card itself, of which only a digest is kept"


def rules_part(stored: StoredDecision, seen: Seen | None, registry: Callable[[], RulesRegistry]) -> Part:
    """Judge an event again, and hold what comes of it against what is stored."""
    if not stored.ruling:
        said = "" if stored.decided_by == BY[BY_MODEL] else f"the row says that {stored.decided_by} decided"
        return Part(_NAME, _NO_RULES, Outcome.DIFFERS if said else Outcome.SAME, (said,) if said else ())
    source = f"ruleset {stored.ruleset}, the stored answers"
    try:
        ruling = decode_ruling(stored.ruling)
        book = _rulebook(registry(), stored.merchant, ruling)
    except msgspec.MsgspecError as error:
        return Part(_NAME, source, Outcome.DIFFERS, (f"what rules said cannot be read: {error}",))
    except RegistryError as error:
        return Part(_NAME, source, Outcome.NOT_MADE, (str(error),))
    if seen is None:
        return Part(_NAME, source, Outcome.NOT_MADE, ("the event's row is gone",))
    return _judged_again(stored, ruling, seen.event(stored), Engine(book))._replace(source=source)


def _judged_again(stored: StoredDecision, ruling: Ruling, event: Event, engine: Engine) -> Part:
    happening = Happening(event, event["event_type"], stored.event_id, stored.happened_at)
    plan = engine.plan(stored.merchant, happening)
    answers = HeardAgain(ruling.heard, plan)
    again = plan.decide(answers, _known(stored))
    if answers.lost:
        why = "history answered with a text, which is not kept" if ruling.heard else "what stores answered is not kept"
        return Part(_NAME, "", Outcome.NOT_MADE, (why,))
    part = compared(_NAME, "", _differences(stored, ruling, again))
    if part.outcome is Outcome.DIFFERS and _looks_at_the_card(engine, stored.merchant, happening.event_type):
        return part._replace(outcome=Outcome.NOT_MADE, notes=(_CARD, *part.notes))
    return part


def _differences(stored: StoredDecision, ruling: Ruling, again: Judged) -> Iterator[str]:
    if again.rulesets != stored.ruleset:
        yield f"stored ruleset {stored.ruleset}, the registry has {again.rulesets}"
    if again.matched != ruling.matched:
        yield f"stored {', '.join(ruling.matched) or 'no match'}; recomputed {', '.join(again.matched) or 'no match'}"
    if not same_bits(np.float32(again.added), stored.added):
        yield f"stored {float(stored.added):+g} points, recomputed {again.added:+g}"
    if again.degraded != ruling.degraded:
        yield f"stored as unanswered {', '.join(ruling.degraded) or 'nothing'}; recomputed {', '.join(again.degraded)}"
    decides = again.by in ("allow_list", "deny_list", "rules")
    if stored.decided_by == BY[BY_DEGRADED]:
        stands = decides and DECISIONS.index(again.decision) >= DECISIONS.index(stored.decision)
        if stands or not again.degraded:
            yield "stored that an outage decided, which is not so"
    elif decides and (again.by, again.decision) != (stored.decided_by, stored.decision):
        yield f"stored {stored.decision} by {stored.decided_by}, recomputed {again.decision} by {again.by}"
    elif not decides and stored.decided_by != BY[BY_MODEL]:
        yield f"stored {stored.decision} by {stored.decided_by}; recomputed, neither lists nor rules decide"


def _known(stored: StoredDecision) -> Judgement:
    results, confidences = stored.smart_results.tolist(), stored.smart_confidences.tolist()
    triples = zip(stored.smart_names, results, confidences, strict=False)
    signals = {
        name: Signal(None, None) if result < 0 else Signal(result == 1, confidence)
        for name, result, confidence in triples
    }
    return Judgement(signals, float(stored.score))


def _rulebook(registry: RulesRegistry, merchant: str, ruling: Ruling) -> Rulebook:
    """Return the rulesets that judged the event. RegistryError where one is not to be had."""
    own, everyone = ruling.sets
    book = Rulebook(_ruleset(registry, None, everyone))
    if own == Ruleset("own").digest:
        return book
    return Rulebook(book.everyone, {merchant: _ruleset(registry, merchant, own)})


def _ruleset(registry: RulesRegistry, owner: Owner, digest: str) -> Ruleset:
    """Return the owner's ruleset that decides so: decisions name what decides, and not comments and examples."""
    if digest == Ruleset().digest:
        return Ruleset()
    state, _ = registry.read_state()
    for name, _ in state.of(owner).stages():
        found = registry.load(name, owner)
        if found.ruleset.digest == digest:
            return found.ruleset
    raise RegistryError(f"{registry.address} has no ruleset of {owner or 'everybody'} that decides as {digest}")


def _looks_at_the_card(engine: Engine, merchant: str, event_type: str) -> bool:
    """Return whether a rule may look at the text of the card, and not only ask stores about it."""
    program = engine.program(merchant, event_type)
    for text in (operand.selector for _, operand in program.fields):
        selector = compiled(text)
        path = [step for step, _ in selector.path] if isinstance(selector, Selector) and selector.path else None
        if path is None and ("entities" in text or not _OF_A_FIELD.match(text)):
            return True
        if path is not None and path[0] == "entities" and path[1:2] in ([], ["card"]):
            return True
    return False
