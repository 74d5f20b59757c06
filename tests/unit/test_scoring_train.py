"""Training, calibration, metrics, export and parity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import xgboost

from scoring.export import export
from scoring.features import feature_schema
from scoring.groups import GROUP_CODES, feature_groups
from scoring.leaf_factors import leaf_factors
from scoring.metrics import calibration_error, measure, pr_auc, recall_at, roc_auc, threshold_at
from scoring.model import open_session
from scoring.train import Calibration, monotone, platt, train
from scoring.trees import base_margin, load_booster, read_forest, thresholds
from scoring.verify import ParityError, golden_rows, measure_parity, verify
from tests.tiny_model import TINY, tiny_model, tiny_set

GROUPS, FEATURES = len(GROUP_CODES), len(feature_schema())


def graph_of(calibration: Calibration | None = None) -> bytes:
    """Return the tiny model's graph."""
    trained = tiny_model()
    forest = read_forest(load_booster(trained.booster))
    return export(forest, trained.factors, calibration or trained.calibration, FEATURES, {"made": "for a test"})


def test_the_same_seed_gives_the_same_bytes_twice() -> None:
    again = train(tiny_set(), TINY)
    assert again.booster == tiny_model().booster
    assert again.calibration == tiny_model().calibration
    assert train(tiny_set(), replace(TINY, seed=4)).booster != again.booster


def test_training_tells_the_rounds_and_finds_the_attackers() -> None:
    told: list[tuple[str, int, int]] = []
    trained = train(tiny_set(), replace(TINY, trees=3), lambda *step: told.append(step))
    assert told == [("growing trees", done, 3) for done in (1, 2, 3)]
    assert trained.trees == 3
    assert tiny_model().metrics["roc_auc"] > 0.8
    assert set(tiny_model().metrics["recall_by_attacker"]) == {"bot"}
    gains = tiny_model().metrics["gain_by_feature"]
    assert list(gains.values()) == sorted(gains.values(), reverse=True)
    assert 0 < sum(gains.values()) <= 1.001


def test_a_split_without_both_labels_is_refused() -> None:
    data = tiny_set()
    with pytest.raises(ValueError, match="lacks fraud or honest"):
        train(replace(data, labels=np.zeros_like(data.labels)), TINY)


def test_more_of_what_is_risky_never_lowers_the_score() -> None:
    signs = dict(zip(tiny_set().names, monotone(tiny_set().names), strict=True))
    assert signs["velocity.events_5m"] == signs["smart.bot.confidence"] == 1
    assert signs["shared.account_devices_1h"] == signs["session.declined"] == 1
    assert signs["shared.network_devices_1h"] == signs["velocity.accounts_1h"] == 0
    assert signs["smart.virtual_machine"] == signs["screen.width"] == 0
    rows = np.repeat(tiny_set().features[:50], 2, axis=0)
    column = tiny_set().names.index("velocity.events_5m")
    rows[1::2, column] += 100
    margins = load_booster(tiny_model().booster).inplace_predict(rows, predict_type="margin")
    assert (margins[1::2] >= margins[::2]).all()


def test_platt_finds_the_map_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    margins = rng.normal(0, 3, 20_000)
    labels = (rng.random(20_000) < 1 / (1 + np.exp(-(0.7 * margins - 1.0)))).astype(np.int8)
    found = platt(margins, labels, np.ones(20_000))
    assert (found.slope, found.offset) == (pytest.approx(0.7, abs=0.05), pytest.approx(-1.0, abs=0.08))


def test_platt_converges_on_separable_margins_and_refuses_reversed_ones() -> None:
    margins, labels = np.array([-9.0, -8.0, 8.0, 9.0] * 30), np.array([0, 0, 1, 1] * 30, np.int8)
    assert platt(margins, labels, np.ones(120)).slope > 0
    with pytest.raises(ValueError, match="backwards"):
        platt(-margins, labels, np.ones(120))


def test_metrics_agree_with_hand_counted_ones() -> None:
    labels = np.array([0, 0, 1, 1, 0, 1], np.int8)
    scores = np.array([0.1, 0.2, 0.2, 0.8, 0.3, 0.9])
    assert roc_auc(labels, scores) == pytest.approx(7.5 / 9)
    assert pr_auc(labels, scores) == pytest.approx(1 / 3 + 1 / 3 + 1 / 3 * 3 / 5)
    assert threshold_at(labels, scores, 0.0) == 0.8
    assert recall_at(labels, scores, 0.0) == pytest.approx(2 / 3)
    assert threshold_at(labels, np.zeros(6), 0.0) == float("inf")
    assert calibration_error(labels, np.full(6, 0.5)) == pytest.approx(0.0)
    assert calibration_error(labels, np.ones(6)) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="both labels"):
        roc_auc(np.ones(3, np.int8), np.ones(3))


