from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest

from flows.stages.decode import Decode
from flows.stages.normalize import Normalize
from flows.stages.verify_mask import VerifyMask
from infra.traffic.attackers import ATTACKERS, UNSCORED
from infra.traffic.dataset import SPAN_MS, START_MS, dataset_keys, labelled_batches
from infra.traffic.scenario import Mix
from schemas.environment import CHECKS
from schemas.sealed import Codec


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, again, other = (list(labelled_batches(300, seed, small=True)) for seed in (5, 5, 6))
    assert [made.raw.values for made in first] == [made.raw.values for made in again]
    assert [made.kinds for made in first] == [made.kinds for made in again]
    assert [made.campaigns.tolist() for made in first] == [made.campaigns.tolist() for made in again]
    assert first[0].raw.values[0] != other[0].raw.values[0]


def test_batches_are_whole_and_offsets_rise_by_one() -> None:
    batches = [made.raw for made in labelled_batches(600, 1, 256, small=True)]
    assert [len(batch) for batch in batches] == [256, 256, 88]
    offsets = np.concatenate([batch.origin.offset for batch in batches])
    assert (offsets == np.arange(600)).all()
    assert all((batch.origin.partition == 0).all() for batch in batches)


def test_event_times_rise_over_about_a_week() -> None:
    out = [Decode(dataset_keys())(made.raw).oks for made in labelled_batches(1_500, 2, small=True)]
    times = np.concatenate([decoded.event.occurred_at for decoded in out])
    assert (np.diff(times) >= 0).all()
    assert times[0] >= START_MS
    assert 0.4 * SPAN_MS < times[-1] - times[0] < 2.5 * SPAN_MS


def test_events_come_at_the_paces_that_are_asked_for_one_after_the_other() -> None:
    paces = (9.0, 480.0, 9.0)
    out = [made.raw for made in labelled_batches(3_000, 2, 250, small=True, paces=paces)]
    times = np.concatenate([batch.origin.appended_at for batch in out])
    assert len(times) == 3_000
    minutes = [np.ptp(times[first : first + 1_000]) / 60_000 for first in (0, 1_000, 2_000)]
    assert 60 < minutes[0] < 300 and 20 < minutes[2] < 300  # 111 at 9 a minute; who came before stays a while
    assert 1 < minutes[1] < 8


def test_every_event_passes_the_stages_that_refuse_and_labels_fit_kinds() -> None:
    decode, verify, normalize = Decode(dataset_keys()), VerifyMask(), Normalize()
    kinds: Counter[str] = Counter()
    for made in labelled_batches(2_000, 3):
        for stage_out in ((decoded := decode(made.raw)), (verified := verify(decoded.oks)), normalize(verified.oks)):
            assert not stage_out.errs
        assert made.labels.dtype == np.int8
        assert [bool(label) for label in made.labels] == [name != "honest" for name in made.kinds]
        kinds.update(made.kinds)
    assert set(kinds) <= {"honest", *ATTACKERS} - set(UNSCORED)
    assert 0.75 < kinds["honest"] / 2_000 < 0.97


def test_a_campaign_has_a_number_of_its_own_and_who_does_not_attack_has_none() -> None:
    kinds: dict[int, set[str]] = defaultdict(set)
    events: Counter[int] = Counter()
    for made in labelled_batches(3_000, 6, small=True, mix=Mix(attacks=0.2)):
        assert made.campaigns.dtype == np.int64
        for campaign, kind in zip(made.campaigns.tolist(), made.kinds, strict=True):
            kinds[campaign].add(kind)
            events[campaign] += 1
    assert kinds.pop(-1) == {"honest", "malformed", "retrier"}
    assert all(len(names) == 1 and names <= set(ATTACKERS) for names in kinds.values())
    assert len(kinds) > 40 and max(events[campaign] for campaign in kinds) > 15


def test_honest_events_fail_no_check_but_those_of_privacy_browsers_and_second_cards() -> None:
    decode, verify, normalize = Decode(dataset_keys()), VerifyMask(), Normalize()
    failed: Counter[str] = Counter()
    for made in labelled_batches(1_200, 4, small=True, mix=Mix(attacks=0.0, nuisances=0.0)):
        checks = normalize(verify(decode(made.raw).oks).oks).oks.environment.checks
        failed.update(name for bit, name in enumerate(CHECKS) for _ in range(int((checks >> bit & 1).sum())))
    assert set(failed) <= {"canvas_readback_failed", "canvas_unstable", "worker_gpu_contradicts_page"}
    assert failed["worker_gpu_contradicts_page"] < 40  # laptops with two cards
    assert failed["canvas_unstable"] < 60


@pytest.mark.parametrize("codec", [Codec.RAW, Codec.DEFLATE_RAW, Codec.LZ4])
def test_a_codec_can_be_chosen(codec: Codec) -> None:
    (made,) = labelled_batches(40, 1, small=True, codecs={codec: 1.0})
    assert len(Decode(dataset_keys())(made.raw).oks) == 40


def test_an_attacker_can_be_chosen_and_a_wrong_name_is_refused() -> None:
    (made,) = labelled_batches(30, 1, small=True, mix=Mix(1.0, 0.0, kinds=("spoofer",)))
    assert set(made.kinds) == {"spoofer"}
    assert made.labels.all()
    with pytest.raises(ValueError, match="no such kind of traffic: goblin"):
        Mix(kinds=("goblin",))


def test_the_bytes_do_not_depend_on_the_process() -> None:
    digests = {_digest_in_a_fresh_process(hash_seed) for hash_seed in ("1", "2")}
    assert len(digests) == 1


def _digest_in_a_fresh_process(hash_seed: str) -> str:
    code = (
        "import hashlib; from infra.traffic.dataset import labelled_batches;"
        "rows = [value for made in labelled_batches(300, 8, small=True) for value in made.raw.values];"
        "print(hashlib.sha256(b''.join(rows)).hexdigest())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()
