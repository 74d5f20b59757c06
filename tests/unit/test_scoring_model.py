"""Release, loading and refusal, the stage, the policy and the explanations."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from schemas.batches import Scored
from schemas.result import DECISIONS
from scoring.deployment import only
from scoring.explain import Explainer
from scoring.features import matrix
from scoring.golden import GOLDEN_FILE
from scoring.groups import GROUP_CODES, GROUPS
from scoring.model import (
    BOOSTER_FILE,
    CARD_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    MODELS,
    Manifest,
    Model,
    ModelError,
    current_version,
    digest,
    find_model,
    read_manifest,
)
from scoring.policy import Policy
from scoring.release import name_current, release, verify_directory
from scoring.stage import ScoreStage
from scoring.verify import ParityError
from tests.builders import enriched
from tests.tiny_model import TINY, tiny_model, visitors


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released tiny model that no test changes."""
    return release(tiny_model(), TINY, tmp_path_factory.mktemp("models"))[0]


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Path]:
    """A released tiny model to break."""
    yield release(tiny_model(), TINY, tmp_path)[0]


def rewrite(directory: Path, **changes: object) -> None:
    """Change fields of a manifest."""
    manifest = read_manifest(directory)
    (directory / MANIFEST_FILE).write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, **changes)))


def test_a_release_holds_all_files_and_is_named_after_its_graph(shipped: Path) -> None:
    files = {MODEL_FILE, BOOSTER_FILE, GOLDEN_FILE, MANIFEST_FILE, CARD_FILE}
    assert {path.name for path in shipped.iterdir()} >= files
    model = Model.load(shipped)
    assert model.version == shipped.name == f"goose-{model.manifest.files[MODEL_FILE][:8]}"
    assert "Semi-synthetic" in (shipped / CARD_FILE).read_text("utf-8")


def test_releasing_twice_gives_the_same_version(shipped: Path) -> None:
    before = (shipped / MODEL_FILE).read_bytes()
    again, _ = release(tiny_model(), TINY, shipped.parent)
    assert again == shipped
    assert (again / MODEL_FILE).read_bytes() == before


