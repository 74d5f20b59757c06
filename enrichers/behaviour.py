"""Clues of behaviour: what each is worth, from how many attackers' and how many people's sessions showed it.

``weight = 1 - p / q``, where p and q are the shares of people's and of attackers' sessions that show the clue, both
with Laplace's correction (P. S. Laplace, "Essai philosophique sur les probabilités", 1814: one more that shows it, one
more that does not). p / q is the inverse of the clue's likelihood ratio, so noisy-or over several clues is naive
Bayes: one less the inverse of the ratio of all. A clue's precision at an even prior is ``1 / (1 + p / q)``: half where
it says nothing, and there the weight is 0.

Attackers count whether a program or a person does their typing, and the traffic is simulated: it knows little of
screen readers, password managers and merchants' own tests. Therefore weights have a limit, stated with each clue.
"""

from __future__ import annotations

from enrichers.learned import EVENTS, PEOPLE, PROGRAMS, SEED, SHOWN, TRAFFIC
from enrichers.signal import Clue

LEAST = 0.02  # of a clue that people show as often: it is told, and changes nothing
BEHAVIOUR = "behaviour"  # the kind of data
VERSION = f"{EVENTS}-{SEED}-{TRAFFIC}"


def learned(reason: str, at_most: float, why: str) -> Clue:
    """Return a clue with the weight that its counts give, but no more than ``at_most``."""
    programs, people = SHOWN.get(reason, (0, 0))
    weight = round(min(at_most, max(LEAST, excess(programs, people))), 2)
    return Clue(
        reason,
        weight,
        f"{why} Shown by {programs:,} of {PROGRAMS:,} attackers' and {people:,} of {PEOPLE:,} people's sessions; "
        f"held to at most {at_most:g}.",
    )


def excess(programs: int, people: int, *, of_programs: int = PROGRAMS, of_people: int = PEOPLE) -> float:
    """Return which share of attackers' sessions with a clue would not show it if attackers were as people are."""
    return 1 - (people + 1) / (of_people + 2) * (of_programs + 2) / (programs + 1)
