"""Release: export a trained model, verify it, and write its directory in one move."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from schemas.catalogue import load_catalogue
from scoring.drift import REFERENCE_FILE
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
from scoring.model_card import SEMI_SYNTHETIC, card
from scoring.registry import Registry
from scoring.report import Report
from scoring.report_file import PAGE_FILE, REPORT_FILE
from scoring.report_page import page
from scoring.rollout import Author, promoted
from scoring.signing import SIGNATURE_FILE, Signer
from scoring.storage import DirectoryStorage
from scoring.train import Calibration, Plan, Trained
from scoring.trees import load_booster, read_forest
from scoring.verify import Parity, golden_of, verify

TRAINING = Author("clickgoose model train", "")


def release(
    trained: Trained,
    plan: Plan,
    models: Path,
    data: str = SEMI_SYNTHETIC,
    signer: Signer | None = None,
    report: Callable[[str], Report] | None = None,
) -> tuple[Path, Parity]:
    """Write ``models/<version>/`` with the report of that version, signed where a signer is given; return its parity.

    ParityError: nothing was written.

    Training twice with one seed gives the same version; the directory is then replaced by an equal one.
    """
    schema, catalogue = feature_schema(), load_catalogue()
    forest = read_forest(load_booster(trained.booster))
    facts = {"features": schema.digest(), "catalogue": catalogue.digest(), "groups": ",".join(GROUP_CODES)}
    graph = export(forest, trained.factors, trained.calibration, len(schema), facts)
    parity = verify(graph, trained.booster, trained.calibration, trained.factors, len(schema))
    golden = golden_of(load_booster(trained.booster), trained.calibration, trained.factors, len(schema)).encode()
    version = version_of(graph)
    told = report(version) if report else None
    manifest = Manifest(
        version=version,
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
        metrics={**trained.metrics, **_found(told)},
        data_window=told.window if told else None,
    )
    contents = {
        MODEL_FILE: graph,
        BOOSTER_FILE: trained.booster,
        GOLDEN_FILE: golden,
        CARD_FILE: card(manifest).encode(),
        **_told(manifest, told),
    }
    whole = msgspec.structs.replace(manifest, files={name: digest(file) for name, file in contents.items()})
    contents[MANIFEST_FILE] = msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"
    if signer is not None:
        contents[SIGNATURE_FILE] = signer.sign(contents[MANIFEST_FILE])
    return _write(models / manifest.version, contents), parity


def _found(report: Report | None) -> dict[str, Any]:
    """Return the figures of a report that training itself does not measure."""
    return {} if report is None else {"top_factor_agreement": report.told["factors"]["agreement"]}


def _told(manifest: Manifest, report: Report | None) -> dict[str, bytes]:
    """Return the files of the report: as figures, as a page, and the histograms that drift is measured with."""
    if report is None:
        return {}
    return {
        REPORT_FILE: report.encode(),
        PAGE_FILE: page(manifest.version, manifest.data, report.told).encode(),
        REFERENCE_FILE: report.reference.encode(),
    }


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
