"""What is decided where rules could not ask history or lists: the merchant says so in the policies file.

**What is known stays**: an allow or deny list that was asked decides as always, and of rules that needed nothing more a
decision stands unless the merchant's is stricter. Only where neither says anything does the merchant's decide, before
the model. With ``model`` nothing changes: what could be asked decides, then the model, else the event is allowed.
"""

from __future__ import annotations

from schemas.result import DECISIONS
from scoring.policy import WhenDegraded
from scoring.rules.outcome import Outcome


def settled(outcome: Outcome, when_degraded: WhenDegraded) -> Outcome:
    """Return the outcome as the merchant wants it, the same where everything was answered."""
    if not outcome.degraded or when_degraded == "model" or outcome.by in ("allow_list", "deny_list"):
        return outcome
    if outcome.by == "rules" and DECISIONS.index(outcome.decision) >= DECISIONS.index(when_degraded):
        return outcome
    return outcome._replace(decision=when_degraded, by="degraded")