def test_recall_is_given_by_attacker() -> None:
    found = measure(np.array([0, 1, 1], np.int8), np.array([1.0, 90.0, 2.0]), ["honest", "stuffing", "farm"], 40.0)
    assert found["recall_by_attacker"] == {"farm": 0.0, "stuffing": 1.0}
    assert found["recall"] == 0.5


def test_the_graph_scores_like_xgboost_also_at_thresholds_and_without_values() -> None:
    trained = tiny_model()
    parity = verify(graph_of(), trained.booster, trained.calibration, trained.factors, FEATURES)
    assert parity.margin < 1e-5
    assert parity.contribution < 1e-5
    assert parity.sum_of_contributions < 1e-5


def test_golden_rows_hit_thresholds_their_neighbours_and_nan() -> None:
    booster = load_booster(tiny_model().booster)
    rows = golden_rows(booster, FEATURES)
    assert np.isnan(rows[0]).all()
    assert rows.tobytes() == golden_rows(booster, FEATURES).tobytes()
    for column, borders in enumerate(thresholds(read_forest(booster), FEATURES)):
        for border in borders:
            assert (rows[:, column] == border).any()
            assert (rows[:, column] == np.nextafter(border, np.float32(-np.inf))).any()


@pytest.mark.parametrize(
    ("attribute", "change"),
    [
        ("nodes_modes", lambda values: [b"BRANCH_LEQ" if mode == b"BRANCH_LT" else mode for mode in values]),
        ("nodes_missing_value_tracks_true", lambda values: [1 - value for value in values]),
        ("base_values", lambda values: [values[0] + 0.001, *values[1:]]),
        ("target_weights", lambda values: [value * 1.001 for value in values]),
    ],
)
def test_a_graph_that_scores_otherwise_is_refused(attribute: str, change: object) -> None:
    model = onnx.load_from_string(graph_of())
    ensemble = model.graph.node[0]
    for held in ensemble.attribute:
        if held.name == attribute:
            changed = onnx.helper.make_attribute(attribute, change(onnx.helper.get_attribute_value(held)))
            held.CopyFrom(changed)
    trained = tiny_model()
    with pytest.raises(ParityError, match="differs from xgboost's"):
        verify(model.SerializeToString(), trained.booster, trained.calibration, trained.factors, FEATURES)


def test_a_wrong_calibration_is_refused() -> None:
    trained = tiny_model()
    other = graph_of(Calibration(trained.calibration.slope, trained.calibration.offset + 0.1))
    with pytest.raises(ParityError, match="score"):
        verify(other, trained.booster, trained.calibration, trained.factors, FEATURES)


def test_group_sums_and_bias_make_the_margin_on_ordinary_events() -> None:
    trained = tiny_model()
    parity = measure_parity(
        graph_of(), trained.booster, trained.calibration, trained.factors, FEATURES, tiny_set().features
    )
    assert parity.rows == 700
    assert max(parity.margin, parity.contribution, parity.sum_of_contributions) < 1e-5


def test_the_top_factors_are_the_largest_contributions_in_order() -> None:
    names = ["contributions", "top_contribution", "top_factor"]
    shares, top, factor = open_session(graph_of()).run(names, {"features": tiny_set().features[:64]})
    assert (np.sort(shares, axis=1)[:, ::-1][:, :5] == top).all()
    assert (np.take_along_axis(shares, factor, axis=1) == top).all()


def test_the_number_of_rows_does_not_change_a_bit_of_a_score() -> None:
    session, rows = open_session(graph_of()), tiny_set().features[:97]
    names = ["score", "margin", "contributions"]
    whole = session.run(names, {"features": rows})
    alone = [session.run(names, {"features": rows[row : row + 1]}) for row in range(len(rows))]
    for column, values in enumerate(whole):
        assert values.tobytes() == np.concatenate([one[column] for one in alone]).tobytes()


@pytest.mark.parametrize(("text", "margin"), [("5E-1", 0.0), ("[5E-1]", 0.0), ("[5.7E-2]", -2.806009)])
def test_both_spellings_of_the_base_score_are_read(text: str, margin: float) -> None:
    assert base_margin(text) == pytest.approx(margin, abs=1e-5)


def test_a_booster_with_another_base_score_is_exported_right() -> None:
    rng = np.random.default_rng(1)
    features = rng.random((300, FEATURES), np.float32)
    labels = (features[:, 0] > 0.8).astype(np.float32)
    columns = xgboost.DMatrix(features, labels, nthread=1)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, columns, 4)
    data, calibration = bytes(booster.save_raw("ubj")), Calibration(1.0, 0.0)
    forest = read_forest(booster)
    factors = leaf_factors(forest, feature_groups(), GROUPS)
    graph = export(forest, factors, calibration, FEATURES, {})
    assert forest.base != 0
    verify(graph, data, calibration, factors, FEATURES)


def test_bytes_that_are_no_booster_are_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="not an xgboost model"):
        load_booster(b"not a model")
