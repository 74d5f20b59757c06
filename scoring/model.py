"""A model directory, and the model that is loaded from it: checked before it is trusted.

``<version>/``: ``model.onnx`` (all that scoring needs), ``golden.npz`` (rows with what XGBoost gave for them: the graph
must give the same here), ``booster.ubj`` (what it was exported from: `model verify` compares the two), ``card.md``,
``manifest.json`` with the digests of them all, and ``manifest.sig`` where it is signed. The version is named after the
digest of ``model.onnx``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec
import onnxruntime

from schemas.batches import F32
from schemas.catalogue import load_catalogue
from scoring.evaluation import Evaluation, Verdict
from scoring.features import feature_schema
from scoring.golden import GOLDEN_FILE, Golden, beyond
from scoring.groups import GROUP_CODES
from scoring.policy import Policy
from scoring.rollout import ROLLOUT_FILE
from scoring.rollout import decode as decode_rollout
from scoring.signing import ANYBODY, SIGNATURE_FILE, BadSignature, Trust
from scoring.storage import RegistryError
from scoring.training_set import Window

MODELS = Path(__file__).parent / "models"
MODEL_FILE, BOOSTER_FILE, MANIFEST_FILE, CARD_FILE = "model.onnx", "booster.ubj", "manifest.json", "card.md"
FORMAT = 2  # of the manifest; 1 had no golden rows
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NAMED = 5  # names in one sentence


ModelError = RegistryError
"""A model cannot be used; the text is one sentence that says why and what to do."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model says of itself."""

    version: str
    features: tuple[str, ...]
    feature_digest: str
    catalogue_version: int
    catalogue_digest: str
    groups: tuple[str, ...]
    bias: float  # margin of the average event
    slope: float
    offset: float
    review: float
    deny: float
    files: dict[str, str]  # name -> SHA-256
    trees: int
    depth: int
    seed: int
    data: str
    metrics: dict[str, Any]
    data_window: Window | None = None
    format: int = FORMAT


class _Form(msgspec.Struct, frozen=True):
    """What every form of a manifest says."""

    format: int = 1


