"""Release: export a trained model, verify it, and write its directory in one move."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from schemas.catalogue import load_catalogue
from scoring.export import export, exported_factors
from scoring.features import feature_schema
from scoring.golden import GOLDEN_FILE
from scoring.groups import GROUP_CODES
from scoring.model import (
    BOOSTER_FILE,
    CARD_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    Manifest,
    Model,
    digest,
    read_file,
    read_manifest,
    version_of,
)
from scoring.registry import DirectoryStorage, Registry
from scoring.rollout import Author, promoted
from scoring.signing import SIGNATURE_FILE, Signer
from scoring.train import Calibration, Plan, Trained
from scoring.trees import load_booster, read_forest
from scoring.verify import Parity, golden_of, verify

TRAINING = Author("clickgoose model train", "")
SEMI_SYNTHETIC = (
    "Semi-synthetic: browsers drawn from a repaired real population, behaviour and attackers simulated. "
    "No real payment and no real fraud was seen; the figures say how well the simulation is told apart, nothing more."
)


def release(
    trained: Trained, plan: Plan, models: Path, data: str = SEMI_SYNTHETIC, signer: Signer | None = None
) -> tuple[Path, Parity]:
    """Write ``models/<version>/``, signed where a signer is given, and return it with its parity.

    ParityError: nothing was written.

    Training twice with one seed gives the same version; the directory is then replaced by an equal one.
    """
    schema, catalogue = feature_schema(), load_catalogue()
    forest = read_forest(load_booster(trained.booster))
    facts = {"features": schema.digest(), "catalogue": catalogue.digest(), "groups": ",".join(GROUP_CODES)}
    graph = export(forest, trained.factors, trained.calibration, len(schema), facts)
    parity = verify(graph, trained.booster, trained.calibration, trained.factors, len(schema))
    golden = golden_of(load_booster(trained.booster), trained.calibration, trained.factors, len(schema)).encode()
    manifest = Manifest(
        version=version_of(graph),
        features=schema.names,
        feature_digest=schema.digest(),
        catalogue_version=catalogue.version,
        catalogue_digest=catalogue.digest(),
        groups=GROUP_CODES,
        bias=forest.bias(),
        slope=trained.calibration.slope,
        offset=trained.calibration.offset,
        review=plan.policy.review,
        deny=plan.policy.deny,
        files={},  # digests, once all files are made
        trees=trained.trees,
        depth=plan.depth,
        seed=plan.seed,
        data=data,
        metrics=trained.metrics,
    )
    contents = {
        MODEL_FILE: graph,
        BOOSTER_FILE: trained.booster,
        GOLDEN_FILE: golden,
        CARD_FILE: card(manifest).encode(),
    }
    whole = msgspec.structs.replace(manifest, files={name: digest(file) for name, file in contents.items()})
    contents[MANIFEST_FILE] = msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"
    if signer is not None:
        contents[SIGNATURE_FILE] = signer.sign(contents[MANIFEST_FILE])
    return _write(models / manifest.version, contents), parity


def _write(directory: Path, contents: dict[str, bytes]) -> Path:
    """Write beside the directory, load it as a check, then move it in place: a bad model never replaces a good one."""
    beside = directory.with_name(f".{directory.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    for name, data in contents.items():
        (beside / name).write_bytes(data)
    Model.load(beside)
    if directory.exists():
        shutil.rmtree(directory)
    return beside.rename(directory)


def name_current(models: Path, version: str, author: Author = TRAINING) -> None:
    """Make a version the live one of a directory, for all devices."""
    Registry(DirectoryStorage(models)).change(lambda before: promoted(before, version, author))


def verify_directory(directory: Path) -> tuple[Manifest, Parity]:
    """Load a model directory with all its checks, and compare its graph with its booster."""
    model = Model.load(directory)
    manifest = read_manifest(directory)
    graph, booster = (read_file(directory, manifest, name) for name in (MODEL_FILE, BOOSTER_FILE))
    calibration = Calibration(manifest.slope, manifest.offset)
    factors = exported_factors(graph, read_forest(load_booster(booster)), len(GROUP_CODES))
    return model.manifest, verify(graph, booster, calibration, factors, len(manifest.features))


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

- Gradient-boosted trees: {manifest.trees} trees of depth {manifest.depth}, seed {manifest.seed}; Platt-calibrated.
- {len(manifest.features)} features (digest `{manifest.feature_digest[:16]}`), {len(manifest.groups)} factor groups.
- Decisions: review from {manifest.review:g}, deny from {manifest.deny:g}.
- Split by time: trained on the first part, stopped and calibrated on the second, measured on the last.

## Figures of the last part of the time split

| | |
|---|---|
{figures}

## Recall at the review threshold, by simulated attacker

| attacker | recall |
|---|---|
{recalls}

## What it rests on, by share of gain

| feature | share |
|---|---|
{gains}

## Limits

- Figures near 1 say that simulated attackers give themselves away, by the features above; expect less of real ones.
- Attackers that the simulation does not know may pass; honest visitors unlike its population may be stopped.
- Calibrated to the simulated share of fraud, which is higher than that of any merchant: recalibrate on own labels.
- Factors are in log-odds and add up to the score exactly. They are means of exact Shapley values over the training
  events that end at the same leaves, not the event's own: `clickgoose model report` says how often the top one agrees.
"""
