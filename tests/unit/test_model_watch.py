"""The watch: models are swapped between batches, and a bad one never takes the place of a good one."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from flows.metrics import FlowMetrics
from infra.model_watch import ModelWatch, roles_of
from scoring.model import MODEL_FILE, ModelError
from scoring.registry import Registry
from scoring.rollout import ROLLOUT_FILE, promoted, rolled_back, shadowed
from scoring.signing import Signer, Trust
from scoring.stage import ScoreStage
from scoring.storage import DirectoryStorage, StorageAway, Stored
from tests.registry_kit import ALICE, BAD, BOB, put, registry_in, two_models
from tests.tiny_model import visitors
from tests.waiting import SECONDS, eventually

(ONE, ONE_FILES), (TWO, TWO_FILES) = two_models()


class Watched:
    """A registry of two models in a directory, and a watch of it."""

    def __init__(self, root: Path, registry: Registry | None = None, pin: str | None = None) -> None:
        self.root = root
        self.registry = registry or registry_in(root)
        self.metrics = CollectorRegistry()
        self.watch = ModelWatch(self.registry, FlowMetrics(self.metrics), 0.001, pin)

    @property
    def live(self) -> str:
        """Return the version that scores."""
        return self.watch().live.version

    def count(self, name: str) -> float:
        """Return a counter's value."""
        return self.metrics.get_sample_value(f"clickgoose_{name}_total") or 0.0

    def promote(self, version: str, percent: float = 100.0) -> None:
        """Promote without any check: what a careless hand, or half an upload, may do."""
        self.registry.change(lambda before: promoted(before, version, ALICE, percent))


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    """A watch whose live model is the first."""
    return Watched(tmp_path)


def test_a_promotion_is_taken_at_the_next_look_and_counted(watched: Watched) -> None:
    first = watched.watch()
    assert not watched.watch.look()
    watched.promote(TWO)
    assert watched.watch.look()
    assert (watched.live, first.live.version) == (TWO, ONE)
    assert watched.count("model_swaps") == 1
    assert watched.metrics.get_sample_value("clickgoose_model_info", {"version": TWO, "role": "live"}) == 1
    assert watched.metrics.get_sample_value("clickgoose_model_info", {"version": ONE, "role": "live"}) is None


def test_candidate_and_shadows_come_without_loading_the_live_model_again(watched: Watched) -> None:
    live = watched.watch().live
    watched.promote(TWO, 25)
    watched.registry.change(lambda before: shadowed(before, TWO, ALICE))  # type: ignore[arg-type]
    assert watched.watch.look()
    assert roles_of(watched.watch()) == {"live": [ONE], "candidate": [TWO], "shadow": [TWO]}
    assert watched.watch().percent == 25
    assert watched.watch().live is live
    assert watched.watch().candidate is watched.watch().shadows[0]


def test_a_rollback_is_taken_like_any_change(watched: Watched) -> None:
    watched.promote(TWO)
    watched.watch.look()
    watched.registry.change(lambda before: rolled_back(before, BOB))  # type: ignore[arg-type]
    assert watched.watch.look()
    assert watched.live == ONE