def digest(data: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def version_of(model: bytes) -> str:
    """Return the version's name."""
    return f"goose-{digest(model)[:8]}"


def current_version(models: Path = MODELS) -> str:
    """Return the version that the directory's roll-out names as live."""
    path = models / ROLLOUT_FILE
    try:
        version = decode_rollout(path.read_bytes()).roles.live
    except OSError as error:
        raise ModelError(f"no model is live: {path} cannot be read; run `clickgoose model promote VERSION`") from error
    except ValueError as error:
        raise ModelError(f"{path} cannot be used: {error}") from error
    if not (models / version).is_dir():
        raise ModelError(f"{path} names {version!r}, which is not in {models}; promote one that is")
    return version


def find_model(version: str | None = None, models: Path = MODELS) -> Path:
    """Return the directory of a version, or of the live one."""
    directory = models / (version or current_version(models))
    if not directory.is_dir():
        raise ModelError(f"model {version!r} is not in {models}; see `clickgoose model list`")
    return directory


def read_manifest(directory: Path, trust: Trust = ANYBODY) -> Manifest:
    """Read the manifest. ModelError where it is missing, damaged, of another form or not signed as trust wants."""
    try:
        data = (directory / MANIFEST_FILE).read_bytes()
        signature = (directory / SIGNATURE_FILE).read_bytes() if (directory / SIGNATURE_FILE).exists() else None
    except OSError as error:
        raise ModelError(f"{directory / MANIFEST_FILE} cannot be read; name a model directory") from error
    try:
        trust.check(directory.name, data, signature)
    except BadSignature as error:
        raise ModelError(str(error)) from error
    return decode_manifest(data, str(directory))


def decode_manifest(data: bytes, where: str) -> Manifest:
    """Return what a manifest says. ModelError where it is cut short, of another form or names files elsewhere."""
    path = f"{where}/{MANIFEST_FILE}"
    try:
        form = msgspec.json.decode(data, type=_Form).format
        if form != FORMAT:
            other = "take a newer build" if form > FORMAT else "train again"
            raise ModelError(f"{path} is of format {form}, and this build reads format {FORMAT}; {other}")
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise ModelError(f"{path} is damaged or of another form ({error}); restore it or train again") from error
    if not all(_FILE_NAME.fullmatch(name) for name in manifest.files):
        raise ModelError(f"{path} names a file outside its directory; do not use this model")
    return manifest


def read_file(directory: Path, manifest: Manifest, name: str) -> bytes:
    """Read a file of the model and compare its digest with the manifest's."""
    try:
        data = (directory / name).read_bytes()
    except OSError as error:
        raise ModelError(f"{directory / name} cannot be read; restore the model directory") from error
    if digest(data) != manifest.files.get(name):
        raise ModelError(f"{directory / name} is not the file that the manifest names (SHA-256); restore it")
    return data


def check_fit(manifest: Manifest) -> None:
    """Refuse a model that was trained on other features or explains by other groups than this build's."""
    expected = feature_schema()
    if manifest.feature_digest != expected.digest() or manifest.features != expected.names:
        names = _differ(manifest.features, expected.names)
        raise ModelError(f"model {manifest.version} was trained on other features: {names}; train again")
    if manifest.groups != GROUP_CODES:
        names = _differ(manifest.groups, GROUP_CODES)
        raise ModelError(f"model {manifest.version} explains by other factor groups: {names}; train again")
    if manifest.catalogue_digest != load_catalogue().digest():
        raise ModelError(f"model {manifest.version} was trained on another signal catalogue; train again")


def check_golden(directory: Path, manifest: Manifest, session: onnxruntime.InferenceSession) -> Evaluation:
    """Return the evaluation of a graph that gives here what XGBoost gave for the golden rows, in both its forms.

    ModelError where the graph's operators give something else, or its tables something else than its operators.
    """
    try:
        golden = Golden.decode(read_file(directory, manifest, GOLDEN_FILE))
        evaluation = Evaluation.of(session)
        wrong = beyond(golden.differences(session)) or beyond(evaluation.differences(session, golden.rows), "the graph")
    except ModelError:
        raise
    except Exception as error:  # ONNX Runtime raises its own classes, which have no common public base
        raise ModelError(f"the golden rows of {manifest.version} cannot be run ({error}); restore it") from error
    if wrong:
        raise ModelError(f"model {manifest.version} computes otherwise on this machine: {wrong}; do not use it here")
    return evaluation


def _differ(theirs: Sequence[str], ours: Sequence[str]) -> str:
    known, wanted = set(ours), set(theirs)
    parts = [
        f"{what} {', '.join(names[:_NAMED])}{f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''}"
        for what, names in (
            ("it needs", [name for name in theirs if name not in known]),
            ("it lacks", [name for name in ours if name not in wanted]),
        )
        if names
    ]
    return "; ".join(parts) or "the same names in another order"


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A loaded model. It pickles as its directory, and is checked again when it is loaded there."""

    directory: Path
    manifest: Manifest
    session: onnxruntime.InferenceSession
    evaluation: Evaluation  # the same trees as the session's, compiled

    @classmethod
    def load(cls, directory: Path, trust: Trust = ANYBODY) -> Self:
        """Load and check a model directory. ModelError says in one sentence why it is refused."""
        manifest = read_manifest(directory, trust)
        check_fit(manifest)
        data = read_file(directory, manifest, MODEL_FILE)
        if manifest.version != version_of(data):
            raise ModelError(
                f"{directory} calls itself {manifest.version}, but its graph is {version_of(data)}; restore it"
            )
        session = open_session(data)
        return cls(directory, manifest, session, check_golden(directory, manifest, session))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by directory."""
        return (type(self).load, (self.directory,))

    @property
    def version(self) -> str:
        """Return the version's name."""
        return self.manifest.version

    @property
    def policy(self) -> Policy:
        """Return the thresholds that the model was measured at, with the usual margin."""
        return Policy.usual(self.manifest.review, self.manifest.deny)

    def run(self, features: F32) -> Verdict:
        """Score float32[n, F]."""
        return self.evaluation(features)

    def score(self, features: F32) -> F32:
        """Score float32[n, F] without factors: float32[n], 0 to 100, the same as of ``run``."""
        return self.evaluation.score(features)


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """Return a session on one thread: the flow runs one process a core, and sums keep their order."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own classes, which have no common public base
        raise ModelError(f"the graph cannot be loaded ({type(error).__name__}); restore it or train again") from error
