"""score: what features, trees and factors cost in batches of 256 and of 64, beside XGBoost and ONNX Runtime.

All engines score the same matrices in one run and in turn, because a machine's speed wanders more than they differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from infra.bench.measure import Figures, rss_peak_mb, whole_batches
from schemas.batches import F32, Enriched
from scoring.deployment import only
from scoring.features import matrix
from scoring.model import BOOSTER_FILE, MODEL_FILE, Model, open_session
from scoring.stage import ScoreStage
from scoring.trees import load_booster

LARGE, SMALL = 256, 64
MOST_US, MOST_MS = 15.0, 3.0  # what the stage may cost: an event of a large batch, and a whole small batch
_ROUNDS, _WARM = 5, 4
_MOST_EVENTS = 8_192  # their features take 56 MB

Work = Callable[[int], Any]
"""Does the batch of that number."""


def bench_score(enriched: Enriched, model: Model) -> Figures:
    """Score the same events several times over. Figures are CPU times, the median of five rounds."""
    engines = _Engines(model)
    batches = {size: whole_batches(enriched, size, _MOST_EVENTS) for size in (LARGE, SMALL)}
    taken = {size: _taken(engines.works(cut), len(cut)) for size, cut in batches.items()}
    us = {size: {name: float(np.median(seconds)) / size * 1e6 for name, seconds in each.items()}
          for size, each in taken.items()}  # fmt: skip
    names = list(us[LARGE])
    return Figures(
        name="stage score",
        events=len(batches[LARGE]) * LARGE,
        events_per_s=round(1e6 / us[LARGE]["stage"], 1),
        cpu_us_per_event=round(us[LARGE]["stage"], 3),
        rss_peak_mb=rss_peak_mb(),
        batch=LARGE,
        details={
            "model": model.version,
            "trees": model.manifest.trees,
            "depth": model.manifest.depth,
            "features": len(model.manifest.features),
            "groups": len(model.manifest.groups),
            "us_per_event_of_256": round(us[LARGE]["stage"], 3),
            "us_per_event_of_256_at_most": MOST_US,
            "us_per_event_of_256_best": round(min(taken[LARGE]["stage"]) / LARGE * 1e6, 3),
            "ms_per_batch_of_64": round(us[SMALL]["stage"] * SMALL / 1e3, 3),
            "ms_per_batch_of_64_at_most": MOST_MS,
            "engines": {name: {str(size): round(us[size][name], 3) for size in us} for name in names},
            "parity": engines.parity(matrix(batches[LARGE][0])),
        },
    )


class _Engines:
    """Everything that can score a model's trees: its own stage and its parts, and what they are compared with."""

    def __init__(self, model: Model) -> None:
        graph = (model.directory / MODEL_FILE).read_bytes()
        self._model = model
        self._stage = ScoreStage(only(model))
        self._booster = load_booster((model.directory / BOOSTER_FILE).read_bytes())
        self._plain = open_session(plain_graph(graph))

    def works(self, batches: Sequence[Enriched]) -> dict[str, Work]:
        """Return the work of each engine on these batches, by name."""
        model, memory = self._model, matrix(batches[0])
        tables = [matrix(batch) for batch in batches]
        factors = ["score", "top_contribution", "top_factor"]
        return {
            "stage": lambda at: self._stage(batches[at]),
            "features": lambda at: matrix(batches[at], memory),
            "score_and_factors": lambda at: model.run(tables[at]),
            "score_alone": lambda at: model.score(tables[at]),
            "onnx_score_and_factors": lambda at: model.session.run(factors, {"features": tables[at]}),
            "onnx_plain": lambda at: self._plain.run(None, {"features": tables[at]}),
            "xgboost_plain": lambda at: self._margins(tables[at]),
        }

    def parity(self, features: F32) -> dict[str, float]:
        """Return the largest differences of margins and scores from XGBoost's, and of factors from the graph's."""
        margins = self._margins(features)
        wanted = 100 / (1 + np.exp(-(self._model.manifest.slope * margins + self._model.manifest.offset)))
        verdict = self._model.run(features)
        graph = self._model.session.run(["top_contribution"], {"features": features})[0]
        (plain,) = self._plain.run(None, {"features": features})
        return {
            "score_and_xgboost": float(np.abs(verdict.score - wanted).max()),
            "factors_and_onnx": float(np.abs(verdict.top_contribution - graph).max()),
            "onnx_plain_and_xgboost": float(np.abs(plain[:, 0] - margins).max()),
        }

    def _margins(self, features: F32) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self._booster.inplace_predict(features, predict_type="margin").astype(np.float64)
        return found


def plain_graph(graph: bytes) -> bytes:
    """Return a graph of the same trees that gives their margin and nothing else."""
    ensemble = onnx.load_from_string(graph).graph.node[0]
    held = {attribute.name: helper.get_attribute_value(attribute) for attribute in ensemble.attribute}
    margins = np.flatnonzero(np.array(held["target_ids"]) == 0)
    for name in ("target_treeids", "target_nodeids", "target_ids", "target_weights"):
        held[name] = np.array(held[name])[margins].tolist()
    held |= {"n_targets": 1, "base_values": list(held["base_values"])[:1]}
    node = helper.make_node("TreeEnsembleRegressor", ["features"], ["margin"], domain="ai.onnx.ml")
    node.attribute.extend(helper.make_attribute(name, value) for name, value in held.items())
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", None])
    margin = helper.make_tensor_value_info("margin", TensorProto.FLOAT, ["n", 1])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    plain = helper.make_model(
        helper.make_graph([node], "margin", [features], [margin]), opset_imports=opsets, ir_version=8
    )
    return bytes(plain.SerializeToString())


def _taken(works: dict[str, Work], batches: int) -> dict[str, list[float]]:
    """Return the CPU seconds a batch of each engine, one figure a round; the engines take turns."""
    for work in works.values():
        for at in range(min(_WARM, batches)):
            work(at)
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(_ROUNDS):
        for name, work in works.items():
            started = time.process_time()
            for at in range(batches):
                work(at)
            taken[name].append((time.process_time() - started) / batches)
    return taken