def test_a_release_that_fails_its_check_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ParityError("differs")

    monkeypatch.setattr("scoring.release.verify", refuse)
    with pytest.raises(ParityError):
        release(tiny_model(), TINY, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_model_verifies_and_pickles(shipped: Path) -> None:
    manifest, parity = verify_directory(shipped)
    assert parity.margin < 1e-5
    copy = pickle.loads(pickle.dumps(Model.load(shipped)))  # noqa: S301 - our own bytes
    assert copy.version == manifest.version


def test_other_features_are_refused_with_the_names_that_differ(broken: Path) -> None:
    names = read_manifest(broken).features
    rewrite(broken, features=("weather.rain", *names[1:]))
    with pytest.raises(ModelError, match=rf"it needs weather\.rain; it lacks {names[0]}"):
        Model.load(broken)


def test_many_differing_names_are_counted_and_order_is_told(broken: Path) -> None:
    names = read_manifest(broken).features
    rewrite(broken, features=names[8:])
    with pytest.raises(ModelError, match="and 3 more"):
        Model.load(broken)
    rewrite(broken, features=names[::-1])
    with pytest.raises(ModelError, match="the same names in another order"):
        Model.load(broken)


def test_other_groups_and_another_catalogue_are_refused(broken: Path) -> None:
    rewrite(broken, groups=(*GROUP_CODES, "weather"))
    with pytest.raises(ModelError, match="other factor groups: it needs weather"):
        Model.load(broken)
    rewrite(broken, groups=GROUP_CODES, catalogue_digest="0")
    with pytest.raises(ModelError, match="another signal catalogue"):
        Model.load(broken)


def test_a_corrupt_graph_is_refused(broken: Path) -> None:
    data = bytearray((broken / MODEL_FILE).read_bytes())
    data[len(data) // 2] ^= 1
    (broken / MODEL_FILE).write_bytes(data)
    with pytest.raises(ModelError, match="SHA-256"):
        Model.load(broken)


def test_a_graph_that_no_runtime_reads_is_refused(broken: Path) -> None:
    (broken / MODEL_FILE).write_bytes(b"not a graph")
    wrong = digest(b"not a graph")
    rewrite(broken, files={MODEL_FILE: wrong}, version=f"goose-{wrong[:8]}")
    with pytest.raises(ModelError, match="the graph cannot be loaded"):
        Model.load(broken)


def test_a_renamed_version_is_refused(broken: Path) -> None:
    rewrite(broken, version="goose-00000000")
    with pytest.raises(ModelError, match="calls itself goose-00000000"):
        Model.load(broken)


@pytest.mark.parametrize("keep", [0, 1, 200])
def test_a_truncated_manifest_is_refused(broken: Path, keep: int) -> None:
    path = broken / MANIFEST_FILE
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"manifest\.json is damaged"):
        Model.load(broken)


def test_a_newer_manifest_format_is_refused(broken: Path) -> None:
    rewrite(broken, format=3)
    with pytest.raises(ModelError, match="format 3"):
        Model.load(broken)


def test_missing_files_are_named(broken: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="name a model directory"):
        Model.load(tmp_path)
    (broken / MODEL_FILE).unlink()
    with pytest.raises(ModelError, match=r"model\.onnx cannot be read"):
        Model.load(broken)


def test_the_default_version_is_named_in_a_file(broken: Path) -> None:
    models = broken.parent
    with pytest.raises(ModelError, match="no model is live"):
        find_model(models=models)
    name_current(models, broken.name)
    assert find_model(models=models) == broken
    name_current(models, "goose-gone")
    with pytest.raises(ModelError, match="which is not in"):
        current_version(models)
    with pytest.raises(ModelError, match="model 'nope' is not in"):
        find_model("nope", models)


def test_the_shipped_model_loads_and_verifies() -> None:
    manifest, parity = verify_directory(find_model())
    assert manifest.version == current_version(MODELS)
    assert parity.margin < 1e-5


def scored(shipped: Path, rows: int = 60) -> Scored:
    """Return a scored batch."""
    return ScoreStage(only(Model.load(shipped)))(visitors(rows, 9)[0]).oks


def test_the_stage_scores_every_row(shipped: Path) -> None:
    batch = visitors(60, 9)[0]
    out = ScoreStage(only(Model.load(shipped)))(batch)
    score = out.oks.score
    assert (len(out.oks), list(out.errs), out.dropped) == (60, [], 0)
    assert ((score.score > 0) & (score.score < 100)).all()
    assert score.factor.shape == score.contribution.shape == (60, 5)
    assert (score.factor.dtype, score.contribution.dtype, score.model.dtype) == (np.int8, np.float32, np.uint8)
    assert ((score.factor >= 0) == (score.contribution > 0)).all()
    assert (np.diff(score.contribution, axis=1) <= 0).all()
    assert out.oks.signals is batch.signals


@pytest.mark.parametrize("rows", [0, 1])
def test_the_stage_takes_empty_and_one_row_batches(shipped: Path, rows: int) -> None:
    assert len(ScoreStage(only(Model.load(shipped)))(enriched([{}] * rows)).oks.score) == rows


def test_the_stage_pickles_and_row_order_changes_nothing(shipped: Path) -> None:
    stage = pickle.loads(pickle.dumps(ScoreStage(only(Model.load(shipped)))))  # noqa: S301 - our own bytes
    batch = visitors(40, 9)[0]
    whole = stage(batch).oks.score
    turned = stage(batch.take(np.arange(39, -1, -1))).oks.score
    assert turned.score.tobytes() == whole.score[::-1].tobytes()
    assert (turned.factor == whole.factor[::-1]).all()


def test_a_threshold_belongs_to_the_stricter_side() -> None:
    below = np.nextafter(np.float32(40), np.float32(0))
    found = Policy(40, 80).decide(np.array([0, below, 40, 79.99, 80, 100], np.float32))
    assert [DECISIONS[code] for code in found] == ["allow", "allow", "review", "review", "deny", "deny"]


@pytest.mark.parametrize(("review", "deny"), [(0, 80), (80, 40), (40, 40), (40, 101)])
def test_a_policy_that_decides_nothing_is_refused(review: float, deny: float) -> None:
    with pytest.raises(ValueError, match="must rise"):
        Policy(review, deny)


def test_a_score_that_is_no_number_is_never_allowed() -> None:
    with pytest.raises(ValueError, match="the model is broken"):
        Policy().decide(np.array([np.nan], np.float32))


def test_factors_carry_code_sentence_and_share(shipped: Path) -> None:
    batch = scored(shipped)
    explained = Explainer()(batch)
    assert len(explained) == 60
    for factors, codes in zip(explained, batch.score.factor.tolist(), strict=True):
        assert [factor.code for factor in factors] == [GROUP_CODES[code] for code in codes if code >= 0]
        assert all(factor.contribution > 0 and factor.text for factor in factors)
        shares = [factor.contribution for factor in factors]
        assert shares == sorted(shares, reverse=True)


def test_a_fast_device_is_explained_by_its_count(shipped: Path) -> None:
    batch, _ = visitors(200, 9)
    out = ScoreStage(only(Model.load(shipped)))(batch).oks
    fast = int(np.argmax(batch.velocity.events_5m))
    texts = {factor.code: factor.text for factor in Explainer()(out)[fast]}
    assert texts["high_velocity"] == f"{batch.velocity.events_5m[fast]} events from this device in 5 minutes"


def test_the_manifest_is_read_back_as_it_was_written(shipped: Path) -> None:
    manifest = read_manifest(shipped)
    assert isinstance(manifest, Manifest)
    assert manifest.trees == tiny_model().trees
    assert manifest.metrics == tiny_model().metrics
    assert len(matrix(enriched([{}]))[0]) == len(manifest.features)
    assert len(GROUPS) == len(manifest.groups)
