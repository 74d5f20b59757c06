"""The compiled walk through a model's trees: it gives what the graph gives, and steps nowhere else."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from infra.bench.score import plain_graph
from scoring.compiled import put_reasons, walk
from scoring.evaluation import PREFIX, Evaluation, Tables
from scoring.export import export
from scoring.features import feature_schema
from scoring.flat_trees import flat_trees
from scoring.golden import ROOM, TOLERANCE
from scoring.model import open_session
from scoring.trees import load_booster, read_forest
from scoring.verify import golden_rows
from scoring.warm import warm
from tests.tiny_model import tiny_model, tiny_set


@cache
def graph() -> bytes:
    trained = tiny_model()
    forest = read_forest(load_booster(trained.booster))
    return export(forest, trained.factors, trained.calibration, len(feature_schema()), {})


def tables(**other: Any) -> Tables:
    """Return the tables of the tiny model, some of them exchanged."""
    trained = tiny_model()
    forest = read_forest(load_booster(trained.booster))
    calibration = trained.calibration
    return flat_trees(forest, trained.factors, calibration.slope, calibration.offset)._replace(**other)


def test_operators_and_tables_of_a_graph_agree_on_real_and_on_golden_rows() -> None:
    session = open_session(graph())
    evaluation = Evaluation.of(session)
    golden = golden_rows(load_booster(tiny_model().booster), len(feature_schema()))
    for rows in (tiny_set().features, golden):
        found = evaluation.differences(session, rows)
        assert all(found[name] <= TOLERANCE * ROOM[name] for name in ("score", "contribution")), found


def test_scores_without_factors_are_the_same() -> None:
    evaluation, rows = Evaluation.of(open_session(graph())), tiny_set().features
    assert evaluation.score(rows).tobytes() == evaluation(rows).score.tobytes()


def test_a_table_that_was_changed_is_seen() -> None:
    changed = onnx.load_from_string(graph())
    value = next(each for each in changed.graph.initializer if each.name == f"{PREFIX}value")
    other = numpy_helper.to_array(value).copy()
    other[:, 0] += 0.01
    value.CopyFrom(numpy_helper.from_array(other, value.name))
    session = open_session(changed.SerializeToString())
    assert Evaluation.of(session).differences(session, tiny_set().features)["score"] > TOLERANCE * ROOM["score"]


def test_a_graph_without_tables_is_refused() -> None:
    with pytest.raises(ValueError, match="no tables of its trees"):
        Evaluation.of(open_session(plain_graph(graph())))


@pytest.mark.parametrize(
    ("name", "most"),
    [("root", 10**6), ("child", 10**6), ("feature", 10**6), ("leaf", 10**6), ("target", 255), ("child", -1)],
)
def test_tables_that_point_outside_of_each_other_are_refused(name: str, most: int) -> None:
    column = getattr(tables(), name).copy()
    column.flat[0] = most
    with pytest.raises(ValueError, match="contradict themselves"):
        Evaluation(tables(**{name: column}), len(feature_schema()))


def test_a_node_before_the_one_that_leads_to_it_is_refused() -> None:
    child = tables().child.copy()
    inner = np.flatnonzero(child != np.arange(len(child)))
    child[inner[-1]] = inner[-1] - 1
    with pytest.raises(ValueError, match="contradict themselves"):
        Evaluation(tables(child=child), len(feature_schema()))


def told(score: list[float], shares: Any, groups: Any) -> tuple[bool, Any, Any, Any]:
    """Return what the loop returns and writes, of features 0 to 3 in row 0 and 4 to 7 in row 1."""
    shown, found = np.arange(8, dtype=np.float32).reshape(2, 4), np.array(shares, np.float32)
    out = np.empty(found.shape, np.int8), np.empty(found.shape, np.float32), np.empty((2, 3), np.float32)
    return put_reasons((np.array(score, np.float32), found, np.array(groups)), shown, np.array([3, 0, 3]), out), *out


def test_groups_that_raise_are_told_with_what_they_add_and_others_are_none() -> None:
    sound, factor, contribution, observed = told([1, 99], [[2, 0, -1], [0.5, 0.25, 0.125]], [[7, 8, 9], [1, 2, 3]])
    assert sound
    assert factor.tolist() == [[7, -1, -1], [1, 2, 3]]
    assert contribution.tolist() == [[2, 0, 0], [0.5, 0.25, 0.125]]
    assert observed.tolist() == [[3, 0, 3], [7, 4, 7]]


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_said(score: float) -> None:
    assert not told([1, score], [[0], [0]], [[0], [0]])[0]


def test_a_leaf_that_could_be_left_is_refused() -> None:
    with pytest.raises(ValueError, match="contradict themselves"):
        Evaluation(tables(threshold=np.zeros_like(tables().threshold)), len(feature_schema()))


@pytest.mark.parametrize("rows", [np.zeros((2, 3), np.float32), np.zeros((2, len(feature_schema())))])
def test_features_of_another_form_are_refused(rows: Any) -> None:
    with pytest.raises(ValueError, match="features must be float32"):
        Evaluation(tables(), len(feature_schema()))(rows)


def test_what_setup_compiles_is_what_models_run() -> None:
    warm()
    evaluation = Evaluation.of(open_session(graph()))
    evaluation(tiny_set().features[:3])
    evaluation.score(tiny_set().features[::2])
    assert len(walk.signatures) == 1
