"""Every figure of a comparison against a plain loop over the same events."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from scoring import compare, metrics
from scoring.compare import FactorChanges, Pairs, agreement_of, changed_events, flips_of, scores_of
from scoring.compare_labelled import FEWEST_SESSIONS, labelled
from scoring.comparison import Cost, summarize
from scoring.gate import MEASURES, METRICS
from scoring.policy import decide
from tests.compared import MERCHANTS, some_events, some_pairs, some_scores, unweighted

PAIRS = some_pairs(700, 1)
NO_COST = Cost(None, None)


def repeated(pairs: Pairs, times: int = 2) -> Pairs:
    """Return pairs whose weights are told by repeating rows: all are multiples of a half."""
    return unweighted(pairs.take(np.repeat(np.arange(len(pairs)), (pairs.weight * times).astype(int))))


def test_decisions_are_those_of_each_event_alone() -> None:
    events, score = some_events(200, 3), some_scores(some_events(200, 3), 4, 30)
    found = compare.decisions(events, score)
    for row in range(200):
        limits = (events.review[row], events.deny[row], events.margin[row], events.before[row])
        assert found[row] == decide(score[row], *limits)
    assert set(found.tolist()) == {0, 1, 2}


def test_flips_are_those_of_a_plain_loop() -> None:
    found, expected = flips_of(PAIRS), np.zeros((3, 3))
    by_merchant = {name: np.zeros((3, 3)) for name in MERCHANTS}
    for row in range(len(PAIRS)):
        cell = PAIRS.decided_a[row], PAIRS.decided_b[row]
        expected[cell] += PAIRS.weight[row]
        by_merchant[PAIRS.merchant[row]][cell] += PAIRS.weight[row]
    assert found["matrix"] == expected.tolist()
    assert found["share"] == pytest.approx(1 - np.trace(expected) / expected.sum())
    stricter = sum(expected[a, b] for a in range(3) for b in range(3) if b > a)
    assert found["stricter_share"] == pytest.approx(stricter / expected.sum())
    assert found["milder_share"] + found["stricter_share"] == pytest.approx(found["share"])
    assert {part["name"]: part["matrix"] for part in found["by_merchant"]} == {
        name: matrix.tolist() for name, matrix in by_merchant.items()
    }
    flips = [part["share"] * part["events"] for part in found["by_merchant"]]
    assert flips == sorted(flips, reverse=True)
    assert sum(part["events"] for part in found["by_event_type"]) == PAIRS.weight.sum()


def test_a_part_with_few_rows_says_nothing_to_a_gate() -> None:
    found = flips_of(PAIRS)
    rows = {part["name"]: part["rows"] for part in found["by_merchant"]}
    assert rows["third"] < compare.SMALLEST_PART < rows["other"]
    spoken = [part["share"] for part in found["by_merchant"] if part["name"] != "third"]
    assert found["largest_merchant_share"] == max(spoken)
    assert flips_of(PAIRS.take(np.arange(60)))["largest_merchant_share"] is None


def test_scores_are_weighted_as_repeated_rows_are() -> None:
    found, again = scores_of(PAIRS), scores_of(repeated(PAIRS))
    for side in ("a", "b"):
        assert found[side]["mean"] == pytest.approx(again[side]["mean"])
        assert found[side]["quantiles"] == again[side]["quantiles"]
        assert 2 * np.array(found["histogram"][side]) == pytest.approx(np.array(again["histogram"][side]))
    assert found["a"]["quantiles"]["p50"] == np.sort(repeated(PAIRS).a)[len(repeated(PAIRS)) // 2 - 1]
    assert np.sum(found["joint"]) == PAIRS.weight.sum()
    assert np.sum(found["joint"], axis=1) == pytest.approx(np.array(found["histogram"]["a"]).reshape(25, 2).sum(axis=1))


def test_correlations_are_those_of_scipy() -> None:
    once = unweighted(PAIRS)
    found = agreement_of(once)
    assert found["pearson"] == pytest.approx(stats.pearsonr(once.a, once.b).statistic)
    assert found["spearman"] == pytest.approx(stats.spearmanr(once.a, once.b).statistic)
    assert agreement_of(PAIRS)["spearman"] == pytest.approx(agreement_of(repeated(PAIRS))["spearman"])
    assert found["mean_abs_difference"] == pytest.approx(np.abs(once.b - once.a).mean())
    assert found["max_abs_difference"] == np.abs(once.b - once.a).max()


def test_a_model_that_says_one_thing_has_no_correlation() -> None:
    flat = replace(PAIRS, a=np.full(len(PAIRS), 7, np.float32))
    assert agreement_of(flat)["pearson"] is None and agreement_of(flat)["spearman"] is None


def test_the_most_changed_events_come_first_and_say_nothing_of_who_it_was() -> None:
    found = changed_events(PAIRS)
    sizes = [abs(one["b"] - one["a"]) for one in found]
    assert sizes == sorted(np.abs(PAIRS.b - PAIRS.a).tolist(), reverse=True)[: compare.EVENTS_SHOWN]
    assert set(found[0]) == {
        "event", "merchant", "event_type", "occurred_at", "a", "b", "decided_a", "decided_b", "label",
    }  # fmt: skip
    rows = {row.tobytes().hex(): place for place, row in enumerate(PAIRS.event_id)}
    assert [one["a"] for one in found] == [PAIRS.a[rows[one["event"]]] for one in found]
    assert changed_events(Pairs.of(PAIRS, PAIRS.a, PAIRS.a)) == []


def test_factors_are_summed_over_batches_as_a_plain_loop_does() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(0, 1, (2, 300, 4))
    a[:40] = -1
    weight = rng.choice([1.0, 3.0], 300)
    changes = FactorChanges("wxyz")
    for chunk in (slice(0, 130), slice(130, 300)):
        changes.add(a[chunk], b[chunk], weight[chunk])
    total, same = weight.sum(), 0.0
    top: dict[str, float] = dict.fromkeys("wxyz", 0.0)
    for row in range(300):
        best_a = int(a[row].argmax()) if a[row].max() > 0 else None
        best_b = int(b[row].argmax()) if b[row].max() > 0 else None
        same += weight[row] * (best_a == best_b)
        if best_a is not None:
            top["wxyz"[best_a]] += weight[row]
    assert changes.top_agreement == pytest.approx(same / total)
    table = changes.table()
    sizes = [one["mean_abs_change"] for one in table]
    assert sizes == sorted(sizes, reverse=True)
    for one in table:
        column = "wxyz".index(one["factor"])
        assert one["mean_abs_change"] == pytest.approx((weight * np.abs(b - a)[:, column]).sum() / total)
        assert one["mean_b"] == pytest.approx((weight * b[:, column]).sum() / total)
        assert one["top_share_a"] == pytest.approx(top[one["factor"]] / total)


@pytest.mark.parametrize("seed", range(4))
def test_measures_on_labels_are_those_of_the_metrics(seed: int) -> None:
    pairs = some_pairs(400, 10 + seed)
    known = pairs.take(np.flatnonzero(pairs.label >= 0))
    fraud, found = known.label == 1, labelled(pairs, replicates=20)
    for side, score, decided in (("a", known.a, known.decided_a), ("b", known.b, known.decided_b)):
        values = {name: getattr(one, side) for name, one in found.items()}
        for least, name in ((1, "review"), (2, "deny")):
            hit = decided >= least
            assert values[f"precision_{name}"] == pytest.approx(metrics.share(fraud, hit, known.weight))
            assert values[f"recall_{name}"] == pytest.approx(metrics.share(hit, fraud, known.weight))
            assert values[f"fpr_{name}"] == pytest.approx(metrics.share(hit, ~fraud, known.weight))
        assert values["roc_auc"] == pytest.approx(metrics.roc_auc(known.label, score, known.weight))
        assert values["pr_auc"] == pytest.approx(metrics.pr_auc(known.label, score, known.weight))
        assert values["recall_at_1pct_fpr"] == pytest.approx(metrics.recall_at(known.label, score, 0.01, known.weight))
        error = metrics.calibration_error(known.label, score.astype(np.float64) / 100, known.weight)
        assert values["calibration_error"] == pytest.approx(error)


def test_intervals_are_those_of_drawing_whole_sessions_one_by_one() -> None:
    pairs = some_pairs(300, 30)
    found = labelled(pairs, seed=5, replicates=60)
    known = pairs.take(np.flatnonzero(pairs.label >= 0))
    sessions = np.unique(known.session)
    rng, deltas = np.random.default_rng(5), []
    for _ in range(60):
        drawn = sessions[rng.integers(0, len(sessions), len(sessions))]
        rows = np.concatenate([np.flatnonzero(known.session == one) for one in drawn.tolist()])
        one = known.take(rows)
        deltas.append(metrics.pr_auc(one.label, one.b, one.weight) - metrics.pr_auc(one.label, one.a, one.weight))
    low, high = np.quantile(deltas, (0.025, 0.975))
    assert (found["pr_auc"].low, found["pr_auc"].high) == (pytest.approx(low), pytest.approx(high))
    assert found["pr_auc"].low < found["pr_auc"].delta < found["pr_auc"].high  # type: ignore[operator]


def test_the_same_seed_gives_the_same_intervals_however_many_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    once = labelled(PAIRS, seed=9, replicates=50)
    monkeypatch.setattr("scoring.compare_labelled._AT_ONCE", 3 * len(PAIRS))
    assert labelled(PAIRS, seed=9, replicates=50) == once
    assert labelled(PAIRS, seed=10, replicates=50) != once


def test_sessions_of_many_events_widen_the_interval() -> None:
    alone = replace(PAIRS, session=np.arange(len(PAIRS), dtype=np.uint64))
    # the same events, each ten times, in one session or in sessions of their own
    rows = np.repeat(np.arange(len(PAIRS)), 10)
    together, apart = alone.take(rows), replace(alone.take(rows), session=np.arange(len(rows), dtype=np.uint64))
    width = {
        name: one.high - one.low  # type: ignore[operator]
        for name, one in (
            ("together", labelled(together, replicates=60)["pr_auc"]),
            ("apart", labelled(apart, replicates=60)["pr_auc"]),
        )
    }
    assert width["together"] > 2 * width["apart"]


def test_few_sessions_give_no_interval_and_no_labels_no_measure() -> None:
    few = replace(PAIRS, session=PAIRS.session % np.uint64(FEWEST_SESSIONS - 1))
    one = labelled(few)["roc_auc"]
    assert one.delta is not None and (one.low, one.high) == (None, None)
    none = labelled(replace(PAIRS, label=np.full(len(PAIRS), -1, np.int8)))
    assert set(none) == set(MEASURES) and all(value is None for one in none.values() for value in one)


def test_labels_of_one_kind_alone_leave_without_value_what_needs_both() -> None:
    genuine = replace(PAIRS, label=np.where(PAIRS.label == 1, -1, PAIRS.label).astype(np.int8))
    found = labelled(genuine, replicates=20)
    for name in ("recall_review", "roc_auc", "pr_auc", "recall_at_1pct_fpr"):
        assert found[name] == (None, None, None, None, None), name
    assert found["fpr_review"].a is not None and found["fpr_review"].low is not None
    assert summarize(genuine, FactorChanges("w"), asked=1, cost=NO_COST).figures["curves"] is None


def test_a_summary_is_plain_json_and_has_a_value_or_none_for_every_metric() -> None:
    found = summarize(PAIRS, FactorChanges("w"), asked=2 * float(PAIRS.weight.sum()), cost=Cost(4.0, 5.5))
    json.dumps(found.figures, allow_nan=False)
    assert list(found.values) == list(METRICS)
    assert found.values["scored_share"] == 0.5
    assert found.values["cost_us.delta"] == 1.5
    assert found.values["top_factor_agreement"] is None
    assert found.values["score.psi"] == pytest.approx(naive_psi(), rel=1e-3)
    for name, one in found.values.items():
        assert one is None or math.isfinite(one), name
    assert found.values["recall_deny.delta"] == pytest.approx(
        found.values["recall_deny.b"] - found.values["recall_deny.a"]  # type: ignore[operator]
    )


def naive_psi() -> float:
    total, found = PAIRS.weight.sum(), 0.0
    for low in range(0, 100, 5):
        inside = [(score >= low) & ((score < low + 5) | (low == 95)) for score in (PAIRS.a, PAIRS.b)]
        p, q = (max(float(PAIRS.weight[one].sum() / total), 1e-4) for one in inside)
        found += (q - p) * math.log(q / p)
    return found
