"""Attackers by kind: one file each. Each makes a campaign: visits with their starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from infra.traffic.attackers.account_farm import account_farm
from infra.traffic.attackers.anti_detect import anti_detect
from infra.traffic.attackers.bot_farm import bot_farm
from infra.traffic.attackers.card_testing import card_testing
from infra.traffic.attackers.copier import copier
from infra.traffic.attackers.credential_stuffing import credential_stuffing
from infra.traffic.attackers.headless import headless
from infra.traffic.attackers.malformed import malformed
from infra.traffic.attackers.patched import patched
from infra.traffic.attackers.replayer import replayer, retrier
from infra.traffic.attackers.spoofer import spoofer
from infra.traffic.attackers.stealth import stealth
from infra.traffic.craft import Craft
from infra.traffic.recorded.play import recorded
from infra.traffic.visits import Campaign

Attacker = Callable[[Craft, int], Campaign]

# Weights are of campaigns, and campaigns of some kinds have many events.
ATTACKERS: Mapping[str, tuple[Attacker, float]] = {
    "headless": (headless, 2.0),
    "stealth": (stealth, 2.0),
    "card_testing": (card_testing, 0.35),
    "credential_stuffing": (credential_stuffing, 0.35),
    "account_farm": (account_farm, 0.5),
    "bot_farm": (bot_farm, 0.16),
    "spoofer": (spoofer, 2.0),
    "anti_detect": (anti_detect, 1.3),
    "patched": (patched, 0.6),
    "copier": (copier, 0.3),
    "recorded": (recorded, 0.9),
    "replayer": (replayer, 0.4),
}
NUISANCES: Mapping[str, tuple[Attacker, float]] = {"malformed": (malformed, 1.0), "retrier": (retrier, 1.0)}
UNSCORED = ("replayer", "malformed", "retrier")  # kinds whose events do not all reach a score