@pytest.mark.parametrize("flaw", BAD)
def test_a_bad_model_changes_nothing_and_is_said_once(
    flaw: str, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    spoil, reason = BAD[flaw]
    shutil.rmtree(watched.root / TWO)
    put(watched.root, TWO, spoil(TWO_FILES))
    before = watched.watch()
    watched.promote(TWO)
    for _ in range(20):
        assert not watched.watch.look()
    assert watched.watch() is before
    assert watched.count("model_refused") == 1
    with pytest.raises(ModelError, match=reason):
        raise ModelError(caplog.messages[0])
    assert len(caplog.messages) == 1


def test_a_model_that_nobody_trusted_signed_never_scores(tmp_path: Path) -> None:
    signer = Signer.new()
    watched = Watched(tmp_path, registry_in(tmp_path, signer, Trust((signer.public_text(),))))
    put(tmp_path, TWO, TWO_FILES, Signer.new())
    watched.promote(TWO)
    assert not watched.watch.look()
    assert (watched.live, watched.count("model_refused")) == (ONE, 1)


def test_a_model_whose_upload_is_completed_later_is_taken_then(watched: Watched) -> None:
    (watched.root / TWO / MODEL_FILE).unlink()
    watched.promote(TWO)
    assert not watched.watch.look()
    put(watched.root, TWO, TWO_FILES)
    assert any(watched.watch.look() for _ in range(5))
    assert watched.live == TWO


def test_a_bad_candidate_or_shadow_is_left_out_and_the_live_model_taken(watched: Watched) -> None:
    put(watched.root, "goose-bad", BAD["a graph cut short"][0](TWO_FILES))
    watched.promote(TWO)
    watched.promote("goose-bad", 10)
    assert watched.watch.look()
    assert roles_of(watched.watch()) == {"live": [TWO], "candidate": [], "shadow": []}
    assert (watched.watch().percent, watched.count("model_refused")) == (0, 1)


def test_a_damaged_rollout_changes_nothing(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    (watched.root / ROLLOUT_FILE).write_bytes(b'{"roles"')
    for _ in range(3):
        assert not watched.watch.look()
    (watched.root / ROLLOUT_FILE).unlink()
    assert not watched.watch.look()
    assert watched.live == ONE
    assert [message.split(":")[0] for message in caplog.messages] == [
        f"{watched.root}/rollout.json cannot be used",
        "no model is live",
    ]


def test_a_start_with_a_bad_live_model_takes_one_that_was_live_before_and_says_which(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.promote(TWO)
    (watched.root / TWO / MODEL_FILE).write_bytes(b"?")
    again = Watched(watched.root, watched.registry)
    assert again.live == ONE
    assert f"the flow scores with {ONE}, which was live before" in caplog.text
    put(watched.root, TWO, TWO_FILES)
    assert again.watch.look()
    assert again.live == TWO


def test_a_start_without_any_usable_model_is_refused_with_a_sentence(tmp_path: Path) -> None:
    registry = registry_in(tmp_path)
    (tmp_path / ONE / MODEL_FILE).write_bytes(b"?")
    with pytest.raises(ModelError, match="SHA-256"):
        Watched(tmp_path, registry)


def test_a_pinned_version_scores_whatever_the_rollout_says(tmp_path: Path) -> None:
    watched = Watched(tmp_path, pin=TWO)
    watched.watch.start()
    watched.promote(ONE)
    time.sleep(0.02)
    watched.watch.close()
    assert watched.live == TWO


class Unsteady(DirectoryStorage):
    """A storage that is away at times."""

    away = False

    def read(self, name: str) -> Stored | None:
        """Read, or be away."""
        if self.away:
            raise StorageAway("the store does not answer")
        return super().read(name)

    def directory(self, version: str) -> None:  # type: ignore[override]
        """Return none: as an object store, whose versions are fetched."""
        return None


def test_a_storage_that_is_away_changes_nothing_and_a_start_uses_what_was_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry_in(tmp_path / "root")
    storage = Unsteady(tmp_path / "root")
    registry = Registry(storage, Trust(required=False), tmp_path / "cache")
    watched = Watched(tmp_path, registry)
    storage.away = True
    for _ in range(3):
        assert not watched.watch.look()
    again = Watched(tmp_path, registry)
    assert (watched.live, again.live) == (ONE, ONE)
    assert len(caplog.messages) == 2
    storage.away = False
    watched.promote(TWO)
    assert watched.watch.look()
    assert again.watch.look()
    shutil.rmtree(tmp_path / "cache")
    storage.away = True
    with pytest.raises(StorageAway):
        Watched(tmp_path, registry)


def test_a_cache_that_cannot_be_written_keeps_no_model_from_scoring(tmp_path: Path) -> None:
    registry_in(tmp_path / "root")
    (tmp_path / "cache").write_text("a file, and no directory")
    registry = Registry(DirectoryStorage(tmp_path / "root"), Trust(required=False), tmp_path / "cache")
    watched = Watched(tmp_path, registry)
    watched.promote(TWO)
    assert watched.watch.look()
    assert watched.live == TWO


class Hanging(DirectoryStorage):
    """A storage that does not come back once it hangs."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.hang, self.asked = threading.Event(), threading.Event()

    def read(self, name: str) -> Stored | None:
        """Read, or hang."""
        if self.hang.is_set():
            self.asked.set()
            time.sleep(30)
        return super().read(name)


def test_a_storage_that_hangs_does_not_hold_up_the_end_of_a_flow(tmp_path: Path) -> None:
    registry_in(tmp_path)
    storage = Hanging(tmp_path)
    watched = Watched(tmp_path, Registry(storage, Trust(required=False)))
    storage.hang.set()
    watched.watch.start()
    assert storage.asked.wait(SECONDS)
    started = time.monotonic()
    watched.watch.close()
    assert time.monotonic() - started < 10


def swapping(watched: Watched, times: int, between: Callable[[int], None]) -> None:
    """Promote one model and the other in turn, and wait until the watch has taken each."""
    for turn in range(times):
        version = (TWO, ONE)[turn % 2]
        watched.promote(version)
        eventually(partial(_is_live, watched, version), what=f"{version} was not taken")
        between(turn)


def _is_live(watched: Watched, version: str) -> bool:
    return watched.live == version


def test_a_hundred_swaps_under_load_lose_no_row_and_mix_no_batch(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    stage, batch = ScoreStage(watched.watch), visitors(64, 9)[0]
    expected = {version: watched.registry.load(version).run(_table(batch)).score.tolist() for version in (ONE, TWO)}
    assert expected[ONE] != expected[TWO]
    put(watched.root, "goose-bad", BAD["a graph cut short"][0](TWO_FILES))
    scored: list[list[tuple[str, ...]]] = [[], []]
    wrong: list[str] = []
    done = threading.Event()

    def feed(seen: list[tuple[str, ...]]) -> None:
        while not done.wait(0.001):  # as a flow that polls: the watch gets its share of two cores
            out = stage(batch)
            section = out.oks.score
            used = tuple({section.versions[index] for index in section.model.tolist()})
            seen.append(used)
            if len(out.oks) != 64 or out.errs or out.dropped or len(used) != 1:
                wrong.append(f"{len(out.oks)} rows by {used}")
            elif section.score.tolist() != expected[used[0]]:
                wrong.append(f"scores of another model than {used[0]}")

    def publish_a_bad_one(turn: int) -> None:
        if turn == 50:
            now = watched.live
            watched.promote("goose-bad")
            eventually(lambda: watched.count("model_refused") == 1)
            assert watched.live == now

    feeders = [threading.Thread(target=feed, args=(seen,)) for seen in scored]
    watched.watch.start()
    for feeder in feeders:
        feeder.start()
    try:
        swapping(watched, 100, publish_a_bad_one)
    finally:
        done.set()
        for feeder in feeders:
            feeder.join()
        watched.watch.close()
    assert wrong == []
    assert all({(ONE,), (TWO,)} <= set(seen) for seen in scored)
    assert watched.count("model_swaps") == 100
    assert watched.count("model_refused") == 1


def _table(batch):  # type: ignore[no-untyped-def]
    from scoring.features import matrix

    return np.ascontiguousarray(matrix(batch))
