"""Export to one ONNX graph: margin, calibrated score, every group's contribution, and the top factors.

The leaves of the single TreeEnsembleRegressor carry G + 1 targets: target 0 is the margin, targets 1..G are what each
group adds there (``scoring.leaf_factors``), constant per leaf. So one native pass gives score and factors.

The same trees are also outputs of the graph, as the flat tables that ``scoring.evaluation`` walks through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from schemas.batches import F32
from scoring.evaluation import PREFIX, TOP_FACTORS, Tables
from scoring.flat_trees import flat_trees
from scoring.leaf_factors import LeafFactors
from scoring.train import Calibration
from scoring.trees import Forest, Tree

_OPSET = 17
_ML_OPSET = 3
_IR_VERSION = 8


def export(
    forest: Forest, factors: LeafFactors, calibration: Calibration, features: int, facts: Mapping[str, str]
) -> bytes:
    """Return the serialised graph; ``facts`` become its metadata, so the file's digest covers them."""
    groups = factors[0].shape[1]
    ensemble = _ensemble(forest, factors)
    tables = _tables(flat_trees(forest, factors, calibration.slope, calibration.offset))
    graph = helper.make_graph(
        [ensemble, *_calculations()],
        "clickgoose",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", features])],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("margin", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("contributions", TensorProto.FLOAT, ["n", groups]),
            helper.make_tensor_value_info("top_contribution", TensorProto.FLOAT, ["n", TOP_FACTORS]),
            helper.make_tensor_value_info("top_factor", TensorProto.INT64, ["n", TOP_FACTORS]),
            *(helper.make_tensor_value_info(table.name, table.data_type, table.dims) for table in tables),
        ],
        initializer=[*_constants(calibration, groups), *tables],
    )
    model = helper.make_model(
        graph,
        producer_name="clickgoose",
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)],
        ir_version=_IR_VERSION,
    )
    helper.set_model_props(model, dict(facts))
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


def _tables(tables: Tables) -> list[onnx.TensorProto]:
    return [numpy_helper.from_array(table, PREFIX + name) for name, table in tables._asdict().items()]


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


def _ensemble(forest: Forest, factors: LeafFactors) -> onnx.NodeProto:
    groups = factors[0].shape[1]
    columns: dict[str, list[Any]] = {}
    for number, (tree, table) in enumerate(zip(forest.trees, factors, strict=True)):
        for key, values in _tree_attributes(number, tree, table).items():
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


def _tree_attributes(number: int, tree: Tree, table: F32) -> dict[str, list[Any]]:
    nodes = len(tree.left)
    leaf = tree.left < 0
    targets: list[tuple[int, int, float]] = []
    for node in np.flatnonzero(leaf).tolist():
        targets.append((node, 0, float(tree.threshold[node])))
        targets += [(node, 1 + group, float(table[node, group])) for group in np.flatnonzero(table[node]).tolist()]
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


def exported_factors(graph: bytes, forest: Forest, groups: int) -> LeafFactors:
    """Return what a graph's leaves say that each group adds. ValueError where they are not leaves of the forest."""
    ensemble = onnx.load_from_string(graph).graph.node[0]
    held = {attribute.name: helper.get_attribute_value(attribute) for attribute in ensemble.attribute}
    names = ("target_treeids", "target_nodeids", "target_ids", "target_weights")
    trees, nodes, targets, weights = (np.asarray(held[name]) for name in names)
    found = tuple(np.zeros((len(tree.left), groups), np.float32) for tree in forest.trees)
    sizes = np.array([len(tree.left) for tree in forest.trees])
    if trees.max() >= len(found) or (nodes >= sizes[trees]).any() or targets.max() > groups:
        raise ValueError("the graph has other trees than the booster; restore the model or train again")
    for number, table in enumerate(found):
        mine = (trees == number) & (targets > 0)
        table[nodes[mine], targets[mine] - 1] = weights[mine]
    return found
