"""Export to one ONNX graph: margin, calibrated score, every group's contribution, and the top factors.

The leaves of the single TreeEnsembleRegressor carry G + 1 targets: target 0 is the margin, targets 1..G are Saabas'
contributions of the groups, which are constant per leaf. So one native pass gives score and factors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from schemas.batches import I64
from scoring.train import Calibration
from scoring.trees import Forest, Tree, contributions

TOP_FACTORS = 5
_OPSET = 17
_ML_OPSET = 3
_IR_VERSION = 8


def export(forest: Forest, calibration: Calibration, group_of: I64, groups: int, facts: dict[str, str]) -> bytes:
    """Return the serialised graph; ``facts`` become its metadata, so the file's digest covers them."""
    ensemble = _ensemble(forest, group_of, groups)
    graph = helper.make_graph(
        [ensemble, *_calculations()],
        "clickgoose",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", len(group_of)])],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("margin", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("contributions", TensorProto.FLOAT, ["n", groups]),
            helper.make_tensor_value_info("top_contribution", TensorProto.FLOAT, ["n", TOP_FACTORS]),
            helper.make_tensor_value_info("top_factor", TensorProto.INT64, ["n", TOP_FACTORS]),
        ],
        initializer=_constants(calibration, groups),
    )
    model = helper.make_model(
        graph,
        producer_name="clickgoose",
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)],
        ir_version=_IR_VERSION,
    )
    helper.set_model_props(model, facts)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _constants(calibration: Calibration, groups: int) -> list[onnx.TensorProto]:
    values: dict[str, NDArray[Any]] = {
        "zero": np.array([0], np.int64),
        "one": np.array([1], np.int64),
        "end": np.array([groups + 1], np.int64),
        "axis": np.array([1], np.int64),
        "top": np.array([TOP_FACTORS], np.int64),
        "slope": np.array(calibration.slope, np.float32),
        "offset": np.array(calibration.offset, np.float32),
        "hundred": np.array(100.0, np.float32),
    }
    return [numpy_helper.from_array(value, name) for name, value in values.items()]


def _calculations() -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        node("Slice", ["ensemble", "zero", "one", "axis"], ["margin_column"]),
        node("Squeeze", ["margin_column", "axis"], ["margin"]),
        node("Mul", ["margin", "slope"], ["scaled"]),
        node("Add", ["scaled", "offset"], ["shifted"]),
        node("Sigmoid", ["shifted"], ["probability"]),
        node("Mul", ["probability", "hundred"], ["score"]),
        node("Slice", ["ensemble", "one", "end", "axis"], ["contributions"]),
        node("TopK", ["contributions", "top"], ["top_contribution", "top_factor"], axis=1, largest=1, sorted=1),
    ]


def _ensemble(forest: Forest, group_of: I64, groups: int) -> onnx.NodeProto:
    columns: dict[str, list[Any]] = {}
    for number, tree in enumerate(forest.trees):
        for key, values in _tree_attributes(number, tree, group_of, groups).items():
            columns.setdefault(key, []).extend(values)
    columns["base_values"] = [forest.base] + [0.0] * groups
    node = helper.make_node("TreeEnsembleRegressor", ["features"], ["ensemble"], domain="ai.onnx.ml")
    for key, value in {
        "n_targets": groups + 1,
        "aggregate_function": "SUM",
        "post_transform": "NONE",
        **columns,
    }.items():
        node.attribute.append(helper.make_attribute(key, value))
    return node


def _tree_attributes(number: int, tree: Tree, group_of: I64, groups: int) -> dict[str, list[Any]]:
    nodes = len(tree.left)
    leaf = tree.left < 0
    targets: list[tuple[int, int, float]] = []
    for node, added in sorted(contributions(tree, group_of, groups).items()):
        targets.append((node, 0, float(tree.threshold[node])))
        targets += [(node, 1 + int(group), float(added[group])) for group in np.flatnonzero(added)]
    return {
        "nodes_treeids": [number] * nodes,
        "nodes_nodeids": list(range(nodes)),
        "nodes_featureids": np.where(leaf, 0, tree.feature).tolist(),
        "nodes_values": np.where(leaf, np.float32(0), tree.threshold).tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LT").tolist(),
        "nodes_truenodeids": np.where(leaf, 0, tree.left).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, tree.right).tolist(),
        "nodes_hitrates": [1.0] * nodes,
        "nodes_missing_value_tracks_true": np.where(leaf, 0, tree.default_left).astype(int).tolist(),
        "target_treeids": [number] * len(targets),
        "target_nodeids": [node for node, _, _ in targets],
        "target_ids": [target for _, target, _ in targets],
        "target_weights": [weight for _, _, weight in targets],
    }
