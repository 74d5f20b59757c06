"""The model card: what a model is made of, how well it does, and what it must not be trusted with."""

from __future__ import annotations

from scoring.model import Manifest
from scoring.words import moment

SEMI_SYNTHETIC = (
    "Semi-synthetic: browsers drawn from a repaired real population and recorded attackers, in simulated behaviour and "
    "campaigns. No real payment and no real fraud was seen; the figures say how well the simulation is told apart, "
    "nothing more."
)
_SIMULATED = (
    "Figures near 1 say that simulated attackers give themselves away, by the features above; expect less of others.",
    "Calibrated to the simulated share of fraud, which is higher than that of any merchant: train on own labels.",
)
_LABELLED = (
    "Labels come late, and not all fraud is ever labelled.",
    "Events that were refused have no outcome, so it learns least about what the model before it was surest of.",
)


def card(manifest: Manifest) -> str:
    """Return the model card."""
    metrics = manifest.metrics
    shown = [name for name, value in metrics.items() if not isinstance(value, dict)]
    figures = "\n".join(f"| {name.replace('_', ' ')} | {metrics[name]} |" for name in shown)
    attackers = metrics.get("recall_by_attacker", {})
    recalls = "\n".join(f"| {name} | {value} |" for name, value in attackers.items())
    gains = "\n".join(f"| {name} | {value:.1%} |" for name, value in metrics.get("gain_by_feature", {}).items())
    return f"""# {manifest.version}

{manifest.data}

{_seen(manifest)}- {manifest.trees} gradient-boosted trees of depth {manifest.depth}, seed {manifest.seed}; calibrated.
- {len(manifest.features)} features (digest `{manifest.feature_digest[:16]}`), {len(manifest.groups)} factor groups.
- Decisions: review from {manifest.review:g}, deny from {manifest.deny:g}.
- Split by time: trained on the first part, stopped and calibrated on the second, measured on the last. Neither of the
  last two holds events of attack campaigns that began before it.
- All figures, with plots: `clickgoose model report {manifest.version}`, `report.html`.

## Figures of the last part of the time split

| | |
|---|---|
{figures}

## Recall at the review threshold, by kind of attacker

| kind | recall |
|---|---|
{recalls}

## What it rests on, by share of gain

| feature | share |
|---|---|
{gains}

## Limits

{_limits(manifest)}
- Attackers unlike those that it was trained on may pass; honest visitors unlike its population may be stopped.
- No tree mixes features of two factor groups. So factors, in log-odds, are exact Shapley values and sum to the score;
  but what only two groups together would give away is not learnt.
"""


def _limits(manifest: Manifest) -> str:
    """Return what follows from where the data comes from."""
    lines = _SIMULATED if SEMI_SYNTHETIC in manifest.data else _LABELLED
    return "\n".join(f"- {line}" for line in lines)


def _seen(manifest: Manifest) -> str:
    window = manifest.data_window
    if window is None:
        return ""
    sources = ", ".join(f"{rows:,} {name}" for name, rows in window.sources.items())
    return f"- Data: {window.rows:,} events ({sources}), from {moment(window.first)} to {moment(window.last)}.\n"
